//! A [`Failure`] as an HTTP answer. The only place where one becomes the other.

use super::body::Body;
use super::ratelimit;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode};
use std::time::Duration;
use wire::failure::{Failure, Kind, Retry, Source};

/// What a caller is told to wait where nobody said how long.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);

/// The answer to a request of which nothing is recorded.
pub fn response(failure: &Failure) -> Response<Body> {
    respond(HeaderMap::new(), failure, false)
}

/// The same, with one member more in the error: all that is wrong, where one parameter does not tell it.
pub fn response_with(failure: &Failure, member: &str, json: &str) -> Response<Body> {
    respond(HeaderMap::new(), failure, false)
        .map(|_| Body::whole(wire::openai::error_body_with(failure, member, json)))
}

/// The answer to a request that failed before anything of another answer was sent; completes
/// `headers`. `tried`: we have tried again ourselves, so that the caller need not.
pub fn respond(mut headers: HeaderMap, failure: &Failure, tried: bool) -> Response<Body> {
    log(failure, headers.get("x-request-id"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = retry_after(failure) {
        ratelimit::retry_after(&mut headers, wait);
    }
    if failure.retry() == Retry::Never || tried {
        ratelimit::do_not_retry(&mut headers);
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

/// How long the caller is told to wait; every 429 and 503 says so.
fn retry_after(failure: &Failure) -> Option<Duration> {
    match (failure.retry(), failure.kind()) {
        (Retry::After(wait), _) => Some(wait),
        (_, Kind::RateLimited | Kind::Overloaded) => Some(RETRY_AFTER_DEFAULT),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn a_failure_says_whether_and_when_to_try_again() {
        let after = |millis| Retry::After(Duration::from_millis(millis));
        // (kind, retry, retry-after, retry-after-ms, x-should-retry)
        let cases = [
            (Kind::RateLimited, Retry::Soon, Some("1"), Some("1000"), None),
            (Kind::RateLimited, after(2_500), Some("3"), Some("2500"), None),
            (Kind::Overloaded, after(20), Some("1"), Some("20"), None),
            // Our own tries are spent: it says how long, and that an SDK's tries are too many.
            (Kind::Overloaded, Retry::Never, Some("1"), Some("1000"), Some("false")),
            (Kind::Provider, Retry::Unknown, None, None, None),
            (Kind::Provider, Retry::Never, None, None, Some("false")),
            (Kind::InvalidRequest, Retry::Never, None, None, Some("false")),
        ];
        for (kind, retry, seconds, millis, should) in cases {
            let response = response(&Failure::new(kind, "x").with_retry(retry));
            let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
            let found = (header("retry-after"), header("retry-after-ms"), header("x-should-retry"));
            assert_eq!(found, (seconds, millis, should), "{kind:?} {retry:?}");
        }
    }
}
