//! What jobs of the kinds that callers may ask for hold: JSON, with the caller's own JSON in it as it was written.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A request to the data plane.
#[derive(Debug, Deserialize, Serialize)]
pub struct Call<'a> {
    /// On whose behalf: the public part of a key; `None`: of nobody in particular.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Cow<'a, str>>,
    /// What is asked for: `/v1/chat/completions`.
    #[serde(borrow)]
    pub path: Cow<'a, str>,
    /// What the caller's head said that holds for this as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The request's body.
    #[serde(borrow)]
    pub body: &'a RawValue,
    /// Who is told of the end.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Cow<'a, str>>,
    /// What the caller wants kept with it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<&'a RawValue>,
}

/// A call to an application.
#[derive(Debug, Deserialize, Serialize)]
pub struct Notice<'a> {
    /// Whom.
    #[serde(borrow)]
    pub url: Cow<'a, str>,
    /// What it is told.
    #[serde(borrow)]
    pub body: &'a RawValue,
    /// What the caller wants kept with it.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<&'a RawValue>,
}

/// What is shown of either, where it is there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Shown<'a> {
    /// See [`Call`].
    #[serde(borrow)]
    pub path: Option<Cow<'a, str>>,
    /// See [`Notice`].
    #[serde(borrow)]
    pub url: Option<Cow<'a, str>>,
    /// See [`Call`].
    #[serde(borrow)]
    pub webhook: Option<Cow<'a, str>>,
    /// See [`Call`].
    #[serde(borrow)]
    pub metadata: Option<&'a RawValue>,
}

impl<'a> Shown<'a> {
    /// What is shown of a payload; nothing of one that is none of ours.
    #[must_use]
    pub fn of(payload: &'a [u8]) -> Self {
        serde_json::from_slice(payload).unwrap_or_default()
    }
}
