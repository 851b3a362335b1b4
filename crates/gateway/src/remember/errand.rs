//! A call of the gateway's own to a model that the configuration names: to embed a text, or to judge a pair.
//! It counts as an attempt at its target and as nobody's request; whoever it is made for pays.

use crate::alarm::Alarm;
use crate::auth::Principal;
use crate::dispatch::{Dispatch, Opened};
use crate::gateway::Shared;
use crate::inquiry::{Inquiry, Standing};
use crate::plan::Draw;
use crate::recorder::Record;
use crate::snapshot::Snapshot;
use crate::trace::Carried;
use ::http::HeaderValue;
use bytes::Bytes;
use cache::semantic::Vector;
use guard::queue::Band;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::{Failure, Kind};
use wire::json;
use wire::openai::{self, UsageChunk};
use wire::operation::Operation;
use wire::splice::json_string;

/// The longest that an errand takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// Whose errands are, among tenants that wait: nobody's.
const ERRANDS: u64 = 0;
/// What the judge is asked of two questions.
const PAIR: &str = "Would one and the same answer fully and correctly serve both of these questions? Mind numbers, names, dates, negations and directions. Reply with the one word SAME or DIFFERENT.";
/// What the judge is asked of a question and the answer that it got.
const ANSWER: &str = "Does this answer fully and correctly serve this very question, or was it written for another one? Mind numbers, names, dates, negations and directions. Reply with the one word SAME if it serves, or DIFFERENT.";

/// Whoever runs errands: a worker, the configuration, and for whom.
#[derive(Clone)]
pub struct Errands {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
    who: Option<Arc<Principal>>,
}

impl Errands {
    /// On this worker, under this configuration, on behalf of `who`.
    pub fn new(shared: &Arc<Shared>, snapshot: &Arc<Snapshot>, who: Option<&Arc<Principal>>) -> Self {
        Self { shared: Arc::clone(shared), snapshot: Arc::clone(snapshot), who: who.cloned() }
    }

    /// The vector that `model` (`provider/model`) gives a text.
    ///
    /// # Errors
    /// Where it gives none.
    pub async fn embed(&self, model: &str, text: &str) -> Result<Vector, Failure> {
        let rest = format!(r#""input":{}"#, quoted(text));
        let answer = self.ask(Operation::Embeddings, model, &rest).await?;
        embedding(&answer).ok_or_else(|| useless(model))
    }

    /// Whether one answer serves both questions, in the judge's opinion.
    ///
    /// # Errors
    /// Where it has none.
    pub async fn same(&self, judge: &str, one: &str, other: &str) -> Result<bool, Failure> {
        self.judge(judge, PAIR, &format!("First question:\n{one}\n\nSecond question:\n{other}")).await
    }

    /// Whether an answer serves the question, in the judge's opinion.
    ///
    /// # Errors
    /// Where it has none.
    pub async fn serves(&self, judge: &str, question: &str, answer: &str) -> Result<bool, Failure> {
        self.judge(judge, ANSWER, &format!("Question:\n{question}\n\nAnswer:\n{answer}")).await
    }

    async fn judge(&self, judge: &str, task: &str, pair: &str) -> Result<bool, Failure> {
        let rest = format!(
            r#""temperature":0,"max_tokens":8,"messages":[{{"role":"system","content":{}}},{{"role":"user","content":{}}}]"#,
            quoted(task),
            quoted(pair)
        );
        let answer = self.ask(Operation::ChatCompletions, judge, &rest).await?;
        let word = text_of(&answer).unwrap_or_default().trim().to_ascii_uppercase();
        match (word.starts_with("SAME"), word.starts_with("DIFFERENT")) {
            (true, _) => Ok(true),
            (_, true) => Ok(false),
            _ => Err(useless(judge)),
        }
    }

    /// Asks `model` with `rest`, the members of the body besides its name.
    async fn ask(&self, operation: Operation, model: &str, rest: &str) -> Result<Bytes, Failure> {
        let plan = self.snapshot.routes.plan(operation, model, Draw::chance(), || None)?;
        let id = HeaderValue::from_static("tidegate-errand");
        let mut record = Record::of_errand(id.clone(), operation, Arc::clone(&plan.route), self.who.clone());
        let body = Bytes::from(format!(r#"{{"model":{},{rest}}}"#, quoted(model)));
        let ask = openai::Request::parse(operation, &body)?;
        // For a vector a request waits; for a judgement nobody does.
        let band = if operation == Operation::Embeddings { Band::Normal } else { Band::Batch };
        let inquiry = Inquiry {
            operation,
            first: Inquiry::spliced(&ask, &body, &plan.target),
            plan,
            body: body.clone(),
            stream: false,
            usage_chunk: UsageChunk::Drop,
            timeout: Some(PATIENCE),
            arrived: Instant::now(),
            standing: Standing { band, tenant: ERRANDS, tokens: 0, tokens_max: None },
            tools: false,
            request_id: id,
            carried: Carried::default(),
            joins: None,
            given: None,
        };
        let dispatch = Dispatch { shared: &self.shared, snapshot: &self.snapshot, inquiry: &inquiry };
        match dispatch.open(Alarm::default(), &mut record).await?.opened {
            Opened::Whole(whole) => Ok(whole.body),
            Opened::Refusal(..) | Opened::Stream(..) => Err(useless(model)),
        }
    }
}

/// A text as JSON.
fn quoted(text: &str) -> String {
    String::from_utf8_lossy(&json_string(text)).into_owned()
}

/// The first vector of an answer.
fn embedding(answer: &[u8]) -> Option<Vector> {
    let object = json::reply(answer).ok()?;
    let first = object.get("data")?.elements()?.next()?.object()?;
    let values = first.get("embedding")?.elements()?;
    Vector::new(values.filter_map(|value| value.as_f64()).map(|value| value as f32).collect())
}

/// The text of a whole chat completion's first choice.
pub fn text_of(answer: &[u8]) -> Option<String> {
    let object = json::reply(answer).ok()?;
    let choice = object.get("choices")?.elements()?.next()?.object()?;
    let content = choice.get("message")?.object()?.get("content")?;
    content.as_str().map(std::borrow::Cow::into_owned)
}

fn useless(model: &str) -> Failure {
    Failure::new(Kind::Provider, format!("The model '{model}' gave no answer that the cache can use."))
}
