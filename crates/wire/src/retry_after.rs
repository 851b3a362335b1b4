//! How long a provider asks us to wait: `retry-after-ms` and `retry-after` (RFC 9110, 10.2.3).
//!
//! Reads header values only; what to do with the answer is decided elsewhere.

use std::time::{Duration, SystemTime};

/// No provider makes us wait longer than this. A longer wish is cut, not refused: that a wait was
/// asked for is worth more than its length.
pub const LONGEST: Duration = Duration::from_secs(60);

/// The wait a provider asks for, at most [`LONGEST`].
///
/// `retry-after-ms` (milliseconds, as OpenAI and Azure send it) goes before `retry-after`, which is
/// seconds, whole or decimal, or an HTTP date measured from `now`. A header that is negative or
/// makes no sense counts as absent; a date in the past means no wait.
#[must_use]
pub fn parse(retry_after_ms: Option<&[u8]>, retry_after: Option<&[u8]>, now: SystemTime) -> Option<Duration> {
    retry_after_ms
        .and_then(|value| number(value, 1e-3))
        .or_else(|| retry_after.and_then(|value| number(value, 1.0).or_else(|| date(value, now))))
}

/// A decimal number of units, each `unit` seconds long.
fn number(value: &[u8], unit: f64) -> Option<Duration> {
    let value = value.trim_ascii();
    // Rust's own parser also takes "inf", "nan" and "1e9", which no such header means.
    if !value.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        return None;
    }
    let seconds = std::str::from_utf8(value).ok()?.parse::<f64>().ok()? * unit;
    Some(Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

fn date(value: &[u8], now: SystemTime) -> Option<Duration> {
    let at = httpdate::parse_http_date(std::str::from_utf8(value).ok()?.trim()).ok()?;
    Some(at.duration_since(now).unwrap_or_default().min(LONGEST))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn milliseconds_then_seconds_then_a_date() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let cases: &[(Option<&str>, Option<&str>, Option<u64>)] = &[
            (None, None, None),
            (Some("250"), Some("9"), Some(250)),
            (Some("250.5"), None, Some(250)),
            (Some("soon"), Some("9"), Some(9_000)),
            (Some("-1"), Some("2"), Some(2_000)),
            (Some(""), Some("2"), Some(2_000)),
            (None, Some("0"), Some(0)),
            (None, Some("0.5"), Some(500)),
            (None, Some(" 3 "), Some(3_000)),
            (None, Some("-3"), None),
            (None, Some("+3"), None),
            (None, Some("inf"), None),
            (None, Some("NaN"), None),
            (None, Some("1e1"), None),
            (None, Some("."), None),
            (None, Some("1.2.3"), None),
            (None, Some(""), None),
            (None, Some("3600"), Some(60_000)),
            (None, Some("99999999999999999999999999999999999999999"), Some(60_000)),
            (None, Some("Sun, 06 Nov 1994 08:49:47 GMT"), Some(10_000)),
            (None, Some("Sunday, 06-Nov-94 08:49:47 GMT"), Some(10_000)),
            (None, Some("Sun Nov  6 08:49:47 1994"), Some(10_000)),
            (None, Some("Sun, 06 Nov 1994 08:49:27 GMT"), Some(0)),
            (None, Some("Sun, 07 Nov 2094 08:49:27 GMT"), Some(60_000)),
            (None, Some("tomorrow"), None),
        ];
        for (ms, seconds, want) in cases {
            let got = parse(ms.map(str::as_bytes), seconds.map(str::as_bytes), now);
            assert_eq!(got.map(|wait| wait.as_millis() as u64), *want, "{ms:?} {seconds:?}");
        }
        assert_eq!(parse(None, Some(&[0xff, 0x31]), now), None);
        let digits = vec![b'9'; 100_000];
        assert_eq!(parse(Some(&digits), None, now), Some(LONGEST));
    }
}
