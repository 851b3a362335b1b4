//! Files and batches, as OpenAI has them: an input is brought, run, and what came of it fetched.
//!
//! A line is told what a request of its own would be told, words like `[[sim: status=400]]` in its prompt included;
//! it is done as long after the batch's beginning as that answer would take, and the batch when its last line is. The
//! script speaks of the calls themselves, and never of lines: `first_token=2s` for the call that creates a batch is
//! the least that the batch takes, and `reset` does what is asked and loses the answer. A line that is told to hang,
//! to break or to spoil its answer has none, and is among the errors as one that expired.
//!
//! Outputs stand in another order than inputs, from the last line to the first. All of it is in memory, and the
//! oldest of too much is forgotten.

mod form;
mod input;
mod view;

use super::Shared;
use super::lock;
use super::refusal::Refusal;
use super::route::Filed;
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use input::Done;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// Files that are kept.
const FILES_MAX: usize = 1000;
/// Bytes of them.
const FILE_BYTES_MAX: usize = 512 << 20;
/// Batches that are kept.
const BATCHES_MAX: usize = 1000;
/// Bytes of what came of them; of the last there may be more.
const OUTPUT_BYTES_MAX: usize = 512 << 20;
/// Batches in a list, where nobody says otherwise; OpenAI's.
const LISTED: usize = 20;

/// What was brought, and what is done with it.
#[derive(Default)]
pub(super) struct Cabinet(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    files: VecDeque<File>,
    batches: VecDeque<Batch>,
    /// Files and batches so far: their names.
    count: u64,
}

/// A file that was brought.
struct File {
    id: String,
    number: u64,
    name: String,
    purpose: String,
    bytes: Bytes,
}

/// A batch, and all that will come of it.
struct Batch {
    id: String,
    number: u64,
    input: String,
    endpoint: String,
    window: String,
    metadata: Value,
    began: Instant,
    /// When its last line is done.
    takes: Duration,
    cancelled: Option<Instant>,
    lines: Vec<Done>,
    /// What is wrong with its input; nothing of it is run then.
    faults: Vec<Value>,
    /// Files of its lines that were removed: with the answers, and with the errors.
    removed: [bool; 2],
}

impl Batch {
    /// How far it has come: to its end, or to where it was cancelled.
    fn elapsed(&self) -> Duration {
        self.cancelled.unwrap_or_else(Instant::now).duration_since(self.began).min(self.takes)
    }

    fn is_over(&self) -> bool {
        self.cancelled.is_some() || self.elapsed() >= self.takes
    }

    /// Bytes of what came of it.
    fn bytes(&self) -> usize {
        self.lines.iter().map(|line| line.text.len()).sum()
    }

    /// Lines that are done and went well, or badly; from the last to the first.
    fn done(&self, good: bool) -> impl Iterator<Item = &Done> {
        let elapsed = self.elapsed();
        self.lines.iter().rev().filter(move |line| line.good == good && line.wait <= elapsed)
    }

    /// The name of the file with such lines.
    fn file(&self, good: bool) -> String {
        format!("file-{}-{}", if good { "output" } else { "errors" }, self.number)
    }
}

impl Shared {
    /// Does what is asked, and says what came of it.
    pub(super) fn office(
        &self,
        asked: &Filed,
        head: &Parts,
        body: &Bytes,
        least: Duration,
    ) -> Result<Bytes, Refusal> {
        let kept = || lock(&self.cabinet.0);
        match asked {
            Filed::Upload => kept().bring(form::read(&head.headers, body)?),
            Filed::File(id) => kept().file(id).map(view::file),
            Filed::Content(id) => kept().content(id),
            Filed::Remove(id) => kept().remove(id),
            Filed::Create => {
                let order = input::Order::read(body)?;
                let input = kept().file(&order.input_file_id).map(|file| file.bytes.clone())?;
                // Outside the lock: it is work.
                let ran = self.run(&input, &order.endpoint);
                kept().begin(order, ran, least)
            }
            Filed::List => Ok(kept().list(head.uri.query().unwrap_or_default())),
            Filed::Batch(id) => kept().batch(id).map(|batch| view::batch(batch)),
            Filed::Cancel(id) => kept().cancel(id),
        }
    }
}

