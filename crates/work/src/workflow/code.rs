//! A workflow as a function of ours, with the guarantees of one that is written down: each step's outcome is
//! recorded once, whatever is dropped in between.
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! # use serde_json::Value;
//! # use work::{Clock, workflow::{code::Flows, event::Failure}};
//! # async fn look_up(_: &Value) -> Result<String, Failure> { Ok(String::new()) }
//! # async fn send(_: &str, _key: String) -> Result<Value, Failure> { Ok(Value::Null) }
//! fn flows(runs: Arc<dyn store::runs::Runs>) -> Flows {
//!     Flows::new(runs, Clock::default()).on("greet", async |flow, input| {
//!         let name: String = flow.step("name", async || look_up(&input).await).await?;
//!         flow.sleep("a while", Duration::from_secs(3_600)).await?;
//!         flow.step("send", async || send(&name, flow.key("send")).await).await
//!     })
//! }
//! ```
//!
//! The function is run in turns. A turn runs it from its beginning; a step that has ended gives what is
//! recorded of it and does nothing. Where the function must wait (a sleep, a signal, a failed step's next
//! attempt), the turn ends, and another comes when it is time. So between its steps it may do nothing but
//! what comes out the same each time: no clock, no chance, no calls.
//!
//! Of a function that changed while a run of it was under way, this is noticed: a recorded step that it no
//! longer asks for when it returns, and one whose output is not of the type that it was.

mod flow;
mod join;
mod status;
mod turn;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;
use store::runs::{Advanced, Decision, Run, RunState, Runs, Step as Row};

use self::status::Status;
use super::definition::Retry;
use super::engine::{OUTPUT_BYTES_MAX, Refusal, too_long};
use super::event::Failure;
use super::id;
use crate::{Clock, Handlers};

pub use self::flow::Flow;

/// The kind of the jobs that run a turn.
pub const TURN: &str = "workflow.code";
/// Most signals of one run.
const SIGNALS_MAX: usize = 1_000;
/// What stands in a run's row in place of a definition.
pub const SOURCE: &[u8] = b"code";

/// Why a function returns before its end. It is handed on by `?`; nothing else is to be done with it but for
/// a [`Failure`], which may be caught.
#[derive(Debug)]
pub enum Halt {
    /// A step was given up, or the function itself gives up.
    Failed(Failure),
    /// The turn is over; another comes.
    Suspended,
    /// The store does not answer, or the lease was lost: somebody else goes on.
    Broken(String),
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

type Turning = Pin<Box<dyn Future<Output = Result<Value, Halt>> + Send>>;
type Function = Arc<dyn Fn(Flow, Value) -> Turning + Send + Sync>;

/// Functions by their names, and runs of them on a store.
#[derive(Clone)]
pub struct Flows {
    runs: Arc<dyn Runs>,
    clock: Clock,
    functions: HashMap<String, Function>,
    retry: Retry,
}

impl std::fmt::Debug for Flows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flows").field("names", &self.functions.keys()).finish_non_exhaustive()
    }
}

impl Flows {
    /// None yet.
    #[must_use]
    pub fn new(runs: Arc<dyn Runs>, clock: Clock) -> Self {
        Self { runs, clock, functions: HashMap::new(), retry: Retry::default() }
    }

