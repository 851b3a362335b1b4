//! The journal beside the output: what this run is, and how far it has come, so that it goes on after any end.
//!
//! A file of lines, `HASH JSON`: the first says what is made of what, each further one how far that has come; the last
//! that is whole counts. A mark is written only when what it tells of is on disk, and tells all of it, so that the file
//! is written anew as soon as it has grown.
//!
//! ```text
//! 7c0e… {"version":1,"input":{"bytes":300000000,"hash":"…"},"parts":{"model":"…","--prompt":"…"}}
//! 90b2… {"done":{"low":{"rows":118,"bytes":94501,"lines":118}},"output_bytes":71044,…}
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::extent::Done;
use super::tally::Tally;

/// Of this form of the file.
const VERSION: u32 = 1;
/// Grown beyond this the file is written anew.
const BYTES_MAX: u64 = 1 << 20;
/// Nobody's journal is longer: a mark has a few bytes for each row that is under way.
const READ_BYTES_MAX: u64 = 8 << 20;
/// Bytes of the input's head and of its tail that tell it from another.
const SAMPLE_BYTES: u64 = 64 << 10;
/// Hexadecimal digits of a hash.
const HASH_DIGITS: usize = 16;

/// What is made of what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    version: u32,
    input: Input,
    /// What decides how a row is asked and written: by the name people know it by, hashed.
    parts: BTreeMap<String, String>,
}

/// What tells an input from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Input {
    bytes: u64,
    hash: String,
}

/// How far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Rows that are in the output or among the errors.
    pub(super) done: Done,
    /// Length of the output; what is behind it was never told.
    pub(super) output_bytes: u64,
    /// Length of the errors.
    pub(super) errors_bytes: u64,
    /// Sums.
    pub(super) tally: Tally,
}

/// The journal of one output.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    bytes: u64,
    /// The first line.
    head: Vec<u8>,
}

impl Identity {
    /// Of a file and of what is done to its rows.
    ///
    /// # Errors
    /// Where the file cannot be read.
    pub(super) fn new(input: &Path, parts: &[(&str, &str)]) -> io::Result<Self> {
        let parts = parts.iter().map(|(name, text)| ((*name).to_owned(), hash(text.as_bytes())));
        Ok(Self { version: VERSION, input: Input::of(input)?, parts: parts.collect() })
    }

    /// What of this run is not as it was in an earlier one.
    pub(super) fn changes(&self, earlier: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.input != earlier.input {
            changes.push("the input".to_owned());
        }
        let names = self.parts.keys().chain(earlier.parts.keys());
        let changed = names.filter(|name| self.parts.get(*name) != earlier.parts.get(*name));
        changes.extend(changed.cloned());
        changes.sort();
        changes.dedup();
        changes
    }
}

impl Input {
    fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut hasher = blake3::Hasher::new();
        for start in [0, bytes.saturating_sub(SAMPLE_BYTES)] {
            file.seek(SeekFrom::Start(start))?;
            let mut sample = Vec::new();
            (&mut file).take(SAMPLE_BYTES).read_to_end(&mut sample)?;
            hasher.update(&sample);
        }
        Ok(Self { bytes, hash: short(&hasher.finalize()) })
    }
}

impl Journal {
    /// What the journal at a path says; `None`: there is none.
    ///
    /// # Errors
    /// Where it cannot be read, or says nothing that makes sense.
    pub(super) fn read(path: &Path) -> io::Result<Option<(Identity, Mark)>> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Vec::new();
        file.take(READ_BYTES_MAX).read_to_end(&mut text)?;
        // What follows the last line end was cut short.
        let mut lines =
            text.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        let identity: Option<Identity> = lines.next().and_then(parse);
        match identity {
            Some(identity) if identity.version == VERSION => {
                let mark = lines.rev().find_map(parse).unwrap_or_default();
                Ok(Some((identity, mark)))
            }
            _ => Err(io::Error::new(ErrorKind::InvalidData, "it is no journal of this version")),
        }
    }

    /// Begins a journal, or goes on with one: afterwards it says this and nothing else.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn begin(path: &Path, identity: &Identity, mark: &Mark) -> io::Result<Self> {
        let head = line(identity)?;
        let (file, bytes) = write_anew(path, &head, mark)?;
        Ok(Self { path: path.to_owned(), file, bytes, head })
    }

    /// Says how far it has come; on disk when this returns.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(super) fn append(&mut self, mark: &Mark) -> io::Result<()> {
        let text = line(mark)?;
        if self.bytes + text.len() as u64 > BYTES_MAX {
            (self.file, self.bytes) = write_anew(&self.path, &self.head, mark)?;
            return Ok(());
        }
        self.file.write_all(&text)?;
        self.bytes += text.len() as u64;
        self.file.sync_data()
    }
}

