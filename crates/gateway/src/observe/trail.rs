//! Where a request has been: the moments that it passed and the tries that were made for it, as microseconds since
//! it began. Small, and filled in without allocating but where a second try is made.
//!
//! A flight and a joint call have trails of their own, which those who wait for them borrow. What a trail means as
//! a picture is told in `waterfall`.

use crate::protect::Reason;
use crate::trace::Peer;
use measure::metrics::{AttemptResult, Outcome};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Tries that a trail tells one by one; beyond that they are counted.
const ATTEMPTS_MAX: usize = 8;
/// Bytes that one of them takes.
pub const ATTEMPT_BYTES: usize = size_of::<Attempt>();

/// Microseconds since a trail began: up to 71 minutes, beyond which time stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(u32);

impl Micros {
    /// The beginning itself.
    pub const ZERO: Self = Self(0);
    /// The latest that can be told.
    const MAX: Self = Self(u32::MAX - 1);
    const NEVER: Self = Self(u32::MAX);

    /// `now`, as told by a trail that began at `began`.
    pub fn since(began: Instant, now: Instant) -> Self {
        Self::of(now.saturating_duration_since(began))
    }

    /// So long after the beginning.
    pub fn of(after: Duration) -> Self {
        Self(u32::try_from(after.as_micros()).unwrap_or(u32::MAX)).min(Self::MAX)
    }

    /// So many since the beginning.
    pub fn count(self) -> u32 {
        self.0
    }

    /// The time from an earlier moment to this one; nothing where that is a later one.
    pub fn past(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }

    /// As a duration since the beginning.
    pub fn after(self) -> Duration {
        Duration::from_micros(self.0.into())
    }

    /// The same moment as told by a trail that began `later` after this one's own, or that much `earlier`.
    /// What was before its beginning is at its beginning.
    fn shifted(self, earlier: Duration, later: Duration) -> Self {
        if self == Self::NEVER { self } else { Self::of((self.after() + earlier).saturating_sub(later)) }
    }
}

/// A moment that requests pass. Each ends a step that began with the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is known who calls.
    Identified,
    /// The body is here.
    Read,
    /// It is known what is asked, and of whom.
    Planned,
    /// The answers in memory have been looked at.
    Remembered,
    /// The caller's limits allow it.
    Admitted,
    /// The tiers farther away have been looked at.
    Looked,
    /// Other questions have been compared with this one.
    Compared,
    /// It is agreed with other replicas who asks the provider.
    Claimed,
    /// The answer's first token is here.
    FirstToken,
    /// The answer's head is handed over.
    Answered,
}

impl Mark {
    const COUNT: usize = Self::Answered as usize + 1;
    /// What a flight passes on behalf of those who wait for it.
    const OF_FLIGHTS: [Self; 3] = [Self::Looked, Self::Compared, Self::Claimed];
}

/// A target by name, and what else is told of it.
#[derive(Debug)]
pub struct Label {
    /// `provider/model`, as the request came to it.
    pub name: Box<str>,
    /// What it is counted as, where callers choose the name.
    counted: Option<Box<str>>,
    /// Bytes of the provider's name in the name that it is counted as.
    provider_bytes: usize,
    /// What traces say of it.
    pub peer: Peer,
}

impl Label {
    /// Of a model that the configuration names.
    pub fn named(name: &str, peer: Peer) -> Arc<Self> {
        Arc::new(Self { name: name.into(), counted: None, provider_bytes: provider_bytes(name), peer })
    }

    /// Of a model of which callers alone know; it is counted with others as `counted`.
    pub fn unnamed(name: &str, counted: &str, peer: Peer) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            counted: Some(counted.into()),
            provider_bytes: provider_bytes(counted),
            peer,
        })
    }

    /// The name under which it is counted, which no caller chose.
    pub fn counted(&self) -> &str {
        self.counted.as_deref().unwrap_or(&self.name)
    }

    /// The provider's part of that.
    pub fn provider(&self) -> &str {
        self.counted().get(..self.provider_bytes).unwrap_or_default()
    }
}

fn provider_bytes(name: &str) -> usize {
    name.find('/').unwrap_or(name.len())
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Nothing yet.
    UnderWay,
    /// The provider was asked, and that ended so.
    Ended(AttemptResult),
    /// The target was not to be asked.
    Closed(Reason),
    /// The target had answered before, in a batch of its own: it was not asked now, and nobody waited.
    Given,
}

/// One try.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Who was to be asked.
    pub target: Arc<Label>,
    /// Its span, where the request is traced; else 0.
    pub span_id: u64,
    turned: Micros,
    began: Micros,
    first_token: Micros,
    ended: Micros,
    /// What came of it.
    pub came: Came,
    /// The status that the provider answered with; 0 where none came.
    pub status: u16,
    /// Whether it was made for several, and is told by whoever made it.
    pub borrowed: bool,
}

