//! What a minute was like, ready to be kept: taken from [`Live`](super::Live) when it is over, written by
//! [`history`](super::history), and handed back to a new `Live` after a restart.

use super::names::Kind;
use super::scope::{Scope, Track};
use super::slot::{Pairs, Sums, write_pairs};

/// Everything that was recorded in one minute, the busiest scopes first. It is an own value, so that a disk
/// that is slow can be written by another thread than the one that records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    /// Minutes since 1970, on the wall.
    pub at: u32,
    pub(super) entries: Vec<Entry>,
}

/// One scope's minute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) name: Box<str>,
    /// The pairs of every row, as written.
    pub(super) tracks: [Box<[u8]>; Track::ALL.len()],
}

impl Minute {
    /// The slots of `scopes` from `start` on, until `end`; `None` where nothing was recorded.
    pub(super) fn of<'a>(
        at: u32,
        (start, end): (u32, u32),
        scopes: impl Iterator<Item = &'a Scope>,
    ) -> Option<Self> {
        let mut sums = Sums::new();
        let mut entries: Vec<Entry> =
            scopes.filter_map(|scope| Entry::of(scope, (start, end), &mut sums)).collect();
        entries.sort_by_cached_key(|entry| (entry.kind != Kind::All, std::cmp::Reverse(entry.requests())));
        (!entries.is_empty()).then_some(Self { at, entries })
    }

    /// How many scopes it tells of.
    #[must_use]
    pub fn scopes(&self) -> usize {
        self.entries.len()
    }
}

impl Entry {
    fn of(scope: &Scope, (start, end): (u32, u32), sums: &mut Sums) -> Option<Self> {
        let tracks = Track::ALL.map(|track| {
            scope.visit(track, start, end, |slot, _, pairs| {
                if (start..end).contains(&slot) {
                    sums.add(pairs);
                }
            });
            let mut bytes = Vec::new();
            write_pairs(&mut bytes, sums.pairs());
            sums.clear();
            bytes.into_boxed_slice()
        });
        let recorded = tracks.iter().any(|bytes| !bytes.is_empty());
        recorded.then(|| Self { kind: scope.kind, name: scope.name.clone(), tracks })
    }

    /// How many requests ended.
    pub(super) fn requests(&self) -> u64 {
        super::rates::requests(Pairs::new(&self.tracks[0]))
    }

    /// The rows, and what each holds.
    pub(super) fn tracks(&self) -> impl Iterator<Item = (Track, Pairs<'_>)> {
        let filled = Track::ALL.into_iter().zip(&self.tracks).filter(|(_, bytes)| !bytes.is_empty());
        filled.map(|(track, bytes)| (track, Pairs::new(bytes)))
    }
}
