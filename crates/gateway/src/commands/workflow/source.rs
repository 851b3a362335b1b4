//! A definition in a file: read, checked, and told what is wrong with it. What a gateway knows of it is not its
//! business.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use work::workflow::definition::SOURCE_BYTES_MAX;
use work::workflow::{Definition, Faults, Format};

use crate::commands::refusal::Refusal;
use crate::config::drawing;

/// A file's text.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
}

impl Source {
    /// Reads a file; `-` is stdin.
    ///
    /// # Errors
    /// Wrong usage: it cannot be read, or is no text.
    pub(super) fn read(path: &Path) -> Result<Self, Refusal> {
        let refuse =
            |why: &dyn std::fmt::Display| Refusal::Usage(format!("cannot read {}: {why}", path.display()));
        let reader: Box<dyn std::io::Read> = match path.to_str() {
            Some("-") => Box::new(std::io::stdin()),
            _ => Box::new(std::fs::File::open(path).map_err(|error| refuse(&error))?),
        };
        let mut text = String::new();
        // One byte more than is allowed, so that a file that is too long is told so.
        let bytes_max = SOURCE_BYTES_MAX as u64 + 1;
        reader.take(bytes_max).read_to_string(&mut text).map_err(|error| refuse(&error))?;
        Ok(Self { path: path.to_owned(), text })
    }

    /// What it says, as it was written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The file, as it was named.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The definition in it. TOML or JSON: its first character tells which.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub(super) fn definition(&self) -> Result<Definition, Faults> {
        Definition::parse(&self.text, Format::of(&self.text))
    }

    /// Draws faults, each with the line that it is about.
    pub(super) fn render(&self, faults: &Faults, colour: bool) -> String {
        let name = self.name();
        let mut drawn = String::new();
        for fault in faults.iter() {
            let source = Some((name.as_str(), self.text.as_str()));
            drawing::draw(&mut drawn, &fault.what, &fault.mend, fault.span.as_ref(), source, colour);
        }
        let count = match (faults.iter().count(), faults.more) {
            (count, true) => format!("the first {count} faults"),
            (1, false) => "1 fault".to_owned(),
            (count, false) => format!("{count} faults"),
        };
        drawn + &format!("{count} in {name}\n")
    }
}
