//! One who waits, and reads.

use super::cabin::Cabin;
use super::fate::SeatError;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

/// A place in a flight: every item from the first on, then its end. Giving it up, by dropping it,
/// hurts nobody else.
pub struct Seat<T, E> {
    /// Gone once the end was read: what others still read is no longer kept on this one's account.
    cabin: Option<Arc<Cabin<T, E>>>,
    row: usize,
    first: bool,
    seen: usize,
}

impl<T, E> Seat<T, E> {
    pub(super) fn new(cabin: Arc<Cabin<T, E>>, row: usize, first: bool) -> Self {
        Self { cabin: Some(cabin), row, first, seen: 0 }
    }

    /// Whether this seat came with the pilot: its caller asked first, the others share.
    pub fn is_first(&self) -> bool {
        self.first
    }

    /// How many items this seat has given. After [`SeatError::Lost`], a caller who has seen none can
    /// board again without anybody noticing.
    pub fn seen(&self) -> usize {
        self.seen
    }

    fn leave(&mut self) {
        if let Some(cabin) = self.cabin.take() {
            cabin.leave(self.row);
        }
    }
}

impl<T: Clone, E: Clone> Seat<T, E> {
    /// The next item, or the end: `None` after the last item, or one error and then `None`. While
    /// pending, the waker of the last call is woken.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, SeatError<E>>>> {
        let Some(cabin) = &self.cabin else { return Poll::Ready(None) };
        let read = cabin.poll_read(self.row, cx);
        match read {
            Poll::Ready(Some(Ok(_))) => self.seen += 1,
            Poll::Ready(Some(Err(_)) | None) => self.leave(),
            Poll::Pending => {}
        }
        read
    }

    /// The next item, or the end, as [`poll_next`](Seat::poll_next) gives it. Dropped before it
    /// resolves, it has taken nothing.
    pub async fn next(&mut self) -> Option<Result<T, SeatError<E>>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }
}

impl<T, E> Drop for Seat<T, E> {
    fn drop(&mut self) {
        self.leave();
    }
}
