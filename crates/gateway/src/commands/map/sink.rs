//! Where rows go: the output, the errors, and the journal that tells how much of both is sure. The output goes to disk
//! first, then the mark that tells of it, so that whatever is killed meanwhile, a row is either told and there, or neither.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

use tokio::sync::mpsc::{self, Receiver, Sender};

use super::journal::{Identity, Journal, Mark, sync_folder};
use super::sequence::Written;

/// Written at once.
const BUFFER_BYTES: usize = 1 << 20;
/// Messages on their way to the disk.
const AHEAD: usize = 4;

/// The files of a run.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// Answers.
    pub(super) output: PathBuf,
    /// Rows that came to nothing.
    pub(super) errors: PathBuf,
    /// How far it has come.
    pub(super) journal: PathBuf,
}

/// What to do with an earlier run's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Earlier {
    /// Go on with it, if it is of the same run.
    GoOn,
    /// Go on with it, whatever has changed.
    Force,
    /// Throw it away.
    Restart,
}

/// Why there is nothing to write to.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    /// It is being written.
    #[error("{0} is being written by another run")]
    Busy(PathBuf),
    /// It is somebody's.
    #[error(
        "{0} is there and no run of this command is known to have made it; name another with -o, or overwrite it with --restart"
    )]
    Foreign(PathBuf),
    /// It is of another run.
    #[error(
        "{output} was begun otherwise: changed since: {changes}; begin anew with --restart, name another output with -o, or go on all the same with --force"
    )]
    Changed {
        /// The output.
        output: PathBuf,
        /// What is not as it was.
        changes: String,
    },
    /// It is not what the journal says.
    #[error("{0} is shorter than {1} says; begin anew with --restart")]
    Lost(PathBuf, PathBuf),
    /// The journal is not to be understood.
    #[error("{0}: {1}; begin anew with --restart")]
    Journal(PathBuf, io::Error),
    /// The system's own.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
}

/// The open files of a run.
#[derive(Debug)]
pub(super) struct Sink {
    places: Places,
    output: Buffered,
    /// Made with the first error.
    errors: Option<Buffered>,
    journal: Journal,
    mark: Mark,
    /// Whether there is something that the journal does not tell yet.
    untold: bool,
}

/// A file, and what is to be appended to it.
#[derive(Debug)]
struct Buffered {
    file: File,
    bytes: u64,
    buffer: Vec<u8>,
    dirty: bool,
}

/// What a sink is told to do.
pub(super) enum Message {
    /// Keep these.
    Rows(Vec<Written>),
    /// Make sure of what was kept.
    Commit,
}

impl Sink {
    /// Takes the files: from then on no other run may write to them. What an earlier run left behind its last mark
    /// is cut off. `head` stands at the output's beginning.
    ///
    /// # Errors
    /// Where they cannot be taken, or must not be.
    pub(super) fn open(
        places: Places,
        identity: &Identity,
        head: &[u8],
        earlier: Earlier,
    ) -> Result<Self, OpenError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::Io(path, error)
        };
        let file =
            OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&places.output);
        let file = file.map_err(io(&places.output))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(OpenError::Busy(places.output)),
            Err(TryLockError::Error(error)) => return Err(OpenError::Io(places.output, error)),
        }
        let mark = places.mark(&file, identity, earlier)?;
        let journal = Journal::begin(&places.journal, identity, &mark).map_err(io(&places.journal))?;
        let mut output = Buffered::cut(file, mark.output_bytes).map_err(io(&places.output))?;
        if output.bytes == 0 {
            output.append(head).map_err(io(&places.output))?;
        }
        sync_folder(&places.output).map_err(io(&places.output))?;
        let mut sink = Self { places, output, errors: None, journal, mark, untold: false };
        sink.cut_errors()?;
        Ok(sink)
    }

    /// How far it has come.
    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Keeps rows; they are sure with the next [`commit`](Self::commit).
    fn keep(&mut self, rows: &[Written]) -> io::Result<()> {
        for row in rows {
            if row.failed {
                self.errors()?.append(&row.line)?;
            } else {
                self.output.append(&row.line)?;
            }
            self.mark.done.insert(row.after);
            self.mark.tally.count(row.failed, row.bytes, row.used);
            self.untold = true;
        }
        Ok(())
    }

    /// Makes sure of what was kept, and tells it.
    fn commit(&mut self) -> io::Result<()> {
        if !self.untold {
            return Ok(());
        }
        self.output.sync()?;
        self.mark.output_bytes = self.output.bytes;
        if let Some(errors) = &mut self.errors {
            errors.sync()?;
            self.mark.errors_bytes = errors.bytes;
        }
        self.journal.append(&self.mark)?;
        self.untold = false;
        Ok(())
    }

    /// What an earlier run left among the errors.
    fn cut_errors(&mut self) -> Result<(), OpenError> {
        let path = &self.places.errors;
        let io = |error| OpenError::Io(path.clone(), error);
        let file = match OpenOptions::new().write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(io(error)),
        };
        self.errors = Some(Buffered::cut(file, self.mark.errors_bytes).map_err(io)?);
        Ok(())
    }

    fn errors(&mut self) -> io::Result<&mut Buffered> {
        let errors = match self.errors.take() {
            Some(errors) => errors,
            None => {
                let file =
                    OpenOptions::new().create(true).truncate(true).write(true).open(&self.places.errors)?;
                sync_folder(&self.places.errors)?;
                Buffered { file, bytes: 0, buffer: Vec::new(), dirty: false }
            }
        };
        Ok(self.errors.insert(errors))
    }
}

