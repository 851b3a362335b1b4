//! A provider with a batch API of its own, in memory: what it has, what it was asked, and what goes wrong.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;
use work::batches::{
    Answer, Books, Courier, Fault, Going, Looked, Mark, Order, Piece, Question, Remote, RemoteState,
};

/// What becomes of lines there.
type Verdict = Arc<dyn Fn(&Value) -> Option<Value> + Send + Sync>;

/// What goes wrong with a call; it is asked before the call is made, and told its name and which call it is.
type Mishap = Arc<dyn Fn(&str, usize) -> Went + Send + Sync>;

/// How a call goes.
#[derive(Clone, Debug)]
pub enum Went {
    /// Well.
    Well,
    /// Not at all.
    Not(Fault),
    /// It is made, and nobody hears of it.
    Unheard,
    /// It is made, and never ends.
    Hangs,
}

/// When a provider wants to be asked again.
const SOON: Duration = Duration::from_millis(20);

/// The provider. A clone is the same.
#[derive(Clone)]
pub struct Far {
    state: Arc<Mutex<State>>,
    verdict: Verdict,
    mishap: Mishap,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Vec<u8>>,
    batches: Vec<Batch>,
    /// Names given so far.
    names: usize,
    calls: Vec<String>,
    /// Lines whose answers were counted.
    noted: Vec<String>,
    /// Models that it runs; changed meanwhile, if somebody does.
    models: BTreeSet<String>,
    /// Whether batches stay where they are.
    is_stuck: bool,
    /// Lines that were told to come again.
    busy: BTreeSet<String>,
    /// How often the books are opened before the process leaves; `None`: as often as one likes.
    openings: Option<usize>,
    /// Whether the next file that is fetched is cut off.
    is_torn: bool,
    /// Lines that were looked at, in order.
    looked: Vec<String>,
    /// The last that it was told to run.
    order: Option<Order>,
    /// What is to be looked at later, so many times.
    later: BTreeMap<String, usize>,
}

struct Batch {
    id: String,
    mark: Mark,
    input: String,
    files: Vec<String>,
    state: RemoteState,
}

pub fn passing() -> Fault {
    Fault::Passing { why: "not now".to_owned(), after: Some(SOON) }
}

pub fn undone() -> Fault {
    Fault::Undone { why: "less often".to_owned(), after: Some(SOON) }
}

pub fn refused() -> Fault {
    Fault::Refused("403: no".to_owned())
}

impl Far {
    /// One that runs what asks `m`, and answers each line with its number.
    pub fn new() -> Self {
        let state = State { models: BTreeSet::from(["m".to_owned()]), ..State::default() };
        let verdict: Verdict = Arc::new(|row| Some(answered(row, 200)));
        Self { state: Arc::new(Mutex::new(state)), verdict, mishap: Arc::new(|_, _| Went::Well) }
    }

    /// What `verdict` makes of a line is in its output, or nothing is.
    pub fn judging(self, verdict: impl Fn(&Value) -> Option<Value> + Send + Sync + 'static) -> Self {
        Self { verdict: Arc::new(verdict), ..self }
    }

    /// Calls go as `mishap` says.
    pub fn going(self, mishap: impl Fn(&str, usize) -> Went + Send + Sync + 'static) -> Self {
        Self { mishap: Arc::new(mishap), ..self }
    }

    pub fn courier(&self) -> Arc<dyn Courier> {
        Arc::new(self.clone())
    }

    /// Batches stay where they are, or go on.
    pub fn stuck(&self, is_stuck: bool) {
        self.state.lock().unwrap().is_stuck = is_stuck;
    }

    /// The books are opened so often, and not again; `None`: as often as one likes.
    pub fn opening(&self, openings: Option<usize>) {
        self.state.lock().unwrap().openings = openings;
    }

    /// It runs what asks this model, too.
    pub fn run_also(&self, model: &str) {
        self.state.lock().unwrap().models.insert(model.to_owned());
    }

    /// The next file that is fetched comes at once but for its last bytes, and breaks off when some of it is counted.
    pub fn tear(&self) {
        self.state.lock().unwrap().is_torn = true;
    }

    /// Nothing can be said to this line the first so many times.
    pub fn put_off(&self, custom_id: &str, times: usize) {
        self.state.lock().unwrap().later.insert(custom_id.to_owned(), times);
    }

