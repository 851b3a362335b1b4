//! Faults: what is wrong with a configuration, where, and the mend; drawn for people or told to machines.
//!
//! Nothing here decides what a fault is. What is shown of the file has been masked (see [`mask`]): a
//! fault's drawing goes to logs, and the line at fault may hold a secret.
//!
//! [`mask`]: super::mask

pub(crate) mod drawing;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use super::inputs::Inputs;
use super::mask::Mask;
use super::read::Source;
use super::tree::{Node, Origin, Path};

/// Most faults told of one configuration; a file of garbage would have thousands.
const TOLD_MAX: usize = 100;
/// Most faults kept while they are being found: enough that the first in the file are among them, few enough
/// that comparing them all costs nothing.
const FOUND_MAX: usize = 1_000;

/// Findings up to a bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings(Vec<Finding>);

impl Findings {
    /// Keeps a finding, if there is room.
    pub(super) fn push(&mut self, finding: Finding) {
        if !self.is_full() {
            self.0.push(finding);
        }
    }

    /// Whether nothing more is kept.
    pub(super) fn is_full(&self) -> bool {
        self.0.len() >= FOUND_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this value, or one that it is part of, is told already.
    pub(super) fn cover(&self, path: &Path) -> bool {
        self.0.iter().any(|finding| finding.path != Path::root() && path.starts_with(&finding.path))
    }

    /// Adds those that do not merely follow from what is here.
    pub(super) fn add_unexplained(&mut self, others: Findings) {
        let known = self.clone();
        for finding in others.0.into_iter().filter(|finding| !known.cover(&finding.path)) {
            self.push(finding);
        }
    }
}

impl Extend<Finding> for Findings {
    fn extend<I: IntoIterator<Item = Finding>>(&mut self, findings: I) {
        findings.into_iter().take(FOUND_MAX).for_each(|finding| self.push(finding));
    }
}

impl IntoIterator for Findings {
    type Item = Finding;
    type IntoIter = std::vec::IntoIter<Finding>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A fault while it is being found: its place still an origin.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    what: String,
    mend: String,
    path: Path,
    origin: Option<Origin>,
}

impl Finding {
    pub(super) fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into(), path: Path::root(), origin: None }
    }

    /// Says which value it is about.
    pub(super) fn about(mut self, path: &Path) -> Self {
        self.path = path.clone();
        self
    }

    /// Says where that value was given.
    pub(super) fn given_at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// About a value, at its place in the merged tree.
    pub(super) fn at(self, path: &Path, tree: &Node) -> Self {
        self.about(path).given_at(tree.nearest_origin(path).clone())
    }

    /// Where it stands in the file, in bytes; what is from elsewhere comes last.
    fn start(&self) -> usize {
        match &self.origin {
            Some(Origin::File(span) | Origin::Expanded(span)) => span.start,
            _ => usize::MAX,
        }
    }

    /// Resolves the place.
    pub(super) fn told(self, source: Option<&Source>) -> Fault {
        let mut fault = Fault {
            what: self.what,
            mend: self.mend,
            key: shortened(&self.path.to_string()),
            place: None,
            given_by: None,
            span: None,
        };
        match (self.origin, source) {
            (Some(Origin::File(span) | Origin::Expanded(span)), Some(source)) => {
                let span = clamp(&source.text, span);
                let (line, column) = position(&source.text, span.start);
                fault.place = Some(Place { file: source.path.clone(), line, column });
                fault.span = Some(span);
            }
            (Some(Origin::Variable(name)), _) => {
                fault.given_by = Some(format!("environment variable {name}"));
            }
            (Some(Origin::Flag(name)), _) => fault.given_by = Some(format!("flag {name}")),
            _ => {}
        }
        fault
    }
}

/// One thing that is wrong, or (as a warning) odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong. Never holds a secret.
    pub what: String,
    /// How to mend it.
    pub mend: String,
    /// The key it is about, `providers.openai.base_url`; empty where it is about the whole.
    pub key: String,
    /// Where in the file, if it came from there.
    pub place: Option<Place>,
    /// The variable or flag it came from, if it did.
    pub given_by: Option<String>,
    span: Option<Range<usize>>,
}

