//! A batch on a stage: its input, what answers it, and what came of it.

use crate::far::Far;
use crate::stage::{Act, Stage, act, eventually, ms, options};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Time;
use store::batches::{Batch, BatchState};
use store::files::File;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use work::batches::{
    Answer, Ask, Batches, Cancelling, Created, Errors, Keeper, NewBatch, Question, Reply, Report, Rows,
    handle,
};
use work::pool::Bounds;
use work::{Clock, Handlers, Options, Queue};

pub const DAY: Duration = Duration::from_secs(86_400);
const ENDPOINT: &str = "/v1/chat/completions";

/// A store with a keeper, and runners to come and go.
pub struct Scene {
    pub stage: Stage,
    pub batches: Batches,
    /// By how many milliseconds its clock is ahead.
    ahead: Arc<AtomicI64>,
    _keeper: CancellationToken,
}

impl Scene {
    pub async fn new() -> Self {
        let (stage, ahead) = (Stage::new().await, Arc::default());
        let batches = Batches::new(&stage.store, stage.client(), clock(&ahead));
        let keeper = Keeper::new(&stage.store, clock(&ahead)).every(ms(10)).patient_for(ms(200));
        let drain = CancellationToken::new();
        drop(spawn(keeper.run(drain.clone())));
        Self { stage, batches, ahead, _keeper: drain }
    }

    /// So much time passes at once, for everybody.
    pub fn forward(&self, by: Duration) {
        self.ahead.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    /// Brings a file in pieces of this size.
    pub async fn bring(&self, text: &[u8], piece: usize) -> String {
        let (id, now) = (format!("file-{}", fastrand::u64(..)), Time::now());
        for (number, piece) in (0..).zip(text.chunks(piece)) {
            self.stage.store.files.write(&id, number, piece.to_vec(), now).await.unwrap();
        }
        let file = File {
            id: id.clone(),
            tenant: "acme".to_owned(),
            purpose: "batch".to_owned(),
            name: "in.jsonl".to_owned(),
            bytes: text.len() as u64,
            created: now,
            expires: None,
        };
        self.stage.store.files.close(file).await.unwrap();
        id
    }

    /// A batch of this file.
    pub async fn create(&self, input_file: &str, within: Duration) -> Batch {
        let new = NewBatch {
            tenant: "acme".to_owned(),
            key: Some("tg-1".to_owned()),
            input_file: input_file.to_owned(),
            endpoint: ENDPOINT.to_owned(),
            metadata: None,
            within,
            keep: DAY,
        };
        match self.batches.create(new).await.unwrap() {
            Created::Batch(batch) => batch,
            Created::TooMany => panic!("too many"),
        }
    }

    /// A batch of these lines.
    pub async fn batch(&self, lines: &[String]) -> Batch {
        let text = lines.join("\n");
        let file = self.bring(text.as_bytes(), 4096).await;
        self.create(&file, DAY).await
    }

    /// A runner whose lines are answered by `ask`.
    pub fn run(&self, ask: Ask) -> Act {
        self.run_on(&self.stage.store, ask, batch_options())
    }

    /// The same on other rows, or with other options.
    pub fn run_on(&self, rows: impl Into<Rows>, ask: Ask, options: Options) -> Act {
        let clock = clock(&self.ahead);
        let handlers = handle(Handlers::new(), rows, ask, None, clock.clone());
        act(&self.stage.store, handlers, Options { clock, ..options })
    }

    /// A runner that has `far` run what it takes, and answers all else by an echo.
    pub fn carry(&self, far: &Far, asked: &Asked, options: Options) -> Act {
        self.carry_on(&self.stage.store, far, asked, options)
    }

    /// The same on other rows.
    pub fn carry_on(&self, rows: impl Into<Rows>, far: &Far, asked: &Asked, options: Options) -> Act {
        let clock = clock(&self.ahead);
        let handlers = handle(Handlers::new(), rows, echo(asked), Some(far.courier()), clock.clone());
        act(&self.stage.store, handlers, Options { clock, ..options })
    }

    pub async fn get(&self, id: &str) -> Batch {
        self.batches.get(id, None).await.unwrap().unwrap()
    }

    /// The batch, once it is over.
    pub async fn over(&self, id: &str) -> Batch {
        eventually(async || Some(self.get(id).await).filter(|batch| batch.state.is_final())).await
    }

    /// What was done on these rows.
    pub fn reported(&self, rows: &Rows) -> Report {
        Batches::new(rows.clone(), self.stage.client(), Clock::default()).report()
    }

    pub async fn cancel(&self, id: &str) -> Cancelling {
        self.batches.cancel(id, Some("acme")).await.unwrap()
    }

    /// The good or the bad lines, by what their callers call them. No name is there twice.
    pub async fn lines(&self, id: &str, good: bool) -> BTreeMap<String, Value> {
        let (mut lines, mut all) = (self.batches.lines(id, good), Vec::new());
        while let Some(piece) = lines.piece().await.unwrap() {
            assert_eq!(piece.last(), Some(&b'\n'));
            all.extend(piece);
        }
        let values: Vec<Value> =
            String::from_utf8(all).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = values.len();
        let name = |line: &Value| {
            line["custom_id"].as_str().unwrap_or_else(|| line["id"].as_str().unwrap()).to_owned()
        };
        let lines: BTreeMap<_, _> = values.into_iter().map(|line| (name(&line), line)).collect();
        assert_eq!(lines.len(), count, "a line is there twice");
        lines
    }

    /// What is wrong with a batch as a whole: code and line.
    pub async fn problems(&self, id: &str) -> Vec<(String, Option<u64>)> {
        let errors = self.get(id).await.errors.unwrap();
        let errors: Errors = serde_json::from_slice(&errors).unwrap();
        errors.data.into_iter().map(|problem| (problem.code, problem.line)).collect()
    }
}

/// The system's clock, so many milliseconds ahead.
fn clock(ahead: &Arc<AtomicI64>) -> Clock {
    let ahead = Arc::clone(ahead);
    Clock::new(move || Time(Time::now().0 + ahead.load(Ordering::SeqCst)))
}

/// As usual, with the queue of batches.
pub fn batch_options() -> Options {
    let queue = Queue { workers: Bounds { min: 4, max: 16 }, ..Queue::new(work::batches::QUEUE) };
    Options { queues: vec![queue], ..options() }
}

pub fn spawn<F: Future<Output = ()> + Send + 'static>(future: F) -> JoinHandle<()> {
    TaskTracker::new().spawn(future)
}