impl Kept {
    fn number(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn bring(&mut self, form: form::Form) -> Result<Bytes, Refusal> {
        let form::Form { name, purpose, bytes } = form;
        if bytes.len() > FILE_BYTES_MAX {
            return Err(Refusal {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                ..Refusal::invalid("File too large.")
            });
        }
        let number = self.number();
        let file = File { id: format!("file-{number:024}"), number, name, purpose, bytes };
        let shown = view::file(&file);
        self.files.push_back(file);
        let held = |files: &VecDeque<File>| files.iter().map(|file| file.bytes.len()).sum::<usize>();
        while self.files.len() > FILES_MAX || held(&self.files) > FILE_BYTES_MAX {
            self.files.pop_front();
        }
        Ok(shown)
    }

    fn file(&self, id: &str) -> Result<&File, Refusal> {
        self.files.iter().find(|file| file.id == id).ok_or_else(|| unknown("file", id))
    }

    /// A file as it was brought; or the lines of a batch that are done.
    fn content(&self, id: &str) -> Result<Bytes, Refusal> {
        let Some((batch, good)) = self.made_by(id) else {
            return self.file(id).map(|file| file.bytes.clone());
        };
        let mut out = Vec::new();
        for line in self.batches[batch].done(good) {
            out.extend_from_slice(&line.text);
            out.push(b'\n');
        }
        Ok(out.into())
    }

    /// Which batch has made the file of this name, and of which of its lines.
    fn made_by(&self, id: &str) -> Option<(usize, bool)> {
        [true, false].into_iter().find_map(|good| {
            let made = |batch: &Batch| !batch.removed[usize::from(!good)] && batch.file(good) == id;
            self.batches.iter().position(made).map(|at| (at, good))
        })
    }

    fn remove(&mut self, id: &str) -> Result<Bytes, Refusal> {
        if let Some((batch, good)) = self.made_by(id) {
            self.batches[batch].removed[usize::from(!good)] = true;
        } else {
            self.file(id)?;
            self.files.retain(|file| file.id != id);
        }
        Ok(view::written(&json!({"id": id, "object": "file", "deleted": true})))
    }

    fn begin(&mut self, order: input::Order, ran: input::Ran, least: Duration) -> Result<Bytes, Refusal> {
        let number = self.number();
        let input::Ran { lines, faults } = ran;
        let takes = lines.iter().map(|line| line.wait).max().unwrap_or_default().max(least);
        let batch = Batch {
            id: format!("batch_{number:024}"),
            number,
            input: order.input_file_id,
            endpoint: order.endpoint,
            window: order.completion_window,
            metadata: order.metadata,
            began: Instant::now(),
            takes: if faults.is_empty() { takes } else { Duration::ZERO },
            cancelled: None,
            lines,
            faults,
            removed: [false; 2],
        };
        let shown = view::batch(&batch);
        self.batches.push_back(batch);
        self.forget(BATCHES_MAX, OUTPUT_BYTES_MAX);
        Ok(shown)
    }

    /// Forgets the oldest batches until there are so many at most, with so many bytes; but never the last.
    fn forget(&mut self, batches_max: usize, bytes_max: usize) {
        let mut held: usize = self.batches.iter().map(Batch::bytes).sum();
        while self.batches.len() > batches_max || (held > bytes_max && self.batches.len() > 1) {
            held -= self.batches.pop_front().map_or(0, |batch| batch.bytes());
        }
    }

    fn batch(&mut self, id: &str) -> Result<&mut Batch, Refusal> {
        self.batches.iter_mut().find(|batch| batch.id == id).ok_or_else(|| unknown("batch", id))
    }

    fn cancel(&mut self, id: &str) -> Result<Bytes, Refusal> {
        let batch = self.batch(id)?;
        if batch.is_over() && batch.cancelled.is_none() {
            let why = "Cannot cancel a batch that is over.";
            return Err(Refusal { status: StatusCode::CONFLICT, ..Refusal::invalid(why) });
        }
        batch.cancelled.get_or_insert_with(Instant::now);
        Ok(view::batch(batch))
    }

    /// From the newest on; the query may have `limit` and `after`.
    fn list(&self, query: &str) -> Bytes {
        let word =
            |name| query.split('&').filter_map(|pair| pair.split_once('=')).find(|pair| pair.0 == name);
        let limit = word("limit").and_then(|(_, text)| text.parse().ok()).unwrap_or(LISTED);
        let after = word("after").map(|(_, id)| id);
        let all = self.batches.iter().rev();
        let mut rest: Vec<&Batch> = match after {
            Some(id) => all.skip_while(|batch| batch.id != id).skip(1).collect(),
            None => all.collect(),
        };
        let has_more = rest.len() > limit;
        rest.truncate(limit);
        let data: Vec<Value> = rest.iter().map(|batch| view::value(batch)).collect();
        let (first, last) = (rest.first().map(|batch| &batch.id), rest.last().map(|batch| &batch.id));
        view::written(
            &json!({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more}),
        )
    }
}

fn unknown(what: &str, id: &str) -> Refusal {
    let message = format!("No such {what} object: {id}");
    Refusal { status: StatusCode::NOT_FOUND, ..Refusal::at("id", "not_found", message) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::input::{Done, Order, Ran};
    use super::{Duration, Kept, Value};

    /// With a batch for each of these numbers of bytes.
    fn kept(bytes: &[usize]) -> Kept {
        let mut kept = Kept::default();
        for bytes in bytes {
            let order = Order {
                input_file_id: "file-1".to_owned(),
                endpoint: "/v1/embeddings".to_owned(),
                completion_window: "24h".to_owned(),
                metadata: Value::Null,
            };
            let line = Done { wait: Duration::ZERO, good: true, text: vec![b'x'; *bytes] };
            kept.begin(order, Ran { lines: vec![line], faults: Vec::new() }, Duration::ZERO).unwrap();
        }
        kept
    }

    #[test]
    fn the_oldest_batches_are_forgotten_by_number_and_by_bytes() {
        let check = |bytes: &[usize], batches_max, bytes_max, expected: &[usize]| {
            let mut kept = kept(bytes);
            kept.forget(batches_max, bytes_max);
            let left: Vec<_> = kept.batches.iter().map(super::Batch::bytes).collect();
            assert_eq!(left, expected, "{bytes:?} with {batches_max} and {bytes_max}");
        };
        check(&[1, 2, 3], 3, 6, &[1, 2, 3]);
        check(&[1, 2, 3], 2, 6, &[2, 3]);
        check(&[1, 2, 3], 3, 4, &[3]);
        check(&[1, 9], 3, 4, &[9]);
    }
}