    /// The last order to run a file arrives, however late; whether anything came of it.
    pub fn arrive(&self) -> bool {
        let mut state = self.state.lock().unwrap();
        let order = state.order.clone().unwrap();
        create(&mut state, &order).is_ok()
    }

    /// How often a line was looked at.
    pub fn looks(&self, custom_id: &str) -> usize {
        self.state.lock().unwrap().looked.iter().filter(|line| *line == custom_id).count()
    }

    /// How often it was asked this.
    pub fn calls(&self, name: &str) -> usize {
        self.state.lock().unwrap().calls.iter().filter(|call| *call == name).count()
    }

    /// Batches that were created, by their marks' attempts.
    pub fn created(&self) -> Vec<u32> {
        self.state.lock().unwrap().batches.iter().map(|batch| batch.mark.attempt).collect()
    }

    /// Lines whose answers were counted, in order.
    pub fn noted(&self) -> Vec<String> {
        let mut noted = self.state.lock().unwrap().noted.clone();
        noted.sort();
        noted
    }

    /// Files that are left there.
    pub fn files(&self) -> usize {
        self.state.lock().unwrap().files.len()
    }

    /// Makes a call as far as it goes.
    async fn call<T>(
        &self,
        name: &str,
        make: impl FnOnce(&mut State) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let number = {
            let mut state = self.state.lock().unwrap();
            state.calls.push(name.to_owned());
            state.calls.len()
        };
        tokio::task::yield_now().await;
        match (self.mishap)(name, number) {
            Went::Well => make(&mut self.state.lock().unwrap()),
            Went::Not(fault) => Err(fault),
            Went::Unheard => make(&mut self.state.lock().unwrap()).and(Err(passing())),
            Went::Hangs => {
                drop(make(&mut self.state.lock().unwrap()));
                std::future::pending().await
            }
        }
    }

    /// Notes that a line is looked at; whether nothing can be said to it for now.
    fn is_put_off(&self, custom_id: &str) -> bool {
        let mut state = self.state.lock().unwrap();
        state.looked.push(custom_id.to_owned());
        let Some(times) = state.later.get_mut(custom_id) else { return false };
        let is_put_off = *times > 0;
        *times = times.saturating_sub(1);
        is_put_off
    }

    /// Runs a batch to its end.
    fn run(&self, state: &mut State, at: usize) {
        let input = state.files.get(&state.batches[at].input).cloned().unwrap_or_default();
        let rows = input.split(|byte| *byte == b'\n').filter(|row| !row.is_empty());
        let rows = rows.map(|row| serde_json::from_slice::<Value>(row).unwrap());
        // In another order than they came.
        let mut said: Vec<_> = rows.filter_map(|row| (self.verdict)(&row)).collect();
        said.reverse();
        let (good, bad): (Vec<_>, Vec<_>) =
            said.into_iter().partition(|row| row["response"]["status_code"] == 200);
        for rows in [good, bad].into_iter().filter(|rows| !rows.is_empty()) {
            let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
            let file = name(state, "file");
            state.files.insert(file.clone(), text.into_bytes());
            state.batches[at].files.push(file);
        }
        state.batches[at].state = RemoteState::Over;
    }
}

fn name(state: &mut State, what: &str) -> String {
    state.names += 1;
    format!("{what}-{}", state.names)
}

fn create(state: &mut State, order: &Order) -> Result<Remote, Fault> {
    if !state.files.contains_key(&order.file) {
        return Err(Fault::Unknown);
    }
    let (id, mark, input) = (name(state, "batch"), order.mark.clone(), order.file.clone());
    let batch = Batch { id, mark, input, files: Vec::new(), state: RemoteState::Running };
    let remote = seen(&batch);
    state.batches.push(batch);
    Ok(remote)
}

/// A line of the output.
pub fn answered(row: &Value, status: u16) -> Value {
    let response =
        json!({"status_code": status, "request_id": "far", "body": {"asked": row["body"]["n"], "far": true}});
    json!({"id": "x", "custom_id": row["custom_id"], "response": response, "error": null})
}

/// A line of the error file.
pub fn expired(row: &Value) -> Value {
    let error = json!({"code": "batch_expired", "message": "late"});
    json!({"id": "x", "custom_id": row["custom_id"], "response": null, "error": error})
}

fn seen(batch: &Batch) -> Remote {
    Remote { id: batch.id.clone(), state: batch.state, files: batch.files.clone(), why: None }
}

impl Courier for Far {
    fn route(&self, _: &str, model: &str) -> Option<String> {
        self.state.lock().unwrap().models.contains(model).then(|| format!("far/{model}"))
    }

