//! A store in a folder of its own, a clock moved by hand, an outside that counts its calls, and a world that
//! can end between any two calls of the store.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use store::jobs::{Cancel, Claim, Lease, NewJob, Running, Turn};
use store::runs::{Advanced, Decide, Definition, Run, RunState, Runs, Step};
use store::{Answer, Store, Time, sqlite};
use tempfile::TempDir;
use work::Clock;
use work::workflow::effects::{Effects, HttpCall, ModelCall};
use work::workflow::engine::{Engine, Start};
use work::workflow::event::Failure;
use work::workflow::task::QUEUE;

pub const LEASE: Duration = Duration::from_secs(30);

/// What the outside answers to a call, known by what the step asks: its `say`.
pub type Reply = dyn Fn(&str, u32) -> Result<Value, Failure> + Send + Sync;

/// The world outside: it counts calls by key, and may be told what to answer.
#[derive(Clone)]
pub struct Outside {
    pub calls: Arc<Mutex<BTreeMap<String, u32>>>,
    pub seen: Arc<Mutex<Vec<Value>>>,
    reply: Arc<Reply>,
}

impl Outside {
    /// Answers with what it is asked.
    pub fn echo() -> Self {
        Self::replying(|say, _| Ok(json!(say)))
    }

    pub fn replying(reply: impl Fn(&str, u32) -> Result<Value, Failure> + Send + Sync + 'static) -> Self {
        Self { calls: Arc::default(), seen: Arc::default(), reply: Arc::new(reply) }
    }

    pub fn effects(&self) -> Effects {
        let (model, http) = (self.clone(), self.clone());
        Effects::new(
            move |call: ModelCall| {
                let outside = model.clone();
                async move { outside.answer(&call.origin.key, &json!(call.request)) }
            },
            move |call: HttpCall| {
                let outside = http.clone();
                let asked = json!({"say": call.url, "body": call.body, "headers": call.headers});
                async move { outside.answer(&call.origin.key, &asked) }
            },
        )
    }

    fn answer(&self, key: &str, asked: &Value) -> Result<Value, Failure> {
        let part = key.split_once('/').unwrap().1.to_owned();
        let mut calls = self.calls.lock().unwrap();
        let attempt = calls.entry(part).or_default();
        *attempt += 1;
        self.seen.lock().unwrap().push(asked.clone());
        (self.reply)(asked["say"].as_str().unwrap_or_default(), *attempt)
    }

    pub fn count(&self, part: &str) -> u32 {
        self.calls.lock().unwrap().get(part).copied().unwrap_or(0)
    }

    pub fn total(&self) -> u32 {
        self.calls.lock().unwrap().values().sum()
    }
}

/// A store and all around it.
pub struct Stage {
    pub store: Store,
    pub engine: Engine,
    pub outside: Outside,
    pub now: Arc<AtomicI64>,
    pub door: Arc<Door>,
    _folder: TempDir,
}

