//! `/v1/jobs`: what is to be done later, and what became of it.
//!
//! | | |
//! | --- | --- |
//! | `POST /v1/jobs` | 202: it is on disk, and will be done; 200: it was there already |
//! | `GET /v1/jobs` | the tenant's, from the newest on; `state`, `queue`, `kind`, `limit`, `after` |
//! | `GET /v1/jobs/{id}` | how it stands, its result, its errors |
//! | `GET /v1/jobs/{id}/events` | the same as it changes, by server-sent events |
//! | `DELETE /v1/jobs/{id}` | takes it back: 200, or 202 where it runs and has been told |
//! | `POST /v1/jobs/{id}/retry` | adds a dead or cancelled one anew |

pub(super) mod create;
mod events;
pub(super) mod order;

use super::Answered;
use super::asked::{Asked, not_found};
use crate::durable::api::{View, state_named};
use crate::durable::{Fault, Open, id, kinds, page};
use crate::http::error;
use http::{Method, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use store::jobs::{Cancel, Filter, Job, JobId, State};
use wire::failure::{Failure, Kind};

/// Answers a request to the collection.
pub(super) async fn serve(asked: &mut Asked) -> Answered {
    let words = asked.words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (&words[..], asked.method.clone()) {
        ([], Method::POST) => create::create(asked).await,
        ([], Method::GET) => list(asked).await,
        ([id], Method::GET) => show(asked, id).await,
        ([id], Method::DELETE) => cancel(asked, id).await,
        ([id, "events"], Method::GET) => events::stream(asked, id).await,
        ([id, "retry"], Method::POST) => retry(asked, id).await,
        ([], _) => Ok(error::method_not_allowed("GET, POST")),
        ([_], _) => Ok(error::method_not_allowed("GET, DELETE")),
        ([_, "events"], _) => Ok(error::method_not_allowed("GET")),
        ([_, "retry"], _) => Ok(error::method_not_allowed("POST")),
        _ => Err(not_found("thing of a job")),
    }
}

async fn list(asked: &Asked) -> Answered {
    let state = asked.query("state")?.map(|name| state_named(&name).ok_or_else(unknown_state)).transpose()?;
    let after = asked.query("after")?.map(|text| id::read(&text).ok_or_else(unknown_after)).transpose()?;
    let mut kinds: Vec<_> = kinds::PUBLIC.map(str::to_owned).into();
    if let Some(kind) = asked.query("kind")? {
        kinds.retain(|known| *known == kind);
    }
    let limit = asked.limit()?;
    let filter = Filter { tenant: Some(asked.tenant()), queue: asked.query("queue")?, kind: None, state };
    let page = page::Asked { filter, kinds: Some(kinds), before: after, limit, for_operators: false };
    let page = asked.durable().ask(async move |open| Ok(page.of(&*open.store.jobs).await?.to_json())).await?;
    asked.json(StatusCode::OK, &page).await
}

fn unknown_state() -> Failure {
    let names = State::ALL.map(crate::durable::api::state_name).join(", ");
    Failure::new(Kind::InvalidRequest, format!("The query's 'state' must be one of: {names}."))
        .with_param("state")
}

fn unknown_after() -> Failure {
    Failure::new(Kind::InvalidRequest, "The query's 'after' must be a job's id.").with_param("after")
}

async fn show(asked: &Asked, id: &str) -> Answered {
    let (id, tenant) = (read(id)?, asked.tenant());
    let job = asked.durable().ask(async move |open| whole(&open, id, &tenant).await).await?;
    asked.json(StatusCode::OK, &job).await
}

async fn cancel(asked: &Asked, id: &str) -> Answered {
    let (id, tenant) = (read(id)?, asked.tenant());
    let cancelled = async move |open: Arc<Open>| {
        own(&open, id, &tenant).await?;
        let cancel = open.jobs.cancel(id, Some(&tenant)).await?;
        Ok((cancel, whole(&open, id, &tenant).await?))
    };
    let (cancel, job) = asked.durable().ask(cancelled).await?;
    match cancel {
        Cancel::Done | Cancel::Over(State::Cancelled) => asked.json(StatusCode::OK, &job).await,
        Cancel::Asked => asked.json(StatusCode::ACCEPTED, &job).await,
        Cancel::Unknown => Err(not_found("job")),
        Cancel::Over(_) => {
            let public = "The job is over already; there is nothing to take back.";
            Err(Failure::new(Kind::Conflict, public).with_code("job_is_over"))
        }
    }
}

async fn retry(asked: &Asked, id: &str) -> Answered {
    let (id, tenant) = (read(id)?, asked.tenant());
    let replayed = async move |open: Arc<Open>| {
        own(&open, id, &tenant).await?;
        let replay = open.jobs.replay(id).await?.ok_or_else(not_dead)?;
        whole(&open, replay, &tenant).await
    };
    let job = asked.durable().ask(replayed).await?;
    asked.json(StatusCode::ACCEPTED, &job).await
}

fn not_dead() -> Failure {
    let public = "Only a job that is dead or cancelled is done anew.";
    Failure::new(Kind::Conflict, public).with_code("job_is_not_dead")
}

fn read(text: &str) -> Result<JobId, Failure> {
    id::read(text).ok_or_else(|| not_found("job"))
}

/// The tenant's job, of a kind that callers are shown.
async fn own(open: &Open, id: JobId, tenant: &str) -> Result<Job, Fault> {
    let job = open.jobs.get(id, Some(tenant)).await?;
    let job = job.filter(|job| kinds::PUBLIC.contains(&job.new.kind.as_str()));
    job.ok_or_else(|| Fault::Answer(not_found("job")))
}

/// The same as it is shown, with its history.
async fn whole(open: &Open, id: JobId, tenant: &str) -> Result<Box<RawValue>, Fault> {
    let job = own(open, id, tenant).await?;
    let faults = open.jobs.faults(id).await?;
    Ok(to_raw_value(&View::whole(&job, &faults)).unwrap_or_default())
}
