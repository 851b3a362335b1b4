//! What one key, tenant, alias or provider may use and has used, as far as this replica knows.
//!
//! An account never changes; a reload makes a new one of the same lines and rooms, which go by its rates once it is in
//! force. Where Redis decides, they
//! are its stand-ins: each holds this replica's share of the limit and is drained by what Redis allows.

use super::Wanted;
use super::owing::Owed;
use guard::quota::{Bucket, Level, Rate, Slot, Slots};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// The largest rate, so that Redis can reckon with it: its numbers are exact up to 2⁵³.
pub(super) const RATE_MAX: u64 = 100_000_000_000;

pub use crate::config::Rates;

/// Whose a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Of one caller's key.
    Key,
    /// Of a tenant, over all of its keys.
    Tenant,
    /// Of an alias, over all callers.
    Alias,
    /// Of a provider, over all callers.
    Provider,
}

impl Scope {
    /// Its name, in words and in keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tenant => "tenant",
            Self::Alias => "alias",
            Self::Provider => "provider",
        }
    }

    /// Whether it is the caller's own, and no secret to it.
    #[must_use]
    pub const fn is_callers(self) -> bool {
        matches!(self, Self::Key | Self::Tenant)
    }
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Requests at once.
    ConcurrentRequests,
    /// Streams at once.
    ConcurrentStreams,
}

impl Measure {
    /// Its name in keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::ConcurrentRequests => "concurrent_requests",
            Self::ConcurrentStreams => "concurrent_streams",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requests => "requests per minute",
            Self::Tokens => "tokens per minute",
            Self::ConcurrentRequests => "concurrent requests",
            Self::ConcurrentStreams => "concurrent streams",
        })
    }
}

/// How one key, tenant, alias or provider stands with its limits; `None`: there is no such limit.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// Requests a minute.
    pub requests: Option<Level>,
    /// Tokens a minute.
    pub tokens: Option<Level>,
    /// How many requests may be under way at once, and how many are.
    pub concurrent_requests: Option<(u64, u64)>,
    /// The same for streams.
    pub concurrent_streams: Option<(u64, u64)>,
}

/// All limits of one key, tenant, alias or provider.
#[derive(Debug)]
pub struct Account {
    rates: Rates,
    requests: Option<Arc<Line>>,
    tokens: Option<Arc<Line>>,
    at_once: Option<Arc<Room>>,
    streams: Option<Arc<Room>>,
}

impl Account {
    /// One that goes on where `before` stands, at these rates once it is in force.
    pub(super) fn new(
        scope: Scope,
        name: &str,
        rates: &Rates,
        before: Option<&Arc<Self>>,
        now: Instant,
    ) -> Self {
        let line = |limit: Option<u64>, measure, known: fn(&Self) -> &Option<Arc<Line>>| {
            let line = before.and_then(|before| known(before).clone());
            limit.map(|limit| line.unwrap_or_else(|| Arc::new(Line::new(scope, name, measure, limit, now))))
        };
        let room = |limit: Option<u32>, measure, known: fn(&Self) -> &Option<Arc<Room>>| {
            let room = before.and_then(|before| known(before).clone());
            limit.map(|limit| room.unwrap_or_else(|| Arc::new(Room::new(scope, name, measure, limit.into()))))
        };
        Self {
            rates: *rates,
            requests: line(rates.requests_per_minute, Measure::Requests, |account| &account.requests),
            tokens: line(rates.tokens_per_minute, Measure::Tokens, |account| &account.tokens),
            at_once: room(rates.concurrent_requests, Measure::ConcurrentRequests, |account| &account.at_once),
            streams: room(rates.concurrent_streams, Measure::ConcurrentStreams, |account| &account.streams),
        }
    }

    /// From now on its lines and rooms go by its rates.
    pub(super) fn enforce(&self) {
        let lines =
            [(&self.requests, self.rates.requests_per_minute), (&self.tokens, self.rates.tokens_per_minute)];
        for (line, limit) in lines {
            if let (Some(line), Some(limit)) = (line, limit) {
                line.limit.store(limit.min(RATE_MAX), Relaxed);
            }
        }
        let rooms =
            [(&self.at_once, self.rates.concurrent_requests), (&self.streams, self.rates.concurrent_streams)];
        for (room, limit) in rooms {
            if let (Some(room), Some(limit)) = (room, limit) {
                room.limit.store(limit.into(), Relaxed);
            }
        }
    }

    /// How it stands, as far as this replica knows.
    #[must_use]
    pub fn report(&self, now: Instant) -> Report {
        let level = |line: &Arc<Line>| Level { limit: line.limit(), ..line.level(now) };
        let room = |room: &Arc<Room>| (room.limit(), room.slots.taken());
        Report {
            requests: self.requests.as_ref().map(level),
            tokens: self.tokens.as_ref().map(level),
            concurrent_requests: self.at_once.as_ref().map(room),
            concurrent_streams: self.streams.as_ref().map(room),
        }
    }

