//! How many connections may be open, to each provider and in all, and who waits for one: one for the process.
//!
//! Counts and queues are under one lock, so that both bounds are exact, whoever has waited longest comes
//! next, and no wake-up is lost. It is taken where a connection is opened or closed, and by those who wait. A
//! request that finds an idle connection never comes here, and one that gives its connection back looks at a
//! number that hardly ever changes.
//!
//! Who waits is given a place, as soon as a connection is closed, or the next connection that somebody gives
//! back, whichever comes first. It does not know how connections are made.

mod state;
mod waiting;

pub(super) use state::{Level, Waits};
pub(super) use waiting::Waiting;

use super::pool::{Pool, Sender, Shared};
use state::{Row, State};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::oneshot;

/// Most requests that wait for a connection at once, to whichever provider.
const WAITING_MAX: usize = 16 * 1024;

/// Room for connections.
pub struct Room {
    state: Mutex<State>,
    /// Those who wait now. Written under the lock.
    waiting: AtomicUsize,
    /// Those who have ever waited. Written under the lock.
    arrivals: AtomicU64,
    /// Where connections lie idle.
    pools: Mutex<Vec<Weak<Pool>>>,
}

/// Which bound is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The provider's own.
    Provider,
    /// That of all connections together.
    All,
}

impl Bound {
    /// The key that raises it.
    pub fn key(self) -> &'static str {
        match self {
            Self::Provider => "connections.max",
            Self::All => "server.upstream_connections_max",
        }
    }
}

/// What came of asking for a place.
pub(super) enum Entered {
    /// There is one.
    Place(Place),
    /// There is none now.
    Waiting(Waiting),
    /// There is none, and too many wait already.
    Full(Bound),
}

/// What one who waited is given.
pub(super) enum Grant {
    /// A connection may be opened.
    Place(Place),
    /// Somebody else's connection, given back.
    Connection(Sender),
}

/// What came of offering a connection to those who wait.
pub(super) enum Offered {
    /// It is somebody else's, or closed for the sake of somebody who needs its place.
    Taken,
    /// Nobody among those who had come until then wants it.
    Back(Sender, Arrivals),
}

/// How many had come to wait at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrivals(u64);

/// Who gets a connection that is given back.
enum Taker {
    This(oneshot::Sender<Grant>),
    /// One who waits for another provider's, and has waited longer: it gets the place.
    Another,
    Nobody(Arrivals),
}

