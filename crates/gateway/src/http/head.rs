//! The heads of requests and answers: what is read of the one, and what Tidegate adds to the other.

use crate::config::Priority;
use crate::trace::{TRACEPARENT, TRACESTATE};
use http::header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use std::time::Duration;
use wire::failure::{Failure, Kind};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_CACHE: HeaderName = HeaderName::from_static("x-tidegate-cache");
const X_TARGET: HeaderName = HeaderName::from_static("x-tidegate-target");
const X_COST: HeaderName = HeaderName::from_static("x-tidegate-cost-usd");
const X_ATTEMPTS: HeaderName = HeaderName::from_static("x-tidegate-attempts");
const X_OVERHEAD: HeaderName = HeaderName::from_static("x-tidegate-overhead-ms");
const X_PROCESS_TIME: HeaderName = HeaderName::from_static("x-process-time");
const X_TIMEOUT: HeaderName = HeaderName::from_static("x-tidegate-timeout-ms");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const X_PRIORITY: HeaderName = HeaderName::from_static("x-tidegate-priority");

/// What goes through of a provider's head. The rest is its own business, or tells of the operator's
/// account with it.
const PASSED_ON: [HeaderName; 3] = [
    CONTENT_ENCODING,
    HeaderName::from_static("openai-processing-ms"),
    HeaderName::from_static("openai-version"),
];

/// A request id of the caller's is kept while it is short and plain.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// The caller's `x-request-id`, or a new one of 128 random bits.
pub fn request_id(headers: &HeaderMap) -> HeaderValue {
    let plain = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        !bytes.is_empty() && bytes.len() <= REQUEST_ID_BYTES_MAX && bytes.iter().all(u8::is_ascii_graphic)
    };
    headers.get(X_REQUEST_ID).filter(plain).cloned().unwrap_or_else(new_request_id)
}

/// It names a request in two logs and guards nothing, so that a fast generator will do.
fn new_request_id() -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut id = [0_u8; 36];
    id[..4].copy_from_slice(b"req_");
    let mut random = fastrand::u128(..);
    for digit in &mut id[4..] {
        *digit = HEX[(random & 15) as usize];
        random >>= 4;
    }
    HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static("req_0"))
}

/// Whether a caller says anything to Tidegate itself. Most do not, and need not be asked for each thing that they
/// might have said.
pub fn is_addressed(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| name.as_str().starts_with("x-tidegate-"))
}

fn said<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    if is_addressed(headers) { headers.get(name) } else { None }
}

/// The caller's own deadline.
///
/// # Errors
/// 400 where it is no number of milliseconds above zero.
pub fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, Failure> {
    let Some(value) = said(headers, &X_TIMEOUT) else { return Ok(None) };
    match value.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok()) {
        Some(ms) if ms > 0 => Ok(Some(Duration::from_millis(ms))),
        _ => Err(Failure::new(
            Kind::InvalidRequest,
            "The header 'x-tidegate-timeout-ms' must be a whole number of milliseconds above zero.",
        )
        .with_param("x-tidegate-timeout-ms")),
    }
}

/// How the request stands among others that wait: as the caller says, but never above its key's own priority,
/// which holds where it says nothing. A caller without a key, on an open gateway, may say any.
///
/// # Errors
/// 400 where it is no priority's name.
pub fn priority(headers: &HeaderMap, key: Option<Priority>) -> Result<Priority, Failure> {
    let Some(value) = said(headers, &X_PRIORITY) else { return Ok(key.unwrap_or_default()) };
    let asked = value.to_str().ok().and_then(|text| Priority::named(text.trim()));
    let asked = asked.ok_or_else(|| {
        let message = "The header 'x-tidegate-priority' must be one of: high, normal, low, batch.";
        Failure::new(Kind::InvalidRequest, message).with_param("x-tidegate-priority")
    })?;
    Ok(key.map_or(asked, |ceiling| asked.under(ceiling)))
}

/// The id of one of several requests that are made of one: the whole's, and its place.
pub fn part_of(id: &HeaderValue, index: usize) -> HeaderValue {
    let part = [id.as_bytes(), format!(".{index}").as_bytes()].concat();
    HeaderValue::from_bytes(&part).unwrap_or_else(|_| id.clone())
}

/// Makes `headers` say how urgent a request is, unless they do.
pub fn default_priority(headers: &mut HeaderMap, priority: Priority) {
    headers.entry(X_PRIORITY).or_insert(HeaderValue::from_static(priority.name()));
}

/// Copies what of a caller's head holds for each of several requests that are made of it: not its credentials, its
/// id or its deadline, which are for the whole.
pub fn carry_over(headers: &mut HeaderMap, head: &HeaderMap) {
    for (name, value) in head {
        let is_ours = name.as_str().starts_with("x-tidegate-") && name != X_TIMEOUT;
        let is_trace = *name == TRACEPARENT || *name == TRACESTATE;
        if is_ours || is_trace || *name == CACHE_CONTROL {
            headers.append(name.clone(), value.clone());
        }
    }
}

/// What an answer's head says of where it came from: the provider's own head, the target, and what the cache
/// had to do with it.
pub fn answered(headers: &mut HeaderMap, provider: &HeaderMap, target: &HeaderValue, cache: HeaderValue) {
    headers.insert(CONTENT_TYPE, const { HeaderValue::from_static("application/json") });
    headers.insert(X_CACHE, cache);
    headers.insert(X_TARGET, target.clone());
    for name in PASSED_ON {
        if let Some(value) = provider.get(&name) {
            headers.insert(name, value.clone());
        }
    }
}