impl Places {
    /// Where an earlier run stopped, or where there was none the beginning.
    fn mark(&self, output: &File, identity: &Identity, earlier: Earlier) -> Result<Mark, OpenError> {
        if earlier == Earlier::Restart {
            return Ok(Mark::default());
        }
        let there = output.metadata().map_err(|error| OpenError::Io(self.output.clone(), error))?.len();
        let errors = fs::metadata(&self.errors).map_or(0, |about| about.len());
        let known = Journal::read(&self.journal);
        let known = known.map_err(|error| OpenError::Journal(self.journal.clone(), error))?;
        let Some((began, mut mark)) = known else {
            return match (there, errors) {
                (0, 0) => Ok(Mark::default()),
                (0, _) => Err(OpenError::Foreign(self.errors.clone())),
                _ => Err(OpenError::Foreign(self.output.clone())),
            };
        };
        if mark.tally.rows == 0 {
            // Nothing was done that could have been done otherwise.
            return Ok(Mark::default());
        }
        let changes = identity.changes(&began);
        if !changes.is_empty() {
            if earlier != Earlier::Force {
                let changes = changes.join(", ");
                return Err(OpenError::Changed { output: self.output.clone(), changes });
            }
            mark.done = mark.done.without_places();
        }
        if there < mark.output_bytes {
            return Err(OpenError::Lost(self.output.clone(), self.journal.clone()));
        }
        if errors < mark.errors_bytes {
            return Err(OpenError::Lost(self.errors.clone(), self.journal.clone()));
        }
        Ok(mark)
    }
}

impl Buffered {
    /// A file without what is behind so many bytes.
    fn cut(mut file: File, bytes: u64) -> io::Result<Self> {
        file.set_len(bytes)?;
        file.seek(SeekFrom::Start(bytes))?;
        Ok(Self { file, bytes, buffer: Vec::new(), dirty: false })
    }

    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(text);
        self.bytes += text.len() as u64;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.file.write_all(&self.buffer)?;
            self.buffer.clear();
            self.buffer.shrink_to(2 * BUFFER_BYTES);
            self.dirty = true;
        }
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        if std::mem::take(&mut self.dirty) { self.file.sync_data() } else { Ok(()) }
    }
}

/// A sink on a thread of its own: a disk takes its time.
#[derive(Debug)]
pub(super) struct Writing {
    /// Where to tell it what to do. Closed where it could not.
    pub(super) messages: Sender<Message>,
    thread: JoinHandle<(Sink, io::Result<()>)>,
}

impl Writing {
    /// Sets it going.
    ///
    /// # Errors
    /// Where the system gives no thread.
    pub(super) fn begin(sink: Sink) -> io::Result<Self> {
        let (messages, receiver) = mpsc::channel(AHEAD);
        let thread = thread::Builder::new().name("output".to_owned()).spawn(move || write(sink, receiver))?;
        Ok(Self { messages, thread })
    }

    /// Waits until it has done what it was told, and makes sure of that. Blocks.
    ///
    /// # Errors
    /// What kept it from writing.
    pub(super) fn finish(self) -> io::Result<Mark> {
        drop(self.messages);
        let died = |_| io::Error::other("the thread that writes died");
        let (mut sink, written) = self.thread.join().map_err(died)?;
        written?;
        sink.commit()?;
        Ok(sink.mark)
    }
}

fn write(mut sink: Sink, mut messages: Receiver<Message>) -> (Sink, io::Result<()>) {
    while let Some(message) = messages.blocking_recv() {
        let done = match message {
            Message::Rows(rows) => sink.keep(&rows),
            Message::Commit => sink.commit(),
        };
        if done.is_err() {
            return (sink, done);
        }
    }
    (sink, Ok(()))
}

#[cfg(test)]
mod tests;