/// A place in a file; line and column count from one, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Its line.
    pub line: usize,
    /// Its column.
    pub column: usize,
}

impl Fault {
    /// For machines: `file`, `line`, `column`, `given_by`, `key`, `message`, `mend`; what is unknown is null.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let place = self.place.as_ref();
        serde_json::json!({
            "file": place.map(|place| place.file.display().to_string()),
            "line": place.map(|place| place.line),
            "column": place.map(|place| place.column),
            "given_by": self.given_by,
            "key": if self.key.is_empty() { None } else { Some(&self.key) },
            "message": self.what,
            "mend": self.mend,
        })
    }

    fn headline(&self) -> String {
        match &self.given_by {
            Some(giver) => format!("{} (from {giver})", self.what),
            None => self.what.clone(),
        }
    }
}

impl fmt::Display for Fault {
    /// One line: `file:line:column: what; mend`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { file, line, column }) = &self.place {
            write!(f, "{}:{line}:{column}: ", file.display())?;
        }
        write!(f, "{}; {}", self.headline(), self.mend)
    }
}

/// Everything that is wrong with a configuration; never empty.
#[derive(Clone, Debug)]
pub struct Faults {
    faults: Vec<Fault>,
    /// Whether there are more than were kept.
    more: bool,
    /// The masked text of the file, for drawing.
    drawn: Option<String>,
    path: Option<PathBuf>,
    inputs: Inputs,
}

impl Faults {
    pub(super) fn new(findings: Findings, source: Option<&Source>, mask: &Mask) -> Self {
        let mut findings = findings.0;
        let more = findings.len() > TOLD_MAX;
        findings.sort_by_key(Finding::start);
        let faults = findings.into_iter().take(TOLD_MAX).map(|finding| finding.told(source)).collect();
        let drawn = source.map(|source| mask.apply(&source.text));
        Self { faults, more, drawn, path: None, inputs: Inputs::default() }
    }

    pub(super) fn of_files(self, path: Option<PathBuf>, inputs: Inputs) -> Self {
        Self { path, inputs, ..self }
    }

    /// The faults, in the file's order; those from elsewhere come last.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// The configuration file, if one was named or found.
    #[must_use]
    pub fn path(&self) -> Option<&PathBuf> {
        self.path.as_ref()
    }

    /// The files that were to be read before it failed, so that a watcher sees the mend.
    #[must_use]
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// Draws them all, each with the line it is about.
    #[must_use]
    pub fn render(&self, colour: bool) -> String {
        let mut drawing = String::new();
        let name = self.path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let source = self.drawn.as_deref().map(|text| (name.as_str(), text));
        for fault in &self.faults {
            let span = fault.span.as_ref();
            drawing::draw(&mut drawing, &fault.headline(), &fault.mend, span, source, colour);
        }
        let count = match (self.faults.len(), self.more) {
            (count, true) => format!("the first {count} faults"),
            (1, false) => "1 fault".to_owned(),
            (count, false) => format!("{count} faults"),
        };
        let place = match &self.path {
            Some(path) => format!(" in the configuration ({})", path.display()),
            None => " in the configuration (no file)".to_owned(),
        };
        drawing.push_str(&format!("{count}{place}\n"));
        drawing
    }

    /// For machines: the faults as an array.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.faults.iter().map(Fault::to_json).collect()
    }
}

impl fmt::Display for Faults {
    /// All of them on one line, for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let comma = if index == 0 { "" } else { " | " };
            write!(f, "{comma}{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

/// A key as a message shows it: a line of garbage is no help.
pub(super) fn shortened(key: &str) -> String {
    if key.chars().count() <= 100 { key.to_owned() } else { key.chars().take(100).chain(['…']).collect() }
}

/// A span that lies within the text, on character boundaries, and ends on the line it begins on: the drawing
/// shows that one line.
fn clamp(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    start..line_end(text, start..end)
}

/// The end of a range, or of the line on which it begins if that comes first.
fn line_end(text: &str, range: Range<usize>) -> usize {
    text[range.clone()].find(['\n', '\r']).map_or(range.end, |length| range.start + length)
}

fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