impl Attempt {
    /// When the right to ask was asked for.
    pub fn turned(&self) -> Option<Micros> {
        told(self.turned)
    }

    /// When the target was asked.
    pub fn began(&self) -> Option<Micros> {
        told(self.began)
    }

    /// When the first token of its answer came.
    pub fn first_token(&self) -> Option<Micros> {
        told(self.first_token)
    }

    /// When that ended.
    pub fn ended(&self) -> Option<Micros> {
        told(self.ended)
    }

    /// How long the target was asked for; nothing where it was not asked now.
    pub fn took(&self) -> Option<Micros> {
        if self.came == Came::Given {
            return None;
        }
        Some(self.ended()?.past(self.began()?))
    }

    /// How it counts for whom it asked, as a request would that ended so; `None` while it is under way, and where the
    /// target was not asked. To be turned away for our own credentials is no fault of whoever called.
    pub fn outcome(&self) -> Option<Outcome> {
        let result = match self.came {
            Came::Ended(result) => result,
            Came::Given => return Some(Outcome::Ok),
            Came::UnderWay | Came::Closed(_) => return None,
        };
        Some(match result {
            AttemptResult::Ok => Outcome::Ok,
            AttemptResult::Refused if !matches!(self.status, 401..=403) => Outcome::CallerError,
            AttemptResult::Cancelled => Outcome::CallerLeft,
            AttemptResult::Starved => Outcome::GatewayError,
            AttemptResult::Refused
            | AttemptResult::RateLimited
            | AttemptResult::Failed
            | AttemptResult::Unreachable
            | AttemptResult::TimedOut
            | AttemptResult::Cut => Outcome::ProviderError,
        })
    }

    /// One of which nothing is known but at whom.
    fn of(target: &Arc<Label>) -> Self {
        Self {
            target: Arc::clone(target),
            span_id: 0,
            turned: Micros::NEVER,
            began: Micros::NEVER,
            first_token: Micros::NEVER,
            ended: Micros::NEVER,
            came: Came::UnderWay,
            status: 0,
            borrowed: false,
        }
    }

    fn end(&mut self, came: Came, at: Micros) {
        (self.came, self.ended) = (came, at);
    }
}

fn told(at: Micros) -> Option<Micros> {
    Some(at).filter(|at| *at != Micros::NEVER)
}

/// Where a request has been.
#[derive(Clone, Debug)]
pub struct Trail {
    began: Instant,
    marks: [Micros; Mark::COUNT],
    attempts: SmallVec<[Attempt; 1]>,
    /// When the right to ask the next target was asked for.
    turned: Micros,
    made: u32,
}

impl Trail {
    /// Begins.
    pub fn new(began: Instant) -> Self {
        Self {
            began,
            marks: [Micros::NEVER; Mark::COUNT],
            attempts: SmallVec::new(),
            turned: Micros::NEVER,
            made: 0,
        }
    }

    /// When it began.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// A moment is passed; what is passed twice counts the second time.
    pub fn passes(&mut self, mark: Mark, now: Instant) {
        self.marks[mark as usize] = Micros::since(self.began, now);
    }

    /// When it was passed, if it was.
    pub fn passed(&self, mark: Mark) -> Option<Micros> {
        told(self.marks[mark as usize])
    }

    /// The tries, as far as they are told one by one. Of two that were made at once, the one that was called off stands
    /// before the other, whichever of them began first.
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// Those at which the target was asked.
    pub fn asked(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.attempts.iter().filter(|attempt| attempt.began().is_some())
    }

