//! What a function does its steps with.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use store::Time;
use store::jobs::Lease;
use store::runs::{Advanced, Decision, Run, RunState, Step as Row};

use super::{Flows, Halt, join};
use crate::workflow::duration::LONGEST;
use crate::workflow::engine::OUTPUT_BYTES_MAX;
use crate::workflow::event::Failure;
use crate::workflow::read::NAME_BYTES_MAX;

/// One turn of a run, as its function sees it. A clone is another handle to the same.
#[derive(Clone, Debug)]
pub struct Flow {
    inner: Arc<Inner>,
}

struct Inner {
    flows: Flows,
    run: Run,
    held: Lease,
    state: Mutex<State>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner").field("run", &self.run.id).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct State {
    /// What is recorded, by the steps' names.
    rows: BTreeMap<String, Row>,
    /// Names that the function has asked for.
    asked: BTreeSet<String>,
    /// Whether the turn is over, and why if not because it waits.
    over: bool,
    broken: Option<String>,
    /// Whether the function was told to wait, and until when if that is known.
    suspended: bool,
    wake: Option<Time>,
}

/// How a turn ended, but for what the function returned.
pub(super) struct Ended {
    /// Whether it waits for another turn, whatever the function made of that.
    pub(super) suspended: bool,
    pub(super) broken: Option<String>,
    pub(super) wake: Option<Time>,
    /// A recorded step that was not asked for.
    pub(super) left: Option<String>,
}

impl Flow {
    pub(super) fn new(flows: Flows, run: Run, held: Lease, rows: Vec<Row>) -> Self {
        let rows = rows.into_iter().map(|row| (row.key.clone(), row)).collect();
        let state = Mutex::new(State { rows, ..State::default() });
        Self { inner: Arc::new(Inner { flows, run, held, state }) }
    }

    /// The run's id.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.inner.run.id
    }

    /// The idempotency key of a step for the world outside: the same in each of its attempts.
    #[must_use]
    pub fn key(&self, step: &str) -> String {
        format!("{}/{step}", self.inner.run.id)
    }

    /// Does a step, or gives what came of it when it was done. A failure that may pass is tried again later;
    /// one that was given up comes out of here the same each time, and may be caught.
    ///
    /// # Errors
    /// The step was given up; or the turn is over.
    pub async fn step<T, F, Fut>(&self, name: &str, work: F) -> Result<T, Halt>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce() -> Fut + Send,
        Fut: Future<Output = Result<T, Failure>> + Send,
    {
        let before = self.ask(name)?;
        let attempts = before.as_ref().map_or(0, |row| row.attempts);
        match before {
            Some(row) if row.state == "done" => return output(name, &row),
            Some(row) if row.state == "failed" => return Err(failure(&row).into()),
            Some(row) => self.rest(due(&row))?,
            None => {}
        }
        let started = self.now();
        let worked = work().await.and_then(|output| Ok((written(&output)?, output)));
        let row = Row { started: Some(started), attempts: attempts + 1, ..row(name, "done") };
        match worked {
            Ok((bytes, output)) => {
                self.record(Row { output: Some(bytes), ended: Some(self.now()), ..row }).await?;
                Ok(output)
            }
            Err(failure) => self.failed(row, failure).await,
        }
    }

    /// Waits so long, however often this process ends meanwhile. The name is a step's, and unique as such.
    ///
    /// # Errors
    /// The turn is over.
    pub async fn sleep(&self, name: &str, length: Duration) -> Result<(), Halt> {
        let wake = match self.ask(name)? {
            Some(row) if row.state == "done" => return Ok(()),
            Some(row) => due(&row),
            None => {
                let wake = self.now().after(length.min(LONGEST));
                self.record(Row { started: Some(self.now()), ..resting(name, "asleep", wake) }).await?;
                Some(wake)
            }
        };
        self.rest(wake)?;
        self.record(Row { started: Some(self.now()), ended: Some(self.now()), ..row(name, "done") }).await
    }

    /// Waits for a signal and gives what came with it. The name is a step's, and unique as such.
    ///
    /// # Errors
    /// A failure of the class `timeout` where it did not come in time; or the turn is over.
    pub async fn wait(&self, signal: &str, timeout: Option<Duration>) -> Result<Value, Halt> {
        let key = signal_key(signal);
        let patience = match (self.recorded(&key)?, timeout) {
            (Some(row), _) if row.state == "done" => return output(signal, &row),
            (Some(row), _) if row.state == "failed" => return Err(failure(&row).into()),
            (Some(row), _) => due(&row),
            (None, Some(timeout)) => {
                let wake = self.now().after(timeout.min(LONGEST));
                self.record(resting(&key, "listening", wake)).await?;
                Some(wake)
            }
            (None, None) => None,
        };
        if patience.is_none() {
            return Err(self.suspend(None));
        }
        self.rest(patience)?;
        let late = Failure::lasting("timeout", format!("the signal `{signal}` did not come in time"));
        self.failed(row(&key, "failed"), late).await
    }

    /// Does several things at once, all to their end, and gives what came of each, in their order.
    ///
    /// # Errors
    /// The first failure; or the turn is over.
    pub async fn parallel<T, F>(&self, all: impl IntoIterator<Item = F>) -> Result<Vec<T>, Halt>
    where
        F: Future<Output = Result<T, Halt>>,
    {
        let mut outputs = Vec::new();
        let mut halted: Option<Halt> = None;
        for ended in join::all(all).await {
            match (ended, &halted) {
                (Ok(output), _) => outputs.push(output),
                // What is over for good only counts once nothing of the others is still to come.
                (Err(Halt::Failed(failure)), None) => halted = Some(Halt::Failed(failure)),
                (Err(Halt::Failed(_)), _) => {}
                (Err(halt), _) => halted = Some(halt),
            }
        }
        halted.map_or(Ok(outputs), Err)
    }

    /// What is recorded of a step that the function asks for.
    fn ask(&self, name: &str) -> Result<Option<Row>, Halt> {
        if !is_name(name) {
            let why = format!("`{name}` is no name: give one of 1 to {NAME_BYTES_MAX} bytes without a `/`");
            return Err(Failure::lasting("name", why).into());
        }
        self.recorded(name)
    }

    fn recorded(&self, name: &str) -> Result<Option<Row>, Halt> {
        let mut state = self.state();
        if !state.asked.insert(name.to_owned()) {
            let why = format!("two steps are named `{name}`: give each a name of its own");
            return Err(Failure::lasting("name", why).into());
        }
        let row = state.rows.get(name).cloned();
        // Once the turn is over nothing begins; what is recorded is given all the same.
        let ended = row.as_ref().is_some_and(|row| row.ended.is_some());
        if state.over && !ended { Err(Halt::Suspended) } else { Ok(row) }
    }

    /// Ends the turn unless the time has come.
    fn rest(&self, until: Option<Time>) -> Result<(), Halt> {
        match until {
            Some(until) if until > self.now() => Err(self.suspend(Some(until))),
            _ => Ok(()),
        }
    }

    fn suspend(&self, wake: Option<Time>) -> Halt {
        let mut state = self.state();
        // Others that go on at the same time may begin steps yet: this one alone waits.
        state.suspended = true;
        state.wake = [state.wake, wake].into_iter().flatten().min();
        Halt::Suspended
    }

    async fn failed<T>(&self, row: Row, failure: Failure) -> Result<T, Halt> {
        let error = Some(format!("{}: {}", failure.class, failure.message));
        let retry = self.inner.flows.retry;
        if failure.may_pass && row.attempts < retry.attempts {
            let wait = retry.delay(row.attempts, fastrand::u64(..)).max(failure.after.unwrap_or_default());
            let wake = self.now().after(wait.min(LONGEST));
            let again = resting(&row.key, "retrying", wake);
            self.record(Row { error, attempts: row.attempts, started: row.started, ..again }).await?;
            return Err(self.suspend(Some(wake)));
        }
        self.record(Row { error, ended: Some(self.now()), state: "failed".to_owned(), ..row }).await?;
        Err(failure.into())
    }

    /// Writes a step's row, if the turn is still ours and the run goes on.
    async fn record(&self, row: Row) -> Result<(), Halt> {
        let written = row.clone();
        let decide = move |run: &Run| match run.state {
            // What was done while the run was paused is kept; of one that is over, nothing changes.
            RunState::Running | RunState::Paused => {
                Decision { steps: vec![written.clone()], ..Decision::default() }
            }
            _ => Decision::default(),
        };
        let runs = &self.inner.flows.runs;
        let advanced = runs.advance(&self.inner.run.id, Some(self.inner.held), self.now(), Arc::new(decide));
        let broken = match advanced.await {
            Ok(Advanced::Now(run)) => {
                let mut state = self.state();
                state.over |= run.state != RunState::Running;
                state.rows.insert(row.key.clone(), row);
                return Ok(());
            }
            Ok(Advanced::Lost | Advanced::Unknown) => "the lease was lost".to_owned(),
            Err(error) => error.to_string(),
        };
        let mut state = self.state();
        state.over = true;
        state.broken = Some(broken.clone());
        Err(Halt::Broken(broken))
    }

    fn now(&self) -> Time {
        self.inner.flows.clock.now()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the turn ended.
    pub(super) fn ended(&self) -> Ended {
        let state = self.state();
        let left = state.rows.values().find(|row| row.started.is_some() && !state.asked.contains(&row.key));
        Ended {
            suspended: state.over || state.suspended,
            broken: state.broken.clone(),
            wake: state.wake,
            left: left.map(|row| row.key.clone()),
        }
    }
}

