//! What a gate knows, and its decisions. All of it is under the gate's lock, and none of it wakes.

use super::pace::Pace;
use super::{Band, Options, Reason, Refusal, Report, Ticket};
use crate::limiter::{Limiter, Outcome, Sample};
use crate::queue::slab::{Id, Slab};
use crate::queue::{FairQueue, Popped, Pushed, Room};
use crate::wakes::Wakes;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Below this limit no place is reserved: one of a few would be too much.
const RESERVE_FROM: u32 = 10;
/// Bounds of [`Refusal::after`].
const AFTER_MIN: Duration = Duration::from_millis(100);
const AFTER_MAX: Duration = Duration::from_secs(60);

pub(super) struct State {
    now: Instant,
    reserve: f64,
    pub limiter: Limiter,
    pub batch_limiter: Limiter,
    in_flight: u32,
    batch_in_flight: u32,
    /// In the bands low and batch.
    low_in_flight: u32,
    /// The order of those who wait, by their numbers among the waiters.
    queue: FairQueue<Id>,
    waiters: Slab<Waiter>,
    pace: Pace,
    granted: u64,
    refused_full: u64,
    refused_late: u64,
    dropped: u64,
}

/// A right to one call, counted in `in_flight` until it is given back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    tenant: u64,
    cost: u64,
    band: Band,
    since: Instant,
    /// Whether the first token has come.
    began: bool,
}

/// Somebody who waits, or has not heard yet that the wait is over.
pub(super) struct Waiter {
    pub ticket: Ticket,
    pub fate: Fate,
    pub waker: Option<Waker>,
}

#[derive(Clone, Copy)]
pub(super) enum Fate {
    /// Waits, by this number in the queue.
    Waits(Id),
    Granted(Lease),
    Refused(Refusal),
}

/// How a permit comes back.
pub(super) enum Return {
    /// The call ended so, and used so many tokens.
    Finished { result: Outcome, tokens: u64 },
    /// The call was given up at some point; what it used is not known.
    Dropped,
    /// Nothing was ever called.
    Unused,
}

impl State {
    pub fn new(options: Options, now: Instant) -> Self {
        Self {
            now,
            reserve: options.reserve,
            limiter: Limiter::new(options.limiter),
            batch_limiter: Limiter::new(options.batch),
            in_flight: 0,
            batch_in_flight: 0,
            low_in_flight: 0,
            queue: FairQueue::new(options.queue),
            waiters: Slab::new(),
            pace: Pace::new(now),
            granted: 0,
            refused_full: 0,
            refused_late: 0,
            dropped: 0,
        }
    }

    pub fn set_options(&mut self, options: Options) {
        self.reserve = options.reserve;
        self.limiter.set_options(options.limiter);
        self.batch_limiter.set_options(options.batch);
        self.queue.set_options(options.queue);
    }

