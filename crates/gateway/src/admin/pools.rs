//! `/admin/pools`: how the connections to every provider stand, and what should be set otherwise.

use crate::gateway::Gateway;
use crate::upstream::PoolReport;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use measure::metrics::PoolStand;
use serde_json::{Value, json};
use std::sync::Arc;

/// `GET /admin/pools`: connections in all, and by provider. The simulated provider runs in process and has none.
pub async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let (open, max) = gateway.snapshot(0).stocks.stand();
    Json(json!({ "open": open, "max": max, "pools": pools(&gateway) })).into_response()
}

/// One row for each provider. Counts are since the process began, `most` and `advice` of the last minutes.
pub fn pools(gateway: &Gateway) -> Value {
    reports(gateway).into_iter().map(of_report).collect()
}

/// Tells the metrics how the pools stand; to be called before they are read.
pub fn measure(gateway: &Gateway) {
    let reports = reports(gateway);
    gateway.metrics.pools_stand(reports.iter().map(|report| PoolStand {
        provider: &report.provider,
        idle: report.idle,
        busy: report.busy,
        dns_age: report.dns_age,
    }));
}

fn reports(gateway: &Gateway) -> Vec<PoolReport> {
    let snapshot = gateway.snapshot(0);
    snapshot.upstreams.iter().filter_map(|upstream| upstream.pool_report()).collect()
}

fn of_report(report: PoolReport) -> Value {
    let PoolReport { provider, idle, busy, waiting, max, most, totals, dns_age, advice } = report;
    json!({
        "provider": provider,
        "idle": idle,
        "busy": busy,
        "waiting": waiting,
        "opened": totals.opened,
        "reused": totals.reused,
        "waited": totals.waited,
        "starved": totals.starved,
        "max": max,
        "most": most,
        "dns": {
            "age_seconds": dns_age.map(|age| age.as_secs_f64()),
            "lookups": totals.lookups + totals.lookups_failed,
            "failures": totals.lookups_failed,
        },
        "advice": advice,
    })
}
