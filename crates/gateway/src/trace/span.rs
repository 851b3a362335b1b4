//! Spans as plain values: what OpenTelemetry's data model knows of them, as far as it is used here. Their texts are
//! borrowed from what they tell of.

use super::context::Context;
use super::tree::Alike;
use std::borrow::Cow;
use std::time::Duration;

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span<'a> {
    /// The trace it is of.
    pub trace_id: u128,
    /// Its own id.
    pub span_id: u64,
    /// The span above it; 0: there is none.
    pub parent: u64,
    /// Whether that one is another process's.
    pub parent_is_remote: bool,
    /// The trace's flags.
    pub flags: u8,
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    /// When it ended.
    pub ended: u64,
    /// What it says that many others say alike: its name, its kind and some of its attributes.
    pub alike: Alike<'a>,
    /// What else is known of it. Each key is said once, be it here or there.
    pub attributes: Attributes<'a>,
    /// Whether it failed.
    pub failed: bool,
}

/// Which side of a call a span is; the numbers are OTLP's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No call's: a step within the process.
    Internal = 1,
    /// Of whoever is called.
    Server = 2,
    /// Of whoever calls.
    Client = 3,
}

/// What is said, each key once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes<'a>(Vec<Attribute<'a>>);

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute<'a> {
    /// The key, as the semantic conventions have it; our own begin with `tidegate.`.
    pub key: &'a str,
    /// The value.
    pub value: Value<'a>,
}

/// What an attribute may be.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Text.
    Text(Cow<'a, str>),
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Any other.
    Number(f64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }
}

impl From<bool> for Value<'_> {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl<'a> Span<'a> {
    /// A span of the trace that `context` is of, beneath its own, without a word on when it was.
    pub(super) fn beneath(context: &Context, alike: Alike<'a>) -> Self {
        Self {
            trace_id: context.trace_id,
            span_id: 0,
            parent: context.span_id,
            parent_is_remote: false,
            flags: context.flags,
            began: 0,
            ended: 0,
            alike,
            attributes: Attributes::default(),
            failed: false,
        }
    }

    /// From `began` to `ended`, both counted from `start`, in nanoseconds since 1970.
    pub(super) fn lasting(mut self, start: u64, began: Duration, ended: Duration) -> Self {
        let at = |after: Duration| start.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX));
        self.began = at(began);
        self.ended = at(ended.max(began));
        self
    }
}

impl<'a> Attributes<'a> {
    /// None, and room for so many.
    pub(super) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Attribute<'a>> {
        self.0.iter()
    }

    /// Says what is known.
    pub(super) fn say(&mut self, key: &'static str, value: impl Into<Value<'a>>) {
        self.0.push(Attribute { key, value: value.into() });
    }

    /// Says it where it is known.
    pub(super) fn say_if<V: Into<Value<'a>>>(&mut self, key: &'static str, value: Option<V>) {
        if let Some(value) = value {
            self.say(key, value);
        }
    }
}
