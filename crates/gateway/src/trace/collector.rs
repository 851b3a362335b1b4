//! A collector, as the OTLP specification (1.x) has it spoken to: over HTTP with protobuf, or over gRPC, which is
//! one message behind five bytes and a status behind the answer's body. One request at a time.

use super::otlp::{self, Partial};
use crate::config;
use crate::http::compress::Gzip;
use crate::upstream;
use crate::upstream::line::Line;
use crate::upstream::post::{Message, Reply};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT};
use http::{Method, StatusCode};
use measure::metrics::PoolMetrics;
use std::time::Duration;

/// The method of gRPC.
const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Where a collector is asked how it went.
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
/// gRPC's statuses that have a meaning here.
const OK: u32 = 0;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
/// Those after which another try may help: cancelled, deadline exceeded, aborted, out of range, unavailable, data
/// loss.
const GRPC_AGAIN: [u32; 6] = [1, 4, 10, 11, 14, 15];
/// Most of an answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Less than this is sent as it is.
const GZIP_ABOVE: usize = 1 << 10;
/// The longest that a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Most characters of a collector's words that are logged.
const WORDS_CHARS_MAX: usize = 200;

/// The way to the collector.
pub struct Collector {
    settings: config::Collector,
    line: Line,
    headers: HeaderMap,
    /// Where requests are compressed, and it has not said yet that it cannot read this.
    gzip: Option<Gzip>,
}

/// What it says to a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Said {
    /// It has it, perhaps not all.
    Taken(Option<Partial>),
    /// Another try may help, after so long at least.
    Again(Option<Duration>, String),
    /// It will never take this.
    Refused(String),
}

impl Collector {
    /// A collector that nobody has spoken to yet. Lookups of its name are counted by `lookups`.
    ///
    /// # Errors
    /// Where the CA file cannot be used.
    pub fn new(settings: &config::Collector, lookups: PoolMetrics) -> Result<Self, upstream::Error> {
        let grpc = settings.protocol == config::TraceProtocol::Grpc;
        let connect = settings.timeout.min(CONNECT_MAX);
        Ok(Self {
            line: Line::new(&settings.url, grpc, settings.ca_file.as_deref(), connect, lookups)?,
            headers: headers(settings),
            gzip: settings.gzip.then(Gzip::default),
            settings: settings.clone(),
        })
    }

    /// Sends an export request and waits for the answer, as long as the configuration says.
    pub async fn send(&mut self, request: &Bytes) -> Said {
        let gzip = self.gzip.as_mut().filter(|_| request.len() > GZIP_ABOVE);
        let Some(smaller) = gzip.and_then(|gzip| gzip.encode(request)) else {
            return self.exchange(request.clone(), false).await;
        };
        match self.exchange(smaller.into(), true).await {
            // Perhaps it is the coding: asked once more without it, and never with it again if that helps.
            Said::Refused(why) => match self.exchange(request.clone(), false).await {
                Said::Refused(_) => Said::Refused(why),
                plain => {
                    self.gzip = None;
                    plain
                }
            },
            said => said,
        }
    }

    async fn exchange(&mut self, content: Bytes, gzip: bool) -> Said {
        let grpc = self.settings.protocol == config::TraceProtocol::Grpc;
        let message = if grpc { self.grpc_message(&content, gzip) } else { self.http_message(content, gzip) };
        let sent = self.line.send(message, ANSWER_BYTES_MAX);
        match tokio::time::timeout(self.settings.timeout, sent).await {
            Err(_) => Said::Again(None, "no answer in time".to_owned()),
            Ok(Err(error)) => Said::Again(None, error.to_string()),
            Ok(Ok((reply, trailers))) if grpc => grpc_said(&reply, &trailers),
            Ok(Ok((reply, _))) => http_said(&reply),
        }
    }

    fn http_message(&self, body: Bytes, gzip: bool) -> Message {
        let mut headers = self.headers.clone();
        if gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Message { method: Method::POST, target: self.settings.url.path.clone(), headers, body }
    }

