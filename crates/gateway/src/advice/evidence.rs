//! What the observer counts for advice, beside its live figures: by alias, by target of an alias, by provider, over
//! the last hour. The observer's own, so that nothing here is shared or locked.
//!
//! Counts lie in slots of five minutes that are forgotten one by one. All of it is bounded: 256 aliases of 16 targets
//! each and 64 providers take 2 MB at most, and the questions that are kept another. What is beyond is not counted.

use super::repeats::Repeats;
use crate::observe::account::{Account, Role};
use crate::observe::trail::{Attempt, Came, Trail};
use crate::remember::status::{Bypass, Status};
use foldhash::{HashMap, HashMapExt as _};
use measure::advice::{AGES, age_slot};
use measure::metrics::{AttemptResult, Outcome};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a slot is, and how many there are: an hour.
const SLOT: Duration = Duration::from_secs(300);
const SLOTS: usize = 12;
const ALIASES_MAX: usize = 256;
const TARGETS_MAX: usize = 16;
const PROVIDERS_MAX: usize = 64;

/// The last hour.
#[derive(Debug)]
pub struct Evidence {
    began: Instant,
    /// How long after that what is noted ended, as far as that matters.
    since: Duration,
    repeats: Repeats,
    aliases: HashMap<Arc<str>, Of>,
    providers: Vec<(Box<str>, Ring<OfProvider>)>,
}

/// One alias.
#[derive(Debug, Default)]
struct Of {
    alias: Ring<OfAlias>,
    targets: Vec<(Box<str>, Ring<OfTarget>)>,
}

/// Counts of requests to an alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfAlias {
    /// Requests that ended.
    pub requests: u64,
    /// What was asked again.
    pub questions: measure::advice::Questions,
    /// How long answers might be and were.
    pub bounds: measure::advice::Bounds,
}

/// Counts of answers of a target to requests of an alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfTarget {
    /// Answers.
    pub answers: u64,
    /// Tokens that they read.
    pub tokens_in: u64,
    /// Those that the provider had cached.
    pub tokens_cached: u64,
    /// What they cost.
    pub cost_micro_usd: u64,
}

/// Counts of tries at a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfProvider {
    /// Tries that have ended.
    pub tries: u64,
    /// Those that went well.
    pub answers: u64,
    /// Those answered with 429.
    pub throttled: u64,
}

/// What can be added up over slots.
pub trait Sum: Copy + Default {
    /// Adds another slot's.
    fn add(&mut self, other: &Self);
}

/// An hour of slots.
#[derive(Clone, Copy, Debug)]
struct Ring<T> {
    slots: [T; SLOTS],
    /// The newest slot that anything is known of.
    newest: u64,
}

impl<T: Sum> Default for Ring<T> {
    fn default() -> Self {
        Self { slots: [T::default(); SLOTS], newest: 0 }
    }
}

impl<T: Sum> Ring<T> {
    /// The slot of this number, all that is older than an hour forgotten.
    fn at(&mut self, slot: u64) -> &mut T {
        let past = slot.saturating_sub(self.newest).min(SLOTS as u64);
        for forgotten in 0..past {
            self.slots[(slot - forgotten) as usize % SLOTS] = T::default();
        }
        self.newest = self.newest.max(slot);
        &mut self.slots[slot as usize % SLOTS]
    }

    /// All of the hour that ends with the slot of this number.
    fn sum(&self, slot: u64) -> T {
        let mut sum = T::default();
        let first = slot.saturating_sub(SLOTS as u64 - 1);
        for number in first..=self.newest {
            sum.add(&self.slots[number as usize % SLOTS]);
        }
        sum
    }
}

impl Evidence {
    /// Nothing is known yet.
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            since: Duration::ZERO,
            repeats: Repeats::default(),
            aliases: HashMap::new(),
            providers: Vec::new(),
        }
    }

    /// How long it is looked back by now: up to an hour.
    pub fn span(&self, now: Instant) -> Duration {
        let since = now.saturating_duration_since(self.began);
        let oldest = slot(since).saturating_sub(SLOTS as u64 - 1);
        since.saturating_sub(SLOT * u32::try_from(oldest).unwrap_or(u32::MAX))
    }

    /// It is `now`: what is noted from here on ended by then.
    pub fn tick(&mut self, now: Instant) {
        self.since = now.saturating_duration_since(self.began);
    }

    /// A request, or an errand, is over.
    pub fn note(&mut self, account: &Account) {
        let (since, slot) = (self.since, slot(self.since));
        account.trail.own().for_each(|attempt| self.note_attempt(attempt, slot));
        let Some(name) = account.route.as_ref().filter(|_| account.is_alias) else { return };
        let answered = Trail::answered(account.trail.own());
        let answered = answered.filter(|attempt| attempt.came == Came::Ended(AttemptResult::Ok));
        let Self { aliases, repeats, .. } = self;
        if !aliases.contains_key(name) {
            if aliases.len() >= ALIASES_MAX {
                return;
            }
            aliases.insert(Arc::clone(name), Of::default());
        }
        let Some(of) = aliases.get_mut(name) else { return };
        if let Some(attempt) = answered {
            of.note_answer(attempt, account, slot);
        }
        if account.role == Role::Request {
            of.alias.at(slot).note(account, repeats, since);
        }
    }

    fn note_attempt(&mut self, attempt: &Attempt, slot: u64) {
        let Came::Ended(result) = attempt.came else { return };
        if let Some(ring) = entry(&mut self.providers, attempt.target.provider(), PROVIDERS_MAX) {
            let of = ring.at(slot);
            of.tries += 1;
            of.answers += u64::from(result == AttemptResult::Ok);
            of.throttled += u64::from(result == AttemptResult::RateLimited);
        }
    }

    /// What is known of an alias.
    pub fn of_alias(&self, alias: &str, now: Instant) -> OfAlias {
        self.aliases.get(alias).map(|of| of.alias.sum(self.slot(now))).unwrap_or_default()
    }

    /// What is known of a target of an alias.
    pub fn of_target(&self, alias: &str, target: &str, now: Instant) -> OfTarget {
        let targets = self.aliases.get(alias).map(|of| of.targets.as_slice()).unwrap_or_default();
        let known = targets.iter().find(|(name, _)| **name == *target);
        known.map(|(_, ring)| ring.sum(self.slot(now))).unwrap_or_default()
    }

    /// What is known of a provider.
    pub fn of_provider(&self, provider: &str, now: Instant) -> OfProvider {
        let known = self.providers.iter().find(|(name, _)| **name == *provider);
        known.map(|(_, ring)| ring.sum(self.slot(now))).unwrap_or_default()
    }

    fn slot(&self, now: Instant) -> u64 {
        slot(now.saturating_duration_since(self.began))
    }
}

