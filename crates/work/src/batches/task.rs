//! What the job of a line is told: the whole of the line, so that it needs neither the input, which its owner may
//! remove, nor the batch. A line is written twice for that, once in the input and once here, until it is answered.
//!
//! The body lies behind the rest as it was written, so that nobody reads or writes it as JSON on its way.

use super::files::line_id;
use super::{Question, line::Line};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use store::Time;
use store::batches::Batch;

/// All of a line but its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head<'a> {
    /// Of which batch.
    #[serde(borrow)]
    pub batch: Cow<'a, str>,
    /// Which request of it, from 0.
    pub line: u64,
    #[serde(borrow)]
    pub custom_id: Cow<'a, str>,
    #[serde(borrow)]
    pub endpoint: Cow<'a, str>,
    /// On behalf of which key.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Cow<'a, str>>,
    /// Of no use any more after; milliseconds since 1970.
    pub expires: i64,
    /// What it asks, where it is part of the parcel of that name.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Cow<'a, str>>,
}

/// A line as its job has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task<'a> {
    pub head: Head<'a>,
    pub body: &'a [u8],
}

impl<'a> Task<'a> {
    /// Reads a payload; `None` where it is none of ours.
    pub fn read(payload: &'a [u8]) -> Option<Self> {
        let feed = memchr::memchr(b'\n', payload)?;
        Some(Self { head: serde_json::from_slice(&payload[..feed]).ok()?, body: &payload[feed + 1..] })
    }

    /// Whether it is part of the parcel with lines that ask `model`.
    pub fn is_part_of(&self, model: &str) -> bool {
        self.head.model.as_deref() == Some(model)
    }

    pub fn expires(&self) -> Time {
        Time(self.head.expires)
    }

    pub fn question(&self, tenant: &str) -> Question {
        let Head { batch, line, custom_id, endpoint, key, expires, .. } = &self.head;
        Question {
            tenant: tenant.to_owned(),
            key: key.as_deref().map(str::to_owned),
            endpoint: endpoint.clone().into_owned(),
            custom_id: custom_id.clone().into_owned(),
            id: line_id(batch, *line),
            body: self.body.to_vec(),
            deadline: Time(*expires),
        }
    }
}

/// The payload of a line's job. `model`: the parcel that it is part of, if it is.
pub(super) fn payload(
    batch: &Batch,
    key: Option<&str>,
    number: u64,
    line: &Line<'_>,
    model: Option<&str>,
) -> Vec<u8> {
    let head = Head {
        batch: Cow::Borrowed(&batch.id),
        line: number,
        custom_id: Cow::Borrowed(&line.custom_id),
        endpoint: Cow::Borrowed(&batch.endpoint),
        key: key.map(Cow::Borrowed),
        expires: batch.expires.0,
        model: model.map(Cow::Borrowed),
    };
    let body = line.body.get().as_bytes();
    let mut payload = Vec::with_capacity(body.len() + 256);
    // Nothing in it can fail to be written.
    let _ = serde_json::to_writer(&mut payload, &head);
    payload.push(b'\n');
    payload.extend_from_slice(body);
    payload
}
