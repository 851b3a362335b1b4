//! One try at one target: the call sent, the head of its answer judged, its body read or relayed. Who gets the
//! answer is not known here: one caller, or everyone on a flight.

use crate::alarm::{Alarm, Late};
use crate::gateway::Shared;
use crate::judge::{self, Verdict};
use crate::plan::Target;
use crate::recorder::Record;
use crate::relay::{Patience, Relayed};
use crate::upstream::{Answer, Call};
use ::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use measure::metrics::AttemptResult;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use wire::failure::Failure;
use wire::openai::{self, Relay, RelayOptions, Usage};

/// One try.
pub struct Attempt {
    /// Who is asked.
    pub target: Arc<Target>,
    /// Whether a stream is wanted.
    pub stream: bool,
    /// How a stream is relayed.
    pub relay: RelayOptions,
    /// How long it may take.
    pub patience: Patience,
}

/// What a provider answered, once its head is judged.
pub enum Sent {
    /// A success, its body still to come.
    Answer(Response<Answer>),
    /// A fault of the request, in the provider's own words.
    Refusal(StatusCode, Bytes),
}

/// A whole answer.
pub struct Whole {
    /// The provider's own head.
    pub head: HeaderMap,
    /// The answer, known to be a JSON object.
    pub body: Bytes,
    /// What it cost.
    pub usage: Option<Usage>,
}

impl Attempt {
    /// Asks the target and judges the head of its answer.
    ///
    /// # Errors
    /// What went wrong, in the caller's words.
    pub async fn send(
        &self,
        shared: &Shared,
        call: Call,
        alarm: &mut Alarm,
        record: &mut Record,
    ) -> Result<Sent, Failure> {
        let upstream = &self.target.upstream;
        let due = if self.stream { self.patience.first_token_due() } else { self.patience.deadline };
        record.attempt_begins(self.patience.began);
        let sent = alarm.within(due, pin!(upstream.send(&shared.worker, call))).await;
        let (result, failure) = match sent {
            Ok(Ok(response)) if response.status().is_success() => {
                match judge::media_type(&response, self.stream) {
                    None => return Ok(Sent::Answer(response)),
                    Some(what) => (AttemptResult::Failed, judge::nonsense(upstream.name(), what)),
                }
            }
            Ok(Ok(response)) => {
                let result = judge::result(response.status());
                // Boxed, as it is large and seldom.
                let mut refused = Box::pin(judge::refused(upstream.settings(), response));
                match alarm.within(due, refused.as_mut()).await {
                    Ok(Verdict::PassOn(status, bytes)) => {
                        record.attempt_ends(result, Instant::now());
                        return Ok(Sent::Refusal(status, bytes));
                    }
                    Ok(Verdict::Fail(failure)) => (result, failure),
                    Err(Late) => (AttemptResult::TimedOut, judge::late(upstream.name())),
                }
            }
            Ok(Err(error)) => (judge::unsent(&error), error.failure(upstream.name())),
            Err(Late) => (AttemptResult::TimedOut, judge::late(upstream.name())),
        };
        record.attempt_ends(result, Instant::now());
        Err(failure)
    }

    /// The answer as a stream, once its first frame is here: what fails before that still has a status.
    ///
    /// # Errors
    /// What it failed of.
    pub async fn stream(
        &self,
        shared: &Shared,
        answer: Response<Answer>,
        alarm: Alarm,
        record: &mut Record,
    ) -> Result<(HeaderMap, Relayed), Failure> {
        let (parts, answer) = answer.into_parts();
        let name = self.target.upstream.name();
        let tasks = &shared.worker.background;
        let mut stream = Relayed::new(name, tasks, answer, Relay::new(self.relay), self.patience, alarm);
        stream.prime(record).await?;
        Ok((parts.headers, stream))
    }

    /// The whole answer: read to its end and checked before a byte of it is sent, so that a broken one is a
    /// 502 and not half a 200.
    ///
    /// # Errors
    /// What it failed of.
    pub async fn whole(
        &self,
        answer: Response<Answer>,
        alarm: &mut Alarm,
        record: &mut Record,
    ) -> Result<Whole, Failure> {
        let (parts, answer) = answer.into_parts();
        let name = self.target.upstream.name();
        let collected =
            alarm.within(self.patience.deadline, pin!(answer.collect(judge::ANSWER_BYTES_MAX))).await;
        let (result, failure) = match collected {
            Ok(Ok(body)) => match openai::usage_of(&body) {
                Ok(usage) => {
                    if let Some(usage) = &usage {
                        record.used(usage);
                    }
                    record.attempt_ends(AttemptResult::Ok, Instant::now());
                    return Ok(Whole { head: parts.headers, body, usage });
                }
                Err(fault) => {
                    (AttemptResult::Failed, judge::nonsense(name, &format!("what is not JSON: {fault}")))
                }
            },
            Ok(Err(error)) => (judge::unsent(&error), error.failure(name)),
            Err(Late) => (AttemptResult::TimedOut, judge::late(name)),
        };
        record.attempt_ends(result, Instant::now());
        Err(failure)
    }
}
