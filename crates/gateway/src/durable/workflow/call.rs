//! An `http` step: one call to a server that the definition names.
//!
//! The address is a caller's: it is judged after resolution, as every address is, unless the operator has named its
//! host. No redirect is followed and no credential of ours goes along. Each attempt carries the step's key as
//! `idempotency-key`, so that a server can tell that it was asked this before.

use crate::config::{BaseUrl, Workflows};
use crate::durable::webhook::Address;
use crate::upstream::{self, post};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use http::{Method, StatusCode};
use measure::metrics::PoolMetrics;
use serde_json::{Map, Value, json};
use std::time::Duration;
use work::workflow::definition;
use work::workflow::effects::HttpCall;
use work::workflow::engine::OUTPUT_BYTES_MAX;
use work::workflow::event::Failure;

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// A server's words in a failure have no more characters than this.
const WORDS_MAX: usize = 500;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// What says how a message travels is not for a definition to say.
const OURS: [&str; 8] =
    ["connection", "content-length", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"];

/// Calls the server; `{"status":…,"headers":{…},"body":…}` is the step's output.
pub(super) async fn call(
    settings: Workflows,
    lookups: PoolMetrics,
    step: HttpCall,
) -> Result<Value, Failure> {
    let (base, target) = address(&settings, &step.url)?;
    let (headers, body) = content(&step)?;
    let message = post::Message { method: method(step.method), target, headers, body };
    match post::send(&base, message, CONNECT_MAX, OUTPUT_BYTES_MAX, lookups).await {
        Ok(reply) => judge(&reply),
        Err(error) => Err(unreached(&error)),
    }
}

fn address(settings: &Workflows, url: &str) -> Result<(BaseUrl, String), Failure> {
    let address =
        Address::read(url, false).map_err(|fault| Failure::lasting("address", fault.to_string()))?;
    let named_by_operator = settings.names(&address.base);
    Ok((BaseUrl { named_by_operator, ..address.base }, address.target))
}

fn method(method: definition::Method) -> Method {
    match method {
        definition::Method::Get => Method::GET,
        definition::Method::Head => Method::HEAD,
        definition::Method::Post => Method::POST,
        definition::Method::Put => Method::PUT,
        definition::Method::Patch => Method::PATCH,
        definition::Method::Delete => Method::DELETE,
    }
}

/// The head and the body: text as it is, everything else as JSON.
fn content(step: &HttpCall) -> Result<(HeaderMap, Bytes), Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    headers.insert(IDEMPOTENCY_KEY, value("idempotency-key", &step.origin.key)?);
    let body = match &step.body {
        None => Bytes::new(),
        Some(Value::String(text)) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            Bytes::copy_from_slice(text.as_bytes())
        }
        Some(value) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            value.to_string().into()
        }
    };
    for (name, text) in &step.headers {
        let header = HeaderName::try_from(name).ok().filter(|header| !OURS.contains(&header.as_str()));
        let header = header.ok_or_else(|| {
            Failure::lasting("request", format!("`{name}` is no header that a step may send"))
        })?;
        headers.insert(header, value(name, text)?);
    }
    Ok((headers, body))
}

/// A header's value; it may hold a secret, and is not repeated.
fn value(name: &str, text: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::try_from(text).map_err(|_| {
        Failure::lasting(
            "request",
            format!("the value of the header `{name}` has characters that none may have"),
        )
    })
}

fn unreached(error: &upstream::Error) -> Failure {
    match error {
        // The name may lead elsewhere tomorrow; but whoever gave it today gets no second guess.
        upstream::Error::Forbidden { host } => Failure::lasting(
            "address",
            format!("{host} is not a public address; `workflows.hosts` names those that may be called"),
        ),
        upstream::Error::TooLarge(_) => Failure::lasting("too_large", error.to_string()),
        upstream::Error::ConnectTimeout => Failure::passing("timeout", error.to_string()),
        _ => Failure::passing("unreachable", error.to_string()),
    }
}

fn judge(reply: &post::Reply) -> Result<Value, Failure> {
    let status = reply.status;
    if status.is_success() {
        return Ok(output(reply));
    }
    let words: String = String::from_utf8_lossy(&reply.body).chars().take(WORDS_MAX).collect();
    let words = words.trim();
    let words = if words.is_empty() { String::new() } else { format!(": {words}") };
    let message = format!("the server answered {}{words}", status.as_u16());
    match status {
        status if status.is_redirection() => {
            Err(Failure::lasting("redirect", message + "; no redirect is followed"))
        }
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Err(Failure { after: reply.retry_after(), ..Failure::passing("overloaded", message) })
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY => {
            Err(Failure::passing("refused", message))
        }
        status if status.is_server_error() => Err(Failure::passing("refused", message)),
        _ => Err(Failure::lasting("refused", message)),
    }
}

/// What is kept of a good answer. Cookies are not: they are secrets.
fn output(reply: &post::Reply) -> Value {
    let mut headers = Map::new();
    for (name, value) in reply.headers.iter().filter(|(name, _)| *name != SET_COOKIE) {
        headers
            .insert(name.to_string(), Value::String(String::from_utf8_lossy(value.as_bytes()).into_owned()));
    }
    let media = reply.headers.get(CONTENT_TYPE).and_then(|media| media.to_str().ok()).unwrap_or_default();
    let read = is_json(media).then(|| serde_json::from_slice(&reply.body).ok()).flatten();
    let body = match read {
        Some(value) => value,
        None if reply.body.is_empty() => Value::Null,
        None => Value::String(String::from_utf8_lossy(&reply.body).into_owned()),
    };
    json!({ "status": reply.status.as_u16(), "headers": headers, "body": body })
}

/// `application/json`, `application/problem+json; charset=utf-8`.
fn is_json(media: &str) -> bool {
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

#[cfg(test)]
mod tests;
