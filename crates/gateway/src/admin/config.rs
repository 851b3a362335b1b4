//! `/admin/config`: what is in force, what the files say by now, and putting that in force.

use super::{refusal, whole};
use crate::app::Told;
use crate::config::Fault;
use crate::gateway::Gateway;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use serde_json::{Value, json};
use std::fmt::Write as _;
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
        Some(Told { path, verdict, fixed, warnings, .. }) => {
            let (config, faults) = match verdict {
                Ok(config) => (Some(config), None),
                Err(faults) => (None, Some(faults)),
            };
            let told = json!({
                "path": path,
                "config": config,
                "faults": faults,
                "warnings": shown(&warnings),
                "needs_restart": fixed,
            });
            Json(told).into_response()
        }
    }
}

/// `POST /admin/config/reload`: puts it in force, as SIGHUP does, and tells what came of it.
pub async fn reload(State(gateway): State<Arc<Gateway>>) -> Response {
    match gateway.reloading.ask(true).await {
        None => refusal(&busy()),
        Some(Told { path, verdict: Ok(_), fixed, warnings, certificates }) => {
            let told = json!({
                "applied": true,
                "path": path,
                "warnings": shown(&warnings),
                "needs_restart": fixed,
                "certificates": certificates,
            });
            Json(told).into_response()
        }
        Some(Told { verdict: Err(faults), certificates, .. }) => {
            let mut public = format!("The configuration is refused, the running one stays:\n{faults}");
            for certificate in certificates {
                let _ = write!(public, "\n{certificate}");
            }
            refusal(&Failure::new(Kind::InvalidRequest, public).with_code("config_refused"))
        }
    }
}

/// Each as `tidegate check --json` tells it.
fn shown(warnings: &[Fault]) -> Vec<Value> {
    warnings.iter().map(Fault::to_json).collect()
}

fn busy() -> Failure {
    Failure::new(Kind::Overloaded, "The configuration is being looked at already; ask again.")
}
