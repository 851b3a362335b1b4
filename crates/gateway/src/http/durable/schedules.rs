//! `/v1/schedules`: jobs that are added again and again.
//!
//! | | |
//! | --- | --- |
//! | `GET /v1/schedules` | the tenant's, by name |
//! | `PUT /v1/schedules/{name}` | writes one: `cron`, `time_zone`, `job`, `paused` |
//! | `GET`, `DELETE /v1/schedules/{name}` | shows it; forgets it |

use super::Answered;
use super::asked::{Asked, not_found};
use super::jobs::order::{self, WHAT};
use super::members::{Members, refusal};
use crate::durable::api::seconds;
use crate::durable::{Fault, Open, id};
use crate::http::error;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use store::jobs::NewJob;
use store::schedules::Schedule;
use wire::failure::{Failure, Kind, Retry};
use work::schedules::{Error, Plan};

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// Schedules of one tenant.
const SCHEDULES_MAX: usize = 1000;

/// Answers a request to the collection.
pub(super) async fn serve(asked: &mut Asked) -> Answered {
    let words = asked.words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (&words[..], asked.method.clone()) {
        ([], Method::GET) => list(asked).await,
        ([name], Method::GET) => show(asked, name).await,
        ([name], Method::PUT) => put(asked, name).await,
        ([name], Method::DELETE) => remove(asked, name).await,
        ([], _) => Ok(error::method_not_allowed("GET")),
        ([_], _) => Ok(error::method_not_allowed("GET, PUT, DELETE")),
        _ => Err(not_found("schedule")),
    }
}

async fn list(asked: &Asked) -> Answered {
    let tenant = asked.tenant();
    let list = async move |open: Arc<Open>| {
        let schedules = open.timetable.list(Some(&tenant)).await.map_err(fault)?;
        Ok(schedules.iter().map(view).collect::<Vec<_>>())
    };
    let data = asked.durable().ask(list).await?;
    asked.json(StatusCode::OK, &json!({ "object": "list", "data": data, "has_more": false })).await
}

async fn show(asked: &Asked, name: &str) -> Answered {
    let (tenant, name) = (asked.tenant(), name.to_owned());
    let show = async move |open: Arc<Open>| {
        let schedule = open.timetable.get(&tenant, &name).await.map_err(fault)?;
        schedule.as_ref().map(view).ok_or_else(|| Fault::Answer(not_found("schedule")))
    };
    let shown = asked.durable().ask(show).await?;
    asked.json(StatusCode::OK, &shown).await
}

async fn put(asked: &mut Asked, name: &str) -> Answered {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.len() > NAME_BYTES_MAX || !name.bytes().all(plain) {
        let public = format!("A schedule's name has 1 to {NAME_BYTES_MAX} letters, digits and - _ .");
        return Err(refusal("name", public));
    }
    let bytes_max = asked.snapshot.config.jobs.payload_bytes_max;
    let body = asked.body(bytes_max, "jobs.payload_bytes_max").await?;
    let members = Members::read(&body, &["cron", "time_zone", "job", "paused"])?;
    let paused = match members.get("paused") {
        Some(value) => value.as_bool().ok_or_else(|| members.wrong("paused", "true or false"))?,
        None => false,
    };
    members.required("cron")?;
    members.required("job")?;
    let job = members.object("job")?.map(|job| Members::of(job, "job.", &WHAT)).transpose()?;
    let job = job.ok_or_else(|| members.wrong("job", "an object"))?;
    let plan = Plan {
        name: name.to_owned(),
        tenant: asked.tenant(),
        cron: members.text("cron")?.unwrap_or_default().into_owned(),
        zone: members.text("time_zone")?.unwrap_or("UTC".into()).into_owned(),
        job: NewJob::from(order::read(asked, &job)?),
        within: None,
    };
    let schedule = asked.durable().ask(async move |open| write(&open, plan, paused).await).await?;
    asked.json(StatusCode::OK, &schedule).await
}

async fn write(open: &Open, plan: Plan, paused: bool) -> Result<Value, Fault> {
    let (tenant, name) = (plan.tenant.clone(), plan.name.clone());
    let known = open.timetable.list(Some(&tenant)).await.map_err(fault)?;
    if known.len() >= SCHEDULES_MAX && known.iter().all(|known| known.name != name) {
        let public = format!("There are {SCHEDULES_MAX} schedules already; remove one first.");
        return Err(Fault::Answer(Failure::new(Kind::Conflict, public).with_code("too_many_schedules")));
    }
    let schedule = open.timetable.put(plan).await.map_err(fault)?;
    if !paused {
        return Ok(view(&schedule));
    }
    open.timetable.pause(&tenant, &name, true).await.map_err(fault)?;
    Ok(view(&Schedule { paused: true, ..schedule }))
}

async fn remove(asked: &Asked, name: &str) -> Answered {
    let (tenant, own) = (asked.tenant(), name.to_owned());
    let remove = async move |open: Arc<Open>| open.timetable.remove(&tenant, &own).await.map_err(fault);
    match asked.durable().ask(remove).await? {
        true => {
            let deleted = json!({ "name": name, "object": "schedule", "deleted": true });
            asked.json(StatusCode::OK, &deleted).await
        }
        false => Err(not_found("schedule")),
    }
}

fn fault(error: Error) -> Fault {
    let failure = match error {
        Error::Store(error) => return Fault::Store(error),
        Error::Invalid(work::cron::Invalid::Zone(_)) => refusal("time_zone", format!("{error}.")),
        Error::Invalid(_) => refusal("cron", format!("{error}.")),
        Error::Unknown(_) => not_found("schedule"),
        Error::Contended(_) => Failure::new(Kind::Conflict, format!("{error}.")).with_retry(Retry::Soon),
    };
    Fault::Answer(failure)
}

fn view(schedule: &Schedule) -> Value {
    let Schedule { name, cron, zone, job, paused, next, last, .. } = schedule;
    let shown = crate::durable::payload::Shown::of(&job.payload);
    json!({
        "name": name,
        "object": "schedule",
        "cron": cron,
        "time_zone": zone,
        "paused": paused,
        "next_at": next.filter(|_| !paused).map(seconds),
        "last_at": last.map(|(at, _)| seconds(at)),
        "last_job": last.map(|(_, job)| id::show(job)),
        "job": {
            "kind": job.kind,
            "queue": job.queue,
            "priority": crate::durable::api::band_name(job.band),
            "max_attempts": job.attempts_max,
            "unique": job.unique,
            "path": shown.path,
            "url": shown.url,
            "webhook": shown.webhook.map(|url| json!({ "url": url })),
            "metadata": shown.metadata,
        },
    })
}
