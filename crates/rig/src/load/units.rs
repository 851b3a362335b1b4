//! Durations as people write them, and figures as people read them. Pure text.

use std::time::{Duration, SystemTime};

/// Why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a duration; write it like 500ms, 10s, 1.5s or 1m30s")]
pub struct DurationError(String);

/// Reads `250us`, `500ms`, `10s`, `1.5s`, `2m`, `1h` and sums of them such as `1m30s`.
///
/// # Errors
/// A number without a unit, an unknown unit, or more than 100 days.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let refuse = || DurationError(text.to_owned());
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refuse)?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let number: f64 = number.parse().map_err(|_| refuse())?;
        seconds += number * seconds_in(unit.trim()).ok_or_else(refuse)?;
        rest = after;
    }
    if seconds > 100.0 * 86_400.0 {
        return Err(refuse());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn seconds_in(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

/// Microseconds in the unit a reader wants, three digits: `7 µs`, `1.23 ms`, `12.3 s`.
#[must_use]
pub fn time(us: f64) -> String {
    let size = us.abs();
    if size < 999.5 {
        format!("{us:.0} µs")
    } else if size < 999_500.0 {
        format!("{} ms", three_digits(us / 1e3))
    } else {
        format!("{} s", three_digits(us / 1e6))
    }
}

/// Seconds as they were asked for: `10 s` rather than `10.0 s`.
#[must_use]
pub fn span(seconds: f64) -> String {
    if seconds.fract() == 0.0 { format!("{seconds:.0} s") } else { time(seconds * 1e6) }
}

/// A difference of microseconds with its sign: `+120 µs`, `−1.20 ms`, `0 µs`.
#[must_use]
pub fn added(us: f64) -> String {
    if us.abs() < 0.5 {
        return "0 µs".to_owned();
    }
    let sign = if us < 0.0 { '−' } else { '+' };
    format!("{sign}{}", time(us.abs()))
}

/// A ratio: `1.23×`, `12.3×`, `123×`, `1,234×`.
#[must_use]
pub fn ratio(value: f64) -> String {
    format!("{}×", rate(value))
}

/// A count with its thousands set apart: `1,234,567`.
#[must_use]
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A rate: whole numbers with thousands set apart from 1,000 on, three digits below.
#[must_use]
pub fn rate(value: f64) -> String {
    if value < 999.5 { three_digits(value) } else { count(whole(value)) }
}

/// Bytes in decimal units: `987 B`, `1.23 MB`.
#[must_use]
pub fn bytes(value: u64) -> String {
    let mut size = value as f64;
    if size < 1000.0 {
        return format!("{value} B");
    }
    for unit in ["kB", "MB", "GB", "TB"] {
        size /= 1000.0;
        if size < 999.5 {
            return format!("{} {unit}", three_digits(size));
        }
    }
    format!("{} PB", three_digits(size / 1000.0))
}

/// A share of one as a percentage: `0.25 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{} %", three_digits(share * 100.0))
}

fn three_digits(value: f64) -> String {
    let size = value.abs();
    if size < 9.995 {
        format!("{value:.2}")
    } else if size < 99.95 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // rates are positive and small
fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}

/// An instant in UTC to the second (RFC 3339). The day's date is Howard Hinnant's
/// `civil_from_days` ("chrono-compatible low-level date algorithms").
#[must_use]
pub fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = since.unwrap_or_default().as_secs();
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let z = days + 719_468; // days since 0000-03-01
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn an_instant_is_written_as_its_date_in_utc() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(rfc3339(at), text);
        }
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, us) in [
            ("500ms", 500_000),
            ("10s", 10_000_000),
            ("1.5s", 1_500_000),
            ("1m30s", 90_000_000),
            ("250us", 250),
            ("250µs", 250),
            ("2h", 7_200_000_000),
            (" 1 s ", 1_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_micros(us)), "{text}");
        }
        for text in ["", "10", "s", "10x", "-1s", "1.2.3s", "ten", "999999h", "1s-"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_keep_three_digits_and_change_their_unit_where_they_round() {
        for (us, text) in [
            (0.0, "0 µs"),
            (7.4, "7 µs"),
            (999.4, "999 µs"),
            (999.6, "1.00 ms"),
            (1_234.0, "1.23 ms"),
            (9_996.0, "10.0 ms"),
            (148_200.0, "148 ms"),
            (999_600.0, "1.00 s"),
            (12_345_678.0, "12.3 s"),
            (600_000_000.0, "600 s"),
        ] {
            assert_eq!(time(us), text);
        }
        assert_eq!(added(120.0), "+120 µs");
        assert_eq!(added(-1_200.0), "−1.20 ms");
        assert_eq!(added(0.2), "0 µs");
        assert_eq!(span(10.0), "10 s");
        assert_eq!(span(0.25), "250 ms");
    }

    #[test]
    fn counts_rates_bytes_and_ratios_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(rate(0.5), "0.50");
        assert_eq!(rate(107.13), "107");
        assert_eq!(rate(23_630.4), "23,630");
        assert_eq!(bytes(987), "987 B");
        assert_eq!(bytes(1_234_567), "1.23 MB");
        assert_eq!(ratio(1.234), "1.23×");
        assert_eq!(percent(0.0025), "0.25 %");
    }
}
