//! What happens to the figures as time goes: slots end, are joined and forgotten, scopes that nobody uses are
//! freed, and detail is given up where memory is tight and kept again where it is not.

use super::detail::{self, DETAILS, MINUTE, SLOT_MS};
use super::{Kind, Live, Minute};

/// Slots of a day, for which an idle scope is kept and the past can be restored.
pub(super) const DAY: u32 = 43_200;
/// Slots in which every scope has its turn.
const COMPACT_EVERY: u32 = 5;
/// Minutes restored between two rounds of joining.
const RESTORED_BETWEEN: u32 = 10;

impl Live {
    /// Ends the slot under way.
    pub(super) fn seal(&mut self) {
        for scope in self.scopes.iter_mut() {
            self.dropped += scope.seal(self.slot, &mut self.scratch, &mut self.budget);
        }
    }

    /// Begins another slot. Each joins what has aged in every fifth scope, so that none has all the work.
    pub(super) fn turn(&mut self, slot: u32) {
        let before = std::mem::replace(&mut self.slot, slot);
        let turns = (slot - before).min(COMPACT_EVERY) as usize;
        let last = ((slot - 1) % COMPACT_EVERY) as usize;
        self.compact(|index, _| (index + last) % (COMPACT_EVERY as usize) < turns);
        if slot / detail::length(MINUTE) != before / detail::length(MINUTE) {
            self.scopes.free_idle(slot.saturating_sub(DAY), &mut self.budget);
            self.restore_detail();
        }
    }

    /// Joins and forgets what has aged of those scopes that are due, by their number and kind.
    fn compact(&mut self, due: impl Fn(usize, Kind) -> bool) {
        let details = self.coarseness.map(|index| &DETAILS[index.min(DETAILS.len() - 1)]);
        for (known, detail) in self.known_since.iter_mut().zip(details) {
            *known = (*known).max(self.slot.saturating_sub(detail.age));
        }
        for (index, scope) in self.scopes.iter_mut().enumerate() {
            if due(index, scope.kind) {
                let detail = details[scope.kind as usize];
                scope.compact(self.slot, detail, &mut self.scratch, &mut self.budget);
            }
        }
    }

    /// Where it is tight, gives up a degree of detail: of the kind that takes most, as long as it has any to give.
    pub(super) fn make_room(&mut self) {
        if !self.budget.is_tight() {
            return;
        }
        if let Some(heaviest) = self.heaviest() {
            self.coarseness[heaviest as usize] += 1;
            self.compact(|_, kind| kind == heaviest);
        }
    }

    /// The kind that takes most, of those that can give up detail.
    fn heaviest(&self) -> Option<Kind> {
        let mut bytes = [0; Kind::ALL.len()];
        self.scopes.iter().for_each(|scope| bytes[scope.kind as usize] += scope.bytes());
        let able = |kind: &Kind| self.coarseness[*kind as usize] + 1 < DETAILS.len();
        Kind::ALL.into_iter().filter(able).max_by_key(|kind| bytes[*kind as usize])
    }

    /// Keeps more detail from now on where there is much room again.
    fn restore_detail(&mut self) {
        if self.budget.is_roomy()
            && let Some(coarsest) = self.coarseness.iter_mut().max()
        {
            *coarsest = coarsest.saturating_sub(1);
        }
    }

    /// The number of the minute under way, since 1970.
    pub(super) fn minute_now(&self) -> u32 {
        let begun = self.slot - self.slot % detail::length(MINUTE);
        // Where the wall was set, our minutes need not begin with its own: the nearest.
        ((self.clock.wall(self.millis(begun)) + 30_000) / 60_000) as u32
    }

    /// What the minute under way was like, called `at`.
    pub(super) fn minute(&self, at: u32) -> Option<Minute> {
        let begun = self.slot - self.slot % detail::length(MINUTE);
        Minute::of(at, (begun, detail::end(begun, MINUTE)), self.scopes.iter())
    }

    /// Takes back a minute of before a restart: one of the last 24 hours that is over; others are passed over. To
    /// be handed in in the order of time, before anything is recorded.
    pub fn restore(&mut self, minute: &Minute) {
        let at = u64::from(minute.at) * 60_000 / SLOT_MS;
        let Ok(start) = u32::try_from(at.saturating_sub(self.origin)) else { return };
        if at < self.origin || detail::end(start, MINUTE) > self.slot || start + DAY < self.slot {
            return;
        }
        self.began = self.began.min(at * SLOT_MS);
        for entry in &minute.entries {
            let id = self.scopes.find_or_add(entry.kind, &entry.name, start, &mut self.budget);
            let Some(scope) = self.scopes.get_mut(id) else { continue };
            scope.used = scope.used.max(start);
            for (track, pairs) in entry.tracks() {
                // What has no room is not restored. It is no loss to tell of: it was counted when it happened.
                let _ = scope.append(track, (start, MINUTE), pairs, &mut self.scratch, &mut self.budget);
            }
        }
        if minute.at.is_multiple_of(RESTORED_BETWEEN) {
            self.compact(|_, _| true);
        }
        self.make_room();
    }
}
