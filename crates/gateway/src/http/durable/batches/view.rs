//! A batch as it is shown, in OpenAI's words.

use crate::durable::api::{batch_state_name, seconds};
use serde::Serialize;
use serde_json::value::RawValue;
use store::batches::Batch;
use work::batches::Notes;

/// A batch. Moments are seconds since 1970.
#[derive(Serialize)]
pub(super) struct View<'a> {
    id: &'a str,
    object: &'static str,
    endpoint: &'a str,
    errors: Option<&'a RawValue>,
    input_file_id: &'a str,
    completion_window: String,
    status: &'static str,
    output_file_id: Option<&'a str>,
    error_file_id: Option<&'a str>,
    created_at: i64,
    in_progress_at: Option<i64>,
    expires_at: i64,
    finalizing_at: Option<i64>,
    completed_at: Option<i64>,
    failed_at: Option<i64>,
    expired_at: Option<i64>,
    cancelling_at: Option<i64>,
    cancelled_at: Option<i64>,
    request_counts: Counts,
    metadata: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Counts {
    total: u64,
    completed: u64,
    failed: u64,
}

impl<'a> View<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let notes = Notes::of(batch);
        Self {
            id: &batch.id,
            object: "batch",
            endpoint: &batch.endpoint,
            errors: json(batch.errors.as_deref()),
            input_file_id: &batch.input_file,
            completion_window: window(batch),
            status: batch_state_name(batch.state),
            output_file_id: batch.output_file.as_deref(),
            error_file_id: batch.error_file.as_deref(),
            created_at: seconds(batch.created),
            in_progress_at: notes.in_progress_at,
            expires_at: seconds(batch.expires),
            finalizing_at: notes.finalizing_at,
            completed_at: notes.completed_at,
            failed_at: notes.failed_at,
            expired_at: notes.expired_at,
            cancelling_at: notes.cancelling_at,
            cancelled_at: notes.cancelled_at,
            request_counts: Counts { total: batch.total, completed: batch.completed, failed: batch.failed },
            metadata: json(batch.metadata.as_deref()),
        }
    }
}

/// As it was asked for: `24h`, or in the largest unit that leaves nothing over.
fn window(batch: &Batch) -> String {
    let seconds = batch.expires.since(batch.created).as_secs();
    match seconds {
        _ if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

fn json(bytes: Option<&[u8]>) -> Option<&RawValue> {
    serde_json::from_slice(bytes?).ok()
}