/// A good line.
pub fn line(custom_id: &str) -> String {
    json!({ "custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": { "model": "m", "n": custom_id } })
        .to_string()
}

pub fn lines(count: usize) -> Vec<String> {
    (0..count).map(|number| line(&format!("line-{number}"))).collect()
}

/// How often each line was asked.
#[derive(Clone, Default)]
pub struct Asked(Arc<Mutex<BTreeMap<String, u32>>>);

impl Asked {
    /// Which time this is, from 1.
    pub fn note(&self, question: &Question) -> u32 {
        let mut asked = self.0.lock().unwrap();
        let count = asked.entry(question.custom_id.clone()).or_default();
        *count += 1;
        *count
    }

    pub fn all(&self) -> BTreeMap<String, u32> {
        self.0.lock().unwrap().clone()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

/// Answers by what `reply` makes of a question and of how often it was asked.
pub fn answers(asked: &Asked, reply: impl Fn(&Question, u32) -> Reply + Send + Sync + 'static) -> Ask {
    let (asked, reply) = (asked.clone(), Arc::new(reply));
    Arc::new(move |question| {
        let (asked, reply) = (asked.clone(), Arc::clone(&reply));
        Box::pin(async move {
            tokio::task::yield_now().await;
            let times = asked.note(&question);
            reply(&question, times)
        })
    })
}

/// Answers everything at once, with the body.
pub fn echo(asked: &Asked) -> Ask {
    answers(asked, |question, _| status(question, 200))
}

/// An answer with this status, which has the question's body in it.
pub fn status(question: &Question, status: u16) -> Reply {
    let asked: Value = serde_json::from_slice(&question.body).unwrap();
    let body = serde_json::to_vec(&json!({ "asked": asked })).unwrap();
    Reply::Answered(Answer { status, request_id: format!("req-{}", question.custom_id), body, after: None })
}

/// The counts of a batch that is over: state, total, good, bad; whose files are there where they should be.
pub fn counts(batch: &Batch) -> (BatchState, u64, u64, u64) {
    assert_eq!(batch.output_file.is_some(), batch.completed > 0, "{batch:?}");
    assert_eq!(batch.error_file.is_some(), batch.failed > 0, "{batch:?}");
    (batch.state, batch.total, batch.completed, batch.failed)
}