    /// Those of them that nobody else tells.
    pub fn own(&self) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.asked().filter(|attempt| !attempt.borrowed)
    }

    /// Of some tries the one whose answer it is, be it a whole one, or would have been: the last.
    pub fn answered<'a>(mut tries: impl DoubleEndedIterator<Item = &'a Attempt>) -> Option<&'a Attempt> {
        tries.next_back()
    }

    /// Tries made at providers, be they told or not.
    pub fn made(&self) -> u32 {
        self.made
    }

    /// Somebody's turn comes: the right to ask is asked for.
    pub fn turns(&mut self, now: Instant) {
        self.turned = Micros::since(self.began, now);
    }

    /// A target is asked; where the request is traced, `span_id` is this try's.
    pub fn attempt_begins(&mut self, target: &Arc<Label>, span_id: u64, now: Instant) {
        self.made += 1;
        let began = Micros::since(self.began, now);
        self.tell(Attempt { span_id, began, came: Came::UnderWay, ..Attempt::of(target) });
    }

    /// The try of one's own that is under way.
    fn under_way(&mut self) -> Option<&mut Attempt> {
        let is_it = |attempt: &&mut Attempt| attempt.came == Came::UnderWay && !attempt.borrowed;
        self.attempts.iter_mut().rev().find(is_it)
    }

    /// The same, to be looked at.
    pub fn asking(&self) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.came == Came::UnderWay && !attempt.borrowed)
    }

    /// The provider has answered the try under way with this status.
    pub fn responded(&mut self, status: u16) {
        if let Some(attempt) = self.under_way() {
            attempt.status = status;
        }
    }

    /// The first token of the try under way is here.
    pub fn first_token(&mut self, now: Instant) {
        let at = Micros::since(self.began, now);
        if let Some(attempt) = self.under_way() {
            attempt.first_token = at;
        }
    }

    /// The try under way has ended.
    pub fn attempt_ends(&mut self, result: AttemptResult, now: Instant) {
        let at = Micros::since(self.began, now);
        if let Some(attempt) = self.under_way() {
            attempt.end(Came::Ended(result), at);
        }
    }

    /// A target has given the answer in a batch of its own.
    pub fn given(&mut self, target: &Arc<Label>, span_id: u64, now: Instant) {
        let at = Micros::since(self.began, now);
        self.tell(Attempt { span_id, began: at, ended: at, came: Came::Given, ..Attempt::of(target) });
    }

    /// Whether the answer came in a batch of a target's own: no time of it says anything of anybody.
    pub fn is_given(&self) -> bool {
        self.attempts.iter().any(|attempt| attempt.came == Came::Given)
    }

    /// A target was not to be asked.
    pub fn turned_away(&mut self, target: &Arc<Label>, reason: Reason, now: Instant) {
        let ended = Micros::since(self.began, now);
        self.tell(Attempt { ended, came: Came::Closed(reason), ..Attempt::of(target) });
    }

    fn tell(&mut self, attempt: Attempt) {
        let turned = std::mem::replace(&mut self.turned, Micros::NEVER);
        self.push(Attempt { turned, ..attempt });
    }

    fn push(&mut self, attempt: Attempt) {
        if self.attempts.len() < ATTEMPTS_MAX {
            self.attempts.push(attempt);
        }
    }

    /// Goes on as a trail that was made beside this one: what that one did is what was done. Its own try is called off.
    pub fn goes_on_as(&mut self, aside: &mut Self) {
        let first_token = aside.marks[Mark::FirstToken as usize];
        if first_token != Micros::NEVER {
            let (earlier, later) = self.shift(aside.began);
            self.marks[Mark::FirstToken as usize] = first_token.shifted(earlier, later);
        }
        self.adopts(aside);
    }

    /// Calls off a trail that was made beside this one, whose own try is the one that goes on.
    pub fn calls_off(&mut self, aside: &mut Self) {
        let own = self.attempts.len().checked_sub(1);
        self.adopts(aside);
        if let Some(own) = own {
            self.attempts[own..].rotate_left(1);
        }
    }

    /// Takes over the tries of a trail that was made beside this one.
    fn adopts(&mut self, aside: &mut Self) {
        self.made += std::mem::take(&mut aside.made);
        let other = std::mem::take(&mut aside.attempts);
        self.join(aside.began, other, false);
    }

    /// Tells what others did for this request among others, instead of what was told of that before.
    pub fn borrows(&mut self, other: &Self) {
        self.made = other.made;
        let (earlier, later) = self.shift(other.began);
        for mark in Mark::OF_FLIGHTS {
            self.marks[mark as usize] = other.marks[mark as usize].shifted(earlier, later);
        }
        self.attempts.retain(|attempt| !attempt.borrowed);
        self.join(other.began, other.attempts.iter().cloned(), true);
    }

    /// What others did for this request has ended.
    pub fn others_end(&mut self, result: AttemptResult, now: Instant) {
        let is_it = |attempt: &&mut Attempt| attempt.came == Came::UnderWay && attempt.borrowed;
        if let Some(attempt) = self.attempts.iter_mut().rev().find(is_it) {
            attempt.end(Came::Ended(result), Micros::since(self.began, now));
        }
    }

    fn join(&mut self, began: Instant, attempts: impl IntoIterator<Item = Attempt>, borrowed: bool) {
        let (earlier, later) = self.shift(began);
        for attempt in attempts {
            self.push(Attempt {
                turned: attempt.turned.shifted(earlier, later),
                began: attempt.began.shifted(earlier, later),
                first_token: attempt.first_token.shifted(earlier, later),
                ended: attempt.ended.shifted(earlier, later),
                borrowed: borrowed || attempt.borrowed,
                ..attempt
            });
        }
    }

    /// What is added to and taken from moments of a trail that began at `other`.
    fn shift(&self, other: Instant) -> (Duration, Duration) {
        (other.saturating_duration_since(self.began), self.began.saturating_duration_since(other))
    }
}

#[cfg(test)]
mod tests;
