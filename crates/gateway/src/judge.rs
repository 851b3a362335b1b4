//! Judges what a provider answered: what it means for the attempt, and what the caller is told.
//!
//! A fault of the request goes through in the provider's own words. A fault of the provider, of
//! our credentials with it, or of its limits does not: those are not the caller's, and its words
//! may hold what is not the caller's to read.

use crate::config;
use crate::upstream::{Answer, Error};
use ::http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use ::http::{Response, StatusCode};
use bytes::Bytes;
use measure::metrics::AttemptResult;
use std::time::{Duration, SystemTime};
use wire::failure::{Failure, Kind, Retry, Source};

/// Most bytes of a whole answer; it is held in memory until it is complete.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Most bytes of an error's body.
const ERROR_BYTES_MAX: usize = 256 << 10;

/// How an attempt with this status is counted.
pub fn result(status: StatusCode) -> AttemptResult {
    match status.as_u16() {
        200..=299 => AttemptResult::Ok,
        429 => AttemptResult::RateLimited,
        400..=499 => AttemptResult::Refused,
        _ => AttemptResult::Failed,
    }
}

/// How an attempt without an answer is counted.
pub fn unsent(error: &Error) -> AttemptResult {
    match error {
        Error::Unreachable(_) | Error::Forbidden { .. } => AttemptResult::Unreachable,
        Error::ConnectTimeout => AttemptResult::TimedOut,
        Error::Cut(_) => AttemptResult::Cut,
        Error::TooLarge(_) => AttemptResult::Failed,
    }
}

/// What is wrong with a good answer's media type, if anything: a whole answer where a stream was
/// asked for would leave the caller's SDK waiting for frames.
pub fn media_type(response: &Response<Answer>, stream: bool) -> Option<&'static str> {
    let media = response.headers().get(CONTENT_TYPE)?.as_bytes();
    match (stream, media.starts_with(b"text/event-stream")) {
        (true, false) => Some("a whole answer where a stream was asked for"),
        (false, true) => Some("a stream where a whole answer was asked for"),
        _ => None,
    }
}

/// The provider broke its own protocol.
pub fn nonsense(provider: &str, what: &str) -> Failure {
    Failure::new(
        Kind::Provider,
        format!("The provider '{provider}' sent an answer that cannot be understood."),
    )
    .with_code("provider_bad_answer")
    .with_detail(format!("it sent {what}"))
}

/// The provider gave no answer in time.
pub fn late(provider: &str) -> Failure {
    Failure::new(Kind::ProviderTimeout, format!("The provider '{provider}' did not answer in time."))
        .with_code("provider_timeout")
}

/// What the caller is told of an answer that is no success.
pub enum Verdict {
    /// The request is at fault, and the provider says why in the protocol's own form: its bytes go
    /// on as they are.
    PassOn(StatusCode, Bytes),
    /// Anything else, in our words.
    Fail(Failure),
}

/// Reads an answer that is no success and decides what the caller is told of it.
pub async fn refused(settings: &config::Provider, response: Response<Answer>) -> Verdict {
    let (parts, answer) = response.into_parts();
    let body = answer.collect(ERROR_BYTES_MAX).await.unwrap_or_default();
    let status = parts.status.as_u16();
    let request_fault = matches!(status, 400 | 404 | 405 | 409 | 410 | 413 | 415 | 422);
    if request_fault && is_error(&body) && !repeats_secret(settings, &body) {
        return Verdict::PassOn(parts.status, body);
    }
    let failure = match after(&parts.headers) {
        Some(wait) => failed(&settings.name, status, Some(Retry::After(wait))),
        None => failed(&settings.name, status, None),
    };
    Verdict::Fail(failure.with_detail(format!("status {status}: {}", excerpt(settings, &body))))
}

/// A status in our words. What the provider says of waiting is passed on where waiting may help.
fn failed(provider: &str, status: u16, wait: Option<Retry>) -> Failure {
    let provider_fault =
        |public: String, code: &'static str| Failure::new(Kind::Provider, public).with_code(code);
    let failure = match status {
        401..=403 => {
            let public = format!("The provider '{provider}' refused the gateway's credentials.");
            return provider_fault(public, "provider_credentials").with_retry(Retry::Never);
        }
        408 | 504 => return late(provider),
        429 => Failure::new(
            Kind::Overloaded,
            format!("The provider '{provider}' is limiting the gateway's rate."),
        )
        .with_code("provider_rate_limited")
        .with_source(Source::Provider),
        300..=399 => provider_fault(
            format!("The provider '{provider}' sent a redirect, which is not followed."),
            "provider_redirect",
        ),
        400..=499 => provider_fault(
            format!("The provider '{provider}' refused the request with status {status}."),
            "provider_refused",
        ),
        _ => provider_fault(
            format!("The provider '{provider}' failed with status {status}."),
            "provider_error",
        ),
    };
    match wait {
        Some(wait) => failure.with_retry(wait),
        None => failure,
    }
}

fn is_error(body: &[u8]) -> bool {
    wire::json::object(body).is_ok_and(|object| object.get("error").is_some())
}

fn after(headers: &HeaderMap) -> Option<Duration> {
    let bytes = |name: &str| headers.get(name).map(http::HeaderValue::as_bytes);
    wire::retry_after::parse(bytes("retry-after-ms"), bytes(RETRY_AFTER.as_str()), SystemTime::now())
}

/// The start of a body for the log.
fn excerpt(settings: &config::Provider, body: &[u8]) -> String {
    if repeats_secret(settings, body) {
        return "(withheld: it repeats a credential)".into();
    }
    String::from_utf8_lossy(body.get(..512).unwrap_or(body)).escape_debug().to_string()
}

fn repeats_secret(settings: &config::Provider, text: &[u8]) -> bool {
    let key = settings.api_key.iter().map(config::Secret::expose);
    let secrets = key.chain(settings.headers.values().map(String::as_str));
    secrets
        .filter(|secret| secret.len() >= 8)
        .any(|secret| memchr::memmem::find(text, secret.as_bytes()).is_some())
}
