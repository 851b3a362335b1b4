//! One flight's shared state, under one lock: the items kept, the seats, and how it ends. Every
//! decision is taken under that lock and every waker is woken after it, so that no wake-up can fall
//! between a look and a wait.

use super::fate::{Abandoned, SeatError};
use super::ledger::Ledger;
use super::rows::Rows;
use super::tape::Tape;
use crate::wakes::Wakes;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// What a pilot and its seats share.
pub(super) struct Cabin<T, E> {
    state: Mutex<State<T, E>>,
    ledger: Arc<Ledger>,
}

struct State<T, E> {
    phase: Phase<E>,
    tape: Tape<T>,
    rows: Rows,
    /// The pilot, while it waits for room to push.
    waits_for_room: Option<Waker>,
    /// The pilot, while it waits to be abandoned.
    waits_for_nobody: Option<Waker>,
}

enum Phase<E> {
    /// The pilot is at work and somebody listens.
    Flying,
    /// Nobody listens. There is no way back: whoever comes begins another flight.
    Abandoned,
    Ended(End<E>),
}

/// How the pilot's work came to its end.
pub(super) enum End<E> {
    Landed,
    Failed(E),
    Lost,
}

/// What one finds who comes late.
pub(super) enum Door {
    /// A seat in this row.
    Open(usize),
    /// The flight goes on, but its first items are gone.
    Closed,
    /// The flight is over.
    Gone,
}

/// An item on its way aboard.
pub(super) struct Luggage<T> {
    item: Option<T>,
    bytes: usize,
    /// Whether laggards have had one more turn to read before they are expelled.
    warned: bool,
}

impl<T> Luggage<T> {
    pub fn new(item: T, bytes: usize) -> Self {
        Self { item: Some(item), bytes, warned: false }
    }
}

impl<T, E> Cabin<T, E> {
    /// A new flight with one seat taken, and its row.
    pub fn depart(ledger: &Arc<Ledger>) -> (Arc<Self>, usize) {
        let mut state = State {
            phase: Phase::Flying,
            tape: Tape::new(Arc::clone(ledger)),
            rows: Rows::new(),
            waits_for_room: None,
            waits_for_nobody: None,
        };
        let row = state.seat();
        (Arc::new(Self { state: Mutex::new(state), ledger: Arc::clone(ledger) }), row)
    }

    /// Takes one more aboard, if that is still possible.
    pub fn board(&self) -> Door {
        let mut state = self.lock();
        match state.phase {
            Phase::Flying if state.tape.is_whole() => Door::Open(state.seat()),
            Phase::Flying => Door::Closed,
            Phase::Abandoned | Phase::Ended(_) => Door::Gone,
        }
    }

    /// Gives a seat up. The last one to go abandons a flight that is still under way.
    pub fn leave(&self, row: usize) {
        let mut state = self.lock();
        let (position, seat_waker) = state.rows.give_up(row);
        if let Some(position) = position {
            state.tape.leave(position);
        }
        let mut left = None;
        if state.rows.readers() == 0 && matches!(state.phase, Phase::Flying) {
            state.phase = Phase::Abandoned;
            state.tape.close();
            left = state.waits_for_nobody.take();
        }
        let room = state.take_pilot_with_room(&self.ledger);
        drop(state);
        drop(seat_waker);
        [left, room].into_iter().flatten().for_each(Waker::wake);
    }

    /// Takes `luggage` aboard, once there is room.
    pub fn poll_push(&self, cx: &Context<'_>, luggage: &mut Luggage<T>) -> Poll<Result<(), Abandoned>> {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Flying) {
            return Poll::Ready(Err(Abandoned));
        }
        if state.tape.is_whole() && !self.ledger.lets_keep(state.tape.bytes(), luggage.bytes) {
            state.tape.close();
        }
        if !state.tape.is_whole() && state.tape.bytes() >= self.ledger.unread_bytes_max() {
            if !state.tape.has_reader_abreast() {
                let old = replace(&mut state.waits_for_room, cx.waker());
                drop(state);
                drop(old);
                return Poll::Pending;
            }
            if !std::mem::replace(&mut luggage.warned, true) {
                // Those who share this thread may only have had no turn yet.
                drop(state);
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            state.expel(self.ledger.unread_bytes_max());
        }
        if let Some(item) = luggage.item.take() {
            state.tape.push(item, luggage.bytes);
        }
        self.wake_seats(state);
        Poll::Ready(Ok(()))
    }