/// Whether a step or a signal can be named so.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains('/')
}

/// The key of a signal's row: no step's, so that a signal never passes for a step's output.
pub(super) fn signal_key(name: &str) -> String {
    format!("signal/{name}")
}

fn row(key: &str, state: &str) -> Row {
    Row {
        key: key.to_owned(),
        state: state.to_owned(),
        input: None,
        output: None,
        error: None,
        attempts: 1,
        started: None,
        ended: None,
    }
}

/// A row of what waits until a moment, which stands where its input would.
fn resting(key: &str, state: &str, until: Time) -> Row {
    Row { input: Some(until.0.to_string().into_bytes()), ..row(key, state) }
}

fn due(row: &Row) -> Option<Time> {
    serde_json::from_slice(row.input.as_deref()?).ok().map(Time)
}

fn written<T: Serialize>(output: &T) -> Result<Vec<u8>, Failure> {
    let bytes = serde_json::to_vec(output).map_err(|error| Failure::lasting("output", error.to_string()))?;
    if bytes.len() <= OUTPUT_BYTES_MAX {
        return Ok(bytes);
    }
    let why = format!("{} bytes of output, and no more than {OUTPUT_BYTES_MAX} are kept", bytes.len());
    Err(Failure::lasting("too_large", why))
}

fn output<T: DeserializeOwned>(name: &str, row: &Row) -> Result<T, Halt> {
    let bytes = row.output.as_deref().unwrap_or(b"null");
    serde_json::from_slice(bytes).map_err(|error| {
        let why = format!("the code has changed: what is recorded of `{name}` is of another type: {error}");
        Failure::lasting("changed", why).into()
    })
}

fn failure(row: &Row) -> Failure {
    let error = row.error.as_deref().unwrap_or_default();
    let (class, message) = error.split_once(": ").unwrap_or(("error", error));
    Failure::lasting(class, message)
}