/// What a stream's head says besides: proxies on the way must neither keep nor hold it.
pub fn stream(headers: &mut HeaderMap) {
    headers.insert(CONTENT_TYPE, const { HeaderValue::from_static("text/event-stream") });
    headers.insert(CACHE_CONTROL, const { HeaderValue::from_static("no-cache") });
    headers.insert(X_ACCEL_BUFFERING, const { HeaderValue::from_static("no") });
}

/// How old a remembered answer is, in whole seconds.
pub fn age(headers: &mut HeaderMap, age: Duration) {
    headers.insert(AGE, HeaderValue::from(age.as_secs()));
}

/// What the answer cost, from millionths of a US dollar.
pub fn cost(headers: &mut HeaderMap, micro_usd: u64) {
    headers.insert(X_COST, decimal(u128::from(micro_usd), 6));
}

/// Tries made, and times up to the head.
pub fn timings(headers: &mut HeaderMap, attempts: u32, overhead: Duration, total: Duration) {
    let attempts = match attempts {
        0 => const { HeaderValue::from_static("0") },
        1 => const { HeaderValue::from_static("1") },
        more => HeaderValue::from(more),
    };
    headers.insert(X_ATTEMPTS, attempts);
    headers.insert(X_OVERHEAD, decimal(overhead.as_micros(), 3));
    headers.insert(X_PROCESS_TIME, decimal(total.as_micros(), 6));
}

/// Tries made, as an answer's head says.
pub fn attempts(headers: &HeaderMap) -> u32 {
    headers.get(X_ATTEMPTS).and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}

/// The request's id.
pub fn identify(headers: &mut HeaderMap, id: HeaderValue) {
    headers.insert(X_REQUEST_ID, id);
}

/// `micros` with the point so many digits from the right: `(1234, 3)` is `1.234`.
fn decimal(micros: u128, digits: usize) -> HeaderValue {
    let mut itoa = itoa::Buffer::new();
    let text = itoa.format(u64::try_from(micros).unwrap_or(u64::MAX));
    // The digits of the largest number, and the point.
    let mut out = [b'0'; 24];
    let zeros = (digits + 1).saturating_sub(text.len());
    let length = zeros + text.len();
    out[zeros..length].copy_from_slice(text.as_bytes());
    let point = length - digits;
    out.copy_within(point..length, point + 1);
    out[point] = b'.';
    HeaderValue::from_bytes(&out[..=length]).unwrap_or(HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{decimal, priority, request_id, timeout};
    use crate::config::Priority;
    use http::HeaderMap;
    use std::time::Duration;

    #[test]
    fn times_are_decimal() {
        for (micros, digits, text) in [
            (0, 3, "0.000"),
            (7, 3, "0.007"),
            (1234, 3, "1.234"),
            (1_234_567, 6, "1.234567"),
            (42, 6, "0.000042"),
        ] {
            assert_eq!(decimal(micros, digits).to_str().unwrap(), text);
        }
    }

    #[test]
    fn a_plain_request_id_is_echoed_and_an_odd_one_replaced() {
        let check = |given: &str, echoed: bool| {
            let mut headers = HeaderMap::new();
            headers.insert("x-request-id", given.parse().unwrap());
            assert_eq!(request_id(&headers) == given, echoed, "{given:?}");
        };
        check("abc-123", true);
        check("with space", false);
        check(&"x".repeat(129), false);
        let (one, other) = (request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
        assert_ne!(one, other);
        assert_eq!(one.len(), 36);
    }

    #[test]
    fn a_timeout_is_a_number_above_zero() {
        let read = |given: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-tidegate-timeout-ms", given.parse().unwrap());
            timeout(&headers)
        };
        assert_eq!(read("250").unwrap(), Some(Duration::from_millis(250)));
        assert!(read("0").is_err() && read("-1").is_err() && read("soon").is_err());
        assert_eq!(timeout(&HeaderMap::new()).unwrap(), None);
    }

    #[test]
    fn a_priority_may_be_lowered_and_never_raised() {
        use Priority::{Batch, High, Low, Normal};
        // (what the request says, its key's priority, what holds)
        let cases = [
            (None, None, Some(Normal)),
            (None, Some(High), Some(High)),
            (None, Some(Batch), Some(Batch)),
            (Some("low"), Some(High), Some(Low)),
            (Some("batch"), Some(Normal), Some(Batch)),
            (Some("high"), Some(Normal), Some(Normal)),
            (Some("normal"), Some(Batch), Some(Batch)),
            (Some("high"), None, Some(High)),
            (Some(" Low "), None, Some(Low)),
            (Some("urgent"), None, None),
            (Some("urgent"), Some(High), None),
            (Some(""), None, None),
            (Some("high, low"), None, None),
        ];
        for (says, key, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.extend(says.map(|says| (super::X_PRIORITY, says.parse().unwrap())));
            assert_eq!(priority(&headers, key).ok(), expected, "{says:?} {key:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(super::X_PRIORITY, "urgent".parse().unwrap());
        let failure = priority(&headers, None).unwrap_err();
        assert_eq!((failure.kind().status(), failure.param()), (400, Some("x-tidegate-priority")));
    }
}
