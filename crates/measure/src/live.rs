//! Live figures: how long things take and how many there are, for all requests and by route, target, key and
//! alias, over the last ten seconds to the last day.
//!
//! ```text
//! record ──► Hot: this slot's buckets ──tick──► Tape: slots that are over, joined as they age ──► forgotten
//!                        │                        │                │ once a minute
//!                        └───────────┬────────────┘                ▼
//!                  read, rates, points: slots of a window     Minute ──► history: 30 days on disk
//!                  added up bucket by bucket
//! ```
//!
//! A sample is not kept: it is counted in a [bucket](buckets) as wide as the error that is allowed. Buckets can
//! be added up, percentiles cannot: so slots are kept as counts and percentiles are taken last, when somebody
//! asks. The same few bytes ([`slot`]) serve for every figure, for the counters of requests, in memory and on
//! disk. As a slot ages it is joined with its neighbours ([`detail`]), and where memory is tight, sooner: the
//! kind of scope that takes most gives up detail first. What a percentile is worth never changes.
//!
//! Why not an `hdrhistogram` a slot: with two significant digits it records in 4 ns and takes 26 KB, used or not,
//! so that a thousand figures of one slot each are 26 MB. Here a record is 11 ns, a slot some 20 to 200 bytes,
//! and a whole day of one busy figure, from slots of two seconds to slots of ten minutes, 56 KB. (Measured on two
//! cores by `cargo run --release -p tidegate-measure --example live_cost`.)
//!
//! It belongs to one thread and has no lock. It reads no clock: [`Live::tick`] is told the time, several times a
//! second. It does not know what a request is.

mod ageing;
mod buckets;
mod budget;
mod clock;
mod detail;
pub mod history;
mod hot;
mod minute;
mod names;
mod points;
mod quantiles;
mod rates;
mod sample;
mod scope;
mod scopes;
mod slot;
mod tape;

#[cfg(test)]
pub(super) mod tests;

pub use buckets::ERROR;
pub use minute::Minute;
pub use names::{Figure, Kind, Window};
pub use points::{Point, RatePoint};
pub use quantiles::Quantiles;
pub use rates::{Ended, Outcomes, Rates, Spent};
pub use sample::Sample;
pub use scopes::{OTHER, ScopeId};

use crate::moment::Moment;
use ageing::DAY;
use budget::Budget;
use clock::Steady;
use detail::{MINUTE, SLOT_MS};
use points::Steps;
use scope::Track;
use scopes::Scopes;
use slot::{Pairs, Sums};
use std::time::Duration;
use tape::Scratch;

/// Slots of the longest one there is: numbers of slots begin at a multiple of it, so that slots begin at whole
/// minutes and hours.
const LONGEST: u64 = 10_800;

/// How much the figures may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Most bytes, as asked of the allocator, beside some 16 KB of tables. Nothing is taken for what nobody
    /// recorded. What was given up for it is in [`Held::coarseness`].
    pub bytes_max: usize,
    /// Most scopes of each kind; whoever comes later is [`OTHER`]. At most 10,000.
    pub scopes_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { bytes_max: 8 << 20, scopes_max: 200 }
    }
}

/// What the figures take, and what could not be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Bytes taken.
    pub bytes: usize,
    /// Most there may be.
    pub bytes_max: usize,
    /// Scopes known.
    pub scopes: usize,
    /// Samples and requests not counted since the start, for lack of room or because their scope was freed.
    pub dropped: u64,
    /// By kind, how often detail was given up; 0 is all of it. From 3 on the last day is not kept, at 4 the last
    /// hour neither.
    pub coarseness: [usize; Kind::ALL.len()],
}

/// The figures of one process.
#[derive(Clone, Debug)]
pub struct Live {
    clock: Steady,
    /// The first slot that has a number, in slots since 1970.
    origin: u64,
    /// The slot under way.
    slot: u32,
    /// The first slot anything is known of.
    began: u64,
    scopes: Scopes,
    budget: Budget,
    /// By kind, the index of its [`Detail`], and the first slot that was not forgotten for it.
    coarseness: [usize; Kind::ALL.len()],
    known_since: [u32; Kind::ALL.len()],
    scratch: Scratch,
    dropped: u64,
}

impl Live {
    /// Figures of which nothing is known yet.
    #[must_use]
    pub fn new(options: Options, now: Moment) -> Self {
        let clock = Steady::new(now);
        let origin = (clock.time() / SLOT_MS).saturating_sub(u64::from(DAY)) / LONGEST * LONGEST;
        let mut budget = Budget::new(options.bytes_max);
        let scopes = Scopes::new(options.scopes_max, &mut budget);
        Self {
            clock,
            origin,
            slot: (clock.time() / SLOT_MS - origin) as u32,
            began: clock.time(),
            scopes,
            budget,
            coarseness: [0; Kind::ALL.len()],
            known_since: [0; Kind::ALL.len()],
            scratch: Scratch::new(),
            dropped: 0,
        }
    }

    /// The scope of this name; made where it is new, and [`OTHER`] where there are too many. It costs a look-up
    /// in a table, so whoever records asks each time, rather than keep a number that may be freed.
    pub fn scope(&mut self, kind: Kind, name: &str) -> ScopeId {
        self.scopes.find_or_add(kind, name, self.slot, &mut self.budget)
    }

    /// The scope of this name where there is one, to read it.
    #[must_use]
    pub fn find(&self, kind: Kind, name: &str) -> Option<ScopeId> {
        self.scopes.find(kind, name)
    }

    /// Those of one kind that are known, in no order. Of [`Kind::All`] see [`ScopeId::ALL`].
    pub fn scopes(&self, kind: Kind) -> impl Iterator<Item = (ScopeId, &str)> {
        self.scopes.named(kind)
    }

