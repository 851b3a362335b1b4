//! `/admin/profile`: where processor time goes, how busy the threads are, who holds memory, and giving it back. Each is
//! done when it is asked for and costs nothing before.

use super::system::of_runtime;
use super::{refusal, refused};
use crate::allocator;
use crate::gateway::Gateway;
use crate::resources::{Held, reader};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Json, Query, State};
use axum::response::{IntoResponse, Response};
use measure::metrics::resources::Runtime;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use wire::failure::{Failure, Kind};

#[cfg(feature = "profile")]
mod cpu;
#[cfg(feature = "profile")]
pub use cpu::show as cpu;

/// The longest that anything is watched.
const SECONDS_MAX: u64 = 60;

/// `GET /admin/profile/cpu` of a program that was built without it.
#[cfg(not(feature = "profile"))]
pub async fn cpu() -> Response {
    let public = "This program was built without the profiler (feature `profile`).";
    refusal(&Failure::new(Kind::NotFound, public).with_code("no_profiler"))
}

/// For how long.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    seconds: Option<u64>,
}

fn seconds(asked: Option<u64>, usual: u64) -> Result<Duration, Failure> {
    match asked.unwrap_or(usual) {
        seconds @ 1..=SECONDS_MAX => Ok(Duration::from_secs(seconds)),
        _ => Err(bad(format!("`seconds` is from 1 to {SECONDS_MAX}."))),
    }
}

fn bad(public: String) -> Failure {
    Failure::new(Kind::InvalidRequest, public)
}

/// `GET /admin/profile/tasks`: what each thread that runs tasks did over the last `seconds` (1 where nothing is said),
/// and how it stands. Which tasks there are and where each waits is not known: Tokio tells that only of builds with its
/// unstable parts.
pub async fn tasks(
    State(gateway): State<Arc<Gateway>>,
    asked: Result<Query<Watched>, QueryRejection>,
) -> Response {
    let span = match asked.map_err(refused::query).and_then(|Query(asked)| seconds(asked.seconds, 1)) {
        Ok(span) => span,
        Err(failure) => return refusal(&failure),
    };
    let before = gateway.runtimes.stands();
    tokio::time::sleep(span).await;
    let threads: Vec<Value> = gateway
        .runtimes
        .stands()
        .iter()
        .map(|after| {
            let before = before.iter().find(|before| before.thread == after.thread);
            of_span(before, after, span)
        })
        .collect();
    let background: Vec<_> = gateway.chores().iter().flat_map(|chores| chores.report()).collect();
    Json(json!({
        "seconds": span.as_secs(),
        "threads": threads,
        "requests_in_flight": gateway.metrics.sums().in_flight,
        "connections": gateway.metrics.connections.get(),
        "background": {
            "running": background.iter().map(|lane| lane.running).sum::<usize>(),
            "waiting": background.iter().map(|lane| lane.waiting).sum::<usize>(),
        },
        "task_dump": null,
        "note": "single tasks are known only to builds with Tokio's unstable parts",
    }))
    .into_response()
}

fn of_span(before: Option<&Runtime>, after: &Runtime, span: Duration) -> Value {
    let mut row = of_runtime(after);
    if let Some(before) = before {
        let busy = after.busy.saturating_sub(before.busy).as_secs_f64() / span.as_secs_f64();
        row["busy_share"] = busy.min(1.0).into();
        row["parks_per_second"] =
            (after.parks.saturating_sub(before.parks) as f64 / span.as_secs_f64()).into();
    }
    row
}

/// `GET /admin/profile/heap`: who holds how much, as far as that is known: what is held on purpose, by whom; what the
/// allocator has committed beyond that; what it says of itself.
pub async fn heap(State(gateway): State<Arc<Gateway>>) -> Response {
    let (held, figures) = (Held::of(&gateway), allocator::figures());
    let resident = reader(&gateway).read().pressure.resident;
    let committed = figures.map(|figures| figures.committed_bytes);
    Json(json!({
        "resident_bytes": resident,
        "committed_bytes": committed,
        "reserved_bytes": figures.map(|figures| figures.reserved_bytes),
        "held_bytes": { "cache": held.cache, "flights": held.flights, "bodies": held.bodies },
        "other_bytes": committed.map(|committed| committed.saturating_sub(held.bytes())),
        "allocator": allocator::report(),
        "note": "mimalloc does not record where memory was allocated, and its release builds do not count single \
            allocations: `other_bytes` are connections, the configuration, databases and what is kept to be used again",
    }))
    .into_response()
}

/// `POST /admin/profile/release-memory`: has every thread give back what it has freed and kept. It takes each some
/// milliseconds, during which it serves nobody.
pub async fn release(State(gateway): State<Arc<Gateway>>) -> Response {
    let stand = || {
        json!({
            "resident_bytes": reader(&gateway).read().pressure.resident,
            "committed_bytes": allocator::figures().map(|figures| figures.committed_bytes),
        })
    };
    let before = stand();
    let threads = gateway.runtimes.everywhere(allocator::release).await;
    let after = stand();
    let released = before["resident_bytes"].as_u64().zip(after["resident_bytes"].as_u64());
    let released = released.map(|(before, after)| before.saturating_sub(after));
    tracing::info!(threads, bytes = released, "memory was given back to the system");
    Json(json!({ "threads": threads, "before": before, "after": after, "released_bytes": released }))
        .into_response()
}
