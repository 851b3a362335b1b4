//! The command line → what is to be done, checked as far as it can be before a row is read.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use wire::Operation;

use super::super::refusal::Refusal;
use super::args::Args;
use super::extent::Extent;
use super::journal::Identity;
use super::recipe::Recipe;
use super::shape::Shape;
use super::sink::Places;
use super::source::{Format, Source};
use super::template::{self, Template};

/// Longest template.
const TEMPLATE_BYTES_MAX: u64 = 1 << 20;
/// Members of a request that have flags of their own, or no place in one.
const TAKEN: [&str; 5] = ["model", "messages", "input", "stream", "stream_options"];

/// What is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    /// The input's form.
    pub(super) format: Format,
    /// Its length.
    pub(super) input_bytes: u64,
    /// How rows are asked.
    pub(super) recipe: Recipe,
    /// How they are written.
    pub(super) shape: Shape,
    /// And where.
    pub(super) places: Places,
    /// What is asked, as it was given.
    text: String,
    members: Map<String, Value>,
}

impl Plan {
    /// What the flags come to.
    ///
    /// # Errors
    /// What cannot be, with the mend.
    pub(super) fn new(args: &Args) -> Result<Self, Refusal> {
        let about = fs::metadata(&args.file).map_err(|error| wrong(&args.file, error))?;
        if !about.is_file() {
            return Err(wrong(&args.file, "it must be a file: what is read once cannot be gone on with"));
        }
        let format = args.format.or_else(|| Format::of(&args.file));
        let format = format.ok_or_else(|| wrong(&args.file, "say --format jsonl or --format csv"))?;
        let source = Source::open(&args.file, format, Extent::default());
        let columns = source.map_err(|error| wrong(&args.file, error))?.columns().map(<[String]>::to_vec);
        let places = places(args, &about)?;
        let (text, members) = (args.text()?, args.members()?);
        let recipe = args.recipe(&text, &members)?;
        let shape = args.shape(columns.as_deref())?;
        let fields =
            if args.select.is_empty() { Vec::new() } else { shape.fields.clone().unwrap_or_default() };
        let recipe = recipe.with_fields(fields);
        if let Some(columns) = &columns {
            check_columns(&recipe, columns)?;
        }
        Ok(Self { format, input_bytes: about.len(), recipe, shape, places, text, members })
    }

    /// What tells this run from another.
    ///
    /// # Errors
    /// Where the input cannot be read.
    pub(super) fn identity(&self, args: &Args) -> Result<Identity, Refusal> {
        let select = args.select.join(",");
        let members = Value::Object(self.members.clone()).to_string();
        let parts = [
            ("--model", args.model.as_str()),
            (if args.input.is_some() { "--input" } else { "--prompt" }, &self.text),
            ("--system", args.system.as_deref().unwrap_or_default()),
            ("--param and --body", &members),
            ("--format", self.format.name()),
            ("--field", &args.field),
            ("--select", &select),
            ("--json", if args.json { "json" } else { "" }),
            ("--order", args.order.name()),
            ("the output's form", self.shape.format.name()),
        ];
        Identity::new(&args.file, &parts).map_err(|error| wrong(&args.file, error))
    }
}

impl Args {
    /// The template, wherever it stands.
    fn text(&self) -> Result<String, Refusal> {
        use std::io::Read as _;
        match (&self.prompt, &self.input, &self.prompt_file) {
            (Some(text), ..) | (None, Some(text), _) => Ok(text.clone()),
            (None, None, Some(path)) => {
                let mut text = String::new();
                let file = fs::File::open(path).map_err(|error| wrong(path, error))?;
                file.take(TEMPLATE_BYTES_MAX + 1)
                    .read_to_string(&mut text)
                    .map_err(|error| wrong(path, error))?;
                if text.len() as u64 > TEMPLATE_BYTES_MAX {
                    return Err(wrong(path, "no template is longer than 1 MiB"));
                }
                // The line end that editors put behind a text is none of it.
                text.truncate(text.trim_end_matches(['\r', '\n']).len());
                Ok(text)
            }
            (None, None, None) => Err(Refusal::Usage("give --prompt, --prompt-file or --input".to_owned())),
        }
    }