    fn look<'a>(&'a self, _: &'a str, question: Question) -> Going<'a, Looked> {
        Box::pin(async move {
            if self.is_put_off(&question.custom_id) {
                return Looked::Later;
            }
            // Nobody can say for now.
            if question.custom_id.starts_with("busy") && self.state.lock().unwrap().busy.insert(question.id) {
                let after = Some(std::time::Duration::from_millis(20));
                return Looked::Answered(Answer {
                    status: 503,
                    request_id: "near".to_owned(),
                    body: b"{}".to_vec(),
                    after,
                });
            }
            // What is known here is not sent.
            let is_known = question.custom_id.starts_with("known");
            match is_known {
                true => Looked::Answered(Answer {
                    status: 200,
                    request_id: "near".to_owned(),
                    body: br#"{"far":false}"#.to_vec(),
                    after: None,
                }),
                false => Looked::Send(question.body),
            }
        })
    }

    fn bring<'a>(
        &'a self,
        _: &'a str,
        _: &'a str,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Going<'a, Result<String, Fault>> {
        Box::pin(async move {
            let mut all = Vec::new();
            loop {
                match pieces.recv().await {
                    Some(Piece::Some(piece)) => all.extend(piece),
                    Some(Piece::End) => break,
                    None => return Err(passing()),
                }
            }
            self.call("bring", |state| {
                let file = name(state, "file");
                state.files.insert(file.clone(), all);
                Ok(file)
            })
            .await
        })
    }

    fn create<'a>(&'a self, _: &'a str, order: &'a Order) -> Going<'a, Result<Remote, Fault>> {
        self.state.lock().unwrap().order = Some(order.clone());
        Box::pin(self.call("create", move |state| create(state, order)))
    }

    fn find<'a>(&'a self, _: &'a str, mark: &'a Mark) -> Going<'a, Result<Option<Remote>, Fault>> {
        Box::pin(
            self.call("find", move |state| {
                Ok(state.batches.iter().find(|batch| batch.mark == *mark).map(seen))
            }),
        )
    }

    fn see<'a>(&'a self, _: &'a str, id: &'a str) -> Going<'a, Result<Remote, Fault>> {
        Box::pin(self.call("see", move |state| {
            let at = state.batches.iter().position(|batch| batch.id == id).ok_or(Fault::Unknown)?;
            if state.batches[at].state == RemoteState::Running && !state.is_stuck {
                self.run(state, at);
            }
            Ok(seen(&state.batches[at]))
        }))
    }

    fn cancel<'a>(&'a self, _: &'a str, id: &'a str) -> Going<'a, Result<(), Fault>> {
        Box::pin(self.call("cancel", move |state| {
            let at = state.batches.iter().position(|batch| batch.id == id).ok_or(Fault::Unknown)?;
            self.run(state, at);
            Ok(())
        }))
    }

    fn fetch<'a>(
        &'a self,
        _: &'a str,
        file: &'a str,
        pieces: mpsc::Sender<Vec<u8>>,
    ) -> Going<'a, Result<(), Fault>> {
        Box::pin(async move {
            let all =
                self.call("fetch", |state| state.files.get(file).cloned().ok_or(Fault::Unknown)).await?;
            if std::mem::take(&mut self.state.lock().unwrap().is_torn) {
                let _ = pieces.send(all[..all.len() - 10].to_vec()).await;
                while self.noted().is_empty() {
                    tokio::task::yield_now().await;
                }
                return Err(passing());
            }
            for piece in all.chunks(100) {
                if pieces.send(piece.to_vec()).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn remove<'a>(&'a self, _: &'a str, file: &'a str) -> Going<'a, Result<(), Fault>> {
        Box::pin(self.call("remove", move |state| state.files.remove(file).map(drop).ok_or(Fault::Unknown)))
    }

    fn open_books(&self) -> Option<Books> {
        let mut state = self.state.lock().unwrap();
        if let Some(left) = &mut state.openings {
            *left = left.checked_sub(1)?;
        }
        Some(Box::new(()))
    }

    fn note<'a>(&'a self, _: &'a str, question: Question, _: Answer) -> Going<'a, Result<(), String>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if question.custom_id.starts_with("uncountable") {
                return Err("nobody counts it".to_owned());
            }
            self.state.lock().unwrap().noted.push(question.custom_id);
            Ok(())
        })
    }
}
