//! `/v1/workflows`: steps done in their order whatever is killed meanwhile, and runs of them.
//!
//! | | |
//! | --- | --- |
//! | `PUT /v1/workflows/{name}` | keeps a definition, in JSON or TOML, as the newest version |
//! | `GET /v1/workflows`, `/v1/workflows/{name}` | the tenant's; one, in its newest version or in `version` |
//! | `POST /v1/workflows/{name}/runs` | 202: a run is on disk, and will be done; 200: it was there already |
//! | `GET /v1/workflows/runs`, `/v1/workflows/{name}/runs` | the tenant's, from the newest on; `workflow`, `state`, `limit`, `after` |
//! | `GET /v1/workflows/runs/{id}` | how it stands, with its steps; without their outputs where `outputs=false` |
//! | `GET /v1/workflows/runs/{id}/steps/{step}` | one step, or with `/{item}` one item of it |
//! | `GET /v1/workflows/runs/{id}/events` | the same as it changes, by server-sent events |
//! | `POST /v1/workflows/runs/{id}/cancel`, `pause`, `resume`, `signal`, `retry` | what their names say |

mod command;
mod define;
mod events;
mod list;
mod refused;
mod start;

use super::Answered;
use super::asked::{Asked, not_found};
use crate::durable::workflow::view::{Show, StepView, WorkflowView, whole};
use crate::durable::{Fault, Open};
use crate::http::error;
use http::{Method, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use store::runs::Run;
use wire::failure::{Failure, Kind};

/// The word under which runs stand, which therefore names no workflow.
const RUNS: &str = "runs";

/// Answers a request to the collection.
pub(super) async fn serve(asked: &mut Asked) -> Answered {
    let words = asked.words();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        [] => match asked.method {
            Method::GET => list::workflows(asked).await,
            _ => Ok(error::method_not_allowed("GET")),
        },
        [RUNS] => match asked.method {
            Method::GET => list::runs(asked, None).await,
            _ => Ok(error::method_not_allowed("GET")),
        },
        [RUNS, id, ref rest @ ..] => run(asked, id, rest).await,
        [name] => match asked.method {
            Method::GET => show(asked, name).await,
            Method::PUT => define::define(asked, name).await,
            _ => Ok(error::method_not_allowed("GET, PUT")),
        },
        [name, RUNS] => match asked.method {
            Method::GET => list::runs(asked, Some(name)).await,
            Method::POST => start::start(asked, name).await,
            _ => Ok(error::method_not_allowed("GET, POST")),
        },
        _ => Err(not_found("thing of a workflow")),
    }
}

/// What is asked of one run.
async fn run(asked: &mut Asked, id: &str, rest: &[&str]) -> Answered {
    match (rest, asked.method.clone()) {
        ([], Method::GET) => look(asked, id).await,
        (["steps", step @ ..], Method::GET) if (1..=2).contains(&step.len()) => {
            look_at_step(asked, id, step.join("/")).await
        }
        (["events"], Method::GET) => events::stream(asked, id).await,
        ([word], Method::POST) if command::WORDS.contains(word) => command::obey(asked, id, word).await,
        ([] | ["events"] | ["steps", _] | ["steps", _, _], _) => Ok(error::method_not_allowed("GET")),
        ([word], _) if command::WORDS.contains(word) => Ok(error::method_not_allowed("POST")),
        _ => Err(not_found("thing of a run")),
    }
}

async fn show(asked: &Asked, name: &str) -> Answered {
    let (tenant, name) = (asked.tenant(), name.to_owned());
    let version =
        asked.query("version")?.map(|text| text.parse::<i64>().map_err(|_| wrong_version())).transpose()?;
    let show = async move |open: Arc<Open>| -> Result<_, Fault> {
        let found = open.store.runs.definition(&tenant, &name, version).await?;
        let found = found.ok_or_else(|| Fault::Answer(not_found("workflow")))?;
        Ok(to_raw_value(&WorkflowView::whole(&found)).unwrap_or_default())
    };
    let shown = asked.durable().ask(move |open| async move { show(open).await }).await?;
    asked.json(StatusCode::OK, &shown).await
}

fn wrong_version() -> Failure {
    let public = "The query's 'version' must be a whole number from 1.";
    Failure::new(Kind::InvalidRequest, public).with_param("version")
}

async fn look(asked: &Asked, id: &str) -> Answered {
    let (tenant, id) = (asked.tenant(), id.to_owned());
    let outputs = asked.query("outputs")?.is_none_or(|word| word != "false");
    let look = async move |open: Arc<Open>| -> Result<_, Fault> {
        let run = own(&open, &id, &tenant).await?;
        Ok(whole(&open.workflows, &*open.store.runs, &run, Show { outputs, tenant: false }).await?)
    };
    let shown = asked.durable().ask(move |open| async move { look(open).await }).await?;
    asked.json(StatusCode::OK, &shown).await
}

/// One step or one item, with all that was kept of it.
async fn look_at_step(asked: &Asked, id: &str, key: String) -> Answered {
    let (tenant, id) = (asked.tenant(), id.to_owned());
    let look = async move |open: Arc<Open>| -> Result<Box<RawValue>, Fault> {
        let run = own(&open, &id, &tenant).await?;
        let rows = open.store.runs.steps(&run.id, Some(vec![key]), 1).await?;
        let row = rows.first().ok_or_else(|| Fault::Answer(not_found("step that has begun")))?;
        let view = StepView::of_row(&row.key, &row.state, Some(row)).with_outcome(Some(row));
        Ok(to_raw_value(&view).unwrap_or_default())
    };
    let shown = asked.durable().ask(move |open| async move { look(open).await }).await?;
    asked.json(StatusCode::OK, &shown).await
}

/// The tenant's run.
async fn own(open: &Open, id: &str, tenant: &str) -> Result<Run, Fault> {
    let run = open.store.runs.run(id, Some(tenant)).await?;
    run.ok_or_else(|| Fault::Answer(not_found("run")))
}