impl Stage {
    pub async fn new(outside: Outside) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = sqlite::Options::new(folder.path().join("runs.db"));
        let store = Store::from(sqlite::Sqlite::open(options).await.unwrap());
        let now = Arc::new(AtomicI64::new(1_000_000));
        let door = Arc::new(Door::open(Arc::clone(&store.runs)));
        let engine = engine(&door, &outside, &now);
        Self { store, engine, outside, now, door, _folder: folder }
    }

    pub fn now(&self) -> Time {
        Time(self.now.load(Ordering::SeqCst))
    }

    pub fn pass(&self, time: Duration) {
        self.now.fetch_add(i64::try_from(time.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub async fn start(&self, definition: &str, input: Value) -> Run {
        let row = self.engine.define("acme", definition).await.unwrap_or_else(|error| panic!("{error}"));
        let start = Start {
            tenant: "acme".to_owned(),
            workflow: row.name,
            version: None,
            input,
            key: None,
            caller: None,
        };
        self.engine.start(start).await.unwrap_or_else(|error| panic!("{error}")).run
    }

    pub async fn claim(&self, limit: u32) -> Vec<Running> {
        let claim = Claim {
            queue: QUEUE.to_owned(),
            owner: "test".to_owned(),
            limit,
            lease: LEASE,
            now: self.now(),
            turn: Turn::default(),
            rate: None,
        };
        self.store.jobs.claim(claim).await.unwrap().jobs
    }

    /// Does all that is due, and lets time pass to the next, until nothing is left to do.
    pub async fn finish(&self) {
        loop {
            let jobs = self.claim(10).await;
            for job in &jobs {
                self.engine.perform(job).await.unwrap();
            }
            if jobs.is_empty() && !self.wake().await {
                return;
            }
        }
    }

    /// Lets time pass to the next job; whether there is one.
    pub async fn wake(&self) -> bool {
        let Some(due) = self.store.jobs.next_due().await.unwrap() else { return false };
        self.now.fetch_max(due.0, Ordering::SeqCst);
        self.store.jobs.promote(self.now(), 100).await.unwrap();
        true
    }

    pub async fn run(&self, id: &str) -> Run {
        self.store.runs.run(id, None).await.unwrap().unwrap()
    }

    pub async fn row(&self, id: &str, key: &str) -> Step {
        self.store.runs.steps(id, Some(vec![key.to_owned()]), 1).await.unwrap().pop().expect(key)
    }

    /// Starts a run, does all of it, and gives its output.
    pub async fn output(&self, definition: &str, input: Value) -> Value {
        let run = self.start(definition, input).await;
        self.finish().await;
        let run = self.run(&run.id).await;
        assert_eq!(run.state, RunState::Done, "{:?}", run.error);
        serde_json::from_slice(&run.output.unwrap()).unwrap()
    }

    /// The same, of a run that fails: why.
    pub async fn error(&self, definition: &str, input: Value) -> String {
        let run = self.start(definition, input).await;
        self.finish().await;
        let run = self.run(&run.id).await;
        assert_eq!(run.state, RunState::Failed);
        run.error.unwrap()
    }
}

pub fn engine(door: &Arc<Door>, outside: &Outside, now: &Arc<AtomicI64>) -> Engine {
    let now = Arc::clone(now);
    let clock = Clock::new(move || Time(now.load(Ordering::SeqCst)));
    Engine::new(Arc::clone(door) as Arc<dyn Runs>, outside.effects(), clock)
}

/// Before the real store: the world ends at the boundary that it is told, before or after a call.
pub struct Door {
    runs: Arc<dyn Runs>,
    passed: AtomicUsize,
    /// The boundary at which the world ends; none if so many are never reached.
    end_at: AtomicUsize,
    /// The call at which it ended, and whether that was made.
    ended: Mutex<Option<(&'static str, bool)>>,
    world: tokio::sync::Notify,
}

impl Door {
    fn open(runs: Arc<dyn Runs>) -> Self {
        let (passed, end_at) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        Self { runs, passed, end_at, ended: Mutex::default(), world: tokio::sync::Notify::new() }
    }

    pub fn end_at(&self, boundary: usize) {
        self.passed.store(0, Ordering::SeqCst);
        self.end_at.store(boundary, Ordering::SeqCst);
        *self.ended.lock().unwrap() = None;
    }

    /// Where the world ended.
    pub fn ended(&self) -> Option<(&'static str, bool)> {
        *self.ended.lock().unwrap()
    }

    /// Drives `work` until it or the world ends: then it is dropped where it stands.
    pub async fn until_end<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.world.notified() => None,
            done = work => Some(done),
        }
    }

    /// A call with a boundary on each side of it.
    pub async fn around<T>(&self, name: &'static str, call: impl Future<Output = T>) -> T {
        self.boundary(name, false).await;
        let answer = call.await;
        self.boundary(name, true).await;
        answer
    }

    async fn boundary(&self, name: &'static str, made: bool) {
        if self.passed.fetch_add(1, Ordering::SeqCst) == self.end_at.load(Ordering::SeqCst) {
            *self.ended.lock().unwrap() = Some((name, made));
            self.world.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

/// What the engine calls goes through the door; all else straight on.
impl Runs for Door {
    fn advance(&self, id: &str, held: Option<Lease>, now: Time, decide: Decide) -> Answer<'_, Advanced> {
        Box::pin(self.around("advance", self.runs.advance(id, held, now, decide)))
    }

    fn run(&self, id: &str, tenant: Option<&str>) -> Answer<'_, Option<Run>> {
        Box::pin(self.around("run", self.runs.run(id, tenant)))
    }

    fn steps(&self, id: &str, keys: Option<Vec<String>>, limit: u32) -> Answer<'_, Vec<Step>> {
        Box::pin(self.around("steps", self.runs.steps(id, keys, limit)))
    }

    fn definition(&self, tenant: &str, name: &str, version: Option<i64>) -> Answer<'_, Option<Definition>> {
        Box::pin(self.around("definition", self.runs.definition(tenant, name, version)))
    }

    fn define(&self, tenant: &str, name: &str, source: Vec<u8>, now: Time) -> Answer<'_, Definition> {
        self.runs.define(tenant, name, source, now)
    }

    fn definitions(&self, tenant: Option<&str>) -> Answer<'_, Vec<Definition>> {
        self.runs.definitions(tenant)
    }

    fn start(&self, run: Run, jobs: Vec<NewJob>, steps: Vec<Step>, key: Option<String>) -> Answer<'_, Run> {
        self.runs.start(run, jobs, steps, key)
    }

    fn started(&self, tenant: &str, workflow: &str, key: &str) -> Answer<'_, Option<Run>> {
        self.runs.started(tenant, workflow, key)
    }

    fn runs(
        &self,
        tenant: Option<&str>,
        workflow: Option<&str>,
        state: Option<RunState>,
        before: Option<&str>,
        limit: u32,
    ) -> Answer<'_, Vec<Run>> {
        self.runs.runs(tenant, workflow, state, before, limit)
    }

    fn counts(&self) -> Answer<'_, Vec<(RunState, u64)>> {
        self.runs.counts()
    }

    fn purge(&self, before: Time, limit: u32) -> Answer<'_, u64> {
        self.runs.purge(before, limit)
    }

    fn cancel_jobs(&self, id: &str, now: Time) -> Answer<'_, Vec<Cancel>> {
        self.runs.cancel_jobs(id, now)
    }
}
