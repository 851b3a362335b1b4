//! Who is served next, among those who wait: a pure data structure without locks, wakers or a clock.
//!
//! Three questions, in this order:
//!
//! 1. **Which band?** The highest with anybody in it. A band that has somebody waiting and was not served
//!    for [`aging`](Options::aging) gets the next place, one, so that nobody starves below a busy band.
//! 2. **Which tenant?** Within a band the one that was served the fewest tokens: the virtual token
//!    counter (VTC, Sheng et al., 2024, arXiv 2401.00588). The expected cost is charged when an entry
//!    is served, and [corrected](FairQueue::correct) when the true one is known. Who comes back after
//!    a rest starts where the others stand: to rest saves nothing up.
//! 3. **Which entry?** Within a tenant the one with the earliest deadline.
//!
//! It has a bound, and who is refused at it is decided by the same values: a lower band gives way to a
//! higher one, and within a band the tenant that fills the queue gives way to one that does not. Where
//! a band stands instead of smoothing bursts, CoDel drops from it, the lowest first.
//!
//! Whoever uses it knows how long a place is usually kept, and says so: whether a wait is long, and whether
//! a deadline can still be met, depends on it.
//!
//! Everything takes `O(log n)` steps of `n` waiting.

use std::time::{Duration, Instant};

use self::codel::{Bounds, Codel};
use self::patience::Patience;
use self::shelves::{Due, Place, Shelves};
use self::slab::Slab;

pub use self::slab::Id;

mod codel;
mod patience;
mod shelves;
pub(crate) mod slab;

#[cfg(test)]
mod tests;

/// How urgent a request is. The order is that of service: `High` is the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Band {
    /// Goes before everything else.
    High,
    /// What nobody has said otherwise of.
    #[default]
    Normal,
    /// Can wait.
    Low,
    /// Nobody waits for it.
    Batch,
}

impl Band {
    /// All bands, in the order of service.
    pub const ALL: [Self; 4] = [Self::High, Self::Normal, Self::Low, Self::Batch];
}

/// What the order depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// How urgent it is.
    pub band: Band,
    /// Between whom service is shared fairly.
    pub tenant: u64,
    /// Tokens it is expected to cost; 0 counts as 1.
    pub cost: u64,
    /// When it must have ended, to be of any use.
    pub deadline: Option<Instant>,
}

impl Ticket {
    /// When it must have begun: see [`latest_start`].
    pub(crate) fn latest_start(&self, came: Instant, hold: Duration) -> Option<Instant> {
        self.deadline.map(|deadline| latest_start(deadline, came, hold))
    }
}

/// When something must begin to end before its deadline: earlier by what it usually takes. By half of the
/// time it came with at most, for it may be one of the short ones, and somebody must try.
fn latest_start(deadline: Instant, came: Instant, hold: Duration) -> Instant {
    let half = deadline.saturating_duration_since(came) / 2;
    deadline.checked_sub(hold.min(half)).unwrap_or(deadline)
}

/// Bounds of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Entries that may wait; 0 lets nobody wait.
    pub size: usize,
    /// A band that has somebody waiting and was not served for so long gets the next place, before any
    /// other and past a reserve; of any four places one at most. Zero: never.
    pub aging: Duration,
    /// Where a band's oldest entry was older for a whole [`codel_interval`](Self::codel_interval), entries
    /// are dropped that have waited for more than twice as long. It should be what a caller hardly feels
    /// beside the call itself, and is never less than a quarter of what a call usually takes.
    /// [`Duration::MAX`] drops none.
    pub codel_target: Duration,
    /// How long a burst may last; never less than a call usually takes.
    pub codel_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: 100,
            aging: Duration::from_secs(10),
            codel_target: Duration::from_millis(100),
            codel_interval: Duration::from_millis(500),
        }
    }
}

/// Who may be served just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// The lowest band that may.
    pub lowest: Band,
    /// The lowest that may where it has waited for too long; not above [`lowest`](Self::lowest).
    pub patient: Band,
}

