//! What came of a batch at a provider: its files, read line by line, each line ending as if it had been asked by
//! itself.

use super::super::courier::Fault;
use super::super::task::Task;
use super::super::{Answer, tries};
use super::cutter::Cutter;
use super::ends::Said;
use super::{Carried, Carries, Halt};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Lines that end in one step.
const LINES_A_STEP: usize = 200;
/// About as many bytes of them; one line may have more.
const BYTES_A_STEP: usize = 1 << 20;
/// Pieces of a file that wait to be read.
const PIECES_MAX: usize = 4;

/// A line of a provider's output or error file.
#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    custom_id: Cow<'a, str>,
    #[serde(borrow, default)]
    response: Option<Response<'a>>,
    #[serde(borrow, default)]
    error: Option<Why<'a>>,
}

#[derive(Deserialize)]
struct Response<'a> {
    status_code: u16,
    #[serde(borrow, default)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Deserialize)]
struct Why<'a> {
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
}

/// Lines that have yet to end.
#[derive(Default)]
struct Group {
    said: HashMap<u64, Said>,
    bytes: usize,
}

impl Carries {
    /// Ends every line that the provider's files have; says why where they do not come.
    pub(super) async fn fetch_all(&self, carried: &Carried<'_>) -> Result<Result<(), Fault>, Halt> {
        for file in &carried.notes.outputs {
            let (pieces, arrived) = mpsc::channel(PIECES_MAX);
            // What has arrived is ended and counted to its end, even where the rest is cut off: of a line that is torn
            // no JSON can be read.
            let (fetched, ended) = tokio::join!(
                self.courier.fetch(&carried.notes.place, file, pieces),
                self.end_lines(carried, arrived)
            );
            ended?;
            match fetched {
                // Removed by whoever has had all of it, or by the provider in time.
                Ok(()) | Err(Fault::Unknown) => {}
                Err(fault) => return Ok(Err(fault)),
            }
        }
        Ok(Ok(()))
    }

    async fn end_lines(
        &self,
        carried: &Carried<'_>,
        mut pieces: mpsc::Receiver<Vec<u8>>,
    ) -> Result<(), Halt> {
        let (mut cutter, mut group, mut lines) = (Cutter::default(), Group::default(), Vec::new());
        loop {
            let piece = pieces.recv().await;
            match &piece {
                Some(piece) => cutter.cut(piece, |line| lines.push(line.to_vec())),
                None => cutter.end(|line| lines.push(line.to_vec())),
            }
            for line in lines.drain(..) {
                group.take(&line);
                if group.is_full() {
                    self.end_group(carried, std::mem::take(&mut group)).await?;
                }
            }
            if piece.is_none() {
                return self.end_group(carried, group).await;
            }
        }
    }

    /// Ends lines, then has those that had not ended before counted: whoever is cut off between the two counts less,
    /// and never twice.
    async fn end_group(&self, carried: &Carried<'_>, group: Group) -> Result<(), Halt> {
        if group.said.is_empty() {
            return Ok(());
        }
        // Whoever takes over has the rest ended and counted.
        let Some(_books) = self.courier.open_books() else { return Err(Halt::Leaving) };
        let said = Arc::new(group.said);
        let (mut uncounted, mut why) = (0, String::new());
        for (line, payload) in self.settle(carried, &said).await? {
            let (Some(task), Some(Said::Answered(answer))) = (Task::read(&payload), said.get(&line)) else {
                continue;
            };
            if answer.is_good() {
                let question = task.question(carried.context.tenant());
                if let Err(fault) = self.courier.note(&carried.notes.place, question, answer.clone()).await {
                    (uncounted, why) = (uncounted + 1, fault);
                }
            }
        }
        self.tell_uncounted(carried, uncounted, &why);
        Ok(())
    }

    /// The provider is paid for these lines, and nobody knows what.
    fn tell_uncounted(&self, carried: &Carried<'_>, lines: u64, why: &str) {
        if lines > 0 {
            let (batch, place) = (&carried.batch.id, &carried.notes.place);
            self.rows.stats.uncounted(lines);
            tracing::warn!(batch, place, lines, why, "batches: answers of the provider's were not counted");
        }
    }
}

impl Group {
    /// Takes a line of a file; one that makes no sense, or is not the last word, is left out: its line is asked by
    /// itself.
    fn take(&mut self, line: &[u8]) {
        let Ok(row) = serde_json::from_slice::<Row<'_>>(line) else { return };
        let Ok(number) = row.custom_id.parse() else { return };
        if let Some(said) = said(row) {
            self.bytes += line.len();
            self.said.insert(number, said);
        }
    }

    fn is_full(&self) -> bool {
        self.said.len() >= LINES_A_STEP || self.bytes >= BYTES_A_STEP
    }
}

/// What a line of a file says, if that is the last word: what may pass is asked again, as that of any line is.
fn said(row: Row<'_>) -> Option<Said> {
    let Some(Response { status_code: status, request_id, body }) = row.response else {
        let Why { code, message } = row.error?;
        return Some(Said::Failed(
            code.unwrap_or_default().into_owned(),
            message.unwrap_or_default().into_owned(),
        ));
    };
    if tries::again(status, None).is_some() {
        return None;
    }
    let (request_id, body) = (request_id.unwrap_or_default().into_owned(), body.get().as_bytes().to_vec());
    Some(Said::Answered(Answer { status, request_id, body, after: None }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Group, Said};

    #[test]
    fn a_line_says_what_came_of_it_or_is_left_out() {
        let check = |line: &str, expected: Option<&str>| {
            let mut group = Group::default();
            group.take(line.as_bytes());
            let said = group.said.get(&7).map(|said| match said {
                Said::Answered(answer) => {
                    format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body))
                }
                Said::Failed(code, message) => format!("{code}: {message}"),
            });
            assert_eq!(said.as_deref(), expected, "{line}");
        };
        check(
            r#"{"id":"x","custom_id":"7","response":{"status_code":200,"request_id":"r","body":{"a":1.0}},"error":null}"#,
            Some(r#"200 {"a":1.0}"#),
        );
        check(
            r#"{"custom_id":"7","response":{"status_code":400,"body":{"error":{}}}}"#,
            Some(r#"400 {"error":{}}"#),
        );
        for status in [429, 500, 503] {
            let line = format!(r#"{{"custom_id":"7","response":{{"status_code":{status},"body":{{}}}}}}"#);
            check(&line, None);
        }
        check(
            r#"{"custom_id":"7","response":null,"error":{"code":"batch_expired","message":"late"}}"#,
            Some("batch_expired: late"),
        );
        check(r#"{"custom_id":"seven","response":null,"error":{}}"#, None);
        check(r#"{"custom_id":"7","response":null,"error":null}"#, None);
        check(r#"{"custom_id":"7","respo"#, None);
    }
}