    fn members(&self) -> Result<Map<String, Value>, Refusal> {
        let mut members = self.body.clone().unwrap_or_default();
        members.extend(self.params.iter().cloned());
        match TAKEN.iter().find(|name| members.contains_key(**name)) {
            Some(name) => {
                let why = format!("{name:?} cannot be given by --param or --body: it is the command's own");
                Err(Refusal::Usage(why))
            }
            None => Ok(members),
        }
    }

    fn recipe(&self, text: &str, members: &Map<String, Value>) -> Result<Recipe, Refusal> {
        let operation = self.operation()?;
        if self.json && operation == Operation::Embeddings {
            return Err(Refusal::Usage("--json is for texts: a vector is JSON anyway".to_owned()));
        }
        let parse = |flag: &str, text: &str| {
            Template::parse(text).map_err(|error| Refusal::Usage(format!("{flag}: {error}")))
        };
        let flag = if self.input.is_some() { "--input" } else { "--prompt" };
        let system = self.system.as_deref().map(|text| parse("--system", text)).transpose()?;
        let prompt = parse(flag, text)?;
        let same = prompt.is_constant() && system.as_ref().is_none_or(Template::is_constant);
        if same {
            let why = format!("{flag} has no {{{{field}}}} in it: every row would be asked the same");
            return Err(Refusal::Usage(why));
        }
        Ok(Recipe::new(operation, &self.model, system, prompt, members))
    }

    fn shape(&self, columns: Option<&[String]>) -> Result<Shape, Refusal> {
        let mut seen = HashSet::new();
        if let Some(twice) = self.select.iter().find(|name| !seen.insert(*name)) {
            return Err(Refusal::Usage(format!("--select names {twice:?} twice")));
        }
        let format = Format::of(&self.output).unwrap_or(Format::Jsonl);
        let names = if self.select.is_empty() { columns } else { Some(&*self.select) };
        if format == Format::Csv && names.is_none() {
            let why = "the rows of a CSV have the same columns: name them with --select id,text";
            return Err(wrong(&self.output, why));
        }
        // All that a row has goes out as it is written, unless there are columns to fill.
        let names = names.filter(|_| format == Format::Csv || !self.select.is_empty());
        let fields = names.map(|names| names.iter().map(|name| template::Path::new(name)).collect());
        Ok(Shape { format, fields, answer: self.field.clone() })
    }
}

/// A field that is none of the columns would fail every row.
fn check_columns(recipe: &Recipe, columns: &[String]) -> Result<(), Refusal> {
    let row: Map<String, Value> = columns.iter().map(|name| (name.clone(), "".into())).collect();
    match recipe.body(Value::Object(row).to_string().as_bytes(), 1) {
        Ok(_) => Ok(()),
        Err(fault) => Err(Refusal::Usage(fault.message)),
    }
}

/// Where everything goes: to files that are not each other, nor the input.
fn places(args: &Args, input: &Metadata) -> Result<Places, Refusal> {
    let output = args.output.clone();
    if output.file_name().is_none() {
        return Err(wrong(&output, "it must be a file"));
    }
    // Beside its whole name: outputs that differ in their ending alone have errors of their own.
    let beside = |ending: &str| {
        let mut name = output.clone().into_os_string();
        name.push(ending);
        PathBuf::from(name)
    };
    let errors = args.errors.clone().unwrap_or_else(|| beside(".errors.jsonl"));
    let journal = beside(".progress");
    let places = Places { output, errors, journal };
    if places.errors == places.output || places.errors == places.journal {
        return Err(wrong(&places.errors, "errors must go to a file of their own"));
    }
    for path in [&places.output, &places.errors, &places.journal] {
        let Ok(about) = fs::metadata(path) else { continue };
        if (about.dev(), about.ino()) == (input.dev(), input.ino()) {
            return Err(wrong(path, "it is the input"));
        }
        if !about.is_file() {
            return Err(wrong(path, "it is there and no file"));
        }
    }
    Ok(places)
}

