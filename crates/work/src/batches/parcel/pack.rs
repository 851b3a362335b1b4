//! The input of a batch at a provider, written while it is sent: a page of lines is held at a time.

use super::super::courier::{Fault, Looked, Piece};
use super::super::task::Task;
use super::super::tries;
use super::ends::Said;
use super::stage::PAUSES;
use super::{Carried, Carries, Halt};
use serde::Serialize;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::sync::Arc;
use store::batches::Stretch;
use store::parcels::Told;
use tokio::sync::mpsc;

/// Lines read in one step.
const LINES_A_PAGE: u32 = 500;
/// About as many bytes of them; one line may have more.
const BYTES_A_PAGE: u64 = 1 << 20;
/// Pages that wait to be sent.
const PAGES_MAX: usize = 2;

/// Some of the lines that a parcel holds.
pub(super) struct Page {
    /// Those of this parcel.
    pub lines: Vec<Told>,
    /// After which the next page begins.
    pub last: u64,
}

/// A line of the provider's input.
#[derive(Serialize)]
struct Row<'a> {
    /// Our own number: whatever callers call their lines, these differ.
    custom_id: String,
    method: &'static str,
    url: &'a str,
    body: &'a RawValue,
}

impl Carries {
    /// Brings the lines to the provider; the file's name there, or `None` where none was left to bring: what is
    /// remembered or refused here has ended.
    pub(super) async fn pack(&self, carried: &Carried<'_>) -> Result<Result<Option<String>, Fault>, Halt> {
        let (pages, sent) = mpsc::channel(PAGES_MAX);
        let name = format!("{}.jsonl", carried.batch.id);
        let bring = async {
            // Gone with this, so that nobody waits to hand over what nobody takes.
            let mut sent = sent;
            // Nothing is begun before there is something to bring.
            let Some(Piece::Some(first)) = sent.recv().await else { return Ok::<_, Halt>(Ok(None)) };
            let (ahead, pieces) = mpsc::channel(PAGES_MAX);
            let pass_on = async {
                let mut next = Some(Piece::Some(first));
                while let Some(piece) = next {
                    if ahead.send(piece).await.is_err() {
                        break;
                    }
                    next = sent.recv().await;
                }
                drop(ahead);
            };
            let brought = async { self.courier.bring(&carried.notes.place, &name, pieces).await };
            let ((), brought) = tokio::join!(pass_on, brought);
            Ok(brought.map(Some))
        };
        let (write, brought) = tokio::join!(self.write_all(carried, pages), bring);
        write?;
        brought
    }

    /// Writes every line that is to be sent. Where the provider takes no more, that is said by whoever brings them.
    async fn write_all(&self, carried: &Carried<'_>, pages: mpsc::Sender<Piece>) -> Result<(), Halt> {
        let mut after = None;
        while let Some(page) = self.page(carried, after).await? {
            after = Some(page.last);
            let piece = self.write_page(carried, page).await?;
            if !piece.is_empty() && pages.send(Piece::Some(piece)).await.is_err() {
                return Ok(());
            }
        }
        let _ = pages.send(Piece::End).await;
        Ok(())
    }

    /// The lines of a page as they are sent; those that can be answered here are.
    async fn write_page(&self, carried: &Carried<'_>, page: Page) -> Result<Vec<u8>, Halt> {
        let (mut piece, mut said, mut put_off) = (Vec::new(), HashMap::new(), None);
        for (line, payload) in &page.lines {
            let Some(task) = Task::read(payload) else { continue };
            let question = task.question(carried.context.tenant());
            match self.courier.look(&carried.notes.place, question).await {
                // What is not the last word would be asked again, were the line asked by itself.
                Looked::Answered(answer) if tries::again(answer.status, None).is_some() => {
                    put_off = Some(answer.after.unwrap_or(PAUSES.0));
                    break;
                }
                Looked::Answered(answer) => drop(said.insert(*line, Said::Answered(answer))),
                Looked::Send(body) => write_row(&mut piece, *line, &task.head.endpoint, &body),
                Looked::Later => {
                    put_off = Some(PAUSES.0);
                    break;
                }
            }
        }
        // Before anything is put off: what was answered was asked for, and would be once more.
        if !said.is_empty() {
            self.settle(carried, &Arc::new(said)).await?;
        }
        match put_off {
            Some(after) => Err(Halt::Later(after)),
            None => Ok(piece),
        }
    }

    /// Some of the lines that the parcel holds; `None` after the last.
    pub(super) async fn page(&self, carried: &Carried<'_>, after: Option<u64>) -> Result<Option<Page>, Halt> {
        let stretch = Stretch { after, limit: LINES_A_PAGE, bytes: BYTES_A_PAGE };
        let held = self.rows.parcels.held(carried.shelf(), stretch).await?;
        let Some((last, _)) = held.last() else { return Ok(None) };
        let last = *last;
        let is_own = |told: &Told| Task::read(&told.1).is_some_and(|task| task.is_part_of(&carried.model));
        Ok(Some(Page { lines: held.into_iter().filter(is_own).collect(), last }))
    }
}

fn write_row(piece: &mut Vec<u8>, line: u64, url: &str, body: &[u8]) {
    // What cannot be read as JSON was refused here.
    let Ok(body) = serde_json::from_slice(body) else { return };
    let row = Row { custom_id: line.to_string(), method: "POST", url, body };
    // Nothing in it can fail to be written.
    let _ = serde_json::to_writer(&mut *piece, &row);
    piece.push(b'\n');
}
