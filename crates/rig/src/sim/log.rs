//! The last requests and what became of them, so that a test can ask the
//! provider what it saw. It never keeps a header's value but the request id.

use super::lock;
use http::{HeaderMap, HeaderName, header};
use serde::{Serialize, Serializer};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::time::Instant;

/// Requests remembered.
const ENTRIES_MAX: usize = 1000;
/// Bytes kept of what a caller chose: a model's name, a request id, a path.
const TEXT_BYTES_MAX: usize = 256;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// The reply went out whole.
    Done,
    /// The caller left before its end, or let go of it.
    Cancelled,
    /// The simulator broke the connection, as it was told.
    Reset,
    /// An error was answered, or the reply was spoilt, as it was told.
    Failed,
}

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Counted from 1 since the simulator's start.
    pub id: u64,
    /// The path as it came.
    pub path: String,
    /// The model's name as it came; empty where the request had none.
    pub model: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Milliseconds since the simulator's start, on the monotonic clock.
    pub received_ms: u64,
    /// The same clock; `None` while it runs.
    pub ended_ms: Option<u64>,
    /// `None` while it runs.
    pub outcome: Option<Outcome>,
    /// The status answered; `None` before the head.
    pub status: Option<u16>,
    /// Frames of the body handed out; filled in at the end.
    pub frames: u64,
    /// Whether an `authorization` header was there.
    pub authorization: bool,
    /// The names of all headers.
    #[serde(serialize_with = "names")]
    pub headers: Vec<HeaderName>,
    /// The `x-request-id` that came.
    pub x_request_id: Option<String>,
}

fn names<S: Serializer>(headers: &[HeaderName], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(headers.iter().map(HeaderName::as_str))
}

pub(crate) struct Log {
    start: Instant,
    ring: Mutex<Ring>,
}

struct Ring {
    /// Their ids follow one another without a gap.
    entries: VecDeque<Entry>,
    next_id: u64,
}

impl Log {
    pub(crate) fn new() -> Self {
        let ring = Ring { entries: VecDeque::new(), next_id: 1 };
        Self { start: Instant::now(), ring: Mutex::new(ring) }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Notes a request. Its ticket must say how it ends; dropped without a
    /// word, it says that the caller left.
    pub(crate) fn open(
        self: &Arc<Self>,
        path: &str,
        model: &str,
        stream: bool,
        headers: &HeaderMap,
    ) -> Ticket {
        let mut entry = Entry {
            id: 0,
            path: shortened(path),
            model: shortened(model),
            stream,
            received_ms: self.now_ms(),
            ended_ms: None,
            outcome: None,
            status: None,
            frames: 0,
            authorization: headers.contains_key(header::AUTHORIZATION),
            headers: headers.keys().cloned().collect(),
            x_request_id: request_id(headers).map(shortened),
        };
        let mut ring = lock(&self.ring);
        let id = ring.next_id;
        entry.id = id;
        ring.next_id += 1;
        let oldest = (ring.entries.len() == ENTRIES_MAX).then(|| ring.entries.pop_front());
        ring.entries.push_back(entry);
        drop(ring);
        drop(oldest); // freed outside the lock
        Ticket { log: Arc::clone(self), id, status: None, frames: 0, open: true }
    }

    fn close(&self, ticket: &Ticket, outcome: Outcome) {
        let ended_ms = self.now_ms();
        let mut ring = lock(&self.ring);
        let Some(first) = ring.entries.front().map(|entry| entry.id) else { return };
        let Some(at) = ticket.id.checked_sub(first) else { return };
        if let Some(entry) = ring.entries.get_mut(at as usize) {
            entry.ended_ms = Some(ended_ms);
            entry.outcome = Some(outcome);
            entry.status = ticket.status;
            entry.frames = ticket.frames;
        }
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.after(0)
    }

    /// Those that came after the `id`th.
    pub(crate) fn after(&self, id: u64) -> Vec<Entry> {
        let ring = lock(&self.ring);
        let from = ring.entries.partition_point(|entry| entry.id <= id);
        ring.entries.range(from..).cloned().collect()
    }

    pub(crate) fn clear(&self) {
        lock(&self.ring).entries.clear();
    }
}

/// The id that a caller gave its request.
fn request_id(headers: &HeaderMap) -> Option<&str> {
    headers.get("x-request-id")?.to_str().ok()
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// The open entry of a request under way. It travels with the reply.
pub(crate) struct Ticket {
    log: Arc<Log>,
    id: u64,
    status: Option<u16>,
    frames: u64,
    open: bool,
}

impl Ticket {
    /// The request's number.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// The head goes out.
    pub(crate) fn head(&mut self, status: http::StatusCode) {
        self.status = Some(status.as_u16());
    }

    /// A frame of the body was handed out.
    pub(crate) fn frame(&mut self) {
        self.frames += 1;
    }

    /// The request ended; only the first word counts.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        if std::mem::take(&mut self.open) {
            self.log.close(self, outcome);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.end(Outcome::Cancelled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_thousand_are_kept_and_ends_find_their_own_entry() {
        let log = Arc::new(Log::new());
        let mut early = log.open("/v1/chat/completions", "early", false, &HeaderMap::new());
        let mut tickets: Vec<_> = (0..1000).map(|_| log.open("/", "m", true, &HeaderMap::new())).collect();
        early.end(Outcome::Failed);
        tickets[999].end(Outcome::Done);
        let entries = log.entries();
        assert_eq!((entries.len(), entries[0].id), (1000, 2));
        assert_eq!(entries[999].outcome, Some(Outcome::Done));
        assert_eq!(entries[998].outcome, None);
        let ids_after = |id| log.after(id).iter().map(|entry| entry.id).collect::<Vec<_>>();
        assert_eq!(ids_after(999), [1000, 1001]);
        assert_eq!(ids_after(1001), [] as [u64; 0]);
        drop(tickets);
        assert_eq!(log.entries()[998].outcome, Some(Outcome::Cancelled));
        assert_eq!(log.entries()[999].outcome, Some(Outcome::Done));
    }

    #[test]
    fn an_end_after_the_log_was_cleared_is_forgotten() {
        let log = Arc::new(Log::new());
        let ticket = log.open("/", "m", false, &HeaderMap::new());
        log.clear();
        drop(ticket);
        assert!(log.entries().is_empty());
    }
}