/// Puts a new file in the place of the old: there is one or the other, whatever happens.
fn write_anew(path: &Path, head: &[u8], mark: &Mark) -> io::Result<(File, u64)> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).open(&fresh)?;
    let mark = line(mark)?;
    file.write_all(head)?;
    file.write_all(&mark)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    sync_folder(path)?;
    Ok((file, (head.len() + mark.len()) as u64))
}

/// So that a new name outlives a power cut.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn line(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_string(value)?;
    Ok(format!("{} {json}\n", hash(json.as_bytes())).into_bytes())
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let (told, json) = line.split_at_checked(HASH_DIGITS)?;
    let json = json.strip_prefix(b" ")?;
    if hash(json).as_bytes() == told { serde_json::from_slice(json).ok() } else { None }
}

fn hash(text: &[u8]) -> String {
    short(&blake3::hash(text))
}

fn short(hash: &blake3::Hash) -> String {
    hash.to_hex().chars().take(HASH_DIGITS).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::extent::Extent;
    use super::*;

    fn mark(rows: u64) -> Mark {
        let mut done = Done::default();
        (1..=rows).for_each(|rows| done.insert(Extent { rows, bytes: rows * 10, lines: rows }));
        Mark { done, output_bytes: rows * 20, ..Mark::default() }
    }

    fn identity(folder: &Path, input: &[u8], model: &str) -> Identity {
        let path = folder.join("in");
        fs::write(&path, input).unwrap();
        Identity::new(&path, &[("--model", model), ("--prompt", "p")]).unwrap()
    }

    #[test]
    fn the_last_mark_that_is_whole_counts_wherever_the_file_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let (path, identity) = (folder.path().join("progress"), identity(folder.path(), b"x", "m"));
        assert!(Journal::read(&path).unwrap().is_none());
        let mut journal = Journal::begin(&path, &identity, &mark(0)).unwrap();
        (1..4).for_each(|rows| journal.append(&mark(rows)).unwrap());
        let whole = fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|at| whole[*at] == b'\n').collect();
        for cut in 0..=whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let lines = ends.iter().filter(|end| **end < cut).count() as u64;
            match Journal::read(&path) {
                Err(_) => assert_eq!(lines, 0, "cut at {cut}"),
                Ok(read) => {
                    let rows = lines.saturating_sub(2);
                    assert_eq!(read, Some((identity.clone(), mark(rows))), "cut at {cut}");
                }
            }
        }
        // A page that never came is no mark, nor is one that was changed.
        let mut torn = whole.clone();
        let last = ends[3] + 1;
        torn[last..].fill(0);
        torn.push(b'\n');
        fs::write(&path, &torn).unwrap();
        assert_eq!(Journal::read(&path).unwrap().unwrap().1, mark(2));
    }

    #[test]
    fn the_file_stays_small_however_many_marks_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("progress");
        let mut journal = Journal::begin(&path, &identity(folder.path(), b"x", "m"), &mark(0)).unwrap();
        journal.bytes = BYTES_MAX;
        journal.append(&mark(7)).unwrap();
        assert!(journal.bytes < 1000);
        journal.append(&mark(8)).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), journal.bytes);
        assert_eq!(Journal::read(&path).unwrap().unwrap().1, mark(8));
    }

    #[test]
    fn what_is_not_as_it_was_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let earlier = identity(folder.path(), b"one\ntwo\n", "m");
        let check = |input: &[u8], model: &str, changes: &[&str]| {
            assert_eq!(identity(folder.path(), input, model).changes(&earlier), changes);
        };
        check(b"one\ntwo\n", "m", &[]);
        check(b"one\ntwo\nthree\n", "m", &["the input"]);
        check(b"one\ntoo\n", "n", &["--model", "the input"]);
        let path = folder.path().join("in");
        let more = Identity::new(&path, &[("--model", "m"), ("--prompt", "p"), ("--system", "s")]).unwrap();
        assert_eq!(more.changes(&earlier), ["--system", "the input"]);
    }
}
