//! What a request may be sent on: a connection of its own until the answer has ended, or one of many requests'.

use super::{Idle, Payload, Pool};
use crate::upstream::room::{Arrivals, Offered};
use hyper::client::conn::{http1, http2};
use std::sync::Arc;
use std::time::Instant;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Most requests at once on one HTTP/2 connection: as many as RFC 9113 (6.5.2) would have every server allow. Many
/// allow no more, and hyper does not tell what they do; a request beyond it would wait unseen.
pub(super) const REQUESTS_MAX: usize = 100;

/// A connection that a request may be sent on.
pub(in crate::upstream) enum Sender {
    /// Its own until the answer has ended.
    Http1(Loan),
    /// Shared.
    Http2(Shared),
}

impl Sender {
    /// The worker that drives the connection does not end before it is given back or dropped, although the
    /// request is on another.
    pub(in crate::upstream) fn stay(&mut self) {
        match self {
            Self::Http1(loan) => loan.stay = loan.home.tasks.get().map(TaskTracker::token),
            Self::Http2(shared) => shared.stay = Some(shared.tasks.token()),
        }
    }

    /// Gives it back unused, or to whoever waits.
    pub(in crate::upstream) fn give_back(self, now: Instant) {
        if let Self::Http1(loan) = self {
            loan.give_back(now);
        }
    }
}

/// An HTTP/2 connection, to be held as long as a request is on it.
pub(in crate::upstream) struct Shared {
    pub(in crate::upstream) sender: http2::SendRequest<Payload>,
    /// One for each request that is on it, and the pool's.
    holders: Arc<()>,
    tasks: TaskTracker,
    stay: Option<TaskTrackerToken>,
}

impl Shared {
    /// The pool's own.
    pub(super) fn new(sender: http2::SendRequest<Payload>, tasks: TaskTracker) -> Self {
        Self { sender, holders: Arc::default(), tasks, stay: None }
    }

    /// The same connection for another request.
    pub(in crate::upstream) fn for_another(&self) -> Self {
        let Self { sender, holders, tasks, .. } = self;
        Self { sender: sender.clone(), holders: Arc::clone(holders), tasks: tasks.clone(), stay: None }
    }

    /// Whether another request may be sent on it.
    pub(super) fn has_room(&self) -> bool {
        self.requests() < REQUESTS_MAX
    }

    /// Requests that are on it.
    pub(super) fn requests(&self) -> usize {
        Arc::strong_count(&self.holders).saturating_sub(1)
    }
}

/// An HTTP/1.1 connection on loan from a pool. Dropped, it is closed.
pub(in crate::upstream) struct Loan {
    sender: http1::SendRequest<Payload>,
    /// The pool of the worker whose runtime drives it.
    home: Arc<Pool>,
    stay: Option<TaskTrackerToken>,
}

impl Loan {
    pub(super) fn new(sender: http1::SendRequest<Payload>, home: &Arc<Pool>) -> Self {
        Self { sender, home: Arc::clone(home), stay: None }
    }

    /// The connection itself.
    pub(in crate::upstream) fn sender(&mut self) -> &mut http1::SendRequest<Payload> {
        &mut self.sender
    }

    /// The answer has been read to its end: the connection is kept where nobody waits for one, or for its
    /// place. Where none more may lie idle it is closed.
    pub(in crate::upstream) fn give_back(self, now: Instant) {
        if let Some(wanted) = self.lie_down(None, now) {
            wanted.offer(now);
        }
    }

    /// Gives it to whoever waits, or keeps it after all.
    #[cold]
    fn offer(mut self, now: Instant) {
        loop {
            let share = self.home.share.clone();
            let Offered::Back(Sender::Http1(back), arrivals) = share.offer(Sender::Http1(self)) else {
                return;
            };
            match back.lie_down(Some(arrivals), now) {
                Some(wanted) => self = wanted,
                None => return,
            }
        }
    }

    /// Gives it back to the pool; not where somebody waits who has not been `seen` to have no use for it.
    fn lie_down(self, seen: Option<Arrivals>, now: Instant) -> Option<Self> {
        let Self { sender, home, stay } = self;
        if sender.is_closed() {
            return None;
        }
        let mut state = home.lock();
        if !home.share.is_quiet(seen) {
            drop(state);
            return Some(Self { sender, home, stay });
        }
        if state.idle.len() < home.kept {
            state.idle.push(Idle { sender, since: now });
        } else {
            state.crowded += 1;
        }
        None
    }
}