impl Room {
    /// Everybody may.
    pub const FOR_ALL: Self = Self { lowest: Band::Batch, patient: Band::Batch };
}

/// What leaves the queue at its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popped<T> {
    /// Its turn has come, and its cost is charged.
    Serve(T),
    /// Its turn has come, but it would not end before its deadline.
    Late(T),
    /// CoDel drops it, for its band stands.
    Dropped(T),
}

/// An entry has been let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pushed<T> {
    /// What it is removed by.
    pub id: Id,
    /// Who had to leave for it.
    pub displaced: Option<T>,
}

/// The queue is full, and nobody in it gives way to the newcomer, who is handed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full<T>(pub T);

/// Those who wait, in the order of service.
#[derive(Debug)]
pub struct FairQueue<T> {
    options: Options,
    entries: Slab<Entry<T>>,
    shelves: Shelves,
    patience: Patience,
    codels: [Codel; Band::ALL.len()],
    /// Numbers the entries in the order of their arrival.
    arrivals: u64,
}

#[derive(Debug)]
struct Entry<T> {
    item: T,
    place: Place,
    cost: u64,
    arrived: Instant,
}

impl<T> FairQueue<T> {
    /// Nobody waits.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            entries: Slab::new(),
            shelves: Shelves::new(options.size),
            patience: Patience::new(options.aging),
            codels: Default::default(),
            arrivals: 0,
        }
    }

    /// Takes other bounds. Who waits beyond a smaller size goes on waiting.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
        self.shelves.set_size(options.size);
        self.patience.set(options.aging);
    }

    /// Entries waiting.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// Entries waiting in each band, in the order of [`Band::ALL`].
    pub fn waiting(&self) -> [usize; 4] {
        Band::ALL.map(|band| self.shelves.in_band(band))
    }

    /// Whether somebody waits who may be served in this room, in order.
    pub fn has_next(&self, room: Room) -> bool {
        self.shelves.highest(room.lowest).is_some()
    }

    /// Whether a newcomer to this band, who would wait for so long, had better hear at once that it would
    /// be dropped, where places are kept for `hold`.
    pub fn turns_away(&mut self, band: Band, wait: Duration, hold: Duration, now: Instant) -> bool {
        let bounds = Bounds::new(&self.options, hold);
        self.judge(&bounds, now);
        // Where a band above stands, there is no turn to be waited for.
        let behind = self.codels.iter().take(band as usize).any(Codel::stands);
        let away = self.sheds(band) && (behind || bounds.turn_away(wait));
        if away {
            self.codels[band as usize].turned_away(now);
        }
        // A queue that fills at once does not stand yet, and will before such a newcomer's turn. One who is
        // alone in a band is never dropped.
        let is_alone = self.shelves.in_band(band) == 0;
        away || (!is_alone && !self.is_spared(band) && bounds.is_too_late(wait))
    }

    /// How many of those who wait now would be served before a newcomer of this band and tenant, if
    /// nobody else came. Within the band it assumes costs of one size, so it may be somewhat off.
    pub fn ahead(&self, band: Band, tenant: u64) -> usize {
        let above: usize =
            Band::ALL.into_iter().filter(|&other| other < band).map(|b| self.shelves.in_band(b)).sum();
        above + self.shelves.ahead_in_band(band, tenant)
    }

    /// Lets an entry in.
    ///
    /// # Errors
    ///
    /// [`Full`] where nobody gives way: see [`Pushed::displaced`].
    pub fn push(&mut self, ticket: Ticket, item: T, now: Instant) -> Result<Pushed<T>, Full<T>> {
        let mut displaced = None;
        if self.len() >= self.options.size {
            let Some(victim) = self.shelves.gives_way(ticket.band, ticket.tenant) else {
                return Err(Full(item));
            };
            displaced = self.remove(victim);
        }
        self.arrivals += 1;
        let id = self.entries.next_id();
        let place = Place {
            band: ticket.band,
            tenant: ticket.tenant,
            due: Due::new(ticket.deadline, self.arrivals, id),
        };
        self.entries.insert(Entry { item, place, cost: ticket.cost, arrived: now });
        self.shelves.add(&place);
        self.patience.begin(ticket.band, now);
        Ok(Pushed { id, displaced })
    }

    /// Takes out who is next, if `room` is for anybody, where places are kept for `hold`; zero where that
    /// is not known. Who is too late or dropped comes out too, one at a call: call again until somebody is
    /// served or nobody is left.
    pub fn pop(&mut self, room: Room, hold: Duration, now: Instant) -> Option<Popped<T>> {
        let bounds = Bounds::new(&self.options, hold);
        self.judge(&bounds, now);
        if let Some(victim) = self.overstayed(&bounds, now) {
            return self.remove(victim).map(Popped::Dropped);
        }
        let highest = self.shelves.highest(room.lowest);
        let band = self.patience.exhausted(room.patient, now).or(highest)?;
        let id = self.shelves.head(band)?;
        let entry = self.entries.get(id)?;
        if entry.is_late(hold, now) {
            return self.remove(id).map(Popped::Late);
        }
        // Charged before it leaves: a tenant with nobody waiting would count as one who comes back.
        self.shelves.serve(entry.place.tenant, entry.cost);
        self.patience.served(band, highest == Some(band), now);
        self.remove(id).map(Popped::Serve)
    }

    /// Takes an entry out, wherever it is; `None` where it has left already.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        let Entry { item, place, .. } = self.entries.remove(id)?;
        self.shelves.remove(&place);
        if self.shelves.in_band(place.band) == 0 {
            self.patience.end(place.band);
        }
        Some(item)
    }

    /// Charges a tenant for a request that did not have to wait.
    pub fn serve(&mut self, tenant: u64, cost: u64) {
        self.shelves.serve(tenant, cost);
        self.patience.served_in_order();
    }

    /// Corrects a tenant's counter, once a request that was served for `expected` tokens has used
    /// `used`.
    pub fn correct(&mut self, tenant: u64, expected: u64, used: u64) {
        self.shelves.correct(tenant, expected, used);
    }

    /// Judges each band by its oldest entry: that of a band which is passed over tells as much.
    fn judge(&mut self, bounds: &Bounds, now: Instant) {
        for band in Band::ALL {
            let oldest = self.shelves.oldest(band).and_then(|id| self.entries.get(id));
            let wait = oldest.map_or(Duration::ZERO, |oldest| oldest.wait(now));
            self.codels[band as usize].note(wait, bounds, now);
        }
    }

    /// Who is dropped, if anybody is: in the lowest band that stands, the oldest of the tenant that has
    /// most there. A tenant's last one is not: to serve it ends the wait.
    fn overstayed(&self, bounds: &Bounds, now: Instant) -> Option<Id> {
        let bands = Band::ALL.into_iter().rev();
        bands.filter(|&band| self.sheds(band)).find_map(|band| {
            let oldest = self.shelves.oldest_of_crowd(band)?;
            bounds.drop(self.entries.get(oldest)?.wait(now)).then_some(oldest)
        })
    }

    /// Whether a band stands and may lose somebody for it: the highest does not while others wait.
    fn sheds(&self, band: Band) -> bool {
        // Who goes after a band that stands waits no less than it.
        let stands = self.codels.iter().take(band as usize + 1).any(Codel::stands);
        stands && !self.is_spared(band)
    }

    fn is_spared(&self, band: Band) -> bool {
        band == Band::High && self.len() > self.shelves.in_band(band)
    }
}

impl<T> Entry<T> {
    fn wait(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.arrived)
    }

    fn is_late(&self, hold: Duration, now: Instant) -> bool {
        let deadline = self.place.due.deadline();
        deadline.is_some_and(|deadline| latest_start(deadline, self.arrived, hold) <= now)
    }
}
