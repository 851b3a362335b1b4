//! Small files of our own, whole or not there: whoever reads one sees the old content or the new, also after a crash.
//! What is in them is their owners' business.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// For whoever the process' umask lets read it.
pub const ANYBODYS: u32 = 0o666;
/// For its owner alone.
pub const OWNERS: u32 = 0o600;

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
    write(&fresh, bytes, ANYBODYS)?;
    put(&fresh, path)
}

/// Writes a new file to the disk itself; from its first byte on no more people may read it than `mode` says, less the
/// umask. What a process that was killed has left there goes, with its rights and whoever has it open.
///
/// # Errors
/// The system's.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
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
    use std::os::unix::fs::PermissionsExt as _;

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
    fn what_lies_there_of_old_neither_blocks_a_file_nor_opens_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("it"), folder.path().join("elsewhere"));
        fs::write(&elsewhere, "old").unwrap();
        for leave in [&|| fs::write(&path, "old"), &|| std::os::unix::fs::symlink(&elsewhere, &path)]
            as [&dyn Fn() -> io::Result<()>; 2]
        {
            let _ = fs::remove_file(&path);
            leave().unwrap();
            let mut old = File::open(&path).unwrap();
            write(&path, b"secret", OWNERS).unwrap();
            assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, OWNERS);
            let mut seen = String::new();
            old.read_to_string(&mut seen).unwrap();
            assert_eq!((seen.as_str(), fs::read(&path).unwrap()), ("old", b"secret".to_vec()));
        }
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
