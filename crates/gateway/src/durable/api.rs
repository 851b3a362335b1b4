//! A job as it is shown, to callers and to operators.

use super::id;
use super::payload::Shown;
use serde::Serialize;
use serde_json::value::RawValue;
use store::Time;
use store::batches::BatchState;
use store::jobs::{Band, Job, PastFault, State};

/// A job, in the words of the API. Moments are seconds since 1970.
#[derive(Serialize)]
pub struct View<'a> {
    id: String,
    object: &'static str,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<&'a str>,
    queue: &'a str,
    state: &'static str,
    priority: &'static str,
    created_at: i64,
    run_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    deadline: Option<i64>,
    attempts: u32,
    max_attempts: u32,
    cancel_requested: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<&'a str>,
    #[serde(flatten)]
    asked: Asked<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique: Option<&'a str>,
    replay_of: Option<String>,
    progress: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Option<&'a RawValue>>,
    error: Option<Problem<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<Past<'a>>>,
}

/// What was asked for.
#[derive(Serialize)]
struct Asked<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    webhook: Option<Whither>,
    metadata: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Whither {
    url: String,
}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    class: &'a str,
    message: &'a str,
}

#[derive(Serialize)]
struct Past<'a> {
    attempt: u32,
    at: i64,
    #[serde(flatten)]
    problem: Problem<'a>,
}

impl<'a> View<'a> {
    /// The job without what came of it: as one of many.
    #[must_use]
    pub fn brief(job: &'a Job) -> Self {
        let new = &job.new;
        let shown = Shown::of(&new.payload);
        Self {
            id: id::show(job.id),
            object: "job",
            kind: &new.kind,
            tenant: None,
            queue: &new.queue,
            state: state_name(job.state),
            priority: band_name(new.band),
            created_at: seconds(job.created),
            run_at: seconds(new.run_at),
            started_at: job.started.map(seconds),
            ended_at: job.ended.map(seconds),
            deadline: new.deadline.map(seconds),
            attempts: job.attempt,
            max_attempts: new.attempts_max,
            cancel_requested: job.cancel_requested,
            owner: None,
            asked: Asked {
                path: shown.path.map(Into::into),
                url: shown.url.map(Into::into),
                webhook: shown.webhook.map(|url| Whither { url: url.into() }),
                metadata: shown.metadata,
            },
            unique: new.unique.as_deref(),
            replay_of: new.replay_of.map(id::show),
            progress: json(job.progress.as_deref()),
            result: None,
            error: job.fault.as_ref().map(|fault| Problem { class: &fault.class, message: &fault.message }),
            errors: None,
        }
    }

    /// All that a caller may know of it.
    #[must_use]
    pub fn whole(job: &'a Job, faults: &'a [PastFault]) -> Self {
        let past = |past: &'a PastFault| Past {
            attempt: past.attempt,
            at: seconds(past.at),
            problem: Problem { class: &past.fault.class, message: &past.fault.message },
        };
        let errors = Some(faults.iter().map(past).collect());
        Self { result: Some(json(job.result.as_deref())), errors, ..Self::brief(job) }
    }

    /// With whose it is and who has it, for operators.
    #[must_use]
    pub fn for_operators(self, job: &'a Job) -> Self {
        Self { tenant: Some(&job.new.tenant), owner: job.owner.as_deref(), ..self }
    }
}

/// What a kind has written, where that is JSON.
fn json(bytes: Option<&[u8]>) -> Option<&RawValue> {
    serde_json::from_slice(bytes?).ok()
}

/// Seconds since 1970.
#[must_use]
pub fn seconds(time: Time) -> i64 {
    time.0.div_euclid(1000)
}

/// A state's name, in the API, in metrics and in commands.
#[must_use]
pub fn state_name(state: State) -> &'static str {
    match state {
        State::Scheduled => "scheduled",
        State::Ready => "ready",
        State::Running => "running",
        State::Done => "done",
        State::Dead => "dead",
        State::Cancelled => "cancelled",
    }
}

/// A batch's state, in OpenAI's words.
#[must_use]
pub fn batch_state_name(state: BatchState) -> &'static str {
    match state {
        BatchState::Validating => "validating",
        BatchState::Failed => "failed",
        BatchState::InProgress => "in_progress",
        BatchState::Finalizing => "finalizing",
        BatchState::Completed => "completed",
        BatchState::Expired => "expired",
        BatchState::Cancelling => "cancelling",
        BatchState::Cancelled => "cancelled",
    }
}

/// The state of this name.
#[must_use]
pub fn state_named(name: &str) -> Option<State> {
    State::ALL.into_iter().find(|state| state_name(*state) == name)
}

/// A band's name.
#[must_use]
pub fn band_name(band: Band) -> &'static str {
    super::model::priority(band).name()
}
