//! Whether the process lives, and whether it should be sent requests. Both planes answer with it.

use super::body::Body;
use crate::gateway::Gateway;
use crate::protect::health::Unwell;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use cache::{disk, redis};
use guard::pressure::Level;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use std::time::Instant;

/// `/`: that somebody is here. `HEAD /` is how some clients look for a server.
pub(super) fn root() -> Response<Body> {
    json(StatusCode::OK, r#"{"name":"tidegate","health":"/health","models":"/v1/models"}"#)
}

/// `/health`: the process answers.
pub(crate) fn live() -> Response<Body> {
    json(StatusCode::OK, r#"{"status":"ok"}"#)
}

/// `/health/ready`: new requests are welcome. What is unwell is told in words; only a fault that lies here, or
/// that we are leaving, sends callers elsewhere: a provider's outage is the same from everywhere.
pub(crate) fn ready(gateway: &Gateway) -> Response<Body> {
    let snapshot = gateway.snapshot(0);
    let now = Instant::now();
    let local_fault = snapshot.protection.local_fault(now);
    let (status, name) = match &local_fault {
        _ if gateway.draining() => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "local_fault"),
        None => (StatusCode::OK, "ready"),
    };
    let mut said = json!({ "status": name });
    if let Some(words) = local_fault {
        said["words"] = words.into();
    }
    let own = tiers(&snapshot).chain(database(gateway));
    let unwell: Vec<Unwell> = own.chain(snapshot.protection.unwell(now)).collect();
    if !unwell.is_empty() {
        said["unwell"] = unwell.iter().map(told).collect();
    }
    json(status, said.to_string())
}

/// `/health/performance`: how the process does, in a few numbers that are at hand: as of the last look, some seconds ago.
/// Nothing is read and nothing waited for, and nothing is told of who calls, whom we ask or how we are configured.
pub(crate) fn performance(gateway: &Gateway) -> Response<Body> {
    let verdict = gateway.pressure.verdict();
    let status = match verdict.map(|verdict| verdict.level) {
        _ if gateway.draining() => "draining",
        Some(Level::Squeeze) => "pressed",
        Some(Level::Shed { .. }) => "overloaded",
        Some(Level::Calm) | None => "ok",
    };
    let look = gateway.resources.last().unwrap_or_default();
    let said = json!({
        "status": status,
        "uptime_seconds": gateway.resources.uptime().as_secs(),
        "cpu": verdict.and_then(|verdict| verdict.cpu),
        "memory": verdict.and_then(|verdict| verdict.memory),
        "resident_bytes": look.reading.pressure.resident,
        "connections": look.connections,
        "requests": {
            "in_flight": gateway.metrics.sums().in_flight,
            "per_second": look.requests_per_second,
            "failed_share": look.failed,
        },
        "cache_hit_rate": look.hit_rate,
    });
    json(StatusCode::OK, said.to_string())
}

fn told(unwell: &Unwell) -> Value {
    json!({ "dependency": unwell.dependency, "words": unwell.words })
}

/// The tiers of the cache that are left alone after failures. Nobody waits for them, and nobody is refused.
fn tiers(snapshot: &Snapshot) -> impl Iterator<Item = Unwell> {
    let tiers = &snapshot.remembered.tiers;
    let redis = tiers.redis().is_some_and(|redis| redis.health().server != redis::State::Closed);
    let disk = tiers.disk().and_then(|disk| disk.get()).is_some_and(|disk| disk.state() != disk::State::Open);
    let words = "it fails and is left alone for a while; requests go on without it";
    [("cache.redis", redis), ("cache.disk", disk)]
        .into_iter()
        .filter(|(_, is_unwell)| *is_unwell)
        .map(move |(name, _)| Unwell { dependency: name.into(), words: words.into() })
}

/// The database, where it should answer and does not.
fn database(gateway: &Gateway) -> Option<Unwell> {
    let words = "the database does not answer: jobs, batches and workflows wait; keys that are known stay valid, and all \
                 else is served";
    gateway.durable.lacks_store().then(|| Unwell { dependency: "store".into(), words: words.into() })
}

fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
