//! What an answer's head says of limits, in the words and forms that OpenAI's SDKs read: what is allowed, what is
//! left, how long to wait, and that waiting is of no use.
//!
//! It only writes; who has used how much, and who was refused, is decided elsewhere.

use bytes::BytesMut;
use guard::quota::Level;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use std::fmt::Write as _;
use std::time::Duration;

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");

/// The headers of one kind of thing that is counted: its limit, what remains, and when it is reset.
type Names = [HeaderName; 3];

const REQUESTS: Names = [
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
];
const TOKENS: Names = [
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
];

/// The caller's requests a minute.
pub fn requests(headers: &mut HeaderMap, level: Level) {
    write(headers, REQUESTS, level);
}

/// The caller's tokens a minute.
pub fn tokens(headers: &mut HeaderMap, level: Level) {
    write(headers, TOKENS, level);
}

fn write(headers: &mut HeaderMap, [limit, remaining, reset]: Names, level: Level) {
    headers.insert(limit, HeaderValue::from(level.limit));
    headers.insert(remaining, HeaderValue::from(level.remaining));
    headers.insert(reset, duration(level.reset));
}

/// How long to wait before another try: in whole seconds for everyone, in milliseconds for those who read them.
/// Both are rounded up, since a caller who comes back too early is refused again.
pub fn retry_after(headers: &mut HeaderMap, wait: Duration) {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    headers.insert(RETRY_AFTER_MS, HeaderValue::from(whole_millis(wait)));
}

/// That another try is of no use: the same request fails the same way, or has been tried as often as it should.
/// SDKs that retry on their own would multiply our tries by theirs.
pub fn do_not_retry(headers: &mut HeaderMap) {
    headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
}

/// A duration as OpenAI writes it, which is how Go does: `12ms`, `1s`, `8.64s`, `6m0s`, `1h0m30s`. To the
/// millisecond, rounded up.
fn duration(wait: Duration) -> HeaderValue {
    let millis = whole_millis(wait);
    let mut out = BytesMut::with_capacity(24);
    // Writing to memory does not fail.
    let _ = if (1..1000).contains(&millis) { write!(out, "{millis}ms") } else { clock(&mut out, millis) };
    HeaderValue::from_maybe_shared(out.freeze()).unwrap_or(HeaderValue::from_static("0s"))
}

/// Hours, minutes and seconds, from the first that is not zero on.
fn clock(out: &mut BytesMut, millis: u64) -> std::fmt::Result {
    let (seconds, fraction) = (millis / 1000, millis % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    if hours > 0 {
        write!(out, "{hours}h")?;
    }
    if hours > 0 || minutes > 0 {
        write!(out, "{minutes}m")?;
    }
    write!(out, "{}", seconds % 60)?;
    match fraction {
        0 => {}
        _ if fraction % 100 == 0 => write!(out, ".{}", fraction / 100)?,
        _ if fraction % 10 == 0 => write!(out, ".{:02}", fraction / 10)?,
        _ => write!(out, ".{fraction:03}")?,
    }
    out.write_char('s')
}

fn whole_millis(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
        headers.get(name).expect(name).to_str().unwrap()
    }

    #[test]
    fn a_duration_is_written_as_go_does() {
        let cases = [
            (0, "0s"),
            (1, "1ms"),
            (12_000_000, "12ms"),
            (12_000_001, "13ms"),
            (999_000_000, "999ms"),
            (999_000_001, "1s"),
            (1_000_000_000, "1s"),
            (1_500_000_000, "1.5s"),
            (8_640_000_000, "8.64s"),
            (8_641_000_000, "8.641s"),
            (1_001_000_000, "1.001s"),
            (59_999_999_999, "1m0s"),
            (72_500_000_000, "1m12.5s"),
            (360_000_000_000, "6m0s"),
            (3_600_000_000_000, "1h0m0s"),
            (90_061_001_000_000, "25h1m1.001s"),
        ];
        for (nanos, expected) in cases {
            assert_eq!(duration(Duration::from_nanos(nanos)), expected, "{nanos}");
        }
        // Never is a very long time, and no panic.
        assert!(duration(Duration::MAX).to_str().unwrap().ends_with('s'));
    }

    #[test]
    fn levels_are_told_under_their_own_names() {
        let mut headers = HeaderMap::new();
        let of = |limit, remaining, reset| Level { limit, remaining, reset: Duration::from_millis(reset) };
        requests(&mut headers, of(60, 59, 1_000));
        tokens(&mut headers, of(150_000, 149_984, 360_000));
        let cases = [
            ("x-ratelimit-limit-requests", "60"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "150000"),
            ("x-ratelimit-remaining-tokens", "149984"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        for (name, expected) in cases {
            assert_eq!(text(&headers, name), expected, "{name}");
        }
        assert_eq!(headers.len(), cases.len());
    }

    #[test]
    fn nobody_is_told_to_come_back_too_early() {
        let cases = [
            (Duration::ZERO, "0", "0"),
            (Duration::from_nanos(1), "1", "1"),
            (Duration::from_millis(250), "1", "250"),
            (Duration::from_micros(1_000_001), "2", "1001"),
            (Duration::from_secs(60), "60", "60000"),
            (Duration::MAX, "18446744073709551615", "18446744073709551615"),
        ];
        for (wait, seconds, millis) in cases {
            let mut headers = HeaderMap::new();
            retry_after(&mut headers, wait);
            assert_eq!((text(&headers, "retry-after"), text(&headers, "retry-after-ms")), (seconds, millis));
        }
    }
}
