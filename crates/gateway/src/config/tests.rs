//! The configuration as a whole: written to a file, loaded, and judged by what comes of it.
//!
//! No test reads the process environment or the current folder.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod advice;
mod alerts;
mod batches;
mod example;
mod exposure;
mod faults;
mod files;
mod formats;
mod fuzz;
mod guard;
mod inputs;
mod jobs;
mod layers;
mod observe;
mod printing;
mod secrets;
mod traces;

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// A valid id, and the hash of some secret.
const KEY: &str = "[[keys]]\nid = \"tg-AbCdEf123456\"\nhash = \"b3:1b08558cbaea47c750e53ea5f7c8c05310beb23a249bd452641f7c6fc0208055\"\n";

/// A configuration file in a folder of its own, an environment, and flags.
struct Given {
    folder: TempDir,
    variables: Vec<(String, String)>,
    sources: Sources,
}

impl Given {
    /// A TOML file.
    fn toml(text: &str) -> Self {
        Self::file("tidegate.toml", text)
    }

    fn file(name: &str, text: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let sources = Sources { path: Some(path), ..Sources::default() };
        Self { folder, variables: Vec::new(), sources }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self.sources.environment = self.variables.iter().cloned().collect();
        self
    }

    fn flag(mut self, flag: &str, key: &str, value: &str) -> Self {
        self.sources.overrides.push(Override::new(flag, key, value));
        self
    }

    /// On a system that lets the process open so many files.
    fn open_files(mut self, most: u64) -> Self {
        self.sources.open_files = Some(most);
        self
    }

    /// Another file beside the configuration.
    fn beside(self, name: &str, text: &str) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn load(&self) -> Result<Loaded, Faults> {
        Config::load(&self.sources)
    }

    #[track_caller]
    fn config(&self) -> Config {
        self.loaded().config
    }

    #[track_caller]
    fn loaded(&self) -> Loaded {
        self.load().unwrap_or_else(|faults| panic!("{}", faults.render(false)))
    }

    #[track_caller]
    fn faults(&self) -> Faults {
        match self.load() {
            Ok(_) => panic!("it loads"),
            Err(faults) => faults,
        }
    }
}

/// The configuration of nothing at all.
fn default_config() -> Config {
    Given::toml("").config()
}
