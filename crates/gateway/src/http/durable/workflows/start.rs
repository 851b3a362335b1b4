//! `POST /v1/workflows/{name}/runs`: `input`, and `version` where it is not to be the newest.

use super::refused::{What, refused, told};
use crate::durable::Open;
use crate::durable::workflow::caller;
use crate::durable::workflow::view::RunView;
use crate::http::durable::Answered;
use crate::http::durable::asked::Asked;
use crate::http::durable::jobs::create::idempotency_key;
use crate::http::durable::members::Members;
use http::header::{HeaderValue, LOCATION};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use wire::failure::Failure;
use work::workflow::engine::{OUTPUT_BYTES_MAX, Start};

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
    let work = move |open: Arc<Open>| async move {
        open.backlogs.admit(&open, &start.tenant, backlog_max).await?;
        told(open.workflows.start(start).await)
    };
    let started = asked.durable().ask(work).await?;
    let started = match started {
        Ok(started) => started,
        Err(refusal) => return refused(What::Input, refusal),
    };
    let status = if started.is_new { StatusCode::ACCEPTED } else { StatusCode::OK };
    let run = &started.run;
    let mut response = asked.json(status, &RunView::brief(run).with_outcome(run)).await?;
    locate(&mut response, &run.id);
    Ok(response)
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
