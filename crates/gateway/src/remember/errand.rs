//! A call of the gateway's own to a model that the configuration names: to embed a text, or to judge a pair.
//! It counts as an attempt at its target and as nobody's request.

use crate::alarm::Alarm;
use crate::attempt::{Attempt, Sent};
use crate::gateway::Shared;
use crate::recorder::Record;
use crate::relay::Patience;
use crate::snapshot::Snapshot;
use crate::upstream::Call;
use ::http::HeaderValue;
use bytes::Bytes;
use cache::semantic::Vector;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::{Failure, Kind};
use wire::json;
use wire::openai::{RelayOptions, UsageChunk};
use wire::operation::Operation;
use wire::splice::{json_string, splice};

/// The longest that an errand takes.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the judge is asked of two questions.
const PAIR: &str = "Would one and the same answer fully and correctly serve both of these questions? Mind numbers, names, dates, negations and directions. Reply with the one word SAME or DIFFERENT.";
/// What the judge is asked of a question and the answer that it got.
const ANSWER: &str = "Does this answer fully and correctly serve this very question, or was it written for another one? Mind numbers, names, dates, negations and directions. Reply with the one word SAME if it serves, or DIFFERENT.";

/// Whoever runs errands: a worker, and the configuration.
#[derive(Clone)]
pub struct Errands {
    shared: Arc<Shared>,
    snapshot: Arc<Snapshot>,
}

impl Errands {
    /// On this worker, under this configuration.
    pub fn new(shared: &Arc<Shared>, snapshot: &Arc<Snapshot>) -> Self {
        Self { shared: Arc::clone(shared), snapshot: Arc::clone(snapshot) }
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
        let plan = self.snapshot.routes.plan(operation, model, fastrand::u64(..))?;
        let mut record = Record::of_errand(HeaderValue::from_static("tidegate-errand"), operation, &plan);
        let settings = plan.target.upstream.settings();
        let now = Instant::now();
        let attempt = Attempt {
            stream: false,
            relay: RelayOptions {
                usage_chunk: UsageChunk::Drop,
                done_marker: settings.preset.quirks.done_marker,
            },
            patience: Patience::new(&settings.timeouts, Some(PATIENCE), now, now),
            target: Arc::clone(&plan.target),
        };
        let call = Call {
            operation,
            body: splice(&format!(r#"{{"model":{},{rest}}}"#, quoted(&plan.target.model)).into(), &[]),
            request_id: record.id.clone(),
            traceparent: None,
        };
        let mut alarm = Alarm::default();
        match attempt.send(&self.shared, call, &mut alarm, &mut record).await? {
            Sent::Refusal(..) => Err(useless(model)),
            Sent::Answer(answer) => Ok(attempt.whole(answer, &mut alarm, &mut record).await?.body),
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