    /// How often steps are tried.
    #[must_use]
    pub fn retry(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// Runs of this name are done by `function`.
    #[must_use]
    pub fn on<F, T>(mut self, name: impl Into<String>, function: F) -> Self
    where
        F: Fn(Flow, Value) -> T + Send + Sync + 'static,
        T: Future<Output = Result<Value, Halt>> + Send + 'static,
    {
        self.functions.insert(name.into(), Arc::new(move |flow, input| Box::pin(function(flow, input))));
        self
    }

    /// Adds what does the turns.
    #[must_use]
    pub fn handlers(&self, handlers: Handlers) -> Handlers {
        let flows = self.clone();
        handlers.on(TURN, move |context| {
            let flows = flows.clone();
            async move { flows.perform(context.job()).await }
        })
    }

    /// Starts a run; or gives the one that was started under the same key.
    ///
    /// # Errors
    /// [`Refusal::UnknownWorkflow`], [`Refusal::Faults`] of an input that is too long, [`Refusal::Store`].
    pub async fn start(
        &self,
        tenant: &str,
        name: &str,
        input: &Value,
        key: Option<String>,
    ) -> Result<Run, Refusal> {
        if !self.functions.contains_key(name) {
            return Err(Refusal::UnknownWorkflow);
        }
        let (input, now) = (written(input)?, self.clock.now());
        let status = Status::first();
        let run = Run {
            id: id::new()?,
            tenant: tenant.to_owned(),
            workflow: name.to_owned(),
            version: 0,
            definition: SOURCE.to_vec(),
            input,
            state: RunState::Running,
            status: status.bytes(),
            output: None,
            error: None,
            parent: None,
            created: now,
            changed: now,
            ended: None,
        };
        let first = status.job(&run, now);
        Ok(self.runs.start(run, vec![first], Vec::new(), key).await?)
    }

    /// Sends a signal. The first of each name counts; one that comes early is kept.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::UnknownSignal`] of what is no name, [`Refusal::State`] of a run that is
    /// over or has a thousand signals, [`Refusal::Store`].
    pub async fn signal(
        &self,
        run: &str,
        tenant: Option<&str>,
        name: &str,
        payload: &Value,
    ) -> Result<Run, Refusal> {
        let (payload, now, name) = (written(payload)?, self.clock.now(), name.to_owned());
        if !flow::is_name(&name) {
            return Err(Refusal::UnknownSignal(Vec::new()));
        }
        self.ask(run, tenant, move |run, mut status| {
            if run.state.is_final() || status.signals.len() >= SIGNALS_MAX {
                return None;
            }
            if !status.signals.insert(name.clone()) {
                return Some(Decision::default());
            }
            let row = Row {
                key: flow::signal_key(&name),
                state: "done".to_owned(),
                input: None,
                output: Some(payload.clone()),
                error: None,
                attempts: 1,
                started: None,
                ended: Some(now),
            };
            let jobs = if run.state == RunState::Running { status.wake(run, now) } else { Vec::new() };
            Some(Decision { steps: vec![row], jobs, status: Some(status.bytes()), ..Decision::default() })
        })
        .await
    }

    /// Begins no more steps, until [`resume`](Self::resume).
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::State`], [`Refusal::Store`].
    pub async fn pause(&self, run: &str, tenant: Option<&str>) -> Result<Run, Refusal> {
        let paused = Decision { state: Some(RunState::Paused), ..Decision::default() };
        self.ask(run, tenant, move |run, _| (run.state == RunState::Running).then(|| paused.clone())).await
    }

    /// Goes on after a [`pause`](Self::pause).
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::State`], [`Refusal::Store`].
    pub async fn resume(&self, run: &str, tenant: Option<&str>) -> Result<Run, Refusal> {
        let now = self.clock.now();
        self.ask(run, tenant, move |run, mut status| {
            let jobs = status.wake(run, now);
            let (state, status) = (Some(RunState::Running), Some(status.bytes()));
            (run.state == RunState::Paused).then(|| Decision { state, status, jobs, ..Decision::default() })
        })
        .await
    }

    /// Ends a run at once. What was done stays done.
    ///
    /// # Errors
    /// [`Refusal::UnknownRun`], [`Refusal::State`], [`Refusal::Store`].
    pub async fn cancel(&self, run: &str, tenant: Option<&str>) -> Result<Run, Refusal> {
        let over = Decision { state: Some(RunState::Cancelled), cancel_waiting: true, ..Decision::default() };
        let run = self.ask(run, tenant, move |run, _| (!run.state.is_final()).then(|| over.clone())).await?;
        self.runs.cancel_jobs(&run.id, self.clock.now()).await?;
        Ok(run)
    }

    /// Changes a run as `decide` says; `None`: it is not in a state for it.
    async fn ask(
        &self,
        id: &str,
        tenant: Option<&str>,
        decide: impl Fn(&Run, Status) -> Option<Decision> + Send + Sync + 'static,
    ) -> Result<Run, Refusal> {
        let run = self.runs.run(id, tenant).await?.ok_or(Refusal::UnknownRun)?;
        if run.definition != SOURCE {
            return Err(Refusal::UnknownRun);
        }
        let refused = Arc::new(std::sync::Mutex::new(None));
        let why = Arc::clone(&refused);
        let decide = move |run: &Run| {
            let decision = Status::parse(&run.status).and_then(|status| decide(run, status));
            *why.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                decision.is_none().then_some(run.state);
            decision.unwrap_or_default()
        };
        let advanced = self.runs.advance(id, None, self.clock.now(), Arc::new(decide)).await?;
        let refused = *refused.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match (advanced, refused) {
            (Advanced::Now(run), None) => Ok(*run),
            (Advanced::Now(_), Some(state)) => Err(Refusal::State(state)),
            _ => Err(Refusal::UnknownRun),
        }
    }
}

/// JSON to be kept.
fn written(value: &Value) -> Result<Vec<u8>, Refusal> {
    let bytes = value.to_string().into_bytes();
    if bytes.len() <= OUTPUT_BYTES_MAX { Ok(bytes) } else { Err(Refusal::Faults(too_long())) }
}