    /// Adds what a call of so many tokens needs of this account.
    pub(super) fn want(&self, tokens: u64, stream: bool, wanted: &mut Wanted) {
        let lines = [(&self.requests, 1), (&self.tokens, tokens.min(RATE_MAX))];
        for (line, amount) in lines {
            // An estimate above all that is allowed takes all of it: what is used in truth is settled later, and
            // nobody else is told to wait for what may never be used.
            wanted.lines.extend(line.clone().map(|line| (Arc::clone(&line), amount.min(line.limit()))));
        }
        wanted.rooms.extend(self.at_once.clone());
        wanted.rooms.extend(self.streams.clone().filter(|_| stream));
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = &Arc<Room>> {
        self.at_once.iter().chain(&self.streams)
    }
}

/// One rate, of requests or tokens.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) scope: Scope,
    pub(super) measure: Measure,
    /// Its key in Redis, after the namespace.
    pub(super) name: String,
    /// What all replicas may use a minute.
    limit: AtomicU64,
    /// What this one may where it decides alone.
    bucket: Bucket,
    /// The rate of the bucket.
    share: AtomicU64,
    /// What Redis has yet to be told.
    pub(super) owed: Mutex<Owed>,
}

impl Line {
    fn new(scope: Scope, name: &str, measure: Measure, limit: u64, now: Instant) -> Self {
        Self {
            scope,
            measure,
            name: format!("{}:{name}:{}", scope.name(), measure.name()),
            limit: AtomicU64::new(limit.min(RATE_MAX)),
            bucket: Bucket::new(Rate::per_minute(limit), now),
            share: AtomicU64::new(limit),
            owed: Mutex::default(),
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Relaxed)
    }

    /// The stand-in, where there are so many replicas.
    pub(super) fn bucket(&self, replicas: u64, now: Instant) -> &Bucket {
        let share = share(self.limit(), replicas);
        if self.share.swap(share, Relaxed) != share {
            self.bucket.set_rate(Rate::per_minute(share), now);
        }
        &self.bucket
    }

    /// How the stand-in stands.
    pub(super) fn level(&self, now: Instant) -> Level {
        self.bucket.level(now)
    }

    /// Drains the stand-in by what is allowed without it; tells by how much.
    pub(super) fn drain(&self, amount: u64, replicas: u64, now: Instant) -> u64 {
        self.bucket(replicas, now).spill(amount, now)
    }

    /// Corrects by how much the stand-in was drained.
    pub(super) fn redrain(&self, drained: u64, used: u64, now: Instant) {
        match used.checked_sub(drained) {
            Some(more) => drop(self.bucket.spill(more, now)),
            None => self.bucket.credit(drained - used, now),
        }
    }

    /// What this replica has used and has not flowed back.
    pub(super) fn outstanding(&self, now: Instant) -> u64 {
        let level = self.level(now);
        // In debt for as long as it takes beyond a minute.
        let nanos = level.reset.as_nanos().saturating_mul(u128::from(level.limit));
        u64::try_from(nanos.div_ceil(60_000_000_000)).unwrap_or(u64::MAX)
    }
}

/// So many at once.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) scope: Scope,
    pub(super) measure: Measure,
    /// Its key in Redis, after the namespace.
    pub(super) name: String,
    limit: AtomicU64,
    /// What this replica has given out, wherever it was allowed.
    slots: Slots,
    /// The number of the last count that was told: a later count has a higher one.
    counts: Mutex<u64>,
    /// Whether it waits to be told.
    queued: AtomicBool,
}

/// How many were taken, and when that was among other such counts of the room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) number: u64,
    pub(super) taken: u64,
}

impl Room {
    fn new(scope: Scope, name: &str, measure: Measure, limit: u64) -> Self {
        Self {
            scope,
            measure,
            name: format!("{}:{name}:{}", scope.name(), measure.name()),
            limit: AtomicU64::new(limit),
            slots: Slots::new(0),
            counts: Mutex::default(),
            queued: AtomicBool::new(false),
        }
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Relaxed)
    }

    /// A slot that Redis is about to be asked for.
    pub(super) fn occupy(&self) -> Slot {
        self.slots.occupy()
    }

    /// A slot of this replica's share, if one is free.
    pub(super) fn take(&self, replicas: u64) -> Option<Slot> {
        self.slots.set_limit(share(self.limit(), replicas));
        self.slots.take()
    }

    /// Counts anew. Of two counts the one with the higher number was read later.
    pub(super) fn count(&self) -> Count {
        let mut last: MutexGuard<'_, u64> = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        Count { number: *last, taken: self.slots.taken() }
    }

    /// Notes that the count is to be told; says whether that is new.
    pub(super) fn is_to_be_told(&self) -> bool {
        !self.queued.swap(true, SeqCst)
    }

    /// The count that is told now. What changes from here on is to be told again.
    pub(super) fn count_to_tell(&self) -> Count {
        self.queued.store(false, SeqCst);
        self.count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.taken() == 0
    }
}

/// One replica's part of a limit: never nothing, as it would refuse everything then.
fn share(limit: u64, replicas: u64) -> u64 {
    (limit / replicas.max(1)).max(1)
}
