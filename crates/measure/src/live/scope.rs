//! Everything that is kept of one scope: a tally, and of each figure that was ever recorded the slot under way
//! and its past. A figure that was not recorded takes a pointer.

use super::budget::Budget;
use super::detail::Detail;
use super::hot::Hot;
use super::names::{Figure, Kind};
use super::rates::{Ended, Spent, Tally};
use super::sample::Sample;
use super::slot::{Pairs, write_pairs};
use super::tape::{Scratch, Tape};

/// Bytes of an entry in the table of names, roughly, beside the name.
const TABLE_BYTES: usize = 48;

/// One route, target, key or alias, or all of them.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) kind: Kind,
    pub(super) name: Box<str>,
    /// The slot in which something was last recorded.
    pub(super) used: u32,
    tally: Tally,
    tallies: Tape,
    series: [Option<Box<Series>>; Figure::ALL.len()],
}

#[derive(Clone, Debug, Default)]
struct Series {
    hot: Hot,
    tape: Tape,
}

/// One of the rows a scope keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Track {
    Tally,
    Figure(Figure),
}

impl Track {
    /// Every row, in the order of [`history`](super::history)'s files.
    pub(super) const ALL: [Self; 1 + Figure::ALL.len()] = [
        Self::Tally,
        Self::Figure(Figure::Total),
        Self::Figure(Figure::Overhead),
        Self::Figure(Figure::FirstToken),
        Self::Figure(Figure::BetweenTokens),
        Self::Figure(Figure::Cache),
        Self::Figure(Figure::External),
    ];
}

impl Scope {
    pub(super) fn new(kind: Kind, name: &str, now: u32) -> Self {
        Self {
            kind,
            name: name.into(),
            used: now,
            tally: Tally::default(),
            tallies: Tape::default(),
            series: Default::default(),
        }
    }

    /// What a scope of this name takes before anything is recorded.
    pub(super) fn bytes_of(name: &str) -> usize {
        size_of::<Self>() + 2 * name.len() + TABLE_BYTES
    }

    /// Records samples. Gives how many were lost, as they need room that the budget does not give.
    pub(super) fn record(&mut self, samples: &[Sample], now: u32, budget: &mut Budget) -> u64 {
        let mut lost = 0;
        for sample in samples {
            self.used = now;
            let kept = match self.series_mut(sample.figure, budget) {
                Some(series) => series.hot.add(sample.bucket, budget),
                None => false,
            };
            lost += u64::from(!kept);
        }
        lost
    }

    pub(super) fn count(&mut self, ended: &Ended, now: u32) {
        self.used = now;
        self.tally.add(ended);
    }

    pub(super) fn spend(&mut self, spent: &Spent, now: u32) {
        self.used = now;
        self.tally.spend(spent);
    }

    fn series_mut(&mut self, figure: Figure, budget: &mut Budget) -> Option<&mut Series> {
        let place = &mut self.series[figure as usize];
        if place.is_none() && budget.take(size_of::<Series>()) {
            *place = Some(Box::default());
        }
        place.as_deref_mut()
    }

    /// Ends the slot under way. Gives how many samples and requests were lost for lack of room.
    pub(super) fn seal(&mut self, slot: u32, scratch: &mut Scratch, budget: &mut Budget) -> u64 {
        let mut lost = 0;
        let tally = std::mem::take(&mut self.tally);
        if tally.pairs().next().is_some() && !self.tallies.append((slot, 0), tally.pairs(), scratch, budget) {
            lost += super::rates::requests(tally.pairs());
        }
        for series in self.series.iter_mut().flatten() {
            if !series.hot.is_empty() && !series.tape.append((slot, 0), series.hot.pairs(), scratch, budget) {
                lost += series.hot.pairs().map(|(_, count)| count).sum::<u64>();
            }
            series.hot.clear(budget);
        }
        lost
    }

    /// Adds a slot that is over to a row, as when the past is read from disk.
    pub(super) fn append(
        &mut self,
        track: Track,
        slot: (u32, u8),
        pairs: Pairs<'_>,
        scratch: &mut Scratch,
        budget: &mut Budget,
    ) -> bool {
        match track {
            Track::Tally => self.tallies.append(slot, pairs, scratch, budget),
            Track::Figure(figure) => match self.series_mut(figure, budget) {
                Some(series) => series.tape.append(slot, pairs, scratch, budget),
                None => false,
            },
        }
    }

    /// Joins and forgets what has aged, and lets go what is empty then.
    pub(super) fn compact(&mut self, now: u32, detail: &Detail, scratch: &mut Scratch, budget: &mut Budget) {
        self.tallies.compact(now, detail, scratch, budget);
        for place in &mut self.series {
            let Some(series) = place else { continue };
            series.tape.compact(now, detail, scratch, budget);
            if series.tape.is_empty() && series.hot.bytes() == 0 {
                *place = None;
                budget.give(size_of::<Series>());
            }
        }
    }

    /// Shows every slot of a row that is not over before `from`, the oldest first, and the one under way last,
    /// which is `now`: its start, its level and what it holds.
    pub(super) fn visit(&self, track: Track, from: u32, now: u32, mut show: impl FnMut(u32, u8, Pairs<'_>)) {
        let mut hot = Vec::new();
        let tape = match track {
            Track::Tally => {
                write_pairs(&mut hot, self.tally.pairs());
                &self.tallies
            }
            Track::Figure(figure) => {
                let Some(series) = &self.series[figure as usize] else { return };
                write_pairs(&mut hot, series.hot.pairs());
                &series.tape
            }
        };
        for slot in tape.slots().filter(|slot| slot.end() > from) {
            show(slot.start, slot.level, slot.pairs());
        }
        if !hot.is_empty() {
            show(now, 0, Pairs::new(&hot));
        }
    }

    /// Everything it takes, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let series = self.series.iter().flatten();
        let held = series.map(|series| size_of::<Series>() + series.hot.bytes() + series.tape.bytes());
        Self::bytes_of(&self.name) + self.tallies.bytes() + held.sum::<usize>()
    }
}
