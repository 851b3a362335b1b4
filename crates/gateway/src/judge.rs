//! Judges what a provider answered: what it means for the attempt, and what the caller is told.
//!
//! A fault of the request goes through in the provider's own words. A fault of the provider, of
//! our credentials with it, or of its limits does not: those are not the caller's, and its words
//! may hold what is not the caller's to read.

use crate::config;
use crate::ending::{Ending, Fault};
use crate::upstream::Answer;
use ::http::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use ::http::{Response, StatusCode};
use bytes::Bytes;
use std::time::{Duration, SystemTime};
use wire::failure::{Failure, Kind, Retry, Source};

/// Most bytes of a whole answer; it is held in memory until it is complete.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Most bytes of an error's body.
const ERROR_BYTES_MAX: usize = 256 << 10;

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

/// The caller waits no longer.
pub fn hurried() -> Failure {
    Failure::new(Kind::ProviderTimeout, "The answer was not complete within 'x-tidegate-timeout-ms'.")
        .with_code("deadline_passed")
        .with_source(Source::Caller)
}

/// What the caller is told of an answer that is no success.
pub enum Verdict {
    /// The request is at fault, and the provider says why in the protocol's own form: its bytes go
    /// on as they are.
    PassOn(StatusCode, Bytes),
    /// Anything else, in our words, and what was at fault.
    Fail(Failure, Ending),
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
    let wait = after(&parts.headers);
    let failure = failed(&settings.name, status, wait.map(Retry::After));
    let ending = match Ending::status(parts.status) {
        limited if limited.fault == Some(Fault::RateLimited) && is_spent(&body) => Ending::of(Fault::Quota),
        ending => ending,
    };
    let detail = format!("status {status}: {}", excerpt(settings, &body));
    Verdict::Fail(failure.with_detail(detail), ending.after(wait))
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

/// Whether a 429 says that the credential has nothing left to spend: no waiting mends that. OpenAI's word for
/// it, which compatible providers have taken over.
fn is_spent(body: &[u8]) -> bool {
    let says = |object: &wire::json::Object<'_>, name: &str| {
        object.get(name).and_then(|value| value.as_str()).is_some_and(|word| word == "insufficient_quota")
    };
    let Ok(body) = wire::json::object(body) else { return false };
    let error = body.get("error").and_then(|error| error.object());
    error.is_some_and(|error| says(&error, "code") || says(&error, "type"))
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