fn wrong(path: &Path, why: impl std::fmt::Display) -> Refusal {
    Refusal::Usage(format!("{}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use clap::Parser;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// A plan for a file in a folder of its own, or why there is none.
    fn plan(name: &str, text: &str, output: &str, flags: &[&str]) -> Result<Plan, String> {
        let folder = tempfile::tempdir().unwrap();
        let (input, output) = (folder.path().join(name), folder.path().join(output));
        fs::write(&input, text).unwrap();
        let paths = [input.to_str().unwrap(), "-o", output.to_str().unwrap()];
        let line = ["map"].iter().chain(&paths).chain(&["--model", "m"]).chain(flags);
        let args = Line::try_parse_from(line).unwrap().args;
        match Plan::new(&args) {
            Ok(plan) => Ok(plan),
            Err(Refusal::Usage(why)) => Err(why),
            Err(other) => panic!("{other:?}"),
        }
    }

    const ROW: &str = "{\"id\":1,\"t\":\"x\"}\n";
    const PROMPT: &str = "--prompt={{t}}";

    #[test]
    fn forms_follow_from_names_and_errors_stand_beside_the_output() {
        let made = plan("a.jsonl", ROW, "b.c.jsonl", &[PROMPT]).unwrap();
        assert_eq!((made.format, made.shape.format), (Format::Jsonl, Format::Jsonl));
        assert!(made.places.errors.ends_with("b.c.jsonl.errors.jsonl"));
        assert!(made.places.journal.ends_with("b.c.jsonl.progress"));
        assert!(made.shape.fields.is_none() && made.recipe.fields.is_empty());
        let made = plan("a.csv", "id,t\n1,x\n", "b.csv", &[PROMPT]).unwrap();
        assert_eq!((made.format, made.shape.format), (Format::Csv, Format::Csv));
        assert_eq!(made.shape.head(), b"id,t,answer\n");
        let made = plan("a.txt", ROW, "b", &[PROMPT, "--format=jsonl", "--select=id"]).unwrap();
        assert_eq!((made.shape.format, made.recipe.fields.len()), (Format::Jsonl, 1));
    }

    #[test]
    fn what_cannot_be_is_told_before_anything_is_read() {
        for (name, output, flags, why) in [
            ("a.txt", "b.jsonl", &[PROMPT][..], "--format"),
            ("a.jsonl", "a.jsonl", &[PROMPT], "it is the input"),
            ("a.jsonl", "b.csv", &[PROMPT], "--select"),
            ("a.jsonl", "..", &[PROMPT], "it must be a file"),
            ("a.jsonl", "b.jsonl", &["--prompt=all the same"], "{{field}}"),
            ("a.jsonl", "b.jsonl", &["--prompt={{t"], "--prompt: '{{'"),
            ("a.jsonl", "b.jsonl", &[PROMPT, "--system={{}}"], "--system"),
            ("a.jsonl", "b.jsonl", &[PROMPT, "--select=t,t"], "twice"),
            ("a.jsonl", "b.jsonl", &[PROMPT, "--param=stream=true"], "\"stream\""),
            ("a.jsonl", "b.jsonl", &["--input={{t}}", "--json"], "--json"),
            ("a.jsonl", "b.jsonl", &["--prompt-file=/no/such/file"], "/no/such/file"),
        ] {
            let told = plan(name, ROW, output, flags).unwrap_err();
            assert!(told.contains(why), "{name} {output} {flags:?}: {told}");
        }
    }

    #[test]
    fn a_field_that_is_no_column_is_told_before_any_row_fails() {
        for flags in [&["--prompt={{u}}"][..], &[PROMPT, "--select=u"], &[PROMPT, "--system={{u}}"]] {
            let told = plan("a.csv", "id,t\n", "b.jsonl", flags).unwrap_err();
            assert_eq!(told, "no field \"u\"; there are: id, t", "{flags:?}");
        }
        let told = plan("a.csv", "id,id\n", "b.jsonl", &[PROMPT]).unwrap_err();
        assert!(told.contains("\"id\""), "{told}");
    }

    #[test]
    fn a_template_may_stand_in_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "Say: {{t}}\n\n").unwrap();
        let flag = format!("--prompt-file={}", file.path().display());
        assert_eq!(plan("a.jsonl", ROW, "b.jsonl", &[&flag]).unwrap().text, "Say: {{t}}");
    }
}
