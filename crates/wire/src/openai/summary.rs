//! What a reply, or one chunk of a stream, says of itself: what it cost, and which model gave it.

use super::Usage;
use super::named::name;
use crate::json::{self, Value};
use std::borrow::Cow;

/// What a reply cost and which model gave it, from one reading.
#[derive(Clone, Copy, Debug)]
pub struct Summary<'a> {
    /// What it cost; `None` where it does not say.
    pub usage: Option<Usage>,
    model: Option<Value<'a>>,
}

impl<'a> Summary<'a> {
    /// Reads a reply.
    ///
    /// # Errors
    /// It is not a JSON object.
    pub fn of(body: &'a [u8]) -> Result<Self, json::Fault> {
        let [usage, model] = json::reply_members(body, ["usage", "model"])?;
        Ok(Self { usage: usage.and_then(Usage::read), model })
    }

    /// The model, as it names itself.
    #[must_use]
    pub fn model(&self) -> Option<Cow<'a, str>> {
        name(self.model?)
    }
}

/// Reads the `usage` of a reply. `None` where it has none.
///
/// # Errors
/// It is not a JSON object.
pub fn usage_of(body: &[u8]) -> Result<Option<Usage>, json::Fault> {
    Ok(Summary::of(body)?.usage)
}
