//! `/admin/limits`: how everyone who is limited stands.

use crate::gateway::Gateway;
use crate::limits::{Report, Scope};
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use guard::quota::Level;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Instant;

/// `GET /admin/limits`: keys by their public ids, tenants, aliases and providers. Where replicas count together
/// it is what this one knows.
pub async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let rows: Vec<Value> = gateway.limits.report(Instant::now()).into_iter().map(of_account).collect();
    let shared = gateway.limits.is_shared();
    Json(json!({ "shared": shared, "limits": rows })).into_response()
}

/// How one who is limited stands.
pub(super) fn of_account((scope, name, report): (Scope, Box<str>, Report)) -> Value {
    json!({
        "scope": scope.name(),
        "name": name,
        "requests": report.requests.map(of_level),
        "tokens": report.tokens.map(of_level),
        "concurrent_requests": report.concurrent_requests.map(of_room),
        "concurrent_streams": report.concurrent_streams.map(of_room),
    })
}

fn of_level(level: Level) -> Value {
    let reset_seconds = level.reset.as_secs_f64();
    json!({ "limit": level.limit, "remaining": level.remaining, "reset_seconds": reset_seconds })
}

fn of_room((limit, in_use): (u64, u64)) -> Value {
    json!({ "limit": limit, "in_use": in_use })
}
