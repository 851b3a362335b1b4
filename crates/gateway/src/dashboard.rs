//! The dashboard at the admin plane's `/`: its shell and its files, which are built into the program, and the door
//! before everything that the admin plane tells.
//!
//! ```text
//! GET /                        the shell, for whoever asks for HTML; else what there is, as JSON
//! GET /assets/{version}/{file} a file of this version: never changes, so that browsers keep it
//! POST /admin/session          log in with the admin key; a cookie stands for it from then on
//! GET /admin/live              figures of the moment, once a second
//! ```
//!
//! It computes no figures of its own: pages read the same `/admin/*` as everybody else.

mod assets;
mod door;
pub mod live;
mod origin;
mod sessions;

pub use door::{Door, guard, log_in, log_out, porch, whoami};
pub use live::Live;

use crate::admin::refused::Path;
use crate::admin::{self, refusal};
use crate::gateway::Gateway;
use crate::http::compress;
use assets::Found;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{Request, StatusCode};
use serde_json::{Map, Value};
use std::sync::Arc;
use wire::failure::{Failure, Kind};

/// Files of one version never change.
const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// To be asked for each time; where nothing has changed the answer is short.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// Nothing but our own files: no inline script or style, no frame around us, no other origin.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// `GET /`: the shell for browsers, an index for programs. It tells nothing that the program's own source does not,
/// and needs no key, as a browser has none yet.
pub async fn root(State(gateway): State<Arc<Gateway>>, asked: HeaderMap) -> Response {
    let wants_html = asked
        .get_all(ACCEPT)
        .iter()
        .any(|accept| accept.to_str().is_ok_and(|media| media.contains("text/html")));
    let mut response =
        if wants_html { whole(&gateway, &asked, assets::shell(), ASK_AGAIN).await } else { index() };
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    response
}

/// What there is, for programs and for the dashboard's own pages.
fn index() -> Response {
    let paths = admin::INDEX.iter().map(|(name, path)| ((*name).to_owned(), Value::from(*path)));
    let named = std::iter::once(("name".to_owned(), Value::from("tidegate")));
    Json(named.chain(paths).collect::<Map<_, _>>()).into_response()
}

/// `GET /assets/{version}/{file}`
pub async fn asset(
    State(gateway): State<Arc<Gateway>>,
    Path((version, path)): Path<(String, String)>,
    asked: HeaderMap,
) -> Response {
    match assets::find(&version, &path) {
        Some(found) => whole(&gateway, &asked, found, FOREVER).await,
        // Of another version: what a page of it loads now must not be mixed with what it has loaded.
        None => refusal(&Failure::new(
            Kind::NotFound,
            "The dashboard has no such file, or is of another version by now; load it anew.",
        )),
    }
}

/// A file, or the word that the browser has it already.
async fn whole(gateway: &Gateway, asked: &HeaderMap, found: Found, keep: HeaderValue) -> Response {
    let mut headers =
        HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(found.media)), (CACHE_CONTROL, keep)]);
    // A weak one, as the bytes that are sent depend on how they are compressed.
    let tag = format!("W/\"{}\"", found.hash);
    if let Ok(tag) = HeaderValue::try_from(&tag) {
        headers.insert(ETAG, tag);
    }
    protect(&mut headers);
    let known = asked.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    if known.split(',').any(|known| known.trim() == tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let mut body = Bytes::from(found.bytes);
    compress::answer(gateway.snapshot(0).server.compress_above, asked, &mut headers, &mut body).await;
    (headers, body).into_response()
}

/// What keeps a page from being framed, sniffed or told of elsewhere.
fn protect(headers: &mut HeaderMap) {
    let same_origin = HeaderValue::from_static("same-origin");
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), same_origin.clone());
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), same_origin);
}

/// The cookies of a request, by name and value.
fn cookies<B>(request: &Request<B>) -> impl Iterator<Item = (&str, &str)> {
    let lines = request.headers().get_all(http::header::COOKIE).iter();
    let pairs = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    pairs.filter_map(|pair| pair.trim().split_once('='))
}
