//! The call to an application that a job is over: itself a job, added in one step with that end. It says what became
//! of the job and not what came of it, which is fetched where that is wanted.

use super::payload::{Notice, Shown};
use super::{id, webhook};
use crate::durable::api::{seconds, state_name};
use rig::load::units;
use serde_json::json;
use serde_json::value::to_raw_value;
use std::time::{Duration, SystemTime};
use store::Time;
use store::jobs::{End, NewJob, Running, State};
use work::Draft;
use work::handler::Extra;

/// What is recorded with the last end of a job that names somebody to be told.
pub(super) fn announce(job: &Running, end: &End, at: Time) -> Extra {
    let shown = Shown::of(&job.payload);
    let then = shown.webhook.as_ref().and_then(|url| notice(job, end, at, url, shown.metadata));
    Extra { then: then.into_iter().collect(), line: None }
}

fn notice(
    job: &Running,
    end: &End,
    at: Time,
    url: &str,
    metadata: Option<&serde_json::value::RawValue>,
) -> Option<NewJob> {
    let (state, fault) = match end {
        End::Done { .. } => (State::Done, None),
        End::Dead { fault } => (State::Dead, Some(fault)),
        End::Cancelled => (State::Cancelled, None),
        End::Again { .. } | End::Released | End::Later { .. } => return None,
    };
    let word = state_name(state);
    let event = json!({
        "type": format!("job.{word}"),
        "timestamp": units::rfc3339(SystemTime::UNIX_EPOCH + at.since(Time(0)).max(Duration::ZERO)),
        "data": {
            "id": id::show(job.lease.id),
            "object": "job",
            "kind": job.kind,
            "state": word,
            "attempts": job.attempt,
            "created_at": seconds(job.created),
            "ended_at": seconds(at),
            "error": fault.map(|fault| json!({ "type": fault.class, "message": fault.message })),
            "metadata": metadata,
        },
    });
    let body = to_raw_value(&event).ok()?;
    let notice = Notice { url: url.into(), body: &body, metadata: None };
    let draft = Draft::new(webhook::KIND, job.tenant.clone()).queue(webhook::QUEUE);
    let draft = draft.attempts(webhook::ATTEMPTS_MAX).forget_when_done();
    Some(draft.json(&notice).ok()?.into())
}
