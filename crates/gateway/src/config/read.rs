//! Reads a configuration file: its size bounded, its text checked, its format told by its name.
//!
//! Each format has a file of its own that turns text into the one spanned tree. What the values mean is
//! decided later; only syntax is judged here.

mod json;
mod toml;
mod yaml;

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use super::fault::Finding;
use super::inputs::Inputs;
use super::tree::{Node, Origin};

/// Largest configuration file read, in bytes.
pub(super) const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Deepest nesting taken; the schema itself needs five levels.
const DEPTH_MAX: usize = 32;

/// The names looked for where no file is given, first found first served.
pub(super) const WELL_KNOWN: [&str; 4] = ["tidegate.toml", "tidegate.yaml", "tidegate.yml", "tidegate.json"];

/// A configuration file's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// A way of writing the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Toml,
    Yaml,
    Json,
}

impl Format {
    /// By the file's ending; a name without one is taken for TOML.
    pub(super) fn of(path: &FilePath) -> Option<Self> {
        let Some(ending) = path.extension() else { return Some(Self::Toml) };
        match ending.to_str()?.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Turns text into a tree whose top is a table, or tells every syntax fault the parser can.
    pub(super) fn parse(self, text: &str) -> Result<Node, Vec<Finding>> {
        match self {
            Self::Toml => toml::parse(text),
            Self::Yaml => yaml::parse(text),
            Self::Json => json::parse(text),
        }
    }
}

/// Reads a file whole, if it is UTF-8 and not larger than [`FILE_BYTES_MAX`].
pub(super) fn file(path: &FilePath, inputs: &mut Inputs) -> Result<Source, Finding> {
    let bytes = inputs
        .read(path, FILE_BYTES_MAX)
        .map_err(|why| Finding::new(format!("cannot read {}: {why}", path.display()), why.mend()))?;
    let text = String::from_utf8(bytes).map_err(|fault| {
        let at = fault.utf8_error().valid_up_to();
        Finding::new(
            format!("{} is not UTF-8: byte {at} does not belong there", path.display()),
            "save the file as UTF-8",
        )
    })?;
    // Editors of one operating system begin a file with a byte order mark; it means nothing.
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    Ok(Source { path: path.to_owned(), text })
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A folder, a socket, a device.
    #[error("it is not a file")]
    NotAFile,
    /// It goes on past the bound.
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
}

impl Unreadable {
    /// What to do about it.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Io(fault) if fault.kind() == std::io::ErrorKind::NotFound => "check the path",
            Self::Io(_) => "check the path and its permissions",
            Self::NotAFile => "name a file",
            Self::TooLarge(_) => "name the right file, or make it smaller",
        }
    }
}

/// Reads at most `limit` bytes; a longer file is a fault, not a cut. Only [`Inputs`] asks for it, which remembers that.
pub(super) fn bytes(path: &FilePath, limit: u64) -> Result<Vec<u8>, Unreadable> {
    let file = File::open(path)?;
    let kind = file.metadata()?.file_type();
    // A pipe is allowed (`--config <(…)`); a device such as /dev/zero has no end and a folder no text.
    if kind.is_dir() || is_device(kind) {
        return Err(Unreadable::NotAFile);
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(Unreadable::TooLarge(limit)) } else { Ok(bytes) }
}

#[cfg(unix)]
fn is_device(kind: std::fs::FileType) -> bool {
    use std::os::unix::fs::FileTypeExt;
    kind.is_block_device() || kind.is_char_device()
}

#[cfg(not(unix))]
fn is_device(_: std::fs::FileType) -> bool {
    false
}

/// A syntax fault at a place of the file.
fn syntax(message: impl Into<String>, span: Range<usize>, mend: &str) -> Finding {
    Finding::new(message, mend).given_at(Origin::File(span))
}

/// The fault of nesting deeper than [`DEPTH_MAX`].
fn too_deep(span: Range<usize>) -> Finding {
    syntax(
        format!("nested deeper than {DEPTH_MAX} levels"),
        span,
        "no key of the configuration lies that deep",
    )
}