/// The number of the slot, so long after the beginning.
fn slot(since: Duration) -> u64 {
    since.as_secs() / SLOT.as_secs()
}

/// The ring of this name, begun where there is room.
fn entry<'a, T: Sum>(
    all: &'a mut Vec<(Box<str>, Ring<T>)>,
    name: &str,
    max: usize,
) -> Option<&'a mut Ring<T>> {
    let known = all.iter().position(|(known, _)| **known == *name);
    let index = match known {
        Some(index) => index,
        None if all.len() >= max => return None,
        None => {
            all.push((name.into(), Ring::default()));
            all.len() - 1
        }
    };
    all.get_mut(index).map(|(_, ring)| ring)
}

impl Of {
    fn note_answer(&mut self, attempt: &Attempt, account: &Account, slot: u64) {
        let Some(ring) = entry(&mut self.targets, attempt.target.counted(), TARGETS_MAX) else { return };
        let of = ring.at(slot);
        of.answers += 1;
        of.tokens_in += u64::from(account.tokens.input);
        of.tokens_cached += u64::from(account.tokens.cached);
        of.cost_micro_usd += u64::from(account.cost_micro_usd.unwrap_or(0));
    }
}

impl OfAlias {
    fn note(&mut self, account: &Account, repeats: &mut Repeats, since: Duration) {
        self.requests += 1;
        if account.outcome != Outcome::Ok {
            return;
        }
        let (allowed, written) = (u64::from(account.max_tokens), u64::from(account.tokens.output));
        if allowed > 0 && written > 0 {
            let bounds = &mut self.bounds;
            bounds.requests += 1;
            bounds.asked_tokens += allowed;
            bounds.written_tokens += written;
            bounds.written_tokens_max = bounds.written_tokens_max.max(written);
        }
        self.note_question(account, repeats, since);
    }

    fn note_question(&mut self, account: &Account, repeats: &mut Repeats, since: Duration) {
        let (Some(question), Some(cache)) = (account.question, account.cache) else { return };
        let questions = &mut self.questions;
        let of = match cache {
            Status::Hit(_) | Status::Alike(_) | Status::Coalesced => {
                questions.asked += 1;
                return;
            }
            Status::Miss => &mut questions.missed,
            Status::Bypass(Bypass::Temperature) => &mut questions.sampled,
            Status::Bypass(Bypass::Disabled) if account.sampled => &mut questions.sampled,
            Status::Bypass(Bypass::Disabled) => &mut questions.off,
            Status::Bypass(_) => return,
        };
        questions.asked += 1;
        let Some(age) = repeats.note(question, since) else { return };
        of.count += 1;
        of.cost_micro_usd += u64::from(account.cost_micro_usd.unwrap_or(0));
        if let (Status::Miss, Some(slot)) = (cache, age_slot(age)) {
            questions.missed_by_age[slot] += 1;
        }
    }
}

impl Sum for OfAlias {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        let (own, others) = (&mut self.questions, &other.questions);
        own.asked += others.asked;
        for (own, others) in [
            (&mut own.off, &others.off),
            (&mut own.sampled, &others.sampled),
            (&mut own.missed, &others.missed),
        ] {
            own.count += others.count;
            own.cost_micro_usd += others.cost_micro_usd;
        }
        for slot in 0..AGES.len() {
            own.missed_by_age[slot] += others.missed_by_age[slot];
        }
        let (own, others) = (&mut self.bounds, &other.bounds);
        own.requests += others.requests;
        own.asked_tokens += others.asked_tokens;
        own.written_tokens += others.written_tokens;
        own.written_tokens_max = own.written_tokens_max.max(others.written_tokens_max);
    }
}

impl Sum for OfTarget {
    fn add(&mut self, other: &Self) {
        self.answers += other.answers;
        self.tokens_in += other.tokens_in;
        self.tokens_cached += other.tokens_cached;
        self.cost_micro_usd += other.cost_micro_usd;
    }
}

impl Sum for OfProvider {
    fn add(&mut self, other: &Self) {
        self.tries += other.tries;
        self.answers += other.answers;
        self.throttled += other.throttled;
    }
}

#[cfg(test)]
mod tests;
