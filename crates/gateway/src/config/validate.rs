//! Raw values → a valid [`Config`], every semantic fault told.
//!
//! Where a value is wrong its check tells so and goes on with a stand-in; the stand-ins never get out, since
//! a configuration with a fault is refused as a whole. What the shape check has told of a value is not told
//! again here.

mod alerts;
mod cache;
mod guard;
mod jobs;
mod keys;
mod limits;
pub(super) mod listeners;
mod models;
mod observe;
mod providers;
pub(super) mod stored;
mod strategies;
mod traces;
mod workflows;

use std::ops::RangeInclusive;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use super::environment::Environment;
use super::fault::{Finding, Findings};
use super::folder;
use super::inputs::Inputs;
use super::quantity::{Size, Span};
use super::read::Unreadable;
use super::tree::{Node, Origin, Path};
use super::{Advice, Config, Log, LogFormat, Profile, Sources, raw, schema};

/// Largest file a value may name, in bytes.
const NAMED_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Collects what is wrong while raw values are turned into valid ones.
pub(super) struct Judge<'a> {
    /// The merged tree: it knows where each value was given.
    tree: &'a Node,
    /// What the paths of the file start from.
    folder: &'a FilePath,
    /// What the shape check has told.
    told: &'a Findings,
    pub(super) faults: Findings,
    pub(super) warnings: Findings,
    /// Files that values name.
    pub(super) inputs: Inputs,
}

impl<'a> Judge<'a> {
    pub(super) fn new(tree: &'a Node, folder: &'a FilePath, told: &'a Findings) -> Self {
        Self {
            tree,
            folder,
            told,
            faults: Findings::default(),
            warnings: Findings::default(),
            inputs: Inputs::default(),
        }
    }

    /// The whole configuration; worth using only if there are no faults afterwards.
    pub(super) fn config(&mut self, raw: &raw::File, sources: &Sources) -> Config {
        let names = models::Names::of(raw);
        let server = self.server(&raw.server);
        let admin = self.admin(&raw.admin);
        let alerts = self.alerts(&raw.alerts, &admin);
        self.exposure(&server, &admin, raw);
        self.open_files(&server, sources.open_files);
        let data = self.data(raw.data.as_deref(), &sources.environment);
        let cache = self.cache(&raw.cache, &data, &names);
        let store = self.store(&raw.store, &data);
        let guard = self.guard(&raw.guard);
        let providers = self.providers(&raw.providers, &guard);
        Config {
            profile: profile(raw.profile),
            data,
            log: self.log(&raw.log),
            server,
            admin,
            keys: self.keys(&raw.keys, &names),
            models: self.models(&raw.models, &names, &providers, &guard),
            providers,
            cache,
            guard,
            limits: self.limits(&raw.limits, &raw.keys),
            store,
            jobs: self.jobs(&raw.jobs),
            workflows: self.workflows(&raw.workflows),
            observe: self.observe(&raw.observe),
            traces: self.traces(&raw.traces),
            alerts,
            advice: Advice { enabled: raw.advice.enabled, requests_min: raw.advice.requests_min },
        }
    }

    /// Whether a fault of this value has been told before the judge came to it.
    fn is_told(&self, path: &Path) -> bool {
        self.told.cover(path)
    }

    fn fault(&mut self, path: &Path, what: impl Into<String>, mend: impl Into<String>) {
        if !self.faults.is_full() && !self.is_told(path) {
            self.faults.push(Finding::new(what, mend).at(path, self.tree));
        }
    }

    /// A fault of the key rather than of its value.
    fn fault_of_key(&mut self, path: &Path, what: impl Into<String>, mend: impl Into<String>) {
        if !self.faults.is_full() && !self.is_told(path) {
            let origin = self.tree.key_origin(path).clone();
            self.faults.push(Finding::new(what, mend).about(path).given_at(origin));
        }
    }

    /// A key that is not there and must be; not one whose value has been refused already.
    fn missing(&mut self, path: &Path, key: &str, what: impl Into<String>, mend: impl Into<String>) {
        if !self.is_told(&path.key(key)) {
            self.fault_of_key(path, what, mend);
        }
    }

    fn warn(&mut self, path: &Path, what: impl Into<String>, mend: impl Into<String>) {
        self.warnings.push(Finding::new(what, mend).at(path, self.tree));
    }

    /// A value as a message may show it: quoted if it stands in the file itself, not if it was brought in,
    /// for then it may be a secret in the wrong place.
    fn quoted(&self, path: &Path, text: &str) -> String {
        let stands_in_file = self.tree.at(path).is_some_and(|node| matches!(node.origin, Origin::File(_)));
        if stands_in_file && text.chars().count() <= 80 { format!("`{text}`") } else { "this".to_owned() }
    }

