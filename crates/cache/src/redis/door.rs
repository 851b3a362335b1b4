//! A door to the same Redis for what is no cache: others' scripts, which take and give whole numbers.
//!
//! It has connections and a breaker of its own. A large answer on its way into the cache does not stand
//! before a small question, and neither side leaves Redis alone because the other fared badly.
//!
//! What a script does is not known here, so nothing is ever sent twice: where the answer does not come, it
//! may or may not have run. (A cluster's client follows a slot that moves, and may then ask again.)

use super::VAIN_PROBES_MAX;
use super::breaker::{Breaker, State};
use super::call::send;
use super::lanes::Lanes;
use super::options::{Fault, Nodes, Options};
use super::scripts::Script;
use crate::tier::Error;
use redis::{Cmd, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::time::Instant as Deadline;
use tokio_util::sync::CancellationToken;

/// Connections of a door: what goes through is small and shares its system calls.
const CONNECTIONS_MAX: usize = 4;
/// What the background asks may take so long.
const BEAT_MAX: Duration = Duration::from_millis(500);

/// A handle: clones share everything.
#[derive(Clone)]
pub struct Door(Arc<Inner>);

struct Inner {
    lanes: Lanes,
    breaker: Breaker,
    budget: Duration,
    namespace: String,
    /// Beats in vain, one right after another.
    vain: AtomicU32,
}

impl Door {
    /// A door that is not connected yet.
    ///
    /// # Errors
    /// Where the options cannot be followed. Whether Redis is there is not looked at.
    pub fn new(options: &Options) -> Result<Self, Fault> {
        let nodes = Nodes::new(options)?;
        let options = Options { connections: options.connections.min(CONNECTIONS_MAX), ..options.clone() };
        Ok(Self(Arc::new(Inner {
            // The tier beside it tells where Redis is not there.
            lanes: Lanes::new(&options, nodes).quiet(),
            breaker: Breaker::new("scripts in redis", Instant::now()),
            budget: options.budget,
            namespace: options.namespace,
            vain: AtomicU32::new(0),
        })))
    }

    /// Keeps connections open until the drain. Without it no call is answered.
    pub async fn run(&self, drain: &CancellationToken) {
        self.0.lanes.run(drain).await;
    }

    /// What every key begins with.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// How its breaker is.
    #[must_use]
    pub fn state(&self) -> State {
        self.0.breaker.state()
    }

    /// Runs a script for somebody who waits: within the budget, and not at all while the breaker is open.
    ///
    /// # Errors
    /// Where no answer comes in time, or one that is no list of whole numbers.
    pub async fn call(&self, script: &Script, keys: &[String], args: &[String]) -> Result<Vec<i64>, Error> {
        let permit = self.0.breaker.admit(Instant::now()).ok_or(Error::Tripped)?;
        let outcome = self.0.ask(script, keys, args, self.0.budget).await;
        match &outcome {
            Ok(_) => permit.succeed(Instant::now()),
            Err(error) => permit.fail(Instant::now(), error),
        }
        outcome
    }

    /// Runs a script for nobody who waits, again and again: it passes the breaker by, and closes it where
    /// this is answered as soon as a caller would want it. So callers need not find out that Redis is back.
    /// Takes half a second at most.
    ///
    /// # Errors
    /// As [`Door::call`].
    pub async fn beat(&self, script: &Script, keys: &[String], args: &[String]) -> Result<Vec<i64>, Error> {
        let asked = Instant::now();
        let permit = self.0.breaker.probe(asked);
        let outcome = self.0.ask(script, keys, args, BEAT_MAX).await;
        let now = Instant::now();
        match (permit, &outcome) {
            (Some(permit), Ok(_)) if now - asked <= self.0.budget => permit.succeed(now),
            (Some(permit), Ok(_)) => permit.fail(now, &Error::Timeout),
            (Some(permit), Err(error)) => permit.fail(now, error),
            (None, _) => {}
        }
        self.0.note(outcome.is_ok());
        outcome
    }
}

impl Inner {
    async fn ask(
        &self,
        script: &Script,
        keys: &[String],
        args: &[String],
        budget: Duration,
    ) -> Result<Vec<i64>, Error> {
        let deadline = Deadline::now() + budget;
        let fill = |cmd: &mut Cmd| {
            cmd.arg(keys.len()).arg(keys).arg(args);
        };
        let value = match send(&self.lanes, &script.by_hash(fill), deadline, 1).await {
            Err(failed) if failed.is_unknown_script() => {
                send(&self.lanes, &script.by_text(fill), deadline, 1).await
            }
            outcome => outcome,
        };
        numbers(value?).ok_or_else(|| Error::Refused("not a list of whole numbers".to_owned()))
    }

    /// Takes the connections for dead where beat after beat is in vain.
    fn note(&self, answered: bool) {
        if answered {
            self.vain.store(0, Ordering::Relaxed);
        } else if self.vain.fetch_add(1, Ordering::Relaxed) + 1 >= VAIN_PROBES_MAX {
            self.vain.store(0, Ordering::Relaxed);
            self.lanes.abandon();
        }
    }
}

fn numbers(value: Value) -> Option<Vec<i64>> {
    let Value::Array(values) = value else { return None };
    values.into_iter().map(|value| if let Value::Int(number) = value { Some(number) } else { None }).collect()
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Door")
            .field("state", &self.state())
            .field("connections", &self.0.lanes.open())
            .finish_non_exhaustive()
    }
}
