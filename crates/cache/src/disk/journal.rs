//! Invalidations that must outlive the process.
//!
//! An append-only file, `epochs.log`. A record is on disk before [`Journal::append`] returns; those that come
//! while one is written are written together. It is written anew, from the table of epochs, when it is opened
//! and when it has grown.
//!
//! ```text
//! 0   kind: 0 = these tags at this number, 1 = a floor, 2 = the last number known
//! 1   a zero byte; a count of tags: u16
//! 4   number: u64; tags: u64 each
//! end 16 bytes of BLAKE3 over everything before
//! ```
//!
//! What is torn at the end was never acknowledged and is passed over. Where something whole follows what is
//! not, or the file is missing although there are data, nobody knows what was invalidated: then everything is.
//! For the same reason a file that could not be appended to is deleted.

use crate::epochs::{Epochs, Stamp, Tag};
use crate::tier::Error;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

const NAME: &str = "epochs.log";
const MAGIC: &[u8; 8] = b"TGj\x01\0\0\0\0";
const HEAD_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 16;
/// Most tags of one record.
const TAGS_MAX: usize = 1000;
/// Grown beyond this the file is written anew; and beyond twice what it then takes.
const BYTES_MAX: u64 = 1 << 20;
/// Most invalidations that wait to be written.
const WAITING_MAX: usize = 4096;
/// Longest wait for one to be written.
const APPEND_MAX: Duration = Duration::from_secs(5);
/// How long a disk that refused is left alone.
const REST: Duration = Duration::from_secs(30);

const TAGS: u8 = 0;
const FLOOR: u8 = 1;
const LATEST: u8 = 2;

type Answer = oneshot::Sender<Result<(), Error>>;

/// The journal of one folder.
#[derive(Clone, Debug)]
pub struct Journal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Records older than this say nothing about any entry that can still be served.
    life: Duration,
    epochs: Arc<Epochs>,
    waiting: Mutex<Waiting>,
    file: Mutex<Appended>,
}

#[derive(Debug, Default)]
struct Waiting {
    records: Vec<(Vec<u8>, Answer)>,
    /// Whether somebody is writing, and will take what waits.
    led: bool,
}

#[derive(Debug, Default)]
struct Appended {
    /// `None` where it could not be written.
    file: Option<File>,
    bytes: u64,
    bytes_max: u64,
    failed_at: Option<Instant>,
}

/// What a journal says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    floor: Stamp,
    latest: Stamp,
    tags: Vec<(Tag, Stamp)>,
    /// Something whole follows what is not.
    broken: bool,
}