    /// Records that something took so long.
    pub fn record(&mut self, scope: ScopeId, figure: Figure, value: Duration) {
        self.record_all(scope, &[Sample::new(figure, value)]);
    }

    /// Records several things.
    pub fn record_all(&mut self, scope: ScopeId, samples: &[Sample]) {
        self.dropped += match self.scopes.get_mut(scope) {
            Some(scope) => scope.record(samples, self.slot, &mut self.budget),
            None => samples.len() as u64,
        };
    }

    /// Counts a request that has ended.
    pub fn count(&mut self, scope: ScopeId, ended: Ended) {
        match self.scopes.get_mut(scope) {
            Some(scope) => scope.count(&ended, self.slot),
            None => self.dropped += 1,
        }
    }

    /// Counts tokens and cost of a call that is no request of its own.
    pub fn spend(&mut self, scope: ScopeId, spent: Spent) {
        match self.scopes.get_mut(scope) {
            Some(scope) => scope.spend(&spent, self.slot),
            None => self.dropped += 1,
        }
    }

    /// It is `now`: ends the slot that is over, joins and forgets what has aged, and makes room where it is
    /// tight. To be told several times a second. Where a minute is over, gives what it was like.
    pub fn tick(&mut self, now: Moment) -> Option<Minute> {
        let minute = self.minute_now();
        let slot = (self.clock.advance(now) / SLOT_MS).saturating_sub(self.origin) as u32;
        let mut over = None;
        if slot > self.slot {
            self.seal();
            if slot / detail::length(MINUTE) != self.slot / detail::length(MINUTE) {
                over = self.minute(minute);
            }
            self.turn(slot);
        }
        self.make_room();
        over
    }

    /// The end: gives what the minute under way was like so far.
    #[must_use]
    pub fn finish(mut self) -> Option<Minute> {
        let minute = self.minute_now();
        self.seal();
        self.minute(minute)
    }

    /// How long something took in the last so long. A window is made of whole slots: it is longer than its name
    /// by what of the slot at its far end is older, and the slot under way.
    #[must_use]
    pub fn read(&self, scope: ScopeId, figure: Figure, window: Window) -> Quantiles {
        Quantiles::of(&self.sums(scope, Track::Figure(figure), window).0)
    }

    /// What was counted in the last so long, and how much of it a second.
    #[must_use]
    pub fn rates(&self, scope: ScopeId, window: Window) -> Rates {
        let (sums, since) = self.sums(scope, Track::Tally, window);
        Rates::of(&sums, self.span(since, u32::MAX - since))
    }

    /// A figure's chart, the oldest step first: some 5 to 145 steps, of 2 s for [`Window::S10`] and [`Window::M1`], 10 s
    /// for [`Window::M10`], 1 min for [`Window::H1`] and 10 min for [`Window::H24`], or longer ones where detail
    /// was given up.
    #[must_use]
    pub fn points(&self, scope: ScopeId, figure: Figure, window: Window) -> Vec<Point> {
        let mut points = Vec::new();
        self.chart(scope, Track::Figure(figure), window, |at, span, sums| {
            points.push(Point::of(at, span, sums));
        });
        points
    }

    /// The chart of the rates, in the same steps.
    #[must_use]
    pub fn rate_points(&self, scope: ScopeId, window: Window) -> Vec<RatePoint> {
        let mut points = Vec::new();
        self.chart(scope, Track::Tally, window, |at, span, sums| points.push(RatePoint::of(at, span, sums)));
        points
    }

    /// What all this takes.
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            bytes: self.budget.held(),
            bytes_max: self.budget.max(),
            scopes: self.scopes.iter().count(),
            dropped: self.dropped,
            coarseness: self.coarseness,
        }
    }
}

/// How it is read.
impl Live {
    /// The first slot of a window, as far as anything is known.
    fn since(&self, kind: Kind, window: Window) -> u32 {
        self.slot.saturating_sub(window.slots()).max(self.known_since[kind as usize])
    }

    /// A row's slots in a window added up, and where the first of them began.
    fn sums(&self, scope: ScopeId, track: Track, window: Window) -> (Sums, u32) {
        let mut sums = Sums::new();
        let Some(scope) = self.scopes.get(scope) else { return (sums, self.slot) };
        let mut since = self.since(scope.kind, window);
        scope.visit(track, since, self.slot, |start, _, pairs| {
            since = since.min(start);
            sums.add(pairs);
        });
        (sums, since)
    }

    /// Hands every step of a chart to `draw`: when it began on the wall, its length, what it holds.
    fn chart(
        &self,
        scope: ScopeId,
        track: Track,
        window: Window,
        mut draw: impl FnMut(u64, Duration, &Sums),
    ) {
        let Some(scope) = self.scopes.get(scope) else { return };
        let mut steps = Steps::new(window.step(), |start, length, sums: &Sums| {
            draw(self.clock.wall(self.millis(start)), self.span(start, length), sums);
        });
        // Whole steps, so that the first one is not a piece.
        let since = self.since(scope.kind, window) / window.step() * window.step();
        scope.visit(track, since, self.slot, |start, level, pairs: Pairs<'_>| {
            steps.add(start, detail::length(level), pairs);
        });
        steps.finish();
    }

    /// How much of so many slots has passed, since anything is known.
    fn span(&self, start: u32, length: u32) -> Duration {
        let from = self.millis(start).max(self.began);
        let until = self.millis(start).saturating_add(u64::from(length) * SLOT_MS).min(self.clock.time());
        Duration::from_millis(until.saturating_sub(from))
    }

    /// When a slot begins, on our own clock.
    fn millis(&self, slot: u32) -> u64 {
        (self.origin + u64::from(slot)) * SLOT_MS
    }
}
