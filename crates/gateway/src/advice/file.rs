//! The configuration file, as it is changed: read, and replaced by a text that was judged beforehand. Whoever reads it
//! sees the old text or the new one, also after a crash.

use crate::small_file;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// A text that may take the place of the file, lying beside it until it does or is dropped.
#[derive(Debug)]
pub struct Candidate {
    file: PathBuf,
    /// What the file said when it was read.
    before: String,
    path: PathBuf,
}

impl Candidate {
    /// Writes `text` beside the file of which `before` was read, with its permissions.
    ///
    /// # Errors
    /// The system's.
    pub fn write(file: &Path, before: String, text: &str) -> io::Result<Self> {
        let mut name = OsString::from(".");
        name.push(file.file_stem().unwrap_or_default());
        // It ends as the file does, as that says how it is read.
        name.push(".advice.toml");
        let candidate = Self { file: file.to_owned(), before, path: file.with_file_name(name) };
        let permissions = fs::metadata(file)?.permissions();
        small_file::write(&candidate.path, text.as_bytes(), permissions.mode() & 0o777)?;
        // What the umask has taken of them.
        fs::set_permissions(&candidate.path, permissions)?;
        Ok(candidate)
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts it in the file's place, unless that says something else by now.
    ///
    /// # Errors
    /// The system's; where the file was changed meanwhile, nothing is written.
    pub fn put(self) -> io::Result<()> {
        if fs::read_to_string(&self.file)? != self.before {
            return Err(io::Error::other("the file was changed while this was looked at; try again"));
        }
        small_file::put(&self.path, &self.file)
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        // Gone already where it has taken the file's place.
        let _ = fs::remove_file(&self.path);
    }
}

/// The file itself where `path` is a link to it, so that the link stays, and what it says.
///
/// # Errors
/// The system's, or where it is not UTF-8.
pub fn read(path: &Path) -> io::Result<(PathBuf, String)> {
    let file = fs::canonicalize(path)?;
    let text = fs::read_to_string(&file)?;
    Ok((file, text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_candidate_takes_the_files_place_or_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tidegate.toml");
        fs::write(&path, "a = 1\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let link = folder.path().join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();

        let (file, before) = read(&link).unwrap();
        drop(Candidate::write(&file, before.clone(), "a = 2\n").unwrap());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2, "nothing is left");

        let candidate = Candidate::write(&file, before.clone(), "a = 2\n").unwrap();
        candidate.put().unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "a = 2\n");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

        let late = Candidate::write(&file, before, "a = 3\n").unwrap();
        assert!(late.put().unwrap_err().to_string().contains("changed"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a = 2\n");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
    }
}
