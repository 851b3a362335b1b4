//! An answer that a provider has given in a batch of its own: nobody is asked, and what follows is as if somebody had
//! been, at the price of that; but for how long it took, which would say nothing.

use super::{Dispatch, Opened, Reached};
use crate::attempt::Whole;
use crate::judge;
use crate::recorder::Record;
use ::http::HeaderMap;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;
use wire::failure::Failure;
use wire::openai;

impl Dispatch<'_> {
    /// The answer as its plan's target's.
    ///
    /// # Errors
    /// Where it is no JSON object.
    pub(super) fn take(self, answer: &Bytes, record: &mut Record) -> Result<Reached, Failure> {
        let target = &self.inquiry.plan.target;
        let summary = openai::Summary::of(answer).map_err(|fault| {
            judge::nonsense(target.upstream.name(), &format!("what is not JSON: {fault}"))
        })?;
        record.given(target, Instant::now());
        if let Some(usage) = &summary.usage {
            record.used(usage);
        }
        record.names_itself(|| summary.model());
        let whole = Whole { head: HeaderMap::new(), body: answer.clone(), usage: summary.usage };
        Ok(Reached { target: Arc::clone(target), opened: Opened::Whole(whole) })
    }
}
