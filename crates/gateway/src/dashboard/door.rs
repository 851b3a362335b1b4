//! The door of the admin plane: who passes, and how a browser logs in.
//!
//! Programs carry the admin key as a bearer token with each request. A browser shows it once and gets a cookie that
//! stands for it: random, out of scripts' reach, sent from our own pages only, good for half a day, for this process
//! and for this key. Where no key is set, which the configuration allows on loopback only, everyone passes; a page of
//! somebody else's does not, whatever browser it runs in.

use super::origin;
use super::sessions::{LIFE, Sessions, Tries};
use crate::admin::{Plane, refusal, refused};
use crate::auth;
use crate::gateway::Gateway;
use crate::http::hosts::{self, Served};
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Json, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, HeaderValue, SET_COOKIE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use serde::Deserialize;
use serde_json::json;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use subtle::ConstantTimeEq;
use wire::failure::{Failure, Kind, Retry};

/// Random bytes of a session's number.
const ID_BYTES: usize = 32;

/// Who is logged in; one for the process.
#[derive(Default)]
pub struct Door {
    sessions: Mutex<Sessions>,
    tries: Mutex<Tries>,
}

/// What a browser shows to log in.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    key: String,
}

/// Every route behind it needs the admin key, where one is set, and a host of this listener's.
pub async fn guard(State(plane): State<Plane>, request: Request, next: Next) -> Response {
    match plane.door.check(&plane.gateway, &request) {
        Err(failure) => turned_away(&failure),
        Ok(()) => {
            let mut response = next.run(request).await;
            let headers = response.headers_mut();
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        }
    }
}

/// Before what tells nothing and needs no key: a host of this listener's all the same.
pub async fn porch(State(plane): State<Plane>, request: Request, next: Next) -> Response {
    match check_host(&plane.gateway, &request) {
        Err(failure) => refusal(&failure),
        Ok(()) => next.run(request).await,
    }
}

impl Door {
    fn check(&self, gateway: &Gateway, request: &Request) -> Result<(), Failure> {
        check_host(gateway, request)?;
        let snapshot = gateway.snapshot(0);
        let Some(key) = &snapshot.config.admin.key else {
            return if origin::changes(request) && origin::is_foreign(request) {
                Err(foreign())
            } else {
                Ok(())
            };
        };
        if auth::carries(request.headers(), key.expose()) {
            return Ok(());
        }
        if request.headers().contains_key(AUTHORIZATION) || !self.knows(request, key.expose()) {
            return Err(needs_key());
        }
        // From here on it is a browser, which sends the cookie whoever makes it do so.
        if origin::is_foreign(request) || (origin::changes(request) && !origin::is_own(request)) {
            return Err(foreign());
        }
        Ok(())
    }

    /// Whether the request bears a cookie of somebody who is logged in.
    fn knows(&self, request: &Request, key: &str) -> bool {
        let Some(id) = origin::session(request) else { return false };
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).holds(id.as_bytes(), key, Instant::now())
    }

    /// The number of a new session, where `shown` is the key.
    fn open(&self, shown: &str, key: &str) -> Result<String, Failure> {
        let now = Instant::now();
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        tries.may(now).map_err(|after| {
            Failure::new(Kind::RateLimited, "Too many wrong keys were tried; wait a little.")
                .with_code("too_many_tries")
                .with_retry(Retry::After(after))
        })?;
        if !bool::from(shown.as_bytes().ct_eq(key.as_bytes())) {
            tries.failed(now);
            return Err(Failure::new(Kind::Unauthenticated, "This is not the admin key.")
                .with_code("invalid_admin_key"));
        }
        tries.passed();
        drop(tries);
        let mut id = [0; ID_BYTES];
        getrandom::fill(&mut id).map_err(|error| {
            Failure::new(Kind::Internal, "The system has no random numbers.").with_detail(error.to_string())
        })?;
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner).begin(id.as_bytes(), key, now);
        Ok(id)
    }
}

/// `GET /admin/session`: whether a key is needed, and whether this browser is logged in.
pub async fn whoami(State(plane): State<Plane>, request: Request) -> Response {
    let needs_key = plane.gateway.snapshot(0).config.admin.key.is_some();
    let passes = plane.door.check(&plane.gateway, &request).is_ok();
    let said = json!({ "needs_key": needs_key, "passes": passes, "version": env!("CARGO_PKG_VERSION") });
    ([(CACHE_CONTROL, "no-store")], Json(said)).into_response()
}

/// `POST /admin/session`: `{"key": …}` from our own page gets the cookie.
pub async fn log_in(State(plane): State<Plane>, request: Request) -> Response {
    if !origin::is_own(&request) {
        return refusal(&foreign());
    }
    let (name, snapshot) = (origin::cookie_name(&request), plane.gateway.snapshot(0));
    let Some(key) = &snapshot.config.admin.key else { return passed(None) };
    let shown: Result<Json<Shown>, JsonRejection> = Json::from_request(request, &()).await;
    let opened = match shown {
        Ok(Json(shown)) => plane.door.open(shown.key.trim(), key.expose()),
        Err(fault) => Err(refused::body(fault)),
    };
    let secure = if snapshot.config.admin.tls.is_some() { "; Secure" } else { "" };
    match opened {
        Ok(id) => passed(Some(format!(
            "{name}={id}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
            LIFE.as_secs()
        ))),
        Err(failure) => refusal(&failure),
    }
}

/// `DELETE /admin/session`: logs this browser out.
pub async fn log_out(State(plane): State<Plane>, request: Request) -> Response {
    if !origin::is_own(&request) {
        return refusal(&foreign());
    }
    if let Some(id) = origin::session(&request) {
        plane.door.sessions.lock().unwrap_or_else(PoisonError::into_inner).end(id.as_bytes());
    }
    passed(Some(format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", origin::cookie_name(&request))))
}

fn passed(cookie: Option<String>) -> Response {
    let mut response = Json(json!({ "passes": true })).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.extend(cookie.and_then(|cookie| Some((SET_COOKIE, HeaderValue::try_from(cookie).ok()?))));
    response
}

fn check_host(gateway: &Gateway, request: &Request) -> Result<(), Failure> {
    let snapshot = gateway.snapshot(0);
    hosts::check(Served::admin(&snapshot.config.admin), request)
}

fn needs_key() -> Failure {
    let public = "The admin plane needs the admin key, as 'Authorization: Bearer …', or a log-in at '/'.";
    Failure::new(Kind::Unauthenticated, public)
}

fn foreign() -> Failure {
    let public = "This can be asked from the dashboard's own pages only, or with 'Authorization: Bearer …'.";
    Failure::new(Kind::Forbidden, public).with_code("foreign_origin")
}

fn turned_away(failure: &Failure) -> Response {
    let mut response = refusal(failure);
    if failure.kind() == Kind::Unauthenticated {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
