//! What a batch keeps for itself beside its row: when it came to each state, and on whose behalf it is asked.

use serde::{Deserialize, Serialize};
use store::Time;
use store::batches::{Batch, BatchState};

/// What is kept with a batch, as JSON. Moments are seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "OpenAI's words")]
pub struct Notes {
    /// On behalf of which key its lines are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How long its outputs are there, in seconds.
    pub keep: u64,
    /// Its time was over before it was done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_late: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_progress_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finalizing_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelling_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelled_at: Option<i64>,
}

/// What is wrong with a batch as a whole: OpenAI's list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "OpenAI's words")]
pub struct Errors {
    pub object: String,
    pub data: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// One of few words.
    pub code: String,
    /// For people.
    pub message: String,
    /// Which field of the line.
    pub param: Option<String>,
    /// Which line of the file, from 1.
    pub line: Option<u64>,
}

impl Notes {
    /// What is kept with this batch; nothing where it cannot be read.
    #[must_use]
    pub fn of(batch: &Batch) -> Self {
        serde_json::from_slice(&batch.moments).unwrap_or_default()
    }

    pub(super) fn with_moment(mut self, state: BatchState, now: Time) -> Self {
        let moment = match state {
            BatchState::Validating => return self,
            BatchState::Failed => &mut self.failed_at,
            BatchState::InProgress => &mut self.in_progress_at,
            BatchState::Finalizing => &mut self.finalizing_at,
            BatchState::Completed => &mut self.completed_at,
            BatchState::Expired => &mut self.expired_at,
            BatchState::Cancelling => &mut self.cancelling_at,
            BatchState::Cancelled => &mut self.cancelled_at,
        };
        *moment = Some(now.0.div_euclid(1000));
        self
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Errors {
    /// A list of these.
    pub(super) fn of(data: Vec<Problem>) -> Self {
        Self { object: "list".to_owned(), data }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Problem {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), param: None, line: None }
    }

    pub(super) fn of_param(self, param: &str) -> Self {
        Self { param: Some(param.to_owned()), ..self }
    }

    pub(super) fn at_line(self, line: u64) -> Self {
        Self { line: Some(line), ..self }
    }
}
