//! Loads a configuration: the layers in their order, each fault kept.
//!
//! Later layers win: defaults, profile, file, environment, flags. Defaults are those of the raw types, so
//! that they stand in one place; the well-known variables only fill what nobody said.

use std::path::{Path as FilePath, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::environment::{self, Environment};
use super::expand::Expander;
use super::fault::{Fault, Faults, Finding, Findings};
use super::inputs::Inputs;
use super::mask::Mask;
use super::read::{self, Format, Source};
use super::tree::{Node, Origin, Path};
use super::validate::Judge;
use super::{Config, Profile, profile, raw, shape};

/// What a configuration is loaded from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file; `None`: `tidegate.toml`, `.yaml`, `.yml` or `.json` in the current folder, if there is one.
    pub path: Option<PathBuf>,
    /// Environment variables.
    pub environment: Environment,
    /// What flags say; it wins over everything.
    pub overrides: Vec<Override>,
    /// Most files that the process may open; `None`: any number.
    pub open_files: Option<u64>,
}

impl Sources {
    /// The process' own environment and limits, and no flags.
    #[must_use]
    pub fn of_process(path: Option<PathBuf>) -> Self {
        // The hard limit: `serve` raises the soft one to it.
        let open_files = getrlimit(Resource::Nofile).maximum;
        Self { path, environment: Environment::of_process(), open_files, ..Self::default() }
    }
}

/// A key's value as a flag gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The flag as it is typed, `--listen`, for messages.
    pub flag: String,
    /// The key, `server.listen`.
    pub key: String,
    /// Its value, typed by the schema; tables and lists as JSON.
    pub value: String,
}

impl Override {
    /// What `flag` says of `key`.
    #[must_use]
    pub fn new(flag: impl Into<String>, key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { flag: flag.into(), key: key.into(), value: value.into() }
    }
}

/// A configuration that may be run.
pub struct Loaded {
    /// The configuration itself.
    pub config: Config,
    /// What is odd but allowed.
    pub warnings: Vec<Fault>,
    /// The file it came from, if there was one.
    pub path: Option<PathBuf>,
    /// Every file it was read from: what a watcher should watch.
    pub inputs: Inputs,
    /// The values as they were written, for printing.
    pub(super) raw: raw::File,
    /// Where each value came from, for printing.
    pub(super) tree: Node,
    pub(super) source: Option<Source>,
}

impl Config {
    /// Loads a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing is half loaded.
    pub fn load(sources: &Sources) -> Result<Loaded, Faults> {
        Load::new(sources).run()
    }
}

/// A load under way.
struct Load<'a> {
    sources: &'a Sources,
    path: Option<PathBuf>,
    source: Option<Source>,
    faults: Findings,
    warnings: Findings,
    inputs: Inputs,
    mask: Mask,
}

impl<'a> Load<'a> {
    fn new(sources: &'a Sources) -> Self {
        Self {
            sources,
            path: None,
            source: None,
            faults: Findings::default(),
            warnings: Findings::default(),
            inputs: Inputs::default(),
            mask: Mask::Values,
        }
    }

    fn run(mut self) -> Result<Loaded, Faults> {
        self.find();
        let file = self.path.clone().and_then(|path| self.file(&path));
        let unreadable = self.path.is_some() && file.is_none();
        let mut tree = self.layers(file);
        let shape = shape::check(&mut tree);
        // A value that could not be expanded is not also told to be of the wrong form.
        self.faults.add_unexplained(shape.faults);
        if unreadable {
            // Without the file's values the rest would be judged for what it is not.
            return Err(self.refused());
        }
        self.mask = Mask::Spans(shape.secrets);
        if self.faults.is_full() {
            return Err(self.refused());
        }
        self.judged(tree)
    }

