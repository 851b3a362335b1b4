//! The files that something is read from, each with its version as it was before it was read: whatever is written from
//! then on is seen, also what is written while they are read. What is in them is nobody's business here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::read::{self, Unreadable};

/// Files and their versions; of a file that was read several times, the one before the first.
#[derive(Clone, Default)]
pub struct Inputs(BTreeMap<PathBuf, Version>);

/// What tells one version of a file from the next: when it was written, its length and its number. `None` where there
/// is none, and of what is no file: a pipe can be read once, and changes by being read.
type Version = Option<(SystemTime, u64, u64)>;

impl Inputs {
    /// The bytes of a file, of which there may be so many. Noted even where that fails: its mend may be to appear.
    ///
    /// # Errors
    /// Where it cannot be read, is no file, or is longer.
    pub fn read(&mut self, path: &Path, bytes_max: u64) -> Result<Vec<u8>, Unreadable> {
        self.note(path, version(path));
        read::bytes(path, bytes_max)
    }

    /// Notes a file that was looked for and not found.
    pub fn miss(&mut self, path: &Path) {
        self.note(path, None);
    }

    /// Adds what others were read from.
    pub fn append(&mut self, others: Self) {
        for (path, version) in others.0 {
            self.note(&path, version);
        }
    }

    /// Whether any is another than it was before it was read.
    #[must_use]
    pub fn have_changed(&self) -> bool {
        self.0.iter().any(|(path, before)| version(path) != *before)
    }

    /// Where they are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    fn note(&mut self, path: &Path, version: Version) {
        self.0.entry(path.to_owned()).or_insert(version);
    }
}

impl fmt::Debug for Inputs {
    /// Without their names, of which one may be a secret that was brought in at the wrong place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inputs({})", self.0.len())
    }
}

fn version(path: &Path) -> Version {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;

    #[test]
    fn a_file_that_is_another_than_before_it_was_read_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let replace = || {
            std::fs::copy(&path, path.with_extension("new")).unwrap();
            std::fs::rename(path.with_extension("new"), &path).unwrap();
        };
        write("one");
        let changes: [&dyn Fn(); 4] =
            [&|| write("another"), &replace, &|| std::fs::remove_file(&path).unwrap(), &|| write("one")];
        for (number, change) in changes.iter().enumerate() {
            let mut inputs = Inputs::default();
            let _ = inputs.read(&path, 9);
            assert!(!inputs.have_changed(), "{number}");
            change();
            // Read once more, it is still another than it was the first time.
            let _ = inputs.read(&path, 9);
            assert!(inputs.have_changed() && inputs.paths().eq([path.as_path()]), "{number}");
        }
    }

    #[test]
    fn what_was_missed_has_changed_once_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let (path, mut inputs) = (folder.path().join("it"), Inputs::default());
        inputs.miss(&path);
        assert!(!inputs.have_changed());
        std::fs::write(path, "").unwrap();
        assert!(inputs.have_changed());
    }

    #[test]
    fn a_pipe_is_read_once_and_never_changes() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let path = PathBuf::from(format!("/dev/fd/{}", reader.as_raw_fd()));
        writer.write_all(b"first").unwrap();
        drop(writer);
        let mut inputs = Inputs::default();
        assert_eq!(inputs.read(&path, 9).unwrap(), b"first");
        assert!(!inputs.have_changed());
        drop(reader);
        assert!(!inputs.have_changed());
    }
}
