//! The file's lines, read ahead.
//!
//! They are read on a thread of their own and handed over through a short channel: a file on a slow disk, or a
//! pipe that nobody writes to, must not hold up the requests under way.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use std::thread;

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::super::super::lines::{Line, Reader};

/// Longest line: well above the largest body that a gateway takes by default.
pub(super) const LINE_BYTES_MAX: usize = 16 << 20;
/// Lines read ahead.
const AHEAD: usize = 4;

/// The lines to come, and how many bytes there are in all, where that is known.
pub(super) struct Lines {
    /// Each line, or what keeps the rest from being read.
    pub(super) ahead: Receiver<std::io::Result<Line>>,
    /// Length of the file.
    pub(super) bytes: Option<u64>,
}

/// Opens a file, or standard input where it is named `-`.
pub(super) fn open(path: &Path) -> std::io::Result<Lines> {
    if path.as_os_str() == "-" {
        return Ok(Lines { ahead: read_ahead(std::io::stdin())?, bytes: None });
    }
    let file = File::open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    Ok(Lines { ahead: read_ahead(file)?, bytes: about.is_file().then_some(about.len()) })
}

fn read_ahead(source: impl Read + Send + 'static) -> std::io::Result<Receiver<std::io::Result<Line>>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    // Left to itself at an early end: it may wait for a pipe for ever.
    thread::Builder::new().name("prompts".to_owned()).spawn(move || hand_over(source, &sender))?;
    Ok(receiver)
}

fn hand_over(source: impl Read, receiver: &Sender<std::io::Result<Line>>) {
    let mut reader = Reader::new(BufReader::new(source), LINE_BYTES_MAX);
    while let Some(line) = reader.next().transpose() {
        let failed = line.is_err();
        if receiver.blocking_send(line).is_err() || failed {
            return;
        }
    }
}
