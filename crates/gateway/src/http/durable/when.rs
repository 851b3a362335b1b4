//! Moments and spans as callers write them: seconds since 1970 or RFC 3339; seconds, or `5m`.

use jiff::Timestamp;
use rig::load::units;
use std::time::Duration;
use store::Time;
use wire::json::Value;

/// How to write a moment.
pub(super) const MOMENT: &str = "seconds since 1970, or a time as in \"2030-01-31T12:00:00Z\"";
/// How to write a span.
pub(super) const SPAN: &str = "a number of seconds, or a duration as in \"5m\"";

/// Nobody plans further ahead.
const YEARS_MAX: f64 = 100.0 * 366.0 * 86_400.0;

/// A moment; `None` where it is none.
pub(super) fn moment(value: &Value<'_>) -> Option<Time> {
    if let Some(text) = value.as_str() {
        return Some(Time(text.parse::<Timestamp>().ok()?.as_millisecond()));
    }
    let seconds = value.as_f64().filter(|seconds| (0.0..1e11).contains(seconds))?;
    Some(Time((seconds * 1000.0) as i64))
}

/// A span; `None` where it is none, or longer than anybody plans.
pub(super) fn span(value: &Value<'_>) -> Option<Duration> {
    let span = match value.as_str() {
        Some(text) => units::parse_duration(&text).ok()?,
        None => Duration::try_from_secs_f64(value.as_f64()?).ok()?,
    };
    (span.as_secs_f64() <= YEARS_MAX).then_some(span)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{moment, span};
    use wire::json;

    #[test]
    fn moments_and_spans_are_read_in_both_forms() {
        for (text, at, length) in [
            ("1893456000", Some(1_893_456_000_000), Some(1_893_456_000_000)),
            ("1.5", Some(1500), Some(1500)),
            ("\"2030-01-01T00:00:00Z\"", Some(1_893_456_000_000), None),
            ("\"2030-01-01T02:00:00+02:00\"", Some(1_893_456_000_000), None),
            ("\"5m\"", None, Some(300_000)),
            ("\"soon\"", None, None),
            ("-1", None, None),
            ("1e300", None, None),
            ("true", None, None),
        ] {
            let body = format!(r#"{{"x":{text}}}"#);
            let object = json::object(body.as_bytes()).unwrap();
            let value = object.get("x").unwrap();
            assert_eq!(moment(&value).map(|time| time.0), at, "{text}");
            assert_eq!(span(&value).map(|span| span.as_millis()), length, "{text}");
        }
    }
}
