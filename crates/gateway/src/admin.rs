//! The admin plane: what operators and their scrapers see. It listens apart from the data plane,
//! on the control thread, so that looking never delays a request.

pub mod alerts;
pub mod breakers;
pub mod cache;
pub mod jobs;
mod limits;
mod openapi;
pub mod performance;
pub mod pools;
mod pressure;
mod profile;
pub mod requests;
mod system;
pub mod targets;
mod workflows;

use crate::auth;
use crate::gateway::Gateway;
use crate::http::{compress, health, hosts};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, VARY, WWW_AUTHENTICATE};
use measure::metrics::Format;
use rig::load::units;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};
use wire::failure::{Failure, Kind};

/// The admin plane's routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/metrics", get(metrics))
        .route("/admin/openapi.json", get(openapi::show))
        .route("/admin/config", get(config))
        .route("/admin/targets", get(targets::show))
        .route("/admin/alerts", get(alerts::show))
        .route("/admin/alerts/test", post(alerts::test))
        .route("/admin/alerts/silences", post(alerts::silence))
        .route("/admin/alerts/silences/{id}", delete(alerts::unsilence))
        .route("/admin/breakers", get(breakers::show))
        .route("/admin/breakers/reset", post(breakers::reset))
        .route("/admin/cache", get(cache::show))
        .route("/admin/cache/invalidate", post(cache::invalidate))
        .route("/admin/cache/lookup", post(cache::lookup::lookup))
        .route("/admin/cache/clear-expired", post(cache::clear_expired))
        .route("/admin/jobs", get(jobs::list))
        .route("/admin/jobs/purge", post(jobs::purge))
        .route("/admin/jobs/{id}", get(jobs::show))
        .route("/admin/jobs/{id}/retry", post(jobs::retry))
        .route("/admin/jobs/{id}/cancel", post(jobs::cancel))
        .route("/admin/limits", get(limits::show))
        .route("/admin/workflows", get(workflows::list))
        .route("/admin/workflows/runs", get(workflows::runs))
        .route("/admin/workflows/runs/{id}", get(workflows::show))
        .route("/admin/workflows/runs/{id}/{word}", post(workflows::command))
        .route("/admin/requests", get(requests::list))
        .route("/admin/requests/{id}", get(requests::show))
        .route("/admin/performance", get(performance::show))
        .route("/admin/performance/chart", get(performance::chart))
        .route("/admin/pressure", get(pressure::show))
        .route("/admin/pools", get(pools::show))
        .route("/admin/system", get(system::show))
        .route("/admin/profile/cpu", get(profile::cpu))
        .route("/admin/profile/tasks", get(profile::tasks))
        .route("/admin/profile/heap", get(profile::heap))
        .route("/admin/profile/release-memory", post(profile::release))
        .layer(middleware::from_fn_with_state(Arc::clone(&gateway), guard))
        // Probes carry no key and learn nothing but that somebody is here.
        .route("/health", get(live))
        .route("/health/ready", get(ready))
        .fallback(|| async { refusal(&Failure::new(Kind::NotFound, "Unknown path on the admin plane.")) })
        .with_state(gateway)
}

/// Every route behind it needs the admin key, where one is set, and a host of this listener's.
async fn guard(State(gateway): State<Arc<Gateway>>, request: Request, next: Next) -> Response {
    let snapshot = gateway.snapshot(0);
    let admin = &snapshot.config.admin;
    if let Err(failure) = hosts::check(&admin.hosts, admin.listen, &request) {
        return refusal(&failure);
    }
    if let Some(key) = &admin.key
        && !auth::carries(request.headers(), key.expose())
    {
        let public = "The admin plane needs the admin key, as 'Authorization: Bearer …'.";
        let mut response = refusal(&Failure::new(Kind::Unauthenticated, public));
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    let mut response = next.run(request).await;
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn root() -> Response {
    let media = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let body = r#"{"name":"tidegate","metrics":"/metrics","config":"/admin/config","cache":"/admin/cache","targets":"/admin/targets","breakers":"/admin/breakers","alerts":"/admin/alerts","pools":"/admin/pools","requests":"/admin/requests","performance":"/admin/performance","jobs":"/admin/jobs","workflows":"/admin/workflows","system":"/admin/system"}"#;
    (media, body).into_response()
}

async fn live() -> Response {
    health::live().map(axum::body::Body::new)
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    health::ready(&gateway).map(axum::body::Body::new)
}

async fn metrics(State(gateway): State<Arc<Gateway>>, asked: HeaderMap) -> Response {
    cache::measure(&gateway);
    targets::measure(&gateway);
    pools::measure(&gateway);
    jobs::measure(&gateway);
    workflows::measure(&gateway);
    gateway.metrics.not_seen.inner().store(gateway.observer.dropped(), Ordering::Relaxed);
    system::measure(&gateway);
    let accept = asked.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    match gateway.metrics.text(format) {
        Ok(text) => {
            let mut answer = whole(&gateway, &asked, format.media_type(), text.into()).await;
            answer.headers_mut().append(VARY, HeaderValue::from_static("accept"));
            answer
        }
        Err(error) => refusal(
            &Failure::new(Kind::Internal, "The metrics cannot be shown.").with_detail(error.to_string()),
        ),
    }
}

/// The merged configuration as `tidegate config print --format json` shows it: without secrets.
async fn config(State(gateway): State<Arc<Gateway>>, asked: HeaderMap) -> Response {
    let shown = gateway.snapshot(0).shown.clone();
    whole(&gateway, &asked, "application/json", shown.into()).await
}

/// An answer long enough that it may be compressed.
async fn whole(gateway: &Gateway, asked: &HeaderMap, media: &'static str, mut body: Bytes) -> Response {
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(media))]);
    compress::answer(gateway.snapshot(0).server.compress_above, asked, &mut headers, &mut body).await;
    (headers, body).into_response()
}

/// A moment in UTC, as RFC 3339 writes it.
fn when(at: Instant, now: Instant) -> String {
    let ago = now.saturating_duration_since(at);
    units::rfc3339(SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH))
}

fn refusal(failure: &Failure) -> Response {
    crate::http::error::response(failure).map(axum::body::Body::new)
}
