//! A caller's seat on a flight: the answer's stream as this caller gets it.

use super::part::{Broken, Part, Spent};
use super::replay::DONE;
use crate::alarm::Alarm;
use crate::judge;
use crate::recorder::Record;
use bytes::Bytes;
use guard::flight::{Seat, SeatError};
use measure::metrics::{AttemptResult, Outcome};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use wire::failure::{Failure, Kind};

/// A seat, and how long its caller waits.
pub struct Ride {
    seat: Seat<Part, Broken>,
    usage_to_caller: bool,
    /// Whether the answer is fetched on this caller's account.
    pays: bool,
    alarm: Alarm,
    /// When the whole must have ended, if the caller says so.
    deadline: Option<Instant>,
    over: bool,
}

/// Why a seat brought no answer.
pub enum Lost {
    /// The answer failed.
    Failed(Broken),
    /// The flight is gone without a word: whoever flew it fell over, or this seat lagged. Another try
    /// may do better.
    Gone,
}

impl Ride {
    /// Takes a seat.
    pub fn new(
        seat: Seat<Part, Broken>,
        usage_to_caller: bool,
        pays: bool,
        alarm: Alarm,
        deadline: Option<Instant>,
    ) -> Self {
        Self { seat, usage_to_caller, pays, alarm, deadline, over: false }
    }

    /// Gives the alarm back, as for another try.
    pub fn leave(self) -> Alarm {
        self.alarm
    }

    /// The first part, which decides the head of the answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn first(&mut self) -> Result<Part, Lost> {
        let next = match self.deadline {
            Some(due) => self.alarm.within(due, pin!(self.seat.next())).await,
            None => Ok(self.seat.next().await),
        };
        match next {
            Ok(Some(Ok(part))) => Ok(part),
            Ok(Some(Err(SeatError::Failed(broken)))) => Err(Lost::Failed(broken)),
            Ok(None | Some(Err(SeatError::Lost | SeatError::Expelled))) => Err(Lost::Gone),
            Err(_) => Err(Lost::Failed(Broken { failure: judge::hurried(), trail: None })),
        }
    }

    /// Whether nothing more will come.
    pub fn is_end(&self) -> bool {
        self.over
    }

    /// The next bytes of a stream; `None` at its end. A failure becomes an error event, which is the last
    /// thing sent.
    pub fn poll_next(&mut self, cx: &mut Context<'_>, record: &mut Record) -> Poll<Option<Bytes>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            let part = match self.seat.poll_next(cx) {
                Poll::Ready(part) => part,
                Poll::Pending => {
                    let Some(due) = self.deadline else { return Poll::Pending };
                    ready!(self.alarm.poll_due(cx, due));
                    return Poll::Ready(Some(self.fail(&judge::hurried(), record)));
                }
            };
            match part {
                Some(Ok(Part::Frames(bytes, has_tokens))) => {
                    if has_tokens {
                        record.first_token_of_others();
                    }
                    return Poll::Ready(Some(bytes));
                }
                Some(Ok(Part::Usage(bytes))) if self.usage_to_caller => return Poll::Ready(Some(bytes)),
                Some(Ok(Part::Done(spent))) => {
                    self.charge(spent.as_ref(), record);
                    self.end(AttemptResult::Ok, Outcome::Ok, record);
                    return Poll::Ready(Some(Bytes::from_static(DONE)));
                }
                Some(Ok(_)) => {}
                Some(Err(SeatError::Failed(broken))) => {
                    if let Some(trail) = &broken.trail {
                        record.borrows(trail);
                    }
                    return Poll::Ready(Some(self.fail(&broken.failure, record)));
                }
                Some(Err(SeatError::Lost | SeatError::Expelled)) => {
                    return Poll::Ready(Some(self.fail(&gone(), record)));
                }
                // The provider said in its own words what went wrong, and those have passed.
                None => {
                    self.end(AttemptResult::Failed, Outcome::ProviderError, record);
                    return Poll::Ready(None);
                }
            }
        }
    }

    /// Tells what the answer counts for this caller's limits, once that is known: nothing where it came along.
    pub fn charge(&self, spent: Option<&Spent>, record: &mut Record) {
        match (self.pays, spent) {
            (false, _) => record.tokens(0),
            (true, Some(spent)) => record.flown(spent),
            (true, None) => {}
        }
    }

    fn fail(&mut self, failure: &Failure, record: &mut Record) -> Bytes {
        crate::http::error::log(failure, Some(record.id()));
        let now = Instant::now();
        self.over = true;
        record.waited(now);
        record.fail(failure, now);
        wire::openai::error_event(failure)
    }

    /// The answer came to its end.
    fn end(&mut self, result: AttemptResult, outcome: Outcome, record: &mut Record) {
        let now = Instant::now();
        self.over = true;
        record.waited(now);
        record.others_end(result, now);
        record.end(outcome, now);
    }
}

/// A stream that has begun cannot be begun anew.
pub fn gone() -> Failure {
    Failure::new(Kind::Provider, "The answer broke off within the gateway; ask again.")
        .with_code("stream_lost")
}
