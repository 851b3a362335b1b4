//! One worker's connections to one provider: HTTP/1.1 ones lent to a request at a time, most
//! recently used first, and at most one HTTP/2 connection that all requests share.
//!
//! It is used from one thread, so that its lock is never contended.

use super::payload::Payload;
use hyper::client::conn::{http1, http2};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A connection that a request may be sent on.
pub(super) enum Sender {
    /// Its own until the answer has ended.
    Http1(http1::SendRequest<Payload>),
    /// Shared.
    Http2(http2::SendRequest<Payload>),
}

#[derive(Default)]
pub(super) struct Pool {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Idle>,
    http2: Option<http2::SendRequest<Payload>>,
}

struct Idle {
    sender: http1::SendRequest<Payload>,
    since: Instant,
}

impl Pool {
    /// The connection used last, if one is open.
    pub(super) fn take(&self) -> Option<Sender> {
        let mut state = self.lock();
        if let Some(shared) = &state.http2 {
            if !shared.is_closed() {
                return Some(Sender::Http2(shared.clone()));
            }
            state.http2 = None;
        }
        while let Some(idle) = state.idle.pop() {
            if !idle.sender.is_closed() {
                return Some(Sender::Http1(idle.sender));
            }
        }
        None
    }

    /// Keeps a connection whose answer has been read to its end; beyond `idle_max` it is closed.
    pub(super) fn give_back(&self, sender: http1::SendRequest<Payload>, idle_max: usize, now: Instant) {
        if sender.is_closed() {
            return;
        }
        let mut state = self.lock();
        if state.idle.len() < idle_max {
            state.idle.push(Idle { sender, since: now });
        }
    }

    /// Keeps a connection for everybody.
    pub(super) fn share(&self, sender: http2::SendRequest<Payload>) {
        self.lock().http2 = Some(sender);
    }

    /// Closes what has been idle for longer than `idle`, and says how many requests could start
    /// without a new connection.
    pub(super) fn sweep(&self, idle: Duration, now: Instant) -> usize {
        let mut state = self.lock();
        state
            .idle
            .retain(|entry| !entry.sender.is_closed() && now.saturating_duration_since(entry.since) < idle);
        if state.http2.as_ref().is_some_and(http2::SendRequest::is_closed) {
            state.http2 = None;
        }
        match state.http2 {
            Some(_) => usize::MAX,
            None => state.idle.len(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A poisoned pool is only a list of connections: it is as good as before.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
