//! Files and batches as they are shown.

use super::{Batch, File};
use crate::sim::reply::YEAR_START_S;
use bytes::Bytes;
use serde_json::{Value, json};

/// A day, in seconds.
const DAY_S: u64 = 86_400;

/// A file.
pub(super) fn file(file: &File) -> Bytes {
    written(&json!({
        "id": file.id, "object": "file", "bytes": file.bytes.len(), "created_at": YEAR_START_S + file.number,
        "filename": file.name, "purpose": file.purpose, "status": "processed",
    }))
}

/// A batch as it stands now.
pub(super) fn batch(batch: &Batch) -> Bytes {
    written(&value(batch))
}

/// The same, to be put in a list.
pub(super) fn value(batch: &Batch) -> Value {
    let at = YEAR_START_S + batch.number;
    let status = match batch {
        Batch { faults, .. } if !faults.is_empty() => "failed",
        Batch { cancelled: Some(_), .. } => "cancelled",
        batch if batch.is_over() => "completed",
        _ => "in_progress",
    };
    let [completed, failed] = [true, false].map(|good| batch.done(good).count());
    let of = |there: bool, good| (there && batch.is_over()).then(|| batch.file(good));
    let ended = |name: &str| (status == name).then_some(at + batch.elapsed().as_secs());
    let errors = match batch.faults.is_empty() {
        true => Value::Null,
        false => json!({"object": "list", "data": batch.faults}),
    };
    json!({
        "id": batch.id, "object": "batch", "endpoint": batch.endpoint, "errors": errors,
        "input_file_id": batch.input, "completion_window": batch.window, "status": status,
        "output_file_id": of(completed > 0, true), "error_file_id": of(failed > 0, false),
        "created_at": at, "in_progress_at": at, "expires_at": at + DAY_S, "finalizing_at": null,
        "completed_at": ended("completed"), "failed_at": ended("failed"), "expired_at": null,
        "cancelling_at": ended("cancelled"), "cancelled_at": ended("cancelled"),
        "request_counts": {"total": batch.lines.len(), "completed": completed, "failed": failed},
        "metadata": batch.metadata,
    })
}

/// As it goes out.
pub(super) fn written(value: &Value) -> Bytes {
    value.to_string().into()
}
