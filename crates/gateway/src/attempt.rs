//! One try at one target: the call sent, the head of its answer judged, its body read or relayed. Who gets the
//! answer is not known here: one caller, or everyone on a flight.

use crate::alarm::{Alarm, Late};
use crate::ending::{Ending, Fault};
use crate::gateway::Shared;
use crate::judge::{self, Verdict};
use crate::plan::Target;
use crate::recorder::Record;
use crate::relay::{Patience, Relayed};
use crate::upstream::{Answer, Call};
use ::http::{HeaderMap, Response, StatusCode};
use bytes::Bytes;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use wire::failure::{Failure, Kind};
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

/// A try that failed before anything of an answer could be passed on.
#[derive(Debug)]
pub struct Broken {
    /// What went wrong, in the caller's words.
    pub failure: Failure,
    /// What that says of the provider.
    pub ending: Ending,
}

impl Broken {
    /// The fault is ours: nobody was asked, and to ask another would end the same.
    pub fn ours(failure: Failure) -> Self {
        Self { failure, ending: Ending::REFUSED }
    }

    /// There was nobody to be asked.
    pub fn nobody() -> Self {
        Self::ours(Failure::new(Kind::Internal, "No target could be asked."))
    }
}

impl From<Broken> for (Ending, Failure) {
    fn from(broken: Broken) -> Self {
        (broken.ending, broken.failure)
    }
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
    /// Asks the target and judges the head of its answer. `record` knows that the attempt has begun, and is
    /// told how it ended.
    ///
    /// # Errors
    /// Where there is none, or none that can be used.
    pub async fn send(
        &self,
        shared: &Shared,
        call: &Call,
        alarm: &mut Alarm,
        record: &mut Record,
    ) -> Result<Sent, Broken> {
        let upstream = &self.target.upstream;
        let due = if self.stream { self.patience.first_token_due() } else { self.patience.deadline };
        let sent = alarm.within(due, pin!(upstream.send(&shared.worker, call, due))).await;
        if let Ok(Ok(response)) = &sent {
            record.responded(response.status());
        }
        let (ending, failure) = match sent {
            Ok(Ok(response)) if response.status().is_success() => {
                match judge::media_type(&response, self.stream) {
                    None => return Ok(Sent::Answer(response)),
                    Some(what) => (Ending::of(Fault::Nonsense), judge::nonsense(upstream.name(), what)),
                }
            }
            Ok(Ok(response)) => {
                // Boxed, as it is large and seldom.
                let mut refused = Box::pin(judge::refused(upstream.settings(), response));
                match alarm.within(due, refused.as_mut()).await {
                    Ok(Verdict::PassOn(status, bytes)) => {
                        record.attempt_ends(&Ending::REFUSED, Instant::now());
                        return Ok(Sent::Refusal(status, bytes));
                    }
                    Ok(Verdict::Fail(failure, ending)) => (ending, failure),
                    Err(Late) => self.patience.overdue(upstream.name(), due).into(),
                }
            }
            Ok(Err(error)) => (Ending::unsent(&error), error.failure(upstream.name())),
            Err(Late) => self.patience.overdue(upstream.name(), due).into(),
        };
        record.attempt_ends(&ending, Instant::now());
        Err(Broken { failure, ending })
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
    ) -> Result<(HeaderMap, Relayed), Broken> {
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
    ) -> Result<Whole, Broken> {
        let (parts, answer) = answer.into_parts();
        let name = self.target.upstream.name();
        let collected =
            alarm.within(self.patience.deadline, pin!(answer.collect(judge::ANSWER_BYTES_MAX))).await;
        let (ending, failure) = match collected {
            Ok(Ok(body)) => match openai::Summary::of(&body) {
                Ok(summary) => {
                    let usage = summary.usage;
                    if let Some(usage) = &usage {
                        record.used(usage);
                    }
                    record.names_itself(|| summary.model());
                    record.attempt_ends(&Ending::GOOD, Instant::now());
                    return Ok(Whole { head: parts.headers, body, usage });
                }
                Err(fault) => {
                    let what = format!("what is not JSON: {fault}");
                    (Ending::of(Fault::Nonsense), judge::nonsense(name, &what))
                }
            },
            Ok(Err(error)) => (Ending::unsent(&error), error.failure(name)),
            Err(Late) => self.patience.overdue(name, self.patience.deadline).into(),
        };
        record.attempt_ends(&ending, Instant::now());
        Err(Broken { failure, ending })
    }
}
