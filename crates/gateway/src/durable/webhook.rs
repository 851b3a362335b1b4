//! Jobs of the kind `webhook`: a signed call to an application, in the form of Standard Webhooks
//! (<https://www.standardwebhooks.com>), made until the application takes it.
//!
//! The address is a caller's: it is judged after resolution, as every address is, and no redirect is followed.

mod address;
pub(crate) mod sign;

pub use address::Address;

use super::id;
use super::payload::Notice;
use crate::config::Webhook;
use crate::gateway::Gateway;
use crate::upstream::{self, post};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use std::sync::Arc;
use std::time::Duration;
use store::Time;
use work::{Context, Failed, Outcome};

/// What such jobs are called.
pub const KIND: &str = "webhook";
/// Where they wait, so that an application that is slow holds nothing else up.
pub const QUEUE: &str = "webhooks";
/// Attempts that one may cost: spread over about half an hour.
pub const ATTEMPTS_MAX: u32 = 12;

/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);

/// Makes the call.
pub(super) async fn attempt(gateway: Arc<Gateway>, context: Context) -> Result<Outcome, Failed> {
    let settings = gateway.snapshot(0).config.jobs.webhook.clone();
    let notice: Notice<'_> = serde_json::from_slice(context.payload())
        .map_err(|fault| Failed::lasting("payload", fault.to_string()))?;
    let address = Address::read(&notice.url, settings.private)
        .map_err(|fault| Failed::lasting("address", fault.to_string()))?;
    let body = Bytes::copy_from_slice(notice.body.get().as_bytes());
    let headers = headers(&settings, &id::show(context.id()), Time::now(), &body)?;
    let lookups = gateway.metrics.shard(0).pool(QUEUE);
    let call = post::post(&address.base, &address.target, headers, body, CONNECT_MAX, lookups);
    let reply = tokio::select! {
        biased;
        reply = tokio::time::timeout(settings.timeout, call) => reply,
        _ = context.cancelled() => return Ok(Outcome::PutBack),
    };
    match reply {
        Err(_) => {
            let seconds = settings.timeout.as_secs_f64();
            Err(Failed::passing("timeout", format!("no answer within {seconds} s")))
        }
        Ok(Err(error)) => Err(unreached(&error)),
        Ok(Ok(reply)) => judge(&reply),
    }
}

fn headers(settings: &Webhook, id: &str, now: Time, body: &[u8]) -> Result<HeaderMap, Failed> {
    let secret = settings.secret.as_ref();
    let secret =
        secret.ok_or_else(|| Failed::passing("unsigned", "`jobs.webhook.secret` is not set any more"))?;
    let timestamp = now.0.div_euclid(1000).to_string();
    let signature = sign::sign(secret.expose(), id, &timestamp, body);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in
        [("webhook-id", id), ("webhook-timestamp", &timestamp), ("webhook-signature", &signature)]
    {
        let value =
            HeaderValue::try_from(value).map_err(|fault| Failed::lasting("payload", fault.to_string()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

fn unreached(error: &upstream::Error) -> Failed {
    match error {
        // The name may lead elsewhere tomorrow; but whoever gave it today gets no second guess.
        upstream::Error::Forbidden { host } => Failed::lasting(
            "address",
            format!("{host} is not a public address; `jobs.webhook.private` allows those"),
        ),
        upstream::Error::ConnectTimeout => Failed::passing("timeout", error.to_string()),
        _ => Failed::passing("unreachable", error.to_string()),
    }
}

/// Whatever is not taken is sent again, but where the application says that it is gone, or elsewhere.
fn judge(reply: &post::Reply) -> Result<Outcome, Failed> {
    let status = reply.status.as_u16();
    let message = || format!("the application answered {status}");
    match status {
        200..300 => Ok(Outcome::from(format!(r#"{{"status_code":{status}}}"#).into_bytes())),
        300..400 => Err(Failed::lasting("redirect", message() + "; no redirect is followed")),
        410 => Err(Failed::lasting("refused", message())),
        429 | 503 => {
            let failed = Failed::passing("overloaded", message());
            Err(match reply.retry_after() {
                Some(wait) => failed.after(wait),
                None => failed,
            })
        }
        _ => Err(Failed::passing("refused", message())),
    }
}
