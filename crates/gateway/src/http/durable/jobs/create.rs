//! `POST /v1/jobs`.

use super::order::{self, MEMBERS};
use super::{own, whole};
use crate::durable::api::View;
use crate::durable::{Fault, Open, id};
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use crate::http::durable::members::{Members, refusal};
use crate::http::error;
use http::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use std::time::Duration;
use store::Time;
use store::jobs::{Added, Idempotency, Job, JobId, NewJob, State};
use wire::failure::{Failure, Kind, Retry};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest such key.
const KEY_BYTES_MAX: usize = 255;
/// When a caller whose job runs should look again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What came of it.
enum Came {
    /// It is on disk, or was already.
    There(Box<RawValue>, JobId, StatusCode),
    /// Its idempotency key belongs to one that runs just now.
    Runs(JobId),
}

/// Adds a job; says so once it is on disk.
pub(super) async fn create(asked: &mut Asked) -> Answered {
    let jobs = &asked.snapshot.config.jobs;
    let (bytes_max, backlog_max) = (jobs.payload_bytes_max, jobs.backlog_max);
    let body = asked.body(bytes_max, "jobs.payload_bytes_max").await?;
    let members = Members::read(&body, &MEMBERS)?;
    let draft = order::timed(order::read(asked, &members)?, &members, Time::now())?;
    let mut job = NewJob::from(draft);
    job.idempotency = idempotency(&asked.headers, &body)?;
    drop(body);
    match asked.durable().ask(move |open| add(open, job, backlog_max)).await? {
        Came::There(job, id, status) => {
            let mut response = asked.json(status, &job).await?;
            locate(&mut response, id);
            Ok(response)
        }
        Came::Runs(id) => {
            let mut response = error::response(&under_way());
            locate(&mut response, id);
            Ok(response)
        }
    }
}

async fn add(open: Arc<Open>, job: NewJob, backlog_max: u64) -> Result<Came, Fault> {
    let tenant = job.tenant.clone();
    let admitted = open.backlogs.admit(&open, &tenant, backlog_max).await;
    let now = Time::now();
    let added = match admitted {
        Ok(()) => {
            let added = open.jobs.add(job.clone()).await?;
            if !matches!(added, Added::New(_)) {
                open.backlogs.take_back(&tenant);
            }
            added
        }
        // What is there already adds nothing, however much waits.
        Err(full) => open.jobs.find(job.clone()).await?.ok_or(full)?,
    };
    match added {
        Added::New(id) => {
            let job = fresh(id, job, now);
            let shown = to_raw_value(&View::whole(&job, &[])).unwrap_or_default();
            Ok(Came::There(shown, id, StatusCode::ACCEPTED))
        }
        Added::Same(id) if own(&open, id, &tenant).await?.state == State::Running => Ok(Came::Runs(id)),
        Added::Same(id) | Added::Unique(id) => {
            Ok(Came::There(whole(&open, id, &tenant).await?, id, StatusCode::OK))
        }
        Added::Mismatch(_) => Err(Fault::Answer(mismatch())),
    }
}

/// The job as it stands in the moment after it was added.
fn fresh(id: JobId, new: NewJob, now: Time) -> Job {
    let state = if new.run_at > now { State::Scheduled } else { State::Ready };
    let new = NewJob { run_at: new.run_at.max(now), ..new };
    Job {
        id,
        state,
        new,
        attempt: 0,
        owner: None,
        lease_until: None,
        cancel_requested: false,
        progress: None,
        result: None,
        fault: None,
        created: now,
        started: None,
        ended: None,
    }
}

/// The caller's own key for this request, and what it was used for.
fn idempotency(headers: &HeaderMap, body: &[u8]) -> Result<Option<Idempotency>, Failure> {
    let key = idempotency_key(headers)?;
    Ok(key.map(|key| Idempotency { key: key.to_owned(), hash: blake3::hash(body).into() }))
}

/// The caller's own key for this request.
///
/// # Errors
/// 400 where it cannot be one.
pub(in crate::http::durable) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Failure> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = value.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
    key.map(Some).ok_or_else(|| {
        let public = format!("The header 'Idempotency-Key' must be 1 to {KEY_BYTES_MAX} plain characters.");
        refusal("Idempotency-Key", public)
    })
}

/// The key was used for something else.
pub(in crate::http::durable) fn mismatch() -> Failure {
    let public = "This Idempotency-Key was used for another request; use a new one.";
    Failure::new(Kind::Unprocessable, public)
        .with_param("Idempotency-Key")
        .with_code("idempotency_key_reused")
}

fn under_way() -> Failure {
    let public = "The job of this Idempotency-Key is being done just now; look at it where 'Location' says.";
    Failure::new(Kind::Conflict, public).with_code("job_is_running").with_retry(Retry::After(LOOK_AGAIN))
}

fn locate<B>(response: &mut Response<B>, job: JobId) {
    if let Ok(place) = HeaderValue::try_from(format!("/v1/jobs/{}", id::show(job))) {
        response.headers_mut().insert(LOCATION, place);
    }
}