    fn grpc_message(&self, content: &[u8], gzip: bool) -> Message {
        let mut headers = self.headers.clone();
        if gzip {
            headers.insert(GRPC_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut body = BytesMut::with_capacity(content.len() + 5);
        body.put_u8(gzip.into());
        body.put_u32(u32::try_from(content.len()).unwrap_or(u32::MAX));
        body.put_slice(content);
        Message { method: Method::POST, target: EXPORT.to_owned(), headers, body: body.freeze() }
    }
}

/// What every request's head says: the operator's own headers beneath what the protocol asks for.
fn headers(settings: &config::Collector) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in settings.headers.iter().filter(|(_, value)| !value.expose().is_empty()) {
        // Both were judged when the configuration was loaded.
        let (name, value) = (HeaderName::try_from(name), HeaderValue::try_from(value.expose()));
        if let (Ok(name), Ok(mut value)) = (name, value) {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    let media = match settings.protocol {
        config::TraceProtocol::Http => "application/x-protobuf",
        config::TraceProtocol::Grpc => {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            "application/grpc"
        }
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers
}

/// OTLP over HTTP: 200, and 429, 502, 503 and 504 to be tried again.
fn http_said(reply: &Reply) -> Said {
    match reply.status.as_u16() {
        200..=299 => Said::Taken(otlp::partial(&reply.body)),
        429 | 502..=504 => Said::Again(reply.retry_after(), format!("it answered {}", reply.status)),
        _ => Said::Refused(format!("it answered {}", reply.status)),
    }
}

/// OTLP over gRPC. The status stands behind the body or, where there is none, in the head.
fn grpc_said(reply: &Reply, trailers: &HeaderMap) -> Said {
    if reply.status != StatusCode::OK {
        // Something on the way that knows no gRPC.
        return http_said(reply);
    }
    let of = |name: &HeaderName| trailers.get(name).or_else(|| reply.headers.get(name));
    let status = of(&GRPC_STATUS).and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    let words = || {
        let words = of(&GRPC_MESSAGE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        words.unwrap_or_default().chars().take(WORDS_CHARS_MAX).collect::<String>()
    };
    let details = of(&GRPC_DETAILS).map(HeaderValue::as_bytes).unwrap_or_default().trim_ascii();
    let details = details.split(|byte| *byte == b'=').next().unwrap_or_default();
    let delay = STANDARD_NO_PAD.decode(details).ok().and_then(|details| otlp::retry_delay(&details));
    match status {
        Some(OK) => Said::Taken(reply.body.get(5..).and_then(otlp::partial)),
        // Only where it says when.
        Some(RESOURCE_EXHAUSTED) if delay.is_some() => Said::Again(delay, words()),
        Some(status) if GRPC_AGAIN.contains(&status) => {
            Said::Again(delay, format!("gRPC status {status}: {}", words()))
        }
        Some(UNIMPLEMENTED) => Said::Refused(format!("it knows no traces: {}", words())),
        Some(status) => Said::Refused(format!("gRPC status {status}: {}", words())),
        None => Said::Again(None, "an answer without a gRPC status".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn reply(status: u16, headers: &[(&'static str, &str)], body: &'static [u8]) -> Reply {
        let status = StatusCode::from_u16(status).unwrap();
        Reply { status, headers: map(headers), body: Bytes::from_static(body) }
    }

    fn map(rows: &[(&'static str, &str)]) -> HeaderMap {
        let row = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        };
        rows.iter().map(row).collect()
    }

    /// Whether it has it (`+`), may have it after so many milliseconds (`~`), or never will (`-`).
    fn in_short(said: &Said) -> String {
        match said {
            Said::Taken(None) => "+".to_owned(),
            Said::Taken(Some(partial)) => format!("+ but {}", partial.rejected),
            Said::Again(after, _) => format!("~ {}", after.map_or(-1, |after| after.as_millis() as i64)),
            Said::Refused(_) => "-".to_owned(),
        }
    }

    #[test]
    fn what_is_tried_again_over_http_is_what_the_specification_says() {
        let wait = [("retry-after", "2")];
        for (reply, expected) in [
            (reply(200, &[], b""), "+"),
            (reply(200, &[], b"\x0a\x02\x08\x07"), "+ but 7"),
            (reply(202, &[], b"not protobuf"), "+"),
            (reply(429, &wait, b""), "~ 2000"),
            (reply(503, &wait, b""), "~ 2000"),
            (reply(503, &[], b""), "~ -1"),
            (reply(502, &[], b""), "~ -1"),
            (reply(504, &[], b""), "~ -1"),
            (reply(500, &wait, b""), "-"),
            (reply(400, &[], b""), "-"),
            (reply(404, &[], b""), "-"),
            (reply(301, &[], b""), "-"),
        ] {
            assert_eq!(in_short(&http_said(&reply)), expected, "{}", reply.status);
        }
    }

    #[test]
    fn what_is_tried_again_over_grpc_is_what_the_specification_says() {
        // A `google.rpc.Status` with `RetryInfo { retry_delay: { seconds: 2 } }`.
        let info = "CA4aMAoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIECgIIAg";
        let details = |code| vec![("grpc-status", code), ("grpc-status-details-bin", info)];
        let check = |reply: &Reply, trailers: &[(&'static str, &str)], expected: &str| {
            assert_eq!(in_short(&grpc_said(reply, &map(trailers))), expected, "{trailers:?}");
        };
        let fine = reply(200, &[], b"\0\0\0\0\0");
        check(&fine, &[("grpc-status", "0")], "+");
        check(&reply(200, &[], b"\0\0\0\0\x04\x0a\x02\x08\x07"), &[("grpc-status", "0")], "+ but 7");
        check(&reply(200, &[("grpc-status", "14")], b""), &[], "~ -1");
        for again in ["1", "4", "10", "11", "14", "15"] {
            check(&fine, &[("grpc-status", again)], "~ -1");
            check(&fine, &details(again), "~ 2000");
        }
        check(&fine, &[("grpc-status", "8")], "-");
        check(&fine, &details("8"), "~ 2000");
        for never in ["2", "3", "5", "7", "12", "13", "16"] {
            check(&fine, &[("grpc-status", never)], "-");
        }
        check(&fine, &[], "~ -1");
        check(&reply(503, &[("retry-after", "1")], b""), &[], "~ 1000");
        check(&reply(404, &[], b""), &[], "-");
    }
}
