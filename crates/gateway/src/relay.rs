//! A provider's stream on its way to the caller: watched for its first token, its usage and its
//! end, timed, and closed with an error event where it breaks off. The protocol itself is
//! [`wire::openai::Relay`]; this is the part that has a clock and a connection.
//!
//! It pulls: nothing is read from the provider before the caller's connection has room, which is
//! all the back-pressure there is. Dropping it ends the provider's call.

use crate::alarm::Alarm;
use crate::attempt::Broken;
use crate::config::ProviderTimeouts;
use crate::ending::{Ending, Fault};
use crate::judge;
use crate::observe::tray::Batch;
use crate::recorder::Record;
use crate::upstream::Answer;
use bytes::Bytes;
use measure::metrics::Outcome;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;
use wire::failure::{Failure, Kind};
use wire::openai::{self, Observed, Relay};

/// How long an answer may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// When the attempt began.
    pub began: Instant,
    /// When the whole must have ended.
    pub deadline: Instant,
    /// Whether that is the caller's own deadline, and before the provider's.
    hurried: bool,
    first_token: Duration,
    between_tokens: Duration,
}

impl Patience {
    /// The provider's time-outs for a request that arrived at `arrived` and is sent at `now`;
    /// `own` is the caller's, which can only shorten them.
    pub fn new(timeouts: &ProviderTimeouts, own: Option<Duration>, arrived: Instant, now: Instant) -> Self {
        Self {
            began: now,
            deadline: arrived + own.map_or(timeouts.total, |own| own.min(timeouts.total)),
            hurried: own.is_some_and(|own| own < timeouts.total),
            first_token: timeouts.first_token,
            between_tokens: timeouts.between_tokens,
        }
    }

    /// When a stream's first token must be here.
    pub fn first_token_due(&self) -> Instant {
        self.deadline.min(self.began + self.first_token)
    }

    /// What it says of `provider` that nothing came until `due`. A caller's hurry says nothing: or else whoever asks
    /// for an answer within moments would take the provider from everybody.
    pub fn overdue(&self, provider: &str, due: Instant) -> Broken {
        match self.hurried && due >= self.deadline {
            true => Broken { failure: judge::hurried(), ending: Ending::CANCELLED },
            false => Broken { failure: judge::late(provider), ending: Ending::of(Fault::Timeout) },
        }
    }
}

/// A stream being relayed. The request's record is handed in with each call: it belongs to the
/// body that this stream becomes.
pub struct Relayed {
    provider: Box<str>,
    tasks: TaskTracker,
    answer: Option<Answer>,
    relay: Relay,
    patience: Patience,
    alarm: Alarm,
    /// The last frame that was more than a comment, once there was a token.
    progress: Instant,
    /// Frames seen at `progress`.
    frames: u64,
    content: bool,
    /// Output that was held until the head of the answer could be sent.
    first: Option<Bytes>,
    /// Times between pieces of output that nobody has been told of yet.
    gaps: Batch,
}

impl Relayed {
    /// Relays `answer`.
    pub fn new(
        provider: &str,
        tasks: &TaskTracker,
        answer: Answer,
        relay: Relay,
        patience: Patience,
        alarm: Alarm,
    ) -> Self {
        Self {
            provider: provider.into(),
            tasks: tasks.clone(),
            answer: Some(answer),
            relay,
            patience,
            alarm,
            progress: patience.began,
            frames: 0,
            content: false,
            first: None,
            gaps: Batch::default(),
        }
    }

    /// Waits for the first output, so that a stream that fails before it can still be answered with
    /// a status.
    ///
    /// # Errors
    /// What it failed of.
    pub async fn prime(&mut self, record: &mut Record) -> Result<(), Broken> {
        let first = std::future::poll_fn(|cx| self.poll_output(cx, record)).await?;
        record.names_itself(|| openai::model_of_frame(&first));
        self.first = Some(first);
        Ok(())
    }

