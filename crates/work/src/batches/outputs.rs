//! What came of a batch, as files: views of its lines, read in order, a little at a time.

use super::files::file_of;
use super::notes::Notes;
use super::{KEPT, Rows};
use std::sync::Arc;
use std::time::Duration;
use store::batches::{Batch, BatchChange, Batches, Stretch};
use store::files::File;
use store::{Result, Time};

/// Lines read in one step.
const LINES_A_STEP: u32 = 1000;
/// About as many bytes of them; one line may have more.
const BYTES_A_STEP: u64 = 256 << 10;

/// The good or the bad lines of a batch, to be read piece by piece.
pub struct Lines {
    batches: Arc<dyn Batches>,
    batch: String,
    good: bool,
    after: Option<u64>,
}

impl Lines {
    pub(super) fn new(batches: Arc<dyn Batches>, batch: &str, good: bool) -> Self {
        Self { batches, batch: batch.to_owned(), good, after: None }
    }

    /// Some whole lines, each with its line feed; `None` after the last.
    ///
    /// # Errors
    /// Where the store does not answer; the same lines may be asked for again.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        let Self { batches, batch, good, after } = self;
        let stretch = Stretch { after: *after, limit: LINES_A_STEP, bytes: BYTES_A_STEP };
        let lines = batches.lines(batch, *good, stretch).await?;
        let Some(last) = lines.last() else { return Ok(None) };
        *after = Some(last.line);
        let mut piece = Vec::with_capacity(lines.iter().map(|line| line.text.len() + 1).sum());
        for line in &lines {
            piece.extend_from_slice(&line.text);
            piece.push(b'\n');
        }
        Ok(Some(piece))
    }
}

/// The files that a batch ends in; those that would be empty are not there.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    output: Option<String>,
    errors: Option<String>,
}

impl Files {
    pub fn named_in(self, change: BatchChange) -> BatchChange {
        BatchChange { output_file: self.output, error_file: self.errors, ..change }
    }
}

/// Makes the lines of a batch that is at its end be found as files. Done twice, it changes nothing.
pub(super) async fn publish(rows: &Rows, batch: &Batch, now: Time) -> Result<Files> {
    let output = if batch.completed > 0 { Some(publish_one(rows, batch, true, now).await?) } else { None };
    let errors = if batch.failed > 0 { Some(publish_one(rows, batch, false, now).await?) } else { None };
    Ok(Files { output, errors })
}

async fn publish_one(rows: &Rows, batch: &Batch, good: bool, now: Time) -> Result<String> {
    let (mut lines, mut bytes) = (Lines::new(Arc::clone(&rows.batches), &batch.id, good), 0);
    while let Some(piece) = lines.piece().await? {
        bytes += piece.len() as u64;
    }
    let id = file_of(&batch.id, good);
    let file = File {
        id: id.clone(),
        tenant: batch.tenant.clone(),
        purpose: "batch_output".to_owned(),
        name: format!("{}_{}.jsonl", batch.id, if good { "output" } else { "error" }),
        bytes,
        created: now,
        expires: Some(now.after(Duration::from_secs(Notes::of(batch).keep).min(KEPT))),
    };
    rows.files.close(file).await?;
    Ok(id)
}