    /// A duration within bounds.
    fn duration(&mut self, path: &Path, span: Span, allowed: RangeInclusive<Span>) -> Duration {
        if !allowed.contains(&span) {
            let what = format!("out of range: {} to {} is allowed", allowed.start(), allowed.end());
            self.fault(path, what, "choose a duration within the range");
        }
        span.0
    }

    /// A size within bounds.
    fn size(&mut self, path: &Path, size: Size, allowed: RangeInclusive<Size>) -> usize {
        if !allowed.contains(&size) {
            let what = format!("out of range: {} to {} is allowed", allowed.start(), allowed.end());
            self.fault(path, what, "choose a size within the range");
        }
        usize::try_from(size.0).unwrap_or(usize::MAX)
    }

    /// A path; what the file says is relative to the file.
    fn path(&mut self, path: &Path, text: &str) -> PathBuf {
        if text.is_empty() || text.contains('\0') {
            self.fault(path, "not a path", "name a file or a folder, or leave the key out");
        } else if text.starts_with('~') {
            self.fault(path, "`~` has no meaning here", "write ${HOME}");
        }
        match self.tree.nearest_origin(path) {
            Origin::File(_) | Origin::Expanded(_) => self.folder.join(text),
            _ => PathBuf::from(text),
        }
    }

    /// The bytes of a file that a value names; `None` once the fault has been told.
    fn named_file(&mut self, path: &Path, file: &FilePath) -> Option<Vec<u8>> {
        match self.inputs.read(file, NAMED_FILE_BYTES_MAX) {
            Ok(bytes) => Some(bytes),
            Err(why) => {
                self.unreadable(path, file, &why);
                None
            }
        }
    }

    /// Names the file only where its name stands in the configuration: what was brought in may be a secret.
    fn unreadable(&mut self, path: &Path, file: &FilePath, why: &Unreadable) {
        let shown = match self.tree.nearest_origin(path) {
            Origin::File(_) => file.display().to_string(),
            _ => "the file".to_owned(),
        };
        self.fault(path, format!("cannot read {shown}: {why}"), why.mend());
    }

    fn data(&mut self, given: Option<&str>, environment: &Environment) -> PathBuf {
        let data = self.data_place(given, environment);
        if let Some(file) = folder::no_folder(&data) {
            let path = Path::of(&["data"]);
            let shown = match given {
                Some(_) => self.quoted(&path, &file.display().to_string()),
                None => format!("`{}`", file.display()),
            };
            self.fault(
                &path,
                format!("{shown} is no folder"),
                "name a folder; where there is none, it is made",
            );
        }
        data
    }

    fn data_place(&mut self, given: Option<&str>, environment: &Environment) -> PathBuf {
        match (given, environment.filled("XDG_DATA_HOME"), environment.filled("HOME")) {
            (Some(given), _, _) => self.path(&Path::of(&["data"]), given),
            // The base directory specification says to ignore a relative path there.
            (None, Some(data), _) if FilePath::new(data).is_absolute() => {
                FilePath::new(data).join("tidegate")
            }
            (None, _, Some(home)) => FilePath::new(home).join(".local/share/tidegate"),
            (None, _, None) => PathBuf::from("/var/lib/tidegate"),
        }
    }

    fn log(&mut self, raw: &raw::Log) -> Log {
        let path = Path::of(&["log", "level"]);
        if let Err((what, mend)) = level_fault(&raw.level) {
            let what = what.replace("{}", &self.quoted(&path, &raw.level));
            self.fault(&path, what, mend);
        }
        let format = match raw.format {
            raw::LogFormat::Auto => LogFormat::Auto,
            raw::LogFormat::Text => LogFormat::Text,
            raw::LogFormat::Json => LogFormat::Json,
        };
        Log { level: raw.level.clone(), format }
    }
}

fn profile(raw: raw::Profile) -> Profile {
    match raw {
        raw::Profile::Development => Profile::Development,
        raw::Profile::Staging => Profile::Staging,
        raw::Profile::Production => Profile::Production,
    }
}

/// What is wrong with a log level and the mend, if anything. A lone word that is no level would be taken for
/// a module's name by the filter, and log nothing: that is a misspelling and told as one.
fn level_fault(level: &str) -> Result<(), (&'static str, String)> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let mend = || format!("write one of {}, or directives such as info,hyper=debug", LEVELS.join(", "));
    let is_level = |word: &str| LEVELS.contains(&word.to_ascii_lowercase().as_str());
    for word in level.split(',').map(str::trim).filter(|word| !word.contains('=')) {
        if !is_level(word) {
            let mend = match schema::nearest(word, LEVELS) {
                Some(near) => format!("did you mean `{near}`?"),
                None => mend(),
            };
            return Err(("{} is no log level", mend));
        }
    }
    match tracing_subscriber::EnvFilter::builder().parse(level) {
        Ok(_) => Ok(()),
        Err(_) => Err(("{} does not parse as a log filter", mend())),
    }
}
