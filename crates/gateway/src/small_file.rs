//! Small files of our own, whole or not there: whoever reads one sees the old content or the new, also after a crash.
//! What is in them is their owners' business.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

/// As many bytes of a file; `None` where there is none.
///
/// # Errors
/// The system's.
pub fn read(path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Puts this in the place of what the file says, and makes its folder where there is none.
///
/// # Errors
/// The system's; what was there is still there then.
pub fn save(path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder(path))?;
    let fresh = path.with_extension("new");
    write(&fresh, bytes)?;
    put(&fresh, path)
}

/// Writes a file to the disk itself.
///
/// # Errors
/// The system's.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts a file that is on the disk in the place of another.
///
/// # Errors
/// The system's.
pub fn put(fresh: &Path, path: &Path) -> io::Result<()> {
    fs::rename(fresh, path)?;
    File::open(folder(path))?.sync_all()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn what_was_saved_is_read_and_the_rest_of_the_folder_is_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/it.json");
        assert_eq!(read(&path, 9).unwrap(), None);
        for content in ["first", "the second, longer"] {
            save(&path, content.as_bytes()).unwrap();
            assert_eq!(read(&path, 99).unwrap().as_deref(), Some(content.as_bytes()));
        }
        assert_eq!(read(&path, 3).unwrap().as_deref(), Some(&b"the"[..]), "no more than is asked for");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing lies beside it");
    }

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("it.json");
        save(&path, b"old").unwrap();
        fs::create_dir(path.with_extension("new")).unwrap();
        assert!(save(&path, b"new").is_err());
        assert_eq!(read(&path, 9).unwrap().as_deref(), Some(&b"old"[..]));
        assert!(read(folder.path(), 9).is_err(), "a folder is no file");
    }
}
