//! `/admin/jobs`: what is done later, of every tenant and kind: list, inspect, retry, cancel, purge; and the same as
//! metrics.

use super::refusal;
use super::refused::{self, Path};
use crate::durable::api::{View, batch_state_name, state_name, state_named};
use crate::durable::{Fault, Open, id, page};
use crate::gateway::Gateway;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Json, Query, State};
use axum::response::{IntoResponse, Response};
use measure::metrics::Times;
use measure::metrics::jobs::{Depth, Reading, Workers};
use rig::load::units;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use store::Time;
use store::jobs::{Cancel, Filter, JobId};
use wire::failure::{Failure, Kind};
use work::stats::{BOUNDS, Histogram};

/// Jobs shown at once.
const LIMIT_MAX: usize = 1000;
/// Jobs forgotten in one step, and in all by one request.
const PURGE_STEP: u32 = 500;
const PURGE_MAX: u64 = 20_000;

/// Which jobs.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// In this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// In this queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Of this kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Of this tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Older than this job; where jobs are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// So many; where jobs are listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Over for longer than this, as in `24h`; where jobs are forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than: Option<String>,
}

impl Which {
    fn filter(&self) -> Result<Filter, Failure> {
        let state = self.state.as_deref();
        let state = state.map(|name| state_named(name).ok_or_else(|| bad(&no_such_state()))).transpose()?;
        let (tenant, queue, kind) = (self.tenant.clone(), self.queue.clone(), self.kind.clone());
        Ok(Filter { tenant, queue, kind, state })
    }

    fn page(&self) -> Result<page::Asked, Failure> {
        let after = self.after.as_deref();
        let before =
            after.map(|text| id::read(text).ok_or_else(|| bad("'after' is no job's id"))).transpose()?;
        let limit = self.limit.unwrap_or(50).clamp(1, LIMIT_MAX);
        Ok(page::Asked { filter: self.filter()?, kinds: None, before, limit, for_operators: true })
    }

    /// What is forgotten: of one final state, and over before that moment.
    fn purge(&self, now: Time) -> Result<(Filter, Time), Failure> {
        let filter = self.filter()?;
        if !filter.state.is_some_and(store::jobs::State::is_final) {
            return Err(bad("name a 'state' of jobs that are over: done, dead or cancelled"));
        }
        let age = self.older_than.as_deref().map(units::parse_duration).transpose();
        let age = age.map_err(|_| bad("'older_than' is no duration; write it as in 24h"))?;
        Ok((filter, now.before(age.unwrap_or(Duration::ZERO)).after(Duration::from_millis(1))))
    }
}

fn bad(what: &str) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("This cannot be asked of jobs: {what}."))
}

fn no_such_state() -> String {
    format!("there is no such state; there are {}", store::jobs::State::ALL.map(state_name).join(", "))
}

fn no_job() -> Failure {
    Failure::new(Kind::NotFound, "There is no such job.").with_code("not_found")
}

/// `GET /admin/jobs`
pub async fn list(
    State(gateway): State<Arc<Gateway>>,
    which: Result<Query<Which>, QueryRejection>,
) -> Response {
    let page = which.map_err(refused::query).and_then(|Query(which)| which.page());
    let page = match page {
        Ok(page) => page,
        Err(failure) => return refusal(&failure),
    };
    let asked = gateway.durable.ask(async move |open: Arc<Open>| -> Result<_, Fault> {
        Ok(page.of(&*open.store.jobs).await?.to_json())
    });
    answer(
        asked
            .await
            .map(|list| json!({ "depths": depths(&gateway), "runner": runner(&gateway), "jobs": list })),
    )
}

/// `GET /admin/jobs/{id}`
pub async fn show(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    let shown = match id::read(&id) {
        Some(id) => gateway.durable.ask(async move |open: Arc<Open>| whole(&open, id).await).await,
        None => Err(no_job()),
    };
    answer(shown)
}

/// `POST /admin/jobs/{id}/retry`
pub async fn retry(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    let retried = async move |open: Arc<Open>, id: JobId| -> Result<_, Fault> {
        open.jobs.get(id, None).await?.ok_or_else(no_job)?;
        let replay = open.jobs.replay(id).await?;
        let replay = replay.ok_or_else(|| {
            let public = "Only a job that is dead or cancelled is done anew.";
            Failure::new(Kind::Conflict, public).with_code("job_is_not_dead")
        })?;
        whole(&open, replay).await
    };
    let shown = match id::read(&id) {
        Some(id) => gateway.durable.ask(async move |open| retried(open, id).await).await,
        None => Err(no_job()),
    };
    answer(shown)
}

/// `POST /admin/jobs/{id}/cancel`
pub async fn cancel(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    let cancelled = async move |open: Arc<Open>, id: JobId| -> Result<_, Fault> {
        let word = match open.jobs.cancel(id, None).await? {
            Cancel::Unknown => return Err(no_job().into()),
            Cancel::Done => "cancelled",
            Cancel::Asked => "asked",
            Cancel::Over(state) => state_name(state),
        };
        Ok(json!({ "id": id::show(id), "came_to": word }))
    };
    let told = match id::read(&id) {
        Some(id) => gateway.durable.ask(async move |open| cancelled(open, id).await).await,
        None => Err(no_job()),
    };
    answer(told)
}

