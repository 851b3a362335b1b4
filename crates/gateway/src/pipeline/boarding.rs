//! Waiting for an answer that is not at hand, with whoever asks the same: a flight is joined, or begun for all of
//! them.

use super::Ready;
use super::answered::{Answered, Content};
use crate::alarm::Alarm;
use crate::recorder::Record;
use crate::remember::flight::{Job, fly};
use crate::remember::is_stale;
use crate::remember::part::{Broken, Head, Part};
use crate::remember::question::{Form, Question};
use crate::remember::ride::{Lost, Ride, gone};
use crate::remember::status::{Bypass, Status};
use crate::remember::tally::Tally;
use cache::clock::Millis;
use guard::flight::{Boarded, Seat};
use std::sync::Arc;
use std::time::Instant;
use wire::failure::Failure;
use wire::openai::UsageChunk;

/// Flights that are boarded for one request before it gives up: one that is lost is seldom, two are a
/// fault of ours.
const BOARDINGS_MAX: u32 = 3;

/// A seat in a flight, and what the cache has to do with it.
type Seated = (Seat<Part, Broken>, Status);

impl Ready<'_> {
    /// Waits for the answer with whoever asks the same, or has it fetched for all of them.
    pub(super) async fn board(
        &self,
        question: &Question<'_>,
        mut alarm: Alarm,
        record: &mut Record,
    ) -> Result<Answered, Failure> {
        let mut anew = question.terms.no_cache;
        let tally = self.tally();
        let deadline = self.brought.timeout.map(|timeout| record.started() + timeout);
        for _ in 0..BOARDINGS_MAX {
            let Some((seat, cache)) = self.seat(question, anew, record)? else {
                return self.ask_directly(Status::Miss, alarm, record).await;
            };
            let pays = cache != Status::Coalesced;
            record.waits(Instant::now());
            let mut ride = Ride::new(seat, self.ask.usage_to_caller, pays, alarm, deadline);
            match ride.first().await {
                Ok(part) => match self.answered(part, ride, cache, question, &tally, record) {
                    Ok(answered) => return Ok(answered),
                    // It is older than this caller will have it: fetched anew, and kept for all.
                    Err(ride) => {
                        record.waited(Instant::now());
                        alarm = ride.leave();
                        anew = true;
                    }
                },
                Err(Lost::Failed(broken)) => {
                    record.waited(Instant::now());
                    if let Some(trail) = &broken.trail {
                        record.borrows(trail);
                    }
                    return Err(broken.failure);
                }
                Err(Lost::Gone) => {
                    record.waited(Instant::now());
                    alarm = ride.leave();
                }
            }
        }
        Err(gone())
    }

    /// A seat in the flight that fetches the answer, begun where there is none. `None` where the request goes by itself.
    fn seat(&self, question: &Question<'_>, anew: bool, record: &Record) -> Result<Option<Seated>, Failure> {
        match self.snapshot.remembered.departures.board((question.key, anew)) {
            Boarded::Pilot(pilot, seat) => {
                let job = self.job(question, !anew, record)?;
                self.shared.worker.background.spawn(fly(job, pilot));
                let no_cache = question.terms.no_cache;
                let cache = if no_cache { Status::Bypass(Bypass::NoCache) } else { Status::Miss };
                Ok(Some((seat, cache)))
            }
            // Whoever brings the answer waits for nobody else's.
            Boarded::Seat(_) if self.brought.given().is_some() => Ok(None),
            Boarded::Seat(seat) => {
                self.tally().coalesced(Millis::now());
                Ok(Some((seat, Status::Coalesced)))
            }
            Boarded::Full => Ok(None),
        }
    }

    /// The answer that begins with `part`; the ride back where this caller will not have it.
    fn answered(
        &self,
        part: Part,
        ride: Ride,
        cache: Status,
        question: &Question<'_>,
        tally: &Tally<'_>,
        record: &mut Record,
    ) -> Result<Answered, Ride> {
        let of = |head: &Head, content| Answered {
            status: head.status,
            provider: head.provider.clone(),
            target: head.target.clone(),
            cache,
            age: None,
            cost: head.spent.and_then(|spent| spent.cost),
            content,
        };
        match part {
            Part::Remembered(entry, hit) => {
                record.waited(Instant::now());
                let age = entry.age(Millis::now());
                let replay = self.replay(&entry, question.form);
                match replay.filter(|_| question.terms.accepts(age)) {
                    Some(replay) => {
                        record.tokens(0);
                        tally.saved(&replay, Millis::now());
                        Ok(Answered::remembered(replay, hit, age))
                    }
                    None => Err(ride),
                }
            }
            Part::Whole(head, bytes) => {
                record.waited(Instant::now());
                ride.charge(head.spent.as_ref(), record);
                record.borrows(&head.trail);
                Ok(of(&head, Content::Whole(bytes, head.outcome)))
            }
            Part::Begins(head) => {
                record.borrows(&head.trail);
                Ok(of(&head, Content::Ride(Box::new(ride))))
            }
            Part::Frames(..) | Part::Usage(_) | Part::Done(_) => Err(ride),
        }
    }

    fn job(&self, question: &Question<'_>, looks: bool, record: &Record) -> Result<Job, Failure> {
        let remembered = &self.snapshot.remembered;
        let other = match question.form {
            Form::Whole => Form::Stream,
            Form::Stream => Form::Whole,
        };
        let sibling = match self.asked.operation.streams() && looks {
            true => Some(remembered.key(question, &self.to_remember(), other)?),
            false => None,
        };
        let lifetime = remembered.lifetime(&question.policy, question.terms.ttl);
        Ok(Job {
            shared: Arc::clone(self.shared),
            snapshot: Arc::clone(self.snapshot),
            key: question.key,
            sibling,
            form: question.form,
            operation: self.asked.operation,
            looks,
            policy: question.policy,
            hour: Arc::clone(&self.plan.hour),
            kindred: remembered.kindred(question, &self.to_remember()),
            candidate: None,
            lifetime: (!lifetime.fresh.is_zero()).then_some(lifetime),
            marks: question.marks(),
            // A caller's own limit is for that caller to keep: others wait for the same answer.
            inquiry: self.inquiry(UsageChunk::Apart, None, record),
            record: record.of_flight(self.plan),
        })
    }

    /// Has a stale answer fetched anew behind the caller's back, unless somebody does already.
    pub(super) fn refresh(&self, question: &Question<'_>, record: &Record) -> Result<(), Failure> {
        let remembered = &self.snapshot.remembered;
        if let Boarded::Pilot(pilot, mut seat) = remembered.departures.board((question.key, true)) {
            // Another refresh may have ended between our look and this boarding.
            let found = remembered.tiers.peek(&question.key, Millis::now());
            if found.is_some_and(|found| !is_stale(&found)) {
                return Ok(());
            }
            let job = self.job(question, false, record)?;
            // The seat keeps the flight in the air, and must read what it is handed.
            let listen = async move { while let Some(Ok(_)) = seat.next().await {} };
            // Where too many are fetched anew already this one stays stale, and that is counted.
            let _ = self.shared.chores.refresh.submit(async move {
                tokio::join!(fly(job, pilot), listen);
            });
        }
        Ok(())
    }
}
