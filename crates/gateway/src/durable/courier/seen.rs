//! What a provider says of its files and batches, as far as it concerns us.

use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use work::batches::{Mark, Remote, RemoteState};

/// What has a name.
#[derive(Deserialize)]
pub(super) struct Named {
    pub(super) id: String,
}

/// A page of batches.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) data: Vec<Seen>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// A batch.
#[derive(Deserialize)]
pub(super) struct Seen {
    pub(super) id: String,
    status: String,
    #[serde(default)]
    output_file_id: Option<String>,
    #[serde(default)]
    error_file_id: Option<String>,
    #[serde(default)]
    errors: Option<Value>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, Value>>,
}

/// A mark as a batch's metadata has it: texts alone.
pub(super) fn metadata(mark: &Mark) -> Value {
    json!({
        "tidegate_batch": mark.batch,
        "tidegate_model": mark.model,
        "tidegate_attempt": mark.attempt.to_string(),
    })
}

impl Seen {
    /// Whether it was created with this mark.
    pub(super) fn has(&self, mark: &Mark) -> bool {
        let Value::Object(expected) = metadata(mark) else { return false };
        let found = self.metadata.as_ref();
        found.is_some_and(|found| expected.iter().all(|(name, value)| found.get(name) == Some(value)))
    }

    pub(super) fn into_remote(self) -> Remote {
        let state = match self.status.as_str() {
            "failed" => RemoteState::Failed,
            "completed" | "expired" | "cancelled" => RemoteState::Over,
            // Validating, in progress, finalizing, cancelling, and what nobody has thought of yet.
            _ => RemoteState::Running,
        };
        let files = [self.output_file_id, self.error_file_id];
        let files = files.into_iter().flatten().filter(|file| !file.is_empty()).collect();
        let why = self.errors.as_ref().and_then(|errors| errors["data"][0]["message"].as_str());
        Remote { id: self.id, state, files, why: why.map(str::to_owned) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Seen, metadata};
    use serde_json::{Value, json};
    use work::batches::{Mark, RemoteState};

    fn seen(status: &str, more: &Value) -> Seen {
        let mut batch = json!({"id": "batch_1", "status": status});
        batch.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(batch).unwrap()
    }

    #[test]
    fn a_batch_runs_fails_or_is_over() {
        use RemoteState::{Failed, Over, Running};
        for (status, expected) in [
            ("validating", Running),
            ("in_progress", Running),
            ("finalizing", Running),
            ("cancelling", Running),
            ("completed", Over),
            ("expired", Over),
            ("cancelled", Over),
            ("failed", Failed),
        ] {
            assert_eq!(seen(status, &json!({})).into_remote().state, expected, "{status}");
        }
        let files = json!({"output_file_id": "file-1", "error_file_id": null, "errors": {"data": [{"message": "x"}]}});
        let remote = seen("failed", &files).into_remote();
        assert_eq!((remote.files, remote.why.as_deref()), (vec!["file-1".to_owned()], Some("x")));
    }

    #[test]
    fn a_batch_is_found_by_all_of_its_mark() {
        let mark = |attempt| Mark { batch: "batch_x".to_owned(), model: "smart".to_owned(), attempt };
        let ours = seen("in_progress", &json!({"metadata": metadata(&mark(2))}));
        assert!(ours.has(&mark(2)) && !ours.has(&mark(1)));
        assert!(!seen("in_progress", &json!({"metadata": null})).has(&mark(2)));
    }
}
