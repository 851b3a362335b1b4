//! A [`Failure`] as an HTTP answer. The only place where one becomes the other.

use super::body::Body;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use std::time::Duration;
use wire::failure::{Failure, Kind, Retry, Source};

const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// What a caller is told to wait where nobody said how long.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// The answer to a request of which nothing is recorded.
pub fn response(failure: &Failure) -> Response<Body> {
    respond(HeaderMap::new(), failure)
}

/// The answer to a request that failed before anything of another answer was sent; completes
/// `headers`.
pub fn respond(mut headers: HeaderMap, failure: &Failure) -> Response<Body> {
    log(failure, headers.get("x-request-id"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(after) = retry_after(failure) {
        headers.insert(RETRY_AFTER, HeaderValue::from(after));
    }
    if failure.retry() == Retry::Never {
        headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    let mut response = Response::new(Body::whole(wire::openai::error_body(failure)));
    *response.status_mut() =
        StatusCode::from_u16(failure.kind().status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    *response.headers_mut() = headers;
    response
}

/// 405, with the methods there are.
pub fn method_not_allowed(allowed: &'static str) -> Response<Body> {
    let failure =
        Failure::new(Kind::MethodNotAllowed, format!("This method is not allowed here; allowed: {allowed}."));
    let mut response = response(&failure);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// Whole seconds, rounded up: a caller who comes back too early is refused again.
fn retry_after(failure: &Failure) -> Option<u64> {
    let wait = match (failure.retry(), failure.kind()) {
        (Retry::After(wait), _) => wait,
        (_, Kind::RateLimited | Kind::Overloaded) => RETRY_AFTER_DEFAULT,
        _ => return None,
    };
    Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0))
}

/// Faults of the caller are its own business; the rest is the operator's.
pub fn log(failure: &Failure, request: Option<&HeaderValue>) {
    let kind = failure.kind().name();
    let detail = failure.detail();
    let request = request.and_then(|id| id.to_str().ok());
    match failure.source() {
        Source::Caller => tracing::debug!(request, kind, detail, "{failure}"),
        Source::Gateway | Source::Provider => tracing::warn!(request, kind, detail, "{failure}"),
    }
}
