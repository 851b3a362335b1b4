//! `/admin/config`: what is in force, what the files say by now, and putting that in force.

use super::{refusal, whole};
use crate::app::Told;
use crate::gateway::Gateway;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::json;
use std::sync::Arc;
use wire::failure::{Failure, Kind};

/// `GET /admin/config`: the merged configuration as `tidegate config print --format json` shows it, without secrets.
pub async fn show(State(gateway): State<Arc<Gateway>>, asked: HeaderMap) -> Response {
    let shown = gateway.snapshot(0).shown.clone();
    whole(&gateway, &asked, "application/json", shown.into()).await
}

/// `GET /admin/config/file`: the same as the file and the environment have it now, in force or not; or what is wrong
/// with it.
pub async fn file(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.reloading.ask(false).await {
        None => refusal(&busy()),
        Some(Told { path, verdict, fixed }) => {
            let (config, faults) = match verdict {
                Ok(config) => (Some(config), None),
                Err(faults) => (None, Some(faults)),
            };
            Json(json!({ "path": path, "config": config, "faults": faults, "needs_restart": fixed }))
                .into_response()
        }
    }
}

/// `POST /admin/config/reload`: puts it in force, as SIGHUP does, and tells what came of it.
pub async fn reload(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.reloading.ask(true).await {
        None => refusal(&busy()),
        Some(Told { path, verdict: Ok(_), fixed }) => {
            Json(json!({ "applied": true, "path": path, "needs_restart": fixed })).into_response()
        }
        Some(Told { verdict: Err(faults), .. }) => refusal(
            &Failure::new(
                Kind::InvalidRequest,
                format!("The configuration is refused, the running one stays:\n{faults}"),
            )
            .with_code("config_refused"),
        ),
    }
}

fn busy() -> Failure {
    Failure::new(Kind::Overloaded, "The configuration is being looked at already; ask again.")
}
