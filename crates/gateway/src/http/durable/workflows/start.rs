//! `POST /v1/workflows/{name}/runs`: `input`, and `version` where it is not to be the newest.

use super::refused::{What, refused, told};
use crate::durable::workflow::caller;
use crate::durable::workflow::view::RunView;
use crate::durable::{Fault, Open};
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use crate::http::durable::jobs::create::idempotency_key;
use crate::http::durable::members::Members;
use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use wire::failure::Failure;
use work::workflow::engine::{OUTPUT_BYTES_MAX, Refusal, Start, Started};

/// Bytes of a body: an input, and room for what stands around it.
const BODY_BYTES_MAX: usize = OUTPUT_BYTES_MAX + 1024;

/// Starts a run; says so once it is on disk.
pub(super) async fn start(asked: &mut Asked, name: &str) -> Answered {
    let body = asked.body(BODY_BYTES_MAX, "bound of an input").await?;
    let (input, version) = read(&body)?;
    drop(body);
    let start = Start {
        tenant: asked.tenant(),
        workflow: name.to_owned(),
        version,
        input,
        key: idempotency_key(&asked.headers)?.map(str::to_owned),
        caller: caller(&asked.caller.principal()),
    };
    let backlog_max = asked.snapshot.config.jobs.backlog_max;
    let started = match asked.durable().ask(move |open| begin(open, start, backlog_max)).await? {
        Ok(started) => started,
        Err(refusal) => return refused(What::Input, refusal),
    };
    let status = if started.is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    let run = &started.run;
    let mut response = asked.json(status, &RunView::brief(run).with_outcome(run)).await?;
    locate(&mut response, &run.id);
    Ok(response)
}

/// Starts it, where so few wait that it may be; what was started under the same key is there however many do.
async fn begin(open: Arc<Open>, start: Start, backlog_max: u64) -> Result<Result<Started, Refusal>, Fault> {
    let tenant = start.tenant.clone();
    if let Err(full) = open.backlogs.admit(&open, &tenant, backlog_max).await {
        return match told(open.workflows.started(&start).await)? {
            Ok(started) => started.map(Ok).ok_or(full),
            Err(refusal) => Ok(Err(refusal)),
        };
    }
    let started = told(open.workflows.start(start).await)?;
    if !started.as_ref().is_ok_and(|started| started.is_new) {
        open.backlogs.take_back(&tenant);
    }
    Ok(started)
}

fn read(body: &[u8]) -> Result<(Value, Option<i64>), Failure> {
    if body.is_empty() {
        return Ok((json!({}), None));
    }
    let members = Members::read(body, &["input", "version"])?;
    let input = members.get("input").map(|input| {
        serde_json::from_str(input.raw()).map_err(|_| members.wrong("input", "JSON that is not too deep"))
    });
    let version = members.get("version").map(|version| {
        let version = version.as_u64().and_then(|version| i64::try_from(version).ok());
        version.ok_or_else(|| members.wrong("version", "a whole number from 1"))
    });
    Ok((input.transpose()?.unwrap_or_else(|| json!({})), version.transpose()?))
}

fn locate<B>(response: &mut Response<B>, run: &str) {
    if let Ok(place) = HeaderValue::try_from(format!("/v1/workflows/runs/{run}")) {
        response.headers_mut().insert(LOCATION, place);
    }
}