    /// What has the right form, if it makes sense.
    fn judged(mut self, tree: Node) -> Result<Loaded, Faults> {
        let Ok(mut raw) = serde_json::from_value::<raw::File>(tree.to_value()) else {
            // Tests hold the shape check to leaving only what deserialises; this is for the case they missed.
            self.faults.push(Finding::new(
                "the configuration does not have the form its schema asks for",
                "compare it with `tidegate config schema`",
            ));
            return Err(self.refused());
        };
        let folder = self.folder();
        raw.share_out(self.sources.open_files);
        let mut judge = Judge::new(&tree, &folder, &self.faults);
        let config = judge.config(&raw, self.sources);
        let Judge { faults, warnings, inputs, .. } = judge;
        fill_in(&mut raw, &config);
        self.faults.extend(faults);
        self.warnings.extend(warnings);
        self.inputs.append(inputs);
        if !self.faults.is_empty() {
            return Err(self.refused());
        }
        let source = self.source.as_ref();
        let warnings = self.warnings.into_iter().map(|finding| finding.told(source)).collect();
        let (path, inputs) = (self.path, self.inputs);
        Ok(Loaded { config, warnings, path, inputs, raw, tree, source: self.source })
    }

    /// The file to read: the one named, or the first of the well-known names that exists.
    fn find(&mut self) {
        self.path.clone_from(&self.sources.path);
        if self.path.is_none()
            && let Some((found, warnings)) = well_known(FilePath::new(""))
        {
            self.path = Some(found);
            self.warnings.extend(warnings);
        }
    }

    /// The file's tree, expanded; `None` once its faults have been told.
    fn file(&mut self, path: &FilePath) -> Option<Node> {
        let Some(format) = Format::of(path) else {
            let what = format!("{} is of no known format", path.display());
            self.faults.push(Finding::new(what, "name it .toml, .yaml, .yml or .json"));
            return None;
        };
        let source = match read::file(path, &mut self.inputs) {
            Ok(source) => self.source.insert(source),
            Err(fault) => {
                self.faults.push(fault);
                return None;
            }
        };
        let mut tree = match format.parse(&source.text) {
            Ok(tree) => tree,
            Err(faults) => {
                self.faults.extend(faults);
                return None;
            }
        };
        if tree.as_table().is_none() {
            let what = "the file holds one value, not keys and values";
            self.faults.push(Finding::new(what, "begin with a key").given_at(tree.origin));
            return None;
        }
        let folder = self.folder();
        let mut expander = Expander::new(&self.sources.environment, &folder);
        expander.expand(&mut tree, &Path::root());
        self.faults.extend(expander.faults);
        self.inputs.append(expander.inputs);
        Some(tree)
    }

    /// What relative paths in the file start from: the folder it lies in.
    fn folder(&self) -> PathBuf {
        let path = self.source.as_ref().and_then(|source| source.path.parent());
        path.map(FilePath::to_owned).unwrap_or_default()
    }

    /// All layers, merged.
    fn layers(&mut self, file: Option<Node>) -> Node {
        let environment = &self.sources.environment;
        let mut tree = file.unwrap_or_else(|| Node::table(Origin::Default));
        environment::overlay_variables(&mut tree, environment, &mut self.faults);
        environment::overlay_flags(&mut tree, &self.sources.overrides, &mut self.faults);
        // The profile is chosen by the layers above it and lies beneath them.
        let chosen = tree.get("profile").and_then(Node::as_text).and_then(profile::by_name);
        let mut merged = profile::layer(chosen.unwrap_or(Profile::Production));
        merged.merge(tree);
        self.warnings.extend(environment::add_well_known(&mut merged, environment));
        merged
    }

    fn refused(self) -> Faults {
        Faults::new(self.faults, self.source.as_ref(), &self.mask).of_files(self.path, self.inputs)
    }
}

/// Says in the raw values what nobody said and came out of something else than a default: so it is printed, too.
fn fill_in(raw: &mut raw::File, config: &Config) {
    raw.data.get_or_insert_with(|| config.data.display().to_string());
    for (name, provider) in &mut raw.providers {
        if config.providers.get(name).is_some_and(|provider| provider.preset.name == "sim") {
            provider.sim.get_or_insert_default();
        }
    }
}

/// The first of the well-known names that a folder holds, and a warning for each further one.
pub(super) fn well_known(folder: &FilePath) -> Option<(PathBuf, Vec<Finding>)> {
    let mut there = read::WELL_KNOWN.iter().map(|name| folder.join(name)).filter(|path| path.is_file());
    let found = there.next()?;
    let warnings = there.map(|ignored| {
        let what = format!("{} is not read: {} comes first", ignored.display(), found.display());
        Finding::new(what, "keep one of them, or name one with --config")
    });
    let warnings = warnings.collect();
    Some((found, warnings))
}