    /// Ready as soon as nobody listens.
    pub fn poll_abandoned(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Flying) {
            return Poll::Ready(());
        }
        let old = replace(&mut state.waits_for_nobody, cx.waker());
        drop(state);
        drop(old);
        Poll::Pending
    }

    /// Ends the flight and tells everybody. An abandoned one has nobody to tell.
    pub fn end(&self, end: End<E>) {
        let mut state = self.lock();
        if !matches!(state.phase, Phase::Flying) {
            return;
        }
        if matches!(end, End::Lost) {
            state.expel_all();
        }
        state.phase = Phase::Ended(end);
        state.tape.close();
        self.wake_seats(state);
    }

    /// Wakes every seat that waits, a batch at a time. A seat that begins to wait meanwhile has seen
    /// what there was to see.
    fn wake_seats<'a>(&'a self, mut state: MutexGuard<'a, State<T, E>>) {
        let mut wakes = Wakes::new();
        let mut next = state.rows.take_wakers(0, &mut wakes);
        drop(state);
        wakes.wake();
        while let Some(row) = next {
            state = self.lock();
            next = state.rows.take_wakers(row, &mut wakes);
            drop(state);
            wakes.wake();
        }
    }

    /// Poisoned or not: what may panic under this lock is the clone of an item, and that comes before
    /// anything has changed.
    fn lock(&self) -> MutexGuard<'_, State<T, E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone, E: Clone> Cabin<T, E> {
    /// What the seat in `row` sees next.
    pub fn poll_read(&self, row: usize, cx: &Context<'_>) -> Poll<Option<Result<T, SeatError<E>>>> {
        let mut state = self.lock();
        let Some(position) = state.rows.position(row) else {
            let lost = matches!(state.phase, Phase::Ended(End::Lost));
            return Poll::Ready(Some(Err(if lost { SeatError::Lost } else { SeatError::Expelled })));
        };
        if let Some(item) = state.tape.read(position) {
            state.rows.advance(row, position + 1);
            let room = state.take_pilot_with_room(&self.ledger);
            drop(state);
            room.into_iter().for_each(Waker::wake);
            return Poll::Ready(Some(Ok(item)));
        }
        match &state.phase {
            Phase::Ended(End::Landed) => Poll::Ready(None),
            Phase::Ended(End::Failed(error)) => Poll::Ready(Some(Err(SeatError::Failed(error.clone())))),
            // While this seat reads, the flight is neither abandoned nor lost.
            Phase::Flying | Phase::Abandoned | Phase::Ended(End::Lost) => {
                let old = state.rows.wait(row, cx.waker());
                drop(state);
                drop(old);
                Poll::Pending
            }
        }
    }
}

impl<T, E> State<T, E> {
    /// Seats one more reader, at item 0.
    fn seat(&mut self) -> usize {
        self.tape.join();
        self.rows.take()
    }

    /// Expels those who keep `bytes` or more from being dropped.
    fn expel(&mut self, bytes: usize) {
        let Self { rows, tape, .. } = self;
        rows.dismiss_before(tape.cut(bytes), |position| tape.leave(position));
    }

    /// Nobody reads on.
    fn expel_all(&mut self) {
        let Self { rows, tape, .. } = self;
        rows.dismiss_before(usize::MAX, |position| tape.leave(position));
    }

    /// The pilot's waker if it waits for room and need not any longer: there is some, as there is when
    /// nobody listens, or somebody is abreast and the others can be expelled.
    fn take_pilot_with_room(&mut self, ledger: &Ledger) -> Option<Waker> {
        let go = self.tape.has_reader_abreast() || self.tape.bytes() < ledger.unread_bytes_max();
        if go { self.waits_for_room.take() } else { None }
    }
}

/// Puts a clone of `new` in place; gives the old one, to be dropped outside the lock.
fn replace(waker: &mut Option<Waker>, new: &Waker) -> Option<Waker> {
    match waker {
        Some(old) if old.will_wake(new) => None,
        _ => waker.replace(new.clone()),
    }
}
