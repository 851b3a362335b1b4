//! Thirty days by the minute, on disk: what [`Live`](super::Live) gives up once a minute, in a folder of its own.
//!
//! A file a day (by UTC, `2026-11-21.history`), only ever appended to, one write a minute; see [`frame`] for its
//! form. What was handed to the system survives a kill of the process; a frame that was torn by one is cut off
//! when the file is opened again. It is not synced: the end of a machine may cost its last half minute.
//!
//! It is bounded thrice: so many files, so many bytes in all, and each minute no more than its share of them, the
//! busiest scopes first. Oldest files go first, and by their number, not by today's date: a clock that is wrong
//! for an hour must not cost a month.
//!
//! Where the disk is full, read-only or gone there is no history, and the first failure is handed back to be
//! warned about. It blocks on the disk; a [`Minute`] may be handed to another thread for that.

mod day;
mod frame;
mod reader;

#[cfg(test)]
mod tests;

pub use reader::{Query, Reader};

use super::minute::Minute;
use frame::Frames;
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};

/// Minutes of a day.
const DAY: u32 = 1440;

/// How much there may be of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most days, at least one.
    pub days: u16,
    /// Most bytes of all days. Each minute may take an equal share: 512 MiB in 30 days are 12 KB a minute, about
    /// 15 scopes with every figure busy, many more that are quiet.
    pub bytes_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { days: 30, bytes_max: 512 << 20 }
    }
}

/// What keeps the history from being written.
#[derive(Debug)]
pub enum Problem {
    /// Another process writes to this folder.
    Owned(PathBuf),
    /// The file of the day was written by a release with another form.
    Version(PathBuf),
    /// The disk refused.
    Refused(PathBuf, io::Error),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owned(path) => {
                write!(formatter, "another process writes {}: give each its own folder", path.display())
            }
            Self::Version(path) => {
                write!(formatter, "{} is of another release: move it away, or remove it", path.display())
            }
            Self::Refused(path, error) => write!(formatter, "{} cannot be used: {error}", path.display()),
        }
    }
}

impl std::error::Error for Problem {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(_, error) => Some(error),
            Self::Owned(_) | Self::Version(_) => None,
        }
    }
}

/// What came of a minute.
#[derive(Debug)]
pub enum Kept {
    /// It was written.
    Written {
        /// Scopes in it.
        scopes: usize,
        /// Scopes left out, the quietest, as the minute's share of bytes was used up.
        left_out: usize,
    },
    /// It was lost, as the first since all was well: to be warned about.
    Lost(Problem),
    /// It was lost, as those before it.
    LostToo,
}

/// The writer of one folder, of which there is one at a time.
#[derive(Debug)]
pub struct History {
    folder: PathBuf,
    options: Options,
    /// The file of the day.
    open: Option<Open>,
    /// Whether the last minute was lost.
    failing: bool,
}

#[derive(Debug)]
struct Open {
    day: u32,
    file: File,
    bytes: u64,
}

impl History {
    /// A history in this folder, which is made when the first minute comes. Touches no disk.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>, options: Options) -> Self {
        let options = Options { days: options.days.max(1), ..options };
        Self { folder: folder.into(), options, open: None, failing: false }
    }

    /// Reads what was written, from any thread and while more is written.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(self.folder.clone())
    }

    /// Writes a minute. Where that fails, the next one tries anew from the opening of the file.
    pub fn append(&mut self, minute: &Minute) -> Kept {
        match self.write(minute) {
            Ok(scopes) => {
                self.failing = false;
                Kept::Written { scopes, left_out: minute.scopes() - scopes }
            }
            Err(problem) => {
                self.open = None;
                if std::mem::replace(&mut self.failing, true) { Kept::LostToo } else { Kept::Lost(problem) }
            }
        }
    }

    /// Gives how many scopes were written.
    fn write(&mut self, minute: &Minute) -> Result<usize, Problem> {
        let day = minute.at / DAY;
        let open = match self.open.take_if(|open| open.day == day) {
            Some(open) => open,
            None => self.open_day(day)?,
        };
        let open = self.open.insert(open);
        let share = self.options.bytes_max / u64::from(self.options.days);
        let allowed = (share * u64::from(minute.at % DAY + 1) / u64::from(DAY)).saturating_sub(open.bytes);
        let (bytes, scopes) = frames(minute, allowed);
        if let Err(error) = open.file.write_all(&bytes) {
            // So that what was written of it is not before the next minute; opening it anew would cut it, too.
            let _ = open.file.set_len(open.bytes);
            return Err(Problem::Refused(self.folder.join(day::file_name(day)), error));
        }
        open.bytes += bytes.len() as u64;
        Ok(scopes)
    }

    /// Opens the file of a day, and removes what is too old or too much then.
    fn open_day(&self, day: u32) -> Result<Open, Problem> {
        let name = day::file_name(day);
        let path = self.folder.join(&name);
        let refused = |error| Problem::Refused(path.clone(), error);
        std::fs::create_dir_all(&self.folder).map_err(refused)?;
        let file = File::options().read(true).append(true).create(true).open(&path).map_err(refused)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Problem::Owned(path)),
            Err(TryLockError::Error(error)) => return Err(refused(error)),
        }
        let bytes = mend(&file, &path)?;
        let share = self.options.bytes_max / u64::from(self.options.days);
        day::remove_oldest(&self.folder, &name, self.options.days, self.options.bytes_max - share)
            .map_err(refused)?;
        Ok(Open { day, file, bytes })
    }
}

/// Cuts off what is torn and sees to it that there is a head. Gives how many bytes there are then.
fn mend(file: &File, path: &Path) -> Result<u64, Problem> {
    let refused = |error| Problem::Refused(path.to_owned(), error);
    let length = file.metadata().map_err(refused)?.len();
    if length < frame::HEAD.len() as u64 {
        if length > 0 {
            file.set_len(0).map_err(refused)?;
        }
        (&*file).write_all(&frame::HEAD).map_err(refused)?;
        return Ok(frame::HEAD.len() as u64);
    }
    let frames = Frames::open(BufReader::new(file)).map_err(refused)?;
    let mut frames = frames.ok_or_else(|| Problem::Version(path.to_owned()))?;
    while frames.next().map_err(refused)?.is_some() {}
    if frames.whole() < length {
        file.set_len(frames.whole()).map_err(refused)?;
    }
    Ok(frames.whole())
}

/// A minute as it is written, as far as it fits, and how many scopes that is.
fn frames(minute: &Minute, bytes_max: u64) -> (Vec<u8>, usize) {
    let mut bytes = Vec::new();
    for (index, entry) in minute.entries.iter().enumerate() {
        let whole = bytes.len();
        frame::write(&mut bytes, minute.at, entry);
        if bytes.len() as u64 > bytes_max {
            bytes.truncate(whole);
            return (bytes, index);
        }
    }
    (bytes, minute.entries.len())
}
