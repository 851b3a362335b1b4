//! The folder on disk: whose it is, how large its data may be, and whether they can be trusted.
//!
//! ```text
//! lock        held by the one process that owns the folder
//! geometry    how the data are laid out; while it is missing they are not to be trusted
//! data/       the engine's files
//! epochs.log  see the journal
//! ledger      see the ledger
//! ```

use super::OpenError;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Least bytes that the engine can work with: sixteen of its smallest blocks, and what it keeps besides.
pub(super) const BYTES_MIN: u64 = 17 << 20;
/// Smallest block.
const BLOCK_BYTES_MIN: u64 = 1 << 20;
/// Largest block; the engine counts within one in 32 bits.
const BLOCK_BYTES_MAX: u64 = 1 << 30;
/// About how many blocks there are. Each is a file that stays open, and what is evicted at once.
const BLOCKS: u64 = 128;
/// What the data may take of the space that is free or theirs already, in per cent.
const SHARE_PER_CENT: u64 = 90;

/// How the data are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    /// What was asked for, in bytes.
    pub(super) asked: u64,
    /// What there was room for, in bytes.
    pub(super) capacity: u64,
    /// Bytes of one block.
    pub(super) block: u64,
}

/// A folder that is ours.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes the folder where it is missing, and takes it.
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let lock = File::options().create(true).write(true).truncate(false).open(path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Owned),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let folder = Self { path: path.to_owned(), _lock: lock };
        folder.probe()?;
        Ok(folder)
    }

    /// The folder itself.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the engine's files are.
    pub(super) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Whether something can be written.
    pub(super) fn probe(&self) -> io::Result<()> {
        let path = self.path.join("probe");
        let written = File::create(&path)
            .and_then(|mut file| file.write_all(&[1; 16 << 10]).and_then(|()| file.sync_data()));
        let _ = fs::remove_file(&path);
        written
    }

    /// The geometry that the data have, where they are to be trusted.
    pub(super) fn trusted(&self) -> Option<Geometry> {
        Geometry::parse(&fs::read_to_string(self.path.join("geometry")).ok()?)
    }

    /// From now on the data are to be trusted.
    pub(super) fn trust(&self, geometry: Geometry) -> io::Result<()> {
        replace(&self.path, "geometry", geometry.text().as_bytes())
    }

    /// From now on, and after a restart, the data are not to be trusted.
    pub(super) fn distrust(&self) {
        let _ = fs::remove_file(self.path.join("geometry"));
    }

    /// Deletes the data.
    pub(super) fn wipe(&self) -> io::Result<()> {
        self.distrust();
        match fs::remove_dir_all(self.data()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => fs::DirBuilder::new().mode(0o700).create(self.data()),
        }
    }

    /// The geometry for `asked` bytes: what there was, where it still fits; else one that leaves the disk
    /// some room.
    pub(super) fn plan(&self, asked: u64, before: Option<Geometry>) -> Result<Geometry, OpenError> {
        let room = (self.free()? + self.taken()) / 100 * SHARE_PER_CENT;
        let capacity = asked.min(room);
        if capacity < BYTES_MIN {
            return Err(OpenError::Small { room });
        }
        let fits = |found: &Geometry| {
            found.asked == asked && found.capacity <= capacity && found.capacity >= capacity / 2
        };
        Ok(before.filter(fits).unwrap_or_else(|| Geometry::new(asked, capacity)))
    }

    fn free(&self) -> io::Result<u64> {
        let found = rustix::fs::statvfs(&self.path)?;
        Ok(found.f_bavail.saturating_mul(found.f_frsize))
    }

    /// What the data take already.
    fn taken(&self) -> u64 {
        let Ok(files) = fs::read_dir(self.data()) else { return 0 };
        files.filter_map(|file| file.ok()?.metadata().ok()).map(|found| found.blocks() * 512).sum()
    }
}

impl Geometry {
    fn new(asked: u64, capacity: u64) -> Self {
        let block = (capacity / BLOCKS).clamp(BLOCK_BYTES_MIN, BLOCK_BYTES_MAX);
        Self { asked, capacity, block: block.next_multiple_of(BLOCK_BYTES_MIN) }
    }

    fn text(self) -> String {
        let Self { asked, capacity, block } = self;
        format!("tidegate disk cache 1\nasked {asked}\ncapacity {capacity}\nblock {block}\n")
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |name| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        let found = Self { asked: number("asked")?, capacity: number("capacity")?, block: number("block")? };
        // Also refuses what another version wrote.
        (found.text() == text).then_some(found)
    }
}

/// Writes a file of the folder anew: whole, or not at all, whenever the machine stops.
pub(super) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let (path, temporary) = (folder.join(name), folder.join(format!("{name}.new")));
    let mut file = File::create(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_data());
    let moved = written.and_then(|()| fs::rename(&temporary, &path));
    if moved.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    moved?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_is_its_owners_alone() {
        let outer = tempfile::tempdir().unwrap();
        let path = outer.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(matches!(Folder::open(&path), Err(OpenError::Owned)));
        drop(folder);
        Folder::open(&path).unwrap();
    }

    #[test]
    fn a_geometry_is_kept_while_it_fits() {
        let outer = tempfile::tempdir().unwrap();
        let folder = Folder::open(outer.path()).unwrap();
        folder.wipe().unwrap();
        assert_eq!(folder.trusted(), None);
        let asked = 64 << 20;
        let first = folder.plan(asked, None).unwrap();
        assert_eq!(first, Geometry { asked, capacity: asked, block: 1 << 20 });
        folder.trust(first).unwrap();
        assert_eq!(folder.trusted(), Some(first));
        assert_eq!(folder.plan(asked, Some(first)).unwrap(), first);
        let smaller = Geometry { capacity: asked * 3 / 4, ..first };
        assert_eq!(folder.plan(asked, Some(smaller)).unwrap(), smaller);
        for other in [Geometry { capacity: asked / 4, ..first }, Geometry { asked: 1, ..first }] {
            assert_eq!(folder.plan(asked, Some(other)).unwrap(), first, "{other:?}");
        }
        folder.distrust();
        assert_eq!(folder.trusted(), None);
    }

    #[test]
    fn no_more_is_planned_than_the_disk_has() {
        let outer = tempfile::tempdir().unwrap();
        let folder = Folder::open(outer.path()).unwrap();
        let found = folder.plan(u64::MAX, None).unwrap();
        assert!(found.capacity < folder.free().unwrap(), "{found:?}");
        assert!(matches!(folder.plan(BYTES_MIN - 1, None), Err(OpenError::Small { .. })));
    }

    #[test]
    fn only_a_whole_geometry_is_read() {
        let whole = Geometry::new(1 << 30, 1 << 29).text();
        assert!(Geometry::parse(&whole).is_some());
        for cut in 0..whole.len() {
            assert_eq!(Geometry::parse(&whole[..cut]), None, "{cut}");
        }
    }
}
