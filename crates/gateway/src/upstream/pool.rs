//! One worker's connections to one provider: HTTP/1.1 ones lent to a request at a time, most recently used
//! first, and HTTP/2 ones, each for as many requests at once as every server allows.
//!
//! It is used from one thread, so that its lock is hardly ever contended: only one who finds neither a
//! connection nor room for another looks into the other workers' pools, and may borrow from them.

mod scout;
mod sender;

pub(super) use scout::{First, Outcome, Turn};
pub(super) use sender::{Loan, Sender, Shared};

use super::payload::Payload;
use super::peak::Trough;
use super::room::Share;
use crate::config::Connections;
use hyper::client::conn::{http1, http2};
use scout::Scout;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio_util::task::TaskTracker;

/// One worker's connections.
pub(super) struct Pool {
    share: Share,
    scout: Scout,
    /// How many lie idle at least, and at most.
    warm: usize,
    kept: usize,
    /// How long one lies idle at most.
    idle: Duration,
    /// The worker's, which drives the connections; known once it has opened one.
    tasks: OnceLock<TaskTracker>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The longest idle first.
    idle: Vec<Idle>,
    /// How many lay idle at least of late: so many nobody needed.
    least_idle: Trough,
    /// HTTP/2 connections, those that are used first at the front.
    shared: Vec<Shared>,
    /// How many of them were to spare at least of late.
    least_spare: Trough,
    crowded: u64,
}

struct Idle {
    sender: http1::SendRequest<Payload>,
    since: Instant,
}

/// How a pool stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stand {
    /// HTTP/1.1 connections that lie idle.
    pub(super) idle: usize,
    /// Connections that were closed because as many lay idle as may.
    pub(super) crowded: u64,
}

impl Pool {
    /// One worker's of so many: each has its part of what is kept. `shareable`: the provider may speak HTTP/2.
    pub(super) fn new(share: Share, settings: &Connections, workers: usize, shareable: bool) -> Arc<Self> {
        let part = |all: usize| all.div_ceil(workers.max(1));
        let pool = Arc::new(Self {
            share,
            scout: Scout::new(shareable),
            warm: part(settings.warm),
            kept: part(settings.per_host),
            idle: settings.idle,
            tasks: OnceLock::new(),
            state: Mutex::default(),
        });
        pool.share.room().knows(&pool);
        pool
    }

    /// A connection that may take another request, if one is open; of HTTP/1.1 ones the one used last.
    pub(super) fn take(self: &Arc<Self>) -> Option<Sender> {
        let mut state = self.lock();
        if !state.shared.is_empty()
            && let Some(shared) = state.shared_with_room()
        {
            return Some(Sender::Http2(shared));
        }
        let idle = state.pop()?;
        drop(state);
        Some(Sender::Http1(Loan::new(idle, self)))
    }

    /// The same for a request on another worker, which may also go where as many are as should be: there is
    /// no room for another connection.
    pub(super) fn lend(self: &Arc<Self>) -> Option<Sender> {
        let mut sender = self.take().or_else(|| self.lock().shared_by_fewest().map(Sender::Http2))?;
        sender.stay();
        Some(sender)
    }

    /// Whether to open a connection now or to wait for one.
    pub(super) fn turn(&self) -> Turn {
        self.scout.turn()
    }

    /// A connection just opened, lent at once. `tasks` are those of the worker that drives it.
    pub(super) fn adopt(
        self: &Arc<Self>,
        sender: http1::SendRequest<Payload>,
        tasks: &TaskTracker,
    ) -> Sender {
        self.tasks.get_or_init(|| tasks.clone());
        self.scout.learn(false);
        self.lock().least_idle.see(0);
        Sender::Http1(Loan::new(sender, self))
    }

    /// A connection just opened for everybody.
    pub(super) fn adopt_shared(&self, sender: http2::SendRequest<Payload>, tasks: &TaskTracker) -> Sender {
        self.scout.learn(true);
        let own = Shared::new(sender, tasks.clone());
        let (shared, is_quiet) = {
            let mut state = self.lock();
            state.least_spare.see(0);
            let shared = own.for_another();
            state.shared.push(own);
            (shared, self.share.is_quiet(None))
        };
        if !is_quiet {
            self.share.offer_all(&shared);
        }
        Sender::Http2(shared)
    }

    /// Closes what has been idle too long, and what the load of late has no use for; says how many are
    /// missing of those that are to be warm.
    pub(super) fn sweep(&self, now: Instant) -> usize {
        let mut state = self.lock();
        state.idle.retain(|entry| {
            !entry.sender.is_closed() && now.saturating_duration_since(entry.since) < self.idle
        });
        let unneeded = state.least_idle.recent().min(state.idle.len().saturating_sub(self.warm));
        state.idle.drain(..unneeded);
        let idle = state.idle.len();
        state.least_idle.turn(idle);

        state.shared.retain(|shared| !shared.sender.is_closed());
        let unneeded = state.least_spare.recent();
        let needed = state.shared.len().saturating_sub(unneeded).max(1);
        // Requests that are on the others stay there to their end.
        state.shared.truncate(needed);
        let spare = state.shared.len().saturating_sub(1);
        state.least_spare.turn(spare);
        match state.shared.is_empty() {
            true => self.warm.saturating_sub(idle),
            false => 0,
        }
    }

    /// How it stands.
    pub(super) fn stand(&self) -> Stand {
        let state = self.lock();
        Stand { idle: state.idle.len(), crowded: state.crowded }
    }

    /// Since when its longest idle connection has been that.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.lock().idle.first().map(|entry| entry.since)
    }

    /// Closes that one.
    pub(super) fn close_oldest(&self) {
        let mut state = self.lock();
        if !state.idle.is_empty() {
            state.idle.remove(0);
        }
    }

    /// Closes an HTTP/2 connection on which no request is; `false` where there is none.
    pub(super) fn close_unused(&self) -> bool {
        let mut state = self.lock();
        let unused = state.shared.iter().position(|shared| shared.requests() == 0);
        unused.map(|at| state.shared.remove(at)).is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A poisoned pool is only a list of connections: it is as good as before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The connection that has been idle shortest.
    fn pop(&mut self) -> Option<http1::SendRequest<Payload>> {
        while let Some(Idle { sender, .. }) = self.idle.pop() {
            if !sender.is_closed() {
                self.least_idle.see(self.idle.len());
                return Some(sender);
            }
        }
        None
    }

    /// The first that may take another request, so that the last ones can be done without.
    fn shared_with_room(&mut self) -> Option<Shared> {
        self.shared.retain(|shared| !shared.sender.is_closed());
        let at = self.shared.iter().position(Shared::has_room)?;
        self.least_spare.see(self.shared.len() - 1 - at);
        Some(self.shared[at].for_another())
    }

    fn shared_by_fewest(&mut self) -> Option<Shared> {
        self.shared.retain(|shared| !shared.sender.is_closed());
        self.shared.iter().min_by_key(|shared| shared.requests()).map(Shared::for_another)
    }
}

#[cfg(test)]
mod tests;
