//! The admin plane: what operators and their scrapers see. It listens apart from the data plane,
//! on the control thread, so that looking never delays a request.

mod advice;
pub mod alerts;
mod asked;
pub mod batches;
pub mod breakers;
pub mod cache;
mod config;
mod explain;
pub mod jobs;
mod keys;
mod limits;
mod openapi;
pub mod performance;
mod playground;
pub mod pools;
mod pressure;
mod profile;
pub mod refused;
pub mod requests;
mod system;
pub mod targets;
mod usage;
mod workflows;

use crate::dashboard::{self, Door};
use crate::gateway::Gateway;
use crate::http::{compress, health};
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRef, State};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};
use measure::metrics::Format;
use rig::load::units;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime};
use wire::failure::{Failure, Kind};

/// What the admin plane's routes share.
#[derive(Clone)]
pub struct Plane {
    /// What they tell of.
    pub gateway: Arc<Gateway>,
    /// Who passes.
    pub door: Arc<Door>,
}

impl FromRef<Plane> for Arc<Gateway> {
    fn from_ref(plane: &Plane) -> Self {
        Self::clone(&plane.gateway)
    }
}

/// The admin plane's routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    let plane = Plane { gateway, door: Arc::default() };
    Router::new()
        .merge(told(guarded()).layer(middleware::from_fn_with_state(plane.clone(), dashboard::guard)))
        .merge(told(open()).layer(middleware::from_fn_with_state(plane.clone(), dashboard::porch)))
        .merge(told(probes()))
        .fallback(refused::path)
        .layer(DefaultBodyLimit::max(refused::BODY_BYTES_MAX))
        .with_state(plane)
}

/// Routes that say so where they have no such method: within what guards them.
fn told(routes: Router<Plane>) -> Router<Plane> {
    routes.method_not_allowed_fallback(refused::method)
}

/// What there is, by name. The dashboard's pages go by it: what is not named here they do not ask for, and explain
/// instead what it would show.
pub const INDEX: &[(&str, &str)] = &[
    ("metrics", "/metrics"),
    ("config", "/admin/config"),
    ("config_file", "/admin/config/file"),
    ("targets", "/admin/targets"),
    ("breakers", "/admin/breakers"),
    ("pools", "/admin/pools"),
    ("cache", "/admin/cache"),
    ("limits", "/admin/limits"),
    ("keys", "/admin/keys"),
    ("usage", "/admin/usage"),
    ("pressure", "/admin/pressure"),
    ("jobs", "/admin/jobs"),
    ("batches", "/admin/batches"),
    ("workflows", "/admin/workflows"),
    ("explain", "/admin/explain"),
    ("playground", "/admin/playground"),
    ("live", "/admin/live"),
    ("requests", "/admin/requests"),
    ("performance", "/admin/performance"),
    ("alerts", "/admin/alerts"),
    ("advice", "/admin/advice"),
    ("system", "/admin/system"),
    ("profile", "/admin/profile/cpu"),
    ("openapi", "/admin/openapi.json"),
];

/// What needs the admin key, where one is set.
fn guarded() -> Router<Plane> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/admin/openapi.json", get(openapi::show))
        .route("/admin/config", get(config::show))
        .route("/admin/config/file", get(config::file))
        .route("/admin/config/reload", post(config::reload))
        .route("/admin/targets", get(targets::show))
        .route("/admin/advice", get(advice::show))
        .route("/admin/advice/{id}/apply", post(advice::apply))
        .route("/admin/advice/{id}/revert", post(advice::revert))
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
        .route("/admin/explain", post(explain::explain))
        .route("/admin/batches", get(batches::list))
        .route("/admin/jobs", get(jobs::list))
        .route("/admin/jobs/purge", post(jobs::purge))
        .route("/admin/jobs/{id}", get(jobs::show))
        .route("/admin/jobs/{id}/retry", post(jobs::retry))
        .route("/admin/jobs/{id}/cancel", post(jobs::cancel))
        .route("/admin/keys", get(keys::list).post(keys::create))
        .route("/admin/keys/{id}", get(keys::show).patch(keys::change).delete(keys::revoke))
        .route("/admin/limits", get(limits::show))
        .route("/admin/live", get(dashboard::live::show))
        .route("/admin/playground", post(playground::ask))
        .route("/admin/usage", get(usage::show))
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
}

/// The dashboard's shell and the way in: whoever has no key yet needs them, and they tell nothing.
fn open() -> Router<Plane> {
    Router::new()
        .route("/", get(dashboard::root))
        .route("/assets/{version}/{*file}", get(dashboard::asset))
        .route("/admin/session", get(dashboard::whoami).post(dashboard::log_in).delete(dashboard::log_out))
}

/// Probes carry no key, know no host's name, and learn nothing but that somebody is here.
fn probes() -> Router<Plane> {
    Router::new().route("/health", get(live)).route("/health/ready", get(ready))
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
    match gateway.metrics.told(format) {
        Ok(told) => {
            let mut answer = whole(&gateway, &asked, format.media_type(), told.into()).await;
            answer.headers_mut().append(VARY, HeaderValue::from_static("accept"));
            answer
        }
        Err(error) => refusal(
            &Failure::new(Kind::Internal, "The metrics cannot be shown.").with_detail(error.to_string()),
        ),
    }
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

/// A failure as an answer.
pub fn refusal(failure: &Failure) -> Response {
    crate::http::error::response(failure).map(axum::body::Body::new)
}