impl Journal {
    /// Opens the journal in `folder`, and takes what it says into `epochs`. `life` is the longest that an entry
    /// can be served; `data` says whether there are entries at all. Blocks.
    ///
    /// # Errors
    /// Where the file can be neither read nor written anew.
    pub fn open(folder: &Path, life: Duration, epochs: Arc<Epochs>, data: bool) -> io::Result<Self> {
        let found = match std::fs::read(folder.join(NAME)) {
            Ok(bytes) => Some(parse(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let known = found.as_ref().is_some_and(|found| !found.broken);
        if let Some(found) = found {
            epochs.import(found.floor, found.tags);
            epochs.advance(found.latest);
        }
        if data && !known {
            tracing::warn!(
                "the disk cache's journal is missing or damaged: everything before now is invalid"
            );
            epochs.raise_floor(clock());
        }
        let inner = Inner {
            folder: folder.to_owned(),
            life,
            epochs,
            waiting: Mutex::default(),
            file: Mutex::new(Appended { bytes_max: BYTES_MAX, ..Appended::default() }),
        };
        inner.rewrite(&mut lock(&inner.file))?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Keeps that everything with one of `tags` and an earlier stamp than `number` is invalid. Needs a tokio
    /// runtime around it; a call that is dropped is carried out all the same.
    ///
    /// # Errors
    /// Where the disk refused, or did not write in time. After a restart more may be invalid then, never less,
    /// as long as files can be deleted.
    pub async fn append(&self, number: Stamp, tags: &[Tag]) -> Result<(), Error> {
        if tags.is_empty() {
            return Ok(());
        }
        // So that writing the file anew, which asks the table, cannot lose it.
        self.inner.epochs.import(Stamp(0), tags.iter().map(|tag| (*tag, number)));
        let mut bytes = Vec::new();
        for tags in tags.chunks(TAGS_MAX) {
            record(&mut bytes, TAGS, number, tags);
        }
        let (sender, answer) = oneshot::channel();
        if self.inner.enqueue(bytes, sender)? {
            let lead = Lead { inner: Arc::clone(&self.inner), over: false };
            tokio::task::spawn_blocking(move || lead.write_waiting());
        }
        match tokio::time::timeout(APPEND_MAX, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Error::Unavailable("the runtime is shutting down".to_owned())),
            Err(_) => Err(Error::Timeout),
        }
    }
}

/// The duty to write what waits, given back even where the task is never run.
struct Lead {
    inner: Arc<Inner>,
    over: bool,
}

impl Lead {
    fn write_waiting(mut self) {
        while let Some(records) = self.inner.take() {
            let (bytes, answers): (Vec<_>, Vec<_>) = records.into_iter().unzip();
            let outcome = self.inner.write(&bytes.concat());
            for answer in answers {
                let _ = answer.send(outcome.clone());
            }
        }
        self.over = true;
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if !self.over {
            *lock(&self.inner.waiting) = Waiting::default();
        }
    }
}

impl Inner {
    /// Says whether the caller must see to it that it is written.
    fn enqueue(&self, record: Vec<u8>, answer: Answer) -> Result<bool, Error> {
        let mut waiting = lock(&self.waiting);
        if waiting.records.len() >= WAITING_MAX {
            return Err(Error::Refused("too many invalidations at once".to_owned()));
        }
        waiting.records.push((record, answer));
        Ok(!std::mem::replace(&mut waiting.led, true))
    }

    /// What waits; `None` once nothing does, and the duty is given back.
    fn take(&self) -> Option<Vec<(Vec<u8>, Answer)>> {
        let mut waiting = lock(&self.waiting);
        waiting.led = !waiting.records.is_empty();
        waiting.led.then(|| std::mem::take(&mut waiting.records))
    }

    fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let mut appended = lock(&self.file);
        if appended.failed_at.is_some_and(|at| at.elapsed() < REST) {
            return Err(Error::Tripped);
        }
        let appended = &mut *appended;
        let written = match &mut appended.file {
            Some(file) if appended.bytes + (bytes.len() as u64) < appended.bytes_max => {
                appended.bytes += bytes.len() as u64;
                file.write_all(bytes).and_then(|()| file.sync_data())
            }
            _ => self.rewrite(appended),
        };
        appended.failed_at = written.is_err().then(Instant::now);
        written.map_err(|error| {
            appended.file = None;
            let _ = std::fs::remove_file(self.folder.join(NAME));
            Error::Refused(error.to_string())
        })
    }

    /// Writes the file anew, with all that counts.
    fn rewrite(&self, appended: &mut Appended) -> io::Result<()> {
        let latest = self.epochs.stamp();
        let (floor, mut tags) = self.epochs.export();
        let oldest = clock().0.saturating_sub(u64::try_from(self.life.as_micros()).unwrap_or(u64::MAX));
        tags.retain(|(_, number)| number.0 >= oldest);
        tags.sort_unstable_by_key(|(tag, number)| (*number, *tag));

        let mut bytes = MAGIC.to_vec();
        record(&mut bytes, FLOOR, floor, &[]);
        record(&mut bytes, LATEST, latest, &[]);
        for same in tags.chunk_by(|(_, one), (_, other)| one == other) {
            for chunk in same.chunks(TAGS_MAX) {
                let tags: Vec<Tag> = chunk.iter().map(|(tag, _)| *tag).collect();
                record(&mut bytes, TAGS, same[0].1, &tags);
            }
        }
        super::folder::replace(&self.folder, NAME, &bytes)?;
        appended.file = Some(File::options().append(true).open(self.folder.join(NAME))?);
        appended.bytes = bytes.len() as u64;
        appended.bytes_max = BYTES_MAX.max(2 * appended.bytes);
        Ok(())
    }
}

fn record(out: &mut Vec<u8>, kind: u8, number: Stamp, tags: &[Tag]) {
    let start = out.len();
    out.extend([kind, 0]);
    out.extend((tags.len() as u16).to_le_bytes());
    out.extend(number.0.to_le_bytes());
    for tag in tags {
        out.extend(tag.0.to_le_bytes());
    }
    let checksum = checksum(&out[start..]);
    out.extend(checksum);
}

fn parse(bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let Some(mut rest) = bytes.strip_prefix(MAGIC) else {
        // Written in one piece and renamed: another form, or damage.
        return Contents { broken: true, ..contents };
    };
    let mut torn = false;
    while !rest.is_empty() {
        let Some((kind, number, tags, after)) = whole(rest) else {
            torn = true;
            rest = &rest[1..];
            continue;
        };
        contents.broken |= torn;
        contents.latest = contents.latest.max(number);
        match kind {
            FLOOR => contents.floor = contents.floor.max(number),
            TAGS => contents.tags.extend(tags.map(|tag| (tag, number))),
            _ => {}
        }
        rest = after;
    }
    contents
}

/// The record that `bytes` begin with, and what is after it.
fn whole(bytes: &[u8]) -> Option<(u8, Stamp, impl Iterator<Item = Tag>, &[u8])> {
    let &[kind @ TAGS..=LATEST, 0, low, high, ..] = bytes else { return None };
    let length = HEAD_BYTES + usize::from(u16::from_le_bytes([low, high])) * 8;
    let (record, rest) = bytes.split_at_checked(length)?;
    let (found, rest) = rest.split_at_checked(CHECKSUM_BYTES)?;
    if found != checksum(record) {
        return None;
    }
    let mut numbers = record[4..].chunks_exact(8).map(number);
    Some((kind, Stamp(numbers.next()?), numbers.map(Tag), rest))
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn checksum(record: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut checksum = [0; CHECKSUM_BYTES];
    checksum.copy_from_slice(&blake3::hash(record).as_bytes()[..CHECKSUM_BYTES]);
    checksum
}

/// Now, as epochs are numbered: microseconds since 1970.
fn clock() -> Stamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Stamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
