//! What a record is told for its request's trace alone, where traces are recorded at all.

use super::Record;
use crate::trace::Carried;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::borrow::Cow;

impl Record {
    /// The `traceparent` for the try under way, where the request is recorded.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        let asking = self.account.trail.asking()?;
        self.traced.as_ref()?.traceparent(asking.span_id)
    }

    /// What of the caller's trace goes on to whoever is asked.
    pub fn carried(&self, headers: &HeaderMap) -> Carried {
        match &self.traced {
            // The head was looked through for a trace at the beginning, and has none.
            Some(traced) if traced.begins_here() => Carried::default(),
            _ => Carried::of(headers),
        }
    }

    /// The provider's answer has this status.
    pub fn responded(&mut self, status: StatusCode) {
        self.account.trail.responded(status.as_u16());
    }

    /// The model names itself, perhaps; asked only of what is recorded.
    pub fn names_itself<'m>(&mut self, model: impl FnOnce() -> Option<Cow<'m, str>>) {
        if let Some(traced) = &mut self.traced {
            traced.names_itself(model);
        }
    }

    /// The caller is about to read who answered.
    pub fn answered_by(&mut self, target: &HeaderValue) {
        if let Some(traced) = &mut self.traced {
            traced.target = Some(target.clone());
        }
    }

    /// Hands over its trace, where that is to be kept. It is over.
    pub(super) fn hand_over_trace(&mut self) {
        if let Some(traced) = &self.traced {
            traced.end(&self.account);
            self.traced = None;
        }
    }
}