impl Room {
    /// Room for so many connections in all.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { max, open: 0, rows: Vec::new() }),
            waiting: AtomicUsize::new(0),
            arrivals: AtomicU64::new(0),
            pools: Mutex::default(),
        })
    }

    /// One provider's share; `max` counts only where its name is new.
    pub(super) fn share(self: &Arc<Self>, name: &str, max: usize) -> Share {
        let mut state = self.lock();
        let known = state.rows.iter().position(|row| *row.name == *name);
        let row = known.unwrap_or_else(|| {
            state.rows.push(Row::new(name, max));
            state.rows.len() - 1
        });
        Share { room: Arc::clone(self), row }
    }

    /// Puts new bounds in force, `of` by a provider's name. Where more are open than may be, that many are
    /// closed or given back before another is opened.
    pub fn bound(self: &Arc<Self>, max: usize, of: impl Fn(&str) -> Option<usize>) {
        {
            let mut state = self.lock();
            state.max = max;
            for row in &mut state.rows {
                row.max = of(&row.name).unwrap_or(row.max);
            }
        }
        self.grant();
    }

    /// How many are open, and how many may be.
    pub fn stand(&self) -> (usize, usize) {
        let state = self.lock();
        (state.open, state.max)
    }

    /// Connections may lie idle there.
    pub(super) fn knows(&self, pool: &Arc<Pool>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|pool| pool.strong_count() > 0);
        pools.push(Arc::downgrade(pool));
    }

    /// Closes the connection that has been idle longest, whosever it is, so that its place is free; where there
    /// is none, one that many might share and nobody uses.
    pub(super) fn reclaim(&self) {
        let pools: Vec<_> = {
            let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            pools.iter().filter_map(Weak::upgrade).collect()
        };
        let idlest =
            pools.iter().filter_map(|pool| Some((pool.idle_since()?, pool))).min_by_key(|(since, _)| *since);
        match idlest {
            Some((_, pool)) => pool.close_oldest(),
            None => drop(pools.iter().find(|pool| pool.close_unused())),
        }
    }

    fn release(self: &Arc<Self>, row: usize) {
        self.lock().leaves(row);
        self.grant();
        // Who waited for this provider may have to wait for all of them from here on.
        let is_short = self.lock().is_short_in_all(row);
        if is_short {
            self.reclaim();
        }
    }

    /// Gives what places there are to those who have waited longest.
    fn grant(self: &Arc<Self>) {
        while let Some((granted, place)) = self.next() {
            // Where that one has just left, the place is given on as it is dropped.
            let _ = granted.send(Grant::Place(place));
        }
    }

    fn next(self: &Arc<Self>) -> Option<(oneshot::Sender<Grant>, Place)> {
        let mut state = self.lock();
        let row = state.next()?;
        let granted = state.pop(row)?;
        self.waiting.fetch_sub(1, Relaxed);
        state.enters(row);
        Some((granted, Place { room: Arc::clone(self), row }))
    }

    fn taker(&self, row: usize) -> Taker {
        let mut state = self.lock();
        let own = state.rows[row].first();
        let another = state.first_short_in_all(row);
        if another.is_some_and(|another| own.is_none_or(|own| another < own)) {
            return Taker::Another;
        }
        match state.pop(row) {
            Some(granted) => {
                self.waiting.fetch_sub(1, Relaxed);
                Taker::This(granted)
            }
            None => Taker::Nobody(Arrivals(self.arrivals.load(Relaxed))),
        }
    }

    fn leave(&self, row: usize, ticket: u64) {
        if self.lock().rows[row].queue.remove(&ticket).is_some() {
            self.waiting.fetch_sub(1, Relaxed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each step leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One provider's share of the room.
#[derive(Clone)]
pub(super) struct Share {
    room: Arc<Room>,
    row: usize,
}

impl Share {
    /// A place, or one in the queue.
    pub(super) fn enter(&self) -> Entered {
        let mut state = self.room.lock();
        let Some(bound) = state.blocked(self.row) else {
            state.enters(self.row);
            return Entered::Place(self.taken());
        };
        let row = &mut state.rows[self.row];
        match bound {
            Bound::Provider => row.waits.provider += 1,
            Bound::All => row.waits.all += 1,
        }
        if self.room.waiting.load(Relaxed) >= WAITING_MAX {
            return Entered::Full(bound);
        }
        let (granted, receiver) = oneshot::channel();
        let ticket = self.room.arrivals.fetch_add(1, Relaxed);
        self.room.waiting.fetch_add(1, Relaxed);
        row.queue.insert(ticket, granted);
        row.most_waiting.see(row.queue.len());
        Entered::Waiting(Waiting::new(self.clone(), ticket, bound, receiver))
    }

    /// A place, where there is one now.
    pub(super) fn place(&self) -> Option<Place> {
        let mut state = self.room.lock();
        if state.blocked(self.row).is_some() {
            return None;
        }
        state.enters(self.row);
        Some(self.taken())
    }

    /// Whether nobody waits, for this provider or another, or nobody new since `seen`. A pool asks this under
    /// its own lock, before a connection is laid down in it: whoever comes later looks into the pool.
    pub(super) fn is_quiet(&self, seen: Option<Arrivals>) -> bool {
        self.room.waiting.load(Relaxed) == 0 || seen == Some(Arrivals(self.room.arrivals.load(Relaxed)))
    }

    /// Gives a connection to whoever has waited longest.
    pub(super) fn offer(&self, mut sender: Sender) -> Offered {
        sender.stay();
        loop {
            match self.room.taker(self.row) {
                Taker::This(granted) => match granted.send(Grant::Connection(sender)) {
                    // That one has just left: the next.
                    Err(Grant::Connection(back)) => sender = back,
                    Ok(()) | Err(Grant::Place(_)) => return Offered::Taken,
                },
                Taker::Another => return Offered::Taken,
                Taker::Nobody(arrivals) => return Offered::Back(sender, arrivals),
            }
        }
    }

    /// Gives everyone who waits for this provider a connection that all may use.
    pub(super) fn offer_all(&self, shared: &Shared) {
        while let Taker::This(granted) = self.room.taker(self.row) {
            let mut sender = Sender::Http2(shared.for_another());
            sender.stay();
            let _ = granted.send(Grant::Connection(sender));
        }
    }

    /// How the provider stands.
    pub(super) fn level(&self) -> Level {
        let state = self.room.lock();
        let row = &state.rows[self.row];
        let Row { max, open, waits, .. } = *row;
        let (most, most_waiting) = (row.most.recent(), row.most_waiting.recent());
        Level { max, open, most, waiting: row.queue.len(), most_waiting, waits }
    }

    /// Begins a new round of what was open at most.
    pub(super) fn turn(&self) {
        let mut state = self.room.lock();
        let row = &mut state.rows[self.row];
        row.most.turn(row.open);
        row.most_waiting.turn(row.queue.len());
    }

    /// The room itself.
    pub(super) fn room(&self) -> &Arc<Room> {
        &self.room
    }

    fn taken(&self) -> Place {
        Place { room: Arc::clone(&self.room), row: self.row }
    }
}

/// The right to one connection, from before it is dialled until it is closed.
pub(super) struct Place {
    room: Arc<Room>,
    row: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.release(self.row);
    }
}

#[cfg(test)]
mod tests;