    pub fn pass(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    /// Whether nobody is in the queue.
    pub fn is_quiet(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.waiters.len() == 0
    }

    /// A place for somebody at the door, unless there is none or somebody who waits could take it.
    pub fn admit_now(&mut self, ticket: &Ticket) -> Option<Lease> {
        let room = self.room()?;
        if ticket.band > room.lowest || self.queue.has_next(room) {
            return None;
        }
        self.queue.serve(ticket.tenant, ticket.cost);
        Some(self.lend(ticket))
    }

    /// Gives places to those who wait, in their order, until there is no room or nobody for it, or
    /// `wakes` is full.
    pub fn admit_waiting(&mut self, wakes: &mut Wakes) {
        while !wakes.is_full()
            && let Some(room) = self.room()
            && let Some(popped) = self.queue.pop(room, self.pace.hold(), self.now)
        {
            let waker = match popped {
                Popped::Serve(waiter) => self.grant(waiter),
                Popped::Late(waiter) => self.refuse(waiter, Reason::TooLate),
                Popped::Dropped(waiter) => self.refuse(waiter, Reason::Dropped),
            };
            if let Some(waker) = waker {
                wakes.add(waker);
            }
        }
    }

    /// Lets somebody into the queue: its number among the waiters, and the waker of whoever had to
    /// leave for it.
    pub fn join(&mut self, ticket: Ticket) -> Result<(Id, Option<Waker>), Refusal> {
        if let Some(reason) = self.is_hopeless(&ticket) {
            return Err(self.refusal(reason, ticket.band, ticket.tenant));
        }
        let waiter = self.waiters.next_id();
        match self.queue.push(ticket, waiter, self.now) {
            Ok(Pushed { id, displaced }) => {
                self.waiters.insert(Waiter { ticket, fate: Fate::Waits(id), waker: None });
                Ok((waiter, displaced.and_then(|waiter| self.refuse(waiter, Reason::Full))))
            }
            Err(_) => Err(self.refusal(Reason::Full, ticket.band, ticket.tenant)),
        }
    }

    /// Why it is of no use that somebody waits, if it is of none.
    fn is_hopeless(&mut self, ticket: &Ticket) -> Option<Reason> {
        let (wait, hold) = (self.wait(ticket.band, ticket.tenant), self.pace.hold());
        let start = ticket.latest_start(self.now, hold);
        if start.is_some_and(|start| start <= self.now || start.saturating_duration_since(self.now) < wait) {
            return Some(Reason::TooLate);
        }
        self.queue.turns_away(ticket.band, wait, hold, self.now).then_some(Reason::Dropped)
    }

    pub fn waiter(&mut self, waiter: Id) -> Option<&mut Waiter> {
        self.waiters.get_mut(waiter)
    }

    /// Forgets somebody who has heard how the wait ended, or left before.
    pub fn leave(&mut self, waiter: Id) -> Option<Waiter> {
        let waiter = self.waiters.remove(waiter)?;
        if let Fate::Waits(id) = waiter.fate {
            self.queue.remove(id);
        }
        Some(waiter)
    }

    /// The first token has come. There may be room then.
    pub fn began(&mut self, lease: &mut Lease, delay: Duration) {
        if !std::mem::replace(&mut lease.began, true) {
            self.judge(lease.band, Outcome::Good, Some(delay));
        }
    }

    /// Takes a place back. There may be room then.
    pub fn take_back(&mut self, lease: &Lease, end: &Return) {
        let Lease { tenant, cost, band, since, began } = *lease;
        if let Return::Finished { result, tokens } = *end {
            // That it went well is known already where it has begun.
            if !began || result != Outcome::Good {
                self.judge(band, result, None);
            }
            self.queue.correct(tenant, cost, tokens);
        }
        if let Return::Unused = end {
            self.queue.correct(tenant, cost, 0);
        } else {
            self.pace.returned(self.now.saturating_duration_since(since), self.now);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        self.batch_in_flight = self.batch_in_flight.saturating_sub(u32::from(band == Band::Batch));
        self.low_in_flight = self.low_in_flight.saturating_sub(u32::from(band >= Band::Low));
    }

    fn judge(&mut self, band: Band, result: Outcome, delay: Option<Duration>) {
        let sample = Sample { delay, result, in_flight: self.in_flight };
        self.limiter.sample(sample, self.now);
        if band == Band::Batch {
            let sample = Sample { in_flight: self.batch_in_flight, ..sample };
            self.batch_limiter.sample(sample, self.now);
        }
    }

    pub fn report(&self) -> Report {
        Report {
            limit: self.limiter.limit(),
            in_flight: self.in_flight,
            batch_limit: self.batch_limiter.limit(),
            batch_in_flight: self.batch_in_flight,
            waiting: self.queue.waiting(),
            wait: match self.room() {
                Some(room) if !self.queue.has_next(room) => Duration::ZERO,
                _ => self.wait(Band::Normal, u64::MAX),
            },
            delay: self.limiter.delay(),
            granted: self.granted,
            refused_full: self.refused_full,
            refused_late: self.refused_late,
            dropped: self.dropped,
            cuts: self.limiter.cuts(),
        }
    }

    /// Whom there is room for; `None` for nobody.
    fn room(&self) -> Option<Room> {
        let limit = self.limiter.limit();
        let free = limit.checked_sub(self.in_flight).filter(|&free| free > 0)?;
        let reserved = self.reserved(limit);
        let has_batch_room = self.batch_in_flight < self.batch_limiter.limit();
        let lowest = if has_batch_room { Band::Batch } else { Band::Low };
        let down_to = |low_may| if low_may { lowest } else { Band::Normal };
        Some(Room {
            lowest: down_to(free > reserved),
            // Past the reserve, but not where it is the low ones themselves who have taken all the others.
            patient: down_to(self.low_in_flight.saturating_add(reserved) < limit),
        })
    }

    /// Places that the lower bands leave free.
    fn reserved(&self, limit: u32) -> u32 {
        if limit < RESERVE_FROM || self.reserve <= 0.0 {
            return 0;
        }
        // Not all of them, whatever the share: the lower bands would never be served.
        ((f64::from(limit) * self.reserve) as u32).clamp(1, limit - 1)
    }

    fn lend(&mut self, ticket: &Ticket) -> Lease {
        let Ticket { tenant, cost, band, .. } = *ticket;
        self.in_flight += 1;
        self.batch_in_flight += u32::from(band == Band::Batch);
        self.low_in_flight += u32::from(band >= Band::Low);
        self.granted += 1;
        self.pace.granted(self.now);
        Lease { tenant, cost, band, since: self.now, began: false }
    }

    fn grant(&mut self, waiter: Id) -> Option<Waker> {
        // Somebody in the queue is always among the waiters: who leaves leaves both at once.
        let ticket = self.waiters.get(waiter)?.ticket;
        let lease = self.lend(&ticket);
        self.end_wait(waiter, Fate::Granted(lease))
    }

    fn refuse(&mut self, waiter: Id, reason: Reason) -> Option<Waker> {
        let ticket = self.waiters.get(waiter)?.ticket;
        let refusal = self.refusal(reason, ticket.band, ticket.tenant);
        self.end_wait(waiter, Fate::Refused(refusal))
    }

    fn end_wait(&mut self, waiter: Id, fate: Fate) -> Option<Waker> {
        let waiter = self.waiters.get_mut(waiter)?;
        waiter.fate = fate;
        waiter.waker.take()
    }

    fn refusal(&mut self, reason: Reason, band: Band, tenant: u64) -> Refusal {
        match reason {
            Reason::Full => self.refused_full += 1,
            Reason::TooLate => self.refused_late += 1,
            Reason::Dropped => self.dropped += 1,
        }
        Refusal { reason, after: self.wait(band, tenant).clamp(AFTER_MIN, AFTER_MAX) }
    }

    /// What a newcomer would wait. Where the limit has shrunk, what is out beyond it comes back first;
    /// batch work waits for its own limit too.
    fn wait(&self, band: Band, tenant: u64) -> Duration {
        let excess = |in_flight: u32, limit: u32| in_flight.saturating_sub(limit) as usize;
        let turns = self.queue.ahead(band, tenant) + excess(self.in_flight, self.limiter.limit()) + 1;
        let wait = self.pace.wait(turns, self.in_flight, self.now);
        if band != Band::Batch {
            return wait;
        }
        let limit = self.batch_limiter.limit();
        let turns = self.queue.waiting()[Band::Batch as usize] + excess(self.batch_in_flight, limit) + 1;
        wait.max(self.pace.wait(turns, self.batch_in_flight.max(limit), self.now))
    }
}
