//! `/admin/workflows`: workflows and their runs, of every tenant: list, inspect, pause, resume, cancel; and the same as
//! metrics. What is asked of one step is its tenant's business.

use super::jobs::times;
use super::refusal;
use super::refused::{self, Path};
use crate::durable::workflow::page::{List, Which, state};
use crate::durable::workflow::view::{Show, state_name, whole};
use crate::durable::{Fault, Open};
use crate::gateway::Gateway;
use crate::http::unknown_path;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Json, Query, State};
use axum::response::{IntoResponse, Response};
use http::{Method, Uri};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use store::runs::RunState;
use wire::failure::{Failure, Kind};
use work::workflow::engine::Refusal;

/// Runs shown at once.
const LIMIT_MAX: usize = 1000;

/// Which runs.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asked {
    tenant: Option<String>,
    workflow: Option<String>,
    state: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// `GET /admin/workflows`
pub async fn list(State(gateway): State<Arc<Gateway>>) -> Response {
    let asked = gateway.durable.ask(async |open: Arc<Open>| -> Result<_, Fault> {
        Ok(List::of(&open.store.runs.definitions(None).await?, true))
    });
    answer(asked.await.map(|workflows| json!({ "runs": counts(&gateway), "workflows": workflows })))
}

/// `GET /admin/workflows/runs`
pub async fn runs(
    State(gateway): State<Arc<Gateway>>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Response {
    let which = asked.map_err(refused::query).and_then(|Query(asked)| asked.which());
    match which {
        Ok(which) => {
            let page = async move |open: Arc<Open>| Ok(which.page(&*open.store.runs).await?);
            answer(gateway.durable.ask(page).await)
        }
        Err(failure) => refusal(&failure),
    }
}

impl Asked {
    fn which(self) -> Result<Which, Failure> {
        Ok(Which {
            state: self.state.as_deref().map(state).transpose()?,
            tenant: self.tenant,
            workflow: self.workflow,
            before: self.after,
            limit: self.limit.unwrap_or(50).clamp(1, LIMIT_MAX),
            for_operators: true,
        })
    }
}

/// `GET /admin/workflows/runs/{id}`
pub async fn show(State(gateway): State<Arc<Gateway>>, Path(id): Path<String>) -> Response {
    let show = async move |open: Arc<Open>| -> Result<_, Fault> {
        let run = open.store.runs.run(&id, None).await?.ok_or_else(no_run)?;
        Ok(whole(&open.workflows, &*open.store.runs, &run, Show { outputs: true, tenant: true }).await?)
    };
    answer(gateway.durable.ask(show).await)
}

/// `POST /admin/workflows/runs/{id}/{word}`
pub async fn command(
    State(gateway): State<Arc<Gateway>>,
    Path((id, word)): Path<(String, String)>,
    uri: Uri,
) -> Response {
    let command = async move |open: Arc<Open>| -> Result<_, Fault> {
        let engine = &open.workflows;
        let done = match word.as_str() {
            "pause" => engine.pause(&id, None).await,
            "resume" => engine.resume(&id, None).await,
            "cancel" => engine.cancel(&id, None).await,
            _ => return Err(unknown_path(&Method::POST, &uri).into()),
        };
        match done {
            Ok(run) => Ok(json!({ "id": run.id, "state": state_name(run.state) })),
            Err(Refusal::Store(error)) => Err(error.into()),
            Err(Refusal::State(state)) => {
                let public = format!("The run is {}, and cannot do this.", state_name(state));
                Err(Failure::new(Kind::Conflict, public).into())
            }
            Err(_) => Err(no_run().into()),
        }
    };
    answer(gateway.durable.ask(command).await)
}

fn no_run() -> Failure {
    Failure::new(Kind::NotFound, "There is no such run.").with_code("not_found")
}

fn answer(answered: Result<impl Serialize, Failure>) -> Response {
    match answered {
        Ok(value) => Json(value).into_response(),
        Err(failure) => refusal(&failure),
    }
}

/// How many runs are in each state.
fn counts(gateway: &Gateway) -> Value {
    let by_state = by_state(gateway).into_iter();
    by_state.map(|(state, count)| (state.to_owned(), json!(count))).collect::<Map<_, _>>().into()
}

fn by_state(gateway: &Gateway) -> Vec<(&'static str, u64)> {
    let open = gateway.durable.open();
    let counts = open.map(|open| open.runs.load_full()).unwrap_or_default();
    let count =
        |state: RunState| counts.iter().find(|(counted, _)| *counted == state).map_or(0, |(_, count)| *count);
    RunState::ALL.map(|state| (state_name(state), count(state))).into()
}

/// Sets the metrics that are read with the others.
pub fn measure(gateway: &Gateway) {
    let steps = gateway.durable.open().map(|open| open.workflows.step_times()).unwrap_or_default();
    let steps = steps.iter().map(|(kind, histogram)| (*kind, times(histogram))).collect();
    gateway.metrics.workflows.show(by_state(gateway), steps);
}
