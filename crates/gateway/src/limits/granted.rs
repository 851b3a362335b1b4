//! What came of asking: leave to go on, to be settled when it is known what was used; or which limit it was.

use super::account::{Line, Measure, Room, Scope};
use super::owing::Owing;
use super::{Levels, Wanted};
use guard::quota::{Bucket, Reservation, Slot, reserve};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// When to come again where all slots are taken, as nobody knows when one is given back.
pub(super) const SLOT_AFTER: Duration = Duration::from_secs(1);

/// Leave to make one call. Its slots are free again when it is dropped, and what it reserved stays taken
/// unless it is settled or refunded.
#[derive(Debug, Default)]
#[must_use = "dropped, its slots are free and its reservation stays taken"]
pub struct Granted {
    parts: SmallVec<[Part; 8]>,
    decided: Decided,
    _seats: SmallVec<[Seat; 4]>,
    owing: Option<Arc<Owing>>,
    levels: Levels,
}

/// Who said so.
#[derive(Debug, Default)]
enum Decided {
    /// Nothing is limited.
    #[default]
    Nobody,
    /// This replica, by its stand-ins.
    Alone(Reservation),
    /// Redis, for all.
    Together,
}

/// One line of a reservation.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) line: Arc<Line>,
    pub(super) reserved: u64,
    /// What the stand-in was drained by, where Redis decided.
    pub(super) drained: u64,
}

/// A slot in a room; when it is given back, Redis is told.
#[derive(Debug)]
pub(super) struct Seat {
    room: Arc<Room>,
    slot: Option<Slot>,
    owing: Option<Arc<Owing>>,
}

/// A call that may not be made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Whose limit it is.
    pub scope: Scope,
    /// What it counts.
    pub measure: Measure,
    /// After this time the same call would be admitted if nobody else asks. Of slots at once, a guess.
    pub after: Duration,
    /// How the caller stands.
    pub levels: Levels,
}

impl Granted {
    /// Decides by this replica's stand-ins, one of so many.
    pub(super) fn alone(
        wanted: Wanted,
        replicas: u64,
        owing: Option<&Arc<Owing>>,
        now: Instant,
    ) -> Result<Self, Denied> {
        let mut seats = SmallVec::new();
        for room in &wanted.rooms {
            let Some(slot) = room.take(replicas) else {
                let levels = levels_of(&wanted, now);
                return Err(Denied { scope: room.scope, measure: room.measure, after: SLOT_AFTER, levels });
            };
            seats.push(Seat::new(room, slot, owing));
        }
        let reserved = {
            let asked: SmallVec<[(&Bucket, u64); 8]> =
                wanted.lines.iter().map(|(line, amount)| (line.bucket(replicas, now), *amount)).collect();
            reserve(&asked, now)
        };
        let levels = levels_of(&wanted, now);
        match reserved {
            Ok(reservation) => Ok(Self::new(wanted, seats, Decided::Alone(reservation), owing, levels)),
            Err(short) => {
                let line = &wanted.lines[short.index].0;
                Err(Denied { scope: line.scope, measure: line.measure, after: short.wait, levels })
            }
        }
    }

    /// As Redis decided.
    pub(super) fn together(
        parts: SmallVec<[Part; 8]>,
        seats: SmallVec<[Seat; 4]>,
        owing: &Arc<Owing>,
        levels: Levels,
    ) -> Self {
        Self { parts, decided: Decided::Together, _seats: seats, owing: Some(Arc::clone(owing)), levels }
    }

    fn new(
        wanted: Wanted,
        seats: SmallVec<[Seat; 4]>,
        decided: Decided,
        owing: Option<&Arc<Owing>>,
        levels: Levels,
    ) -> Self {
        let part = |(line, reserved)| Part { line, reserved, drained: 0 };
        let parts: SmallVec<[Part; 8]> = wanted.lines.into_iter().map(part).collect();
        if let Some(owing) = owing {
            // So that others know of it when Redis is back.
            parts.iter().for_each(|part| owing.line(&part.line, |owed| owed.alone += part.reserved));
        }
        Self { parts, decided, _seats: seats, owing: owing.cloned(), levels }
    }

    /// How the caller stands after this call was reserved.
    #[must_use]
    pub fn levels(&self) -> &Levels {
        &self.levels
    }

    /// The call is over and has used so many tokens. Slots are given back.
    pub fn settle(self, tokens: u64, now: Instant) {
        self.correct(|part| if part.line.measure == Measure::Tokens { tokens } else { part.reserved }, now);
    }

    /// Nothing was sent: neither the request nor its tokens count. Slots are given back.
    pub fn refund(self, now: Instant) {
        self.correct(|_| 0, now);
    }

    fn correct(mut self, used: impl Fn(&Part) -> u64, now: Instant) {
        let all: SmallVec<[u64; 8]> = self.parts.iter().map(&used).collect();
        let is_together = matches!(self.decided, Decided::Together);
        for (part, used) in self.parts.iter().zip(&all) {
            if is_together {
                part.line.redrain(part.drained, *used, now);
            }
            if let Some(owing) = &self.owing {
                owing.correct(part, *used, is_together);
            }
        }
        if let Decided::Alone(reservation) = std::mem::take(&mut self.decided) {
            reservation.settle(&all, now);
        }
    }
}

impl Seat {
    pub(super) fn new(room: &Arc<Room>, slot: Slot, owing: Option<&Arc<Owing>>) -> Self {
        Self { room: Arc::clone(room), slot: Some(slot), owing: owing.cloned() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        // Free first, so that what is told is true.
        self.slot.take();
        if let Some(owing) = &self.owing {
            owing.room(&self.room);
        }
    }
}

fn levels_of(wanted: &Wanted, now: Instant) -> Levels {
    let mut levels = Levels::default();
    wanted.lines.iter().for_each(|(line, _)| levels.add(line, line.level(now)));
    levels
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the limit of {} of this {} is reached", self.measure, self.scope.name())
    }
}
