//! Hands each minute that is over to the disk, from a thread of its own: a disk that hangs costs history, and holds
//! up nobody who looks. The thread begins with the first minute there is.

use measure::live::Minute;
use measure::live::history::{History, Kept, Options, Reader};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// Minutes that wait for the disk.
const MINUTES_MAX: usize = 5;
/// Writing a minute needs little.
const STACK_BYTES: usize = 256 << 10;
/// For the last minute, when the process leaves.
const PATIENCE: Duration = Duration::from_secs(2);
/// Minutes of a day.
const DAY: u32 = 1440;

/// Where minutes go.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    options: Options,
    writing: Option<Writing>,
    /// Whether it was told that minutes are lost.
    told: bool,
}

#[derive(Debug)]
struct Writing {
    minutes: SyncSender<Minute>,
    over: Receiver<()>,
    thread: JoinHandle<()>,
}

impl Archive {
    /// In this folder; `days` of zero keeps nothing.
    pub fn new(folder: PathBuf, days: u16, bytes_max: u64) -> Self {
        Self { folder, options: Options { days, bytes_max }, writing: None, told: false }
    }

    /// Shows each minute of the last day, as it was kept.
    pub fn last_day(&self, now: SystemTime, show: impl FnMut(Minute)) {
        if self.options.days > 0
            && let Err(problem) = reader(self.folder.clone()).minutes(last(DAY, now), show)
        {
            tracing::warn!(%problem, "the last day's figures cannot be read");
        }
    }

    /// Keeps a minute, unless the disk is so far behind that it is lost.
    pub fn keep(&mut self, minute: Minute) {
        if self.options.days == 0 {
            return;
        }
        if self.writing.is_none() {
            self.writing = self.begin();
        }
        let Some(writing) = &self.writing else { return };
        match writing.minutes.try_send(minute) {
            Ok(()) => self.told = false,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                if !std::mem::replace(&mut self.told, true) {
                    tracing::warn!("the disk is too slow for the figures' history: minutes are lost");
                }
            }
        }
    }

    fn begin(&self) -> Option<Writing> {
        let (minutes, todo) = sync_channel(MINUTES_MAX);
        let (done, over) = sync_channel(1);
        let history = History::new(self.folder.clone(), self.options);
        let thread = std::thread::Builder::new().name("history".to_owned()).stack_size(STACK_BYTES);
        let thread = thread.spawn(move || {
            write(history, &todo);
            let _ = done.send(());
        });
        match thread {
            Ok(thread) => Some(Writing { minutes, over, thread }),
            Err(error) => {
                tracing::warn!(%error, "the figures' history is not kept");
                None
            }
        }
    }

    /// Waits a while for what is not written yet.
    pub fn finish(self) {
        if let Some(Writing { minutes, over, thread }) = self.writing {
            drop(minutes);
            if over.recv_timeout(PATIENCE).is_ok() {
                let _ = thread.join();
            }
        }
    }
}

/// Reads what is kept in a folder.
pub fn reader(folder: PathBuf) -> Reader {
    Reader::new(folder)
}

/// The last so many minutes, since 1970.
pub fn last(minutes: u32, now: SystemTime) -> Range<u32> {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = u32::try_from(since.as_secs() / 60).unwrap_or(u32::MAX);
    now.saturating_sub(minutes)..now.saturating_add(1)
}

fn write(mut history: History, minutes: &Receiver<Minute>) {
    for minute in minutes {
        match history.append(&minute) {
            Kept::Written { left_out, .. } if left_out > 0 => {
                tracing::debug!(left_out, "a minute of the history had no room for all it was to tell");
            }
            Kept::Written { .. } | Kept::LostToo => {}
            Kept::Lost(problem) => tracing::warn!(%problem, "the figures' history is not kept"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::{Figures, stage};
    use super::Archive;
    use measure::live::{ScopeId, Window};
    use measure::moment::Moment;
    use std::path::Path;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Keeps a minute of five requests.
    fn keep(folder: &Path, days: u16, now: Moment) {
        let mut figures = Figures::new(8 << 20, now);
        (0..5).for_each(|_| figures.note(&stage::account("r1")));
        let mut archive = Archive::new(folder.to_owned(), days, 1 << 30);
        archive.keep(figures.finish().unwrap());
        archive.finish();
    }

    /// Requests that are known a while later, after a restart.
    fn known(folder: &Path, now: Moment) -> u64 {
        let later = now.after(MINUTE * 10);
        let mut figures = Figures::new(8 << 20, later);
        let archive = Archive::new(folder.to_owned(), 30, 1 << 30);
        archive.last_day(later.wall, |minute| figures.restore(&minute));
        figures.reading(ScopeId::ALL, Window::H1).rates.requests
    }

    #[test]
    fn what_was_kept_is_known_after_a_restart() {
        let (folder, now) = (tempfile::tempdir().unwrap(), Moment::now());
        keep(&folder.path().join("history"), 30, now);
        assert_eq!(known(&folder.path().join("history"), now), 5);
    }

    #[test]
    fn where_nothing_is_to_be_kept_no_folder_is_made() {
        let (folder, now) = (tempfile::tempdir().unwrap(), Moment::now());
        keep(&folder.path().join("history"), 0, now);
        assert!(!folder.path().join("history").exists());
        assert_eq!(known(&folder.path().join("history"), now), 0);
    }

    #[test]
    fn a_disk_that_refuses_costs_history_and_nothing_else() {
        let (file, now) = (tempfile::NamedTempFile::new().unwrap(), Moment::now());
        keep(&file.path().join("history"), 30, now);
        assert_eq!(known(&file.path().join("history"), now), 0);
    }
}
