//! Whether to open a connection or to wait for one. The first to a host tells which protocol it speaks, and where
//! that is HTTP/2 it serves many requests: until it is known a worker opens one, and from then on one for every so
//! many who need it; the others wait for that.
//!
//! It is no bound. Where a connection serves one request at a time, or there is no room for another, nobody waits
//! here.

use super::sender::REQUESTS_MAX;
use crate::upstream::Error;
use std::sync::{Mutex, PoisonError};
use tokio::sync::watch;

/// What is known of a host's protocol, and who is finding out more.
pub(super) struct Scout(Mutex<State>);

struct State {
    host: Host,
    /// The last whose turn it was.
    last: Option<Underway>,
}

/// What the last connection to the host spoke.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Host {
    Unknown,
    Http1,
    Http2,
}

/// Somebody's turn.
struct Underway {
    /// Closed when it is over.
    outcome: watch::Receiver<Option<Outcome>>,
    /// How many have come to wait for it.
    waiting: usize,
}

impl Underway {
    /// Whether what is opened may serve one more. Of a host of which nothing is known, one connection is
    /// opened for however many wait.
    fn may_serve_another(&self, host: Host) -> bool {
        self.outcome.has_changed().is_ok() && (host == Host::Unknown || self.waiting + 1 < REQUESTS_MAX)
    }
}

/// Whose turn it is.
pub(in crate::upstream) enum Turn {
    /// Everybody's: each needs a connection of its own.
    Each,
    /// One's own: others wait for this one, until it is dropped.
    First(First),
    /// Somebody else's.
    Wait(Wait),
}

/// What came of somebody else's turn.
#[derive(Clone, Debug)]
pub(in crate::upstream) enum Outcome {
    /// It is over: there is a connection, or whoever opened it has left.
    Over,
    /// There is no room for another connection.
    NoRoom,
    /// It cannot be opened.
    Failed(Error),
}

impl Scout {
    /// Of a host that may speak HTTP/2, or does not.
    pub(super) fn new(may_be_http2: bool) -> Self {
        let host = if may_be_http2 { Host::Unknown } else { Host::Http1 };
        Self(Mutex::new(State { host, last: None }))
    }

    /// Whose turn it is.
    pub(super) fn turn(&self) -> Turn {
        let mut state = self.lock();
        let host = state.host;
        if host == Host::Http1 {
            return Turn::Each;
        }
        if let Some(last) = &mut state.last
            && last.may_serve_another(host)
        {
            last.waiting += 1;
            return Turn::Wait(Wait(last.outcome.clone()));
        }
        let (first, outcome) = watch::channel(None);
        state.last = Some(Underway { outcome, waiting: 0 });
        Turn::First(First(first))
    }

    /// A connection was opened, and this is what it speaks.
    pub(super) fn learn(&self, http2: bool) {
        self.lock().host = if http2 { Host::Http2 } else { Host::Http1 };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // Each step leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One's own turn. Dropped, it is the next one's.
pub(in crate::upstream) struct First(watch::Sender<Option<Outcome>>);

impl First {
    /// Tells those who wait how it ended.
    pub(in crate::upstream) fn ends(self, outcome: Outcome) {
        // Nobody may wait.
        let _ = self.0.send(Some(outcome));
    }
}

/// Somebody else's turn, waited for.
pub(in crate::upstream) struct Wait(watch::Receiver<Option<Outcome>>);

impl Wait {
    /// What came of it.
    pub(in crate::upstream) async fn outcome(mut self) -> Outcome {
        match self.0.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Outcome::Over),
            Err(_) => Outcome::Over,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{First, Outcome, REQUESTS_MAX, Scout, Turn, Wait};
    use crate::upstream::Error;

    fn first(scout: &Scout) -> First {
        match scout.turn() {
            Turn::First(first) => first,
            Turn::Each | Turn::Wait(_) => panic!("nobody else is about it"),
        }
    }

    fn wait(scout: &Scout) -> Wait {
        match scout.turn() {
            Turn::Wait(wait) => wait,
            Turn::Each | Turn::First(_) => panic!("somebody is about it"),
        }
    }

    #[test]
    fn of_an_unknown_host_one_connection_is_opened() {
        let scout = Scout::new(true);
        let one = first(&scout);
        (0..3 * REQUESTS_MAX).for_each(|_| drop(wait(&scout)));
        drop(one);
        let next = first(&scout);
        scout.learn(false);
        assert!(matches!(scout.turn(), Turn::Each), "also while one is under way");
        drop(next);
        assert!(matches!(Scout::new(false).turn(), Turn::Each));
    }

    #[test]
    fn of_one_that_speaks_http2_as_many_are_opened_as_serve_those_who_wait() {
        let scout = Scout::new(true);
        scout.learn(true);
        let mut underway = Vec::new();
        for _ in 0..3 {
            underway.push(first(&scout));
            (1..REQUESTS_MAX).for_each(|_| drop(wait(&scout)));
        }
        underway.push(first(&scout));
        wait(&scout);
    }

    #[tokio::test]
    async fn those_who_wait_are_told_what_came_of_it() {
        let scout = Scout::new(true);
        let one = first(&scout);
        let (waiting, other) = (wait(&scout), wait(&scout));
        one.ends(Outcome::Failed(Error::ConnectTimeout));
        for wait in [waiting, other] {
            assert!(matches!(wait.outcome().await, Outcome::Failed(Error::ConnectTimeout)));
        }
        let next = first(&scout);
        let waiting = wait(&scout);
        drop(next);
        assert!(matches!(waiting.outcome().await, Outcome::Over), "it left without a word");
    }
}
