//! Reads the real files, and nothing else.

use super::{Disk, Reading, parse};
use guard::pressure;
use guard::pressure::parse::kib;
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::path::{Path, PathBuf};

/// Takes readings of this process. A look opens some twenty small files that the kernel makes up as they are read,
/// and lists the open ones: about a millisecond, and one more for each few thousand connections. It is for a timer or
/// a scrape, never for a request.
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
            // The listing is itself an open file.
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| (files.count() as u64).saturating_sub(1)),
            open_files_max: getrlimit(Resource::Nofile).current,
            storage: parse::storage(&text("/proc/self/io")),
            network: parse::network(&text("/proc/self/net/netstat")),
            disk: disk(&self.folder),
        }
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
