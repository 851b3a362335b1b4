//! One command, bounded: a breaker before it, a budget round it, up to three tries within.

use super::breaker::{Breaker, Permit, State};
use super::lanes::Lanes;
use super::scripts::Script;
use crate::tier::Error;
use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::time::{Instant as Deadline, timeout_at};

/// Tries of one call, where the connection breaks under it.
const TRIES: usize = 3;
/// What a server refuses writes with while it goes on answering reads.
const WRITES_REFUSED: [&str; 5] = ["READONLY", "OOM", "MISCONF", "NOREPLICAS", "NOGOODSLAVE"];
/// What a server that cannot serve anybody says, beside what the client has names for.
const USELESS: [&str; 3] = ["NOAUTH", "WRONGPASS", "NOPERM"];

/// The way to Redis that calls go.
pub(super) struct Caller {
    pub(super) lanes: Lanes,
    budget: Duration,
    /// Opens where Redis does not answer.
    server: Breaker,
    /// Opens where it takes no writes, so that reads go on.
    writes: Breaker,
}

/// What a call is to the breakers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    /// Stands behind both breakers.
    Write,
    /// Passes them by: it must find out for itself, and nobody waits for it.
    Background,
}

/// Why a call brought nothing.
#[derive(Debug)]
pub(super) enum Failed {
    Timeout,
    Tripped,
    NotConnected,
    Broken(RedisError),
    /// The server answered, with an error.
    Refused(RedisError),
}

impl Caller {
    pub(super) fn new(lanes: Lanes, budget: Duration) -> Self {
        let now = Instant::now();
        Self {
            lanes,
            budget,
            server: Breaker::new("redis", now),
            writes: Breaker::new("writes to redis", now),
        }
    }

    /// When a call that begins now must be over.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline::now() + self.budget
    }

    /// How the breakers stand: of everything, and of writes.
    pub(super) fn states(&self) -> (State, State) {
        (self.server.state(), self.writes.state())
    }

    /// How often the breakers opened.
    pub(super) fn trips(&self) -> u64 {
        self.server.trips() + self.writes.trips()
    }

    /// Sends one command and brings its answer, by the deadline.
    pub(super) async fn call(&self, kind: Kind, cmd: &Cmd, deadline: Deadline) -> Result<Value, Failed> {
        if kind == Kind::Background {
            return self.attempt(cmd, deadline).await;
        }
        let now = Instant::now();
        let server = self.server.admit(now).ok_or(Failed::Tripped)?;
        let writes = match kind {
            Kind::Write => Some(self.writes.admit(now).ok_or(Failed::Tripped)?),
            _ => None,
        };
        let outcome = self.attempt(cmd, deadline).await;
        judge(&outcome, server, writes);
        outcome
    }

    /// Runs a script; sends its text only to a server that does not know it yet.
    pub(super) async fn script(
        &self,
        kind: Kind,
        script: &Script,
        args: impl Fn(&mut Cmd) + Send,
        deadline: Deadline,
    ) -> Result<Value, Failed> {
        match self.call(kind, &script.by_hash(&args), deadline).await {
            Err(failed) if failed.is_unknown_script() => {
                self.call(kind, &script.by_text(&args), deadline).await
            }
            outcome => outcome,
        }
    }

    async fn attempt(&self, cmd: &Cmd, deadline: Deadline) -> Result<Value, Failed> {
        send(&self.lanes, cmd, deadline, TRIES).await
    }

    /// Tries `cmd`, a read, where the breaker is open and it is time; gives whether it was answered.
    pub(super) async fn probe(&self, cmd: &Cmd) -> Option<bool> {
        let permit = self.server.probe(Instant::now())?;
        let outcome = self.attempt(cmd, self.deadline()).await;
        let answered = outcome.is_ok();
        judge(&outcome, permit, None);
        Some(answered)
    }
}

/// Sends one command and brings its answer by the deadline, over up to so many connections that break.
pub(super) async fn send(
    lanes: &Lanes,
    cmd: &Cmd,
    deadline: Deadline,
    tries: usize,
) -> Result<Value, Failed> {
    match timeout_at(deadline, try_to_send(lanes, cmd, tries)).await {
        Ok(outcome) => outcome,
        Err(_) if lanes.open() == 0 => Err(Failed::NotConnected),
        Err(_) => Err(Failed::Timeout),
    }
}

async fn try_to_send(lanes: &Lanes, cmd: &Cmd, tries: usize) -> Result<Value, Failed> {
    let mut tried = 1;
    loop {
        let mut lease = lanes.lease().await;
        match cmd.query_async(&mut lease.connection).await {
            Ok(value) => return Ok(value),
            Err(error) if is_broken(&error) => {
                lease.broke();
                if tried >= tries {
                    return Err(Failed::Broken(error));
                }
            }
            Err(error) => return Err(Failed::Refused(error)),
        }
        tried += 1;
    }
}

impl Failed {
    /// Whether the server has not run the script, as it does not know it yet.
    pub(super) fn is_unknown_script(&self) -> bool {
        let Self::Refused(error) = self else { return false };
        error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
    }
}

/// Tells the breakers of a call. A write that takes too long is the writes' affair: a large value may, on a
/// line that serves reads well.
fn judge(outcome: &Result<Value, Failed>, server: Permit<'_>, writes: Option<Permit<'_>>) {
    let now = Instant::now();
    let (server_well, writes_well) = match (outcome, &writes) {
        (Ok(_), _) => (true, true),
        (Err(Failed::Refused(error)), _) if is_useless(error) => (false, false),
        (Err(Failed::Refused(error)), _) => (true, !refuses_writes(error)),
        (Err(Failed::Timeout), Some(_)) => (true, false),
        (Err(_), _) => (false, false),
    };
    // That a write took too long says nothing of the server, neither good nor bad.
    let silent = matches!(outcome, Err(Failed::Timeout)) && writes.is_some();
    let failed = outcome.as_ref().err();
    settle((!silent).then_some(server), failed.filter(|_| !server_well), now);
    settle(writes, failed.filter(|_| !writes_well), now);
}

fn settle(permit: Option<Permit<'_>>, failed: Option<&Failed>, now: Instant) {
    match (permit, failed) {
        (Some(permit), None) => permit.succeed(now),
        (Some(permit), Some(failed)) => permit.fail(now, failed),
        (None, _) => {}
    }
}

fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
}

fn refuses_writes(error: &RedisError) -> bool {
    error.code().is_some_and(|code| WRITES_REFUSED.contains(&code))
}

fn is_useless(error: &RedisError) -> bool {
    use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, TryAgain};
    let kind = matches!(error.kind(), ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | TryAgain));
    kind || error.code().is_some_and(|code| USELESS.contains(&code))
}

/// In the server's words where it said any: they hold no credentials.
impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("no answer in time"),
            Self::Tripped => f.write_str("left alone"),
            Self::NotConnected => f.write_str("not connected"),
            Self::Broken(error) | Self::Refused(error) => error.fmt(f),
        }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Timeout => Self::Timeout,
            Failed::Tripped => Self::Tripped,
            Failed::NotConnected => Self::Unavailable("not connected to Redis".to_owned()),
            Failed::Broken(error) => Self::Unavailable(error.to_string()),
            Failed::Refused(error) => Self::Refused(error.to_string()),
        }
    }
}
