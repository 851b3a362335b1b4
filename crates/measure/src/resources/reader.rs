//! Reads the real files, and nothing else.

use super::{Disk, Reading, parse};
use guard::pressure;
use guard::pressure::parse::kib;
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::path::{Path, PathBuf};

/// Takes readings of this process. A look opens some twenty small files that the kernel makes up as they are read:
/// about a millisecond; before Linux 6.2 one more for each few thousand connections. It is for a timer or a scrape,
/// never for a request.
#[derive(Clone, Debug)]
pub struct Reader {
    folder: PathBuf,
}

impl Reader {
    /// A reader that looks at the disk under this folder, or under the nearest above it that exists.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// One look. Where there is no `/proc`, on another system than Linux, it shows the disk and little else.
    pub fn read(&self) -> Reading {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let status = text("/proc/self/status");
        let started = parse::started_after_boot(&text("/proc/self/stat"))
            .zip(parse::booted(&text("/proc/stat")))
            .map(|(after, booted)| booted + after);
        Reading {
            pressure: pressure::Reader.read(),
            virtual_bytes: kib(&status, "VmSize"),
            threads: parse::number(&status, "Threads"),
            started,
            open_files: open_files(),
            open_files_max: getrlimit(Resource::Nofile).current,
            storage: parse::storage(&text("/proc/self/io")),
            network: parse::network(&text("/proc/self/net/netstat")),
            disk: disk(&self.folder),
        }
    }
}

fn open_files() -> Option<u64> {
    let folder = "/proc/self/fd";
    // Since Linux 6.2 the folder's size is their number; before, they are listed, the listing itself among them.
    match fs::metadata(folder).map_or(0, |told| told.len()) {
        0 => Some((fs::read_dir(folder).ok()?.count() as u64).saturating_sub(1)),
        count => Some(count),
    }
}

fn disk(folder: &Path) -> Option<Disk> {
    // The data folder need not exist before something is kept.
    let found = folder.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        rustix::fs::statvfs(folder).ok()
    })?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Some(Disk { free_bytes: bytes(found.f_bavail), size_bytes: bytes(found.f_blocks) })
}