/// `POST /admin/jobs/purge`
pub async fn purge(
    State(gateway): State<Arc<Gateway>>,
    which: Result<Json<Which>, JsonRejection>,
) -> Response {
    let which = which.map_err(refused::body);
    let (filter, before) = match which.and_then(|Json(which)| which.purge(Time::now())) {
        Ok(which) => which,
        Err(failure) => return refusal(&failure),
    };
    let purged = gateway.durable.ask(async move |open: Arc<Open>| -> Result<_, Fault> {
        let mut purged = 0;
        while purged < PURGE_MAX {
            let step = open.store.jobs.purge(filter.clone(), before, PURGE_STEP).await?;
            purged += step;
            if step < PURGE_STEP.into() {
                return Ok(json!({ "purged": purged, "has_more": false }));
            }
        }
        Ok(json!({ "purged": purged, "has_more": true }))
    });
    answer(purged.await)
}

fn answer(answered: Result<impl Serialize, Failure>) -> Response {
    match answered {
        Ok(value) => Json(value).into_response(),
        Err(failure) => refusal(&failure),
    }
}

/// All there is to know of a job, what it holds included.
async fn whole(open: &Open, id: JobId) -> Result<Value, Fault> {
    let job = open.jobs.get(id, None).await?.ok_or_else(no_job)?;
    let faults = open.jobs.faults(id).await?;
    let view = View::whole(&job, &faults).for_operators(&job);
    let mut shown = serde_json::to_value(&view).unwrap_or_default();
    let payload: Option<&RawValue> = serde_json::from_slice(&job.new.payload).ok();
    shown["payload"] = serde_json::to_value(payload).unwrap_or_default();
    Ok(shown)
}

fn depths(gateway: &Gateway) -> Vec<Value> {
    let now = Time::now();
    let Some(open) = gateway.durable.open() else { return Vec::new() };
    let row = |depth: &store::jobs::Depth| {
        json!({
            "queue": depth.queue,
            "state": state_name(depth.state),
            "count": depth.count,
            "oldest_seconds": depth.oldest.map(|oldest| now.since(oldest).as_secs_f64()),
        })
    };
    open.depths.load().iter().map(row).collect()
}

fn runner(gateway: &Gateway) -> Option<Box<RawValue>> {
    let report = gateway.durable.open()?.runner.report();
    let queue = |queue: &work::stats::QueueReport| json!({ "name": queue.name, "workers": queue.workers, "busy": queue.busy });
    let said = json!({
        "store_is_away": report.is_away,
        "held": report.held,
        "queues": report.queues.iter().map(queue).collect::<Vec<_>>(),
        "done": report.done + report.recorded,
        "retried": report.retried,
        "dead": report.dead,
        "cancelled": report.cancelled,
        "put_back": report.released,
        "lost": report.lost,
        "failed": report.failed,
    });
    to_raw_value(&said).ok()
}

/// Sets the metrics that are read with the others.
pub fn measure(gateway: &Gateway) {
    let asked = gateway.durable.times.read();
    let Some(open) = gateway.durable.open() else {
        gateway.metrics.database.show([("ask", asked)]);
        let reading = Reading { store_up: !gateway.durable.is_away(), ..Reading::default() };
        return gateway.metrics.jobs.show(reading);
    };
    let (report, lines, now) = (open.runner.report(), open.batches.report(), Time::now());
    let depth = |depth: &store::jobs::Depth| Depth {
        queue: depth.queue.clone(),
        state: state_name(depth.state),
        count: depth.count,
        oldest_seconds: depth.oldest.map(|oldest| now.since(oldest).as_secs_f64()),
    };
    let ended = [
        ("done", report.done + report.recorded),
        ("retried", report.retried),
        ("dead", report.dead),
        ("cancelled", report.cancelled),
        ("put_back", report.released),
        ("lost", report.lost),
    ];
    gateway.metrics.database.show([("ask", asked), ("claim", times(&report.claim_time))]);
    gateway.metrics.jobs.show(Reading {
        store_up: !report.is_away,
        depths: open.depths.load().iter().map(depth).collect(),
        workers: report
            .queues
            .iter()
            .map(|queue| Workers { queue: queue.name.clone(), all: queue.workers, busy: queue.busy })
            .collect(),
        ended: ended.into(),
        reaped: report.reaped,
        batches: open
            .open_batches
            .load()
            .iter()
            .map(|(state, count)| (batch_state_name(*state), *count))
            .collect(),
        lines: [("completed", lines.good), ("failed", lines.bad)].into(),
        provider_batches: [("sent", lines.sent), ("fetched", lines.fetched), ("returned", lines.returned)]
            .into(),
        provider_lines_uncounted: lines.uncounted,
        claims: times(&report.claim_time),
        waits: times(&report.wait_time),
        runs: times(&report.run_time),
        failed: report.failed,
    });
}

pub(super) fn times(of: &Histogram) -> Times {
    Times { bounds: &BOUNDS, buckets: of.buckets.to_vec(), sum: of.sum.as_secs_f64() }
}