    /// The next bytes; `None` at a good end. For one who waits without a body of its own.
    ///
    /// # Errors
    /// What it failed of.
    pub async fn next(&mut self, record: &mut Record) -> Result<Option<Bytes>, Failure> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let bytes = std::future::poll_fn(|cx| self.poll_output(cx, record)).await;
        let bytes = bytes.map_err(|broken| broken.failure)?;
        Ok((!bytes.is_empty()).then_some(bytes))
    }

    /// What was seen in passing.
    pub fn observed(&self) -> &Observed {
        self.relay.observed()
    }

    /// The usage chunk, where the relay keeps it apart.
    pub fn take_usage_frame(&mut self) -> Option<Bytes> {
        self.relay.take_usage_frame()
    }

    /// Whether nothing more will come.
    pub fn is_end(&self) -> bool {
        self.answer.is_none() && self.first.is_none()
    }

    /// The next bytes for the caller; `None` at the end. A failure becomes an error event, which is
    /// the last thing sent.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, record: &mut Record) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.answer.is_none() {
            return Poll::Ready(None);
        }
        match ready!(self.poll_output(cx, record)) {
            Ok(bytes) if bytes.is_empty() => Poll::Ready(None),
            Ok(bytes) => Poll::Ready(Some(bytes)),
            Err(Broken { failure, .. }) => {
                crate::http::error::log(&failure, Some(record.id()));
                record.fail(&failure, Instant::now());
                Poll::Ready(Some(wire::openai::error_event(&failure)))
            }
        }
    }

    /// The next output that is not empty, or empty at a good end.
    fn poll_output(&mut self, cx: &mut Context<'_>, record: &mut Record) -> Poll<Result<Bytes, Broken>> {
        loop {
            let Some(answer) = &mut self.answer else { return Poll::Ready(Ok(Bytes::new())) };
            if self.relay.ended() {
                return Poll::Ready(self.ended(cx, record));
            }
            match answer.poll_chunk(cx) {
                Poll::Pending => return self.poll_alarm(cx, record).map(Err),
                Poll::Ready(Some(Ok(chunk))) => match self.relay.push(chunk) {
                    Ok(output) => {
                        self.observe(record);
                        let last = self.relay.observed().done || self.relay.observed().error;
                        if last && let Err(broken) = self.ended(cx, record) {
                            return Poll::Ready(Err(broken));
                        }
                        if !output.is_empty() {
                            return Poll::Ready(Ok(output));
                        }
                    }
                    Err(failure) => {
                        return Poll::Ready(Err(self.broken(record, Ending::of(Fault::Nonsense), failure)));
                    }
                },
                Poll::Ready(Some(Err(error))) => {
                    let failure = error.failure(&self.provider);
                    return Poll::Ready(Err(self.broken(record, Ending::unsent(&error), failure)));
                }
                Poll::Ready(None) => return Poll::Ready(self.ended(cx, record)),
            }
        }
    }

    /// Notes what the frames that just passed have shown.
    fn observe(&mut self, record: &mut Record) {
        let observed = self.relay.observed();
        if observed.frames == self.frames {
            return;
        }
        self.frames = observed.frames;
        let content = observed.content;
        let now = Instant::now();
        let gap = now.saturating_duration_since(std::mem::replace(&mut self.progress, now));
        if self.content {
            if self.gaps.add(gap) {
                self.tell_gaps(record);
            }
        } else if content {
            self.content = true;
            record.first_token(now);
        }
    }

    /// Tells of the times between pieces of output. Those that are left where a caller leaves are not told.
    fn tell_gaps(&mut self, record: &Record) {
        let gaps = std::mem::take(&mut self.gaps);
        if !gaps.times().is_empty() {
            record.between_tokens(gaps);
        }
    }

    /// The provider's stream is over. Gives the bytes still to be sent.
    fn ended(&mut self, cx: &mut Context<'_>, record: &mut Record) -> Result<Bytes, Broken> {
        let tail = match self.relay.finish() {
            Ok(tail) => tail,
            Err(failure) => return Err(self.broken(record, Ending::of(Fault::Cut), failure)),
        };
        if let Some(answer) = self.answer.take() {
            answer.settle(cx, &self.tasks);
        }
        self.tell_gaps(record);
        let observed = self.relay.observed();
        if let Some(usage) = &observed.usage {
            record.used(usage);
        }
        let (ending, outcome) = match observed.error {
            true => (Ending::of(Fault::Status), Outcome::ProviderError),
            false => (Ending::GOOD, Outcome::Ok),
        };
        let now = Instant::now();
        record.attempt_ends(&ending, now);
        record.end(outcome, now);
        Ok(tail)
    }

    /// Ends the provider's call and the attempt; the record stays open for whoever answers.
    fn broken(&mut self, record: &mut Record, ending: Ending, failure: Failure) -> Broken {
        self.answer = None;
        self.tell_gaps(record);
        if let Some(usage) = &self.relay.observed().usage {
            record.used(usage);
        }
        record.attempt_ends(&ending, Instant::now());
        Broken { failure, ending }
    }

    /// Ready where time is up.
    fn poll_alarm(&mut self, cx: &mut Context<'_>, record: &mut Record) -> Poll<Broken> {
        // What comes before the first token does not count, or a provider could keep a caller waiting for it
        // with frames that say nothing.
        let (since, limit) = match self.content {
            true => (self.progress, self.patience.between_tokens),
            false => (self.patience.began, self.patience.first_token),
        };
        let due = (since + limit).min(self.patience.deadline);
        ready!(self.alarm.poll_due(cx, due));
        let Broken { failure, ending } = match due >= self.patience.deadline {
            true => self.patience.overdue(&self.provider, due),
            false => self.silent(limit),
        };
        Poll::Ready(self.broken(record, ending, failure))
    }

    /// Nothing, or no token, came for so long.
    fn silent(&self, limit: Duration) -> Broken {
        let (provider, seconds) = (&self.provider, limit.as_secs_f32());
        let public = match self.content {
            true => format!("The provider '{provider}' sent nothing for {seconds} s."),
            false => format!("The provider '{provider}' sent no token within {seconds} s."),
        };
        let failure = Failure::new(Kind::ProviderTimeout, public).with_code("provider_timeout");
        Broken { failure, ending: Ending::of(Fault::Timeout) }
    }
}
