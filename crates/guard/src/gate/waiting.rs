//! Somebody who waits for a place.

use super::state::{Fate, Return};
use super::{Inner, Permit, Refusal};
use crate::queue::Id;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// Resolves with a permit, or with a refusal where somebody else goes before or the wait has become too
/// long. It stays pending after that.
///
/// Dropping it leaves the queue, at any time. A permit that had just been granted and that nobody has
/// taken goes to the next in order.
#[must_use = "a place is only waited for while this is kept"]
pub struct Waiting {
    inner: Arc<Inner>,
    /// Its number among the waiters, until it has resolved.
    waiter: Option<Id>,
}

impl Waiting {
    pub(super) fn new(inner: Arc<Inner>, waiter: Id) -> Self {
        Self { inner, waiter: Some(waiter) }
    }
}

impl Future for Waiting {
    type Output = Result<Permit, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(id) = self.waiter else { return Poll::Pending };
        let mut state = self.inner.state.lock();
        let Some(waiter) = state.waiter(id) else { return Poll::Pending };
        let fate = waiter.fate;
        if let Fate::Waits(_) = fate {
            let known = waiter.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
            let old = if known { None } else { waiter.waker.replace(cx.waker().clone()) };
            // The last handle of another task may go with it, and that task may hold a permit.
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        state.leave(id);
        drop(state);
        self.waiter = None;
        match fate {
            Fate::Granted(lease) => Poll::Ready(Ok(Permit::new(Arc::clone(&self.inner), lease))),
            Fate::Refused(refusal) => Poll::Ready(Err(refusal)),
            Fate::Waits(_) => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(id) = self.waiter.take() else { return };
        let mut state = self.inner.lock(Instant::now());
        let left = state.leave(id);
        if let Some(Fate::Granted(lease)) = left.as_ref().map(|waiter| waiter.fate) {
            state.take_back(&lease, &Return::Unused);
            self.inner.admit(state);
        } else {
            drop(state);
        }
        drop(left); // with its waker, which must not be dropped under the lock
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("waiter", &self.waiter).finish_non_exhaustive()
    }
}
