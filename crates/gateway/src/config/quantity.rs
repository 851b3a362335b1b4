//! Durations and sizes as the file writes them: `"5s"`, `"20ms"`, `"10MiB"`.
//!
//! Exact arithmetic on integers; no floating point, so what is printed is what was read. Ranges are judged
//! where a value is used.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

/// The name of [`Span`]'s format in the schema.
pub(super) const DURATION_FORMAT: &str = "tidegate-duration";
/// The name of [`Size`]'s format in the schema.
pub(super) const SIZE_FORMAT: &str = "tidegate-size";

/// Digits taken after the point; enough for a nanosecond in any unit.
const DECIMALS_MAX: usize = 9;

const DURATION_UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

const SIZE_UNITS: [(&str, u128); 8] = [
    ("", 1),
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

/// A length of time; written as a number and a unit, read to the nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span(pub(super) Duration);

impl Span {
    pub(super) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

/// A number of bytes; written as a number and a unit, or as a number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(pub(super) u64);

/// Why text is no quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    /// There is no number, or more than one.
    #[error("not a number with a unit")]
    Number,
    /// The unit is missing or not among the known ones.
    #[error("the unit is missing or unknown")]
    Unit,
    /// It does not come to whole nanoseconds or bytes.
    #[error("finer than can be kept")]
    Fraction,
    /// It does not fit.
    #[error("too large")]
    Overflow,
}

/// `12.5` and a unit's worth, as an exact integer.
fn parse(text: &str, units: &[(&str, u128)]) -> Result<u64, Malformed> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let (whole, decimals) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) {
        return Err(Malformed::Number);
    }
    let unit = unit.trim_start();
    let (_, worth) = units.iter().find(|(name, _)| *name == unit).ok_or(Malformed::Unit)?;
    if decimals.len() > DECIMALS_MAX {
        return Err(Malformed::Fraction);
    }
    let scale = 10_u128.pow(u32::try_from(decimals.len()).map_err(|_| Malformed::Fraction)?);
    let whole: u64 = whole.parse().map_err(|_| Malformed::Overflow)?;
    let decimals: u128 = decimals.parse().map_err(|_| Malformed::Number)?;
    // At most 2^64 × 10^9 + 10^9 in the bracket, times 3.6 × 10^12: checked, since that may not fit.
    let scaled = (u128::from(whole) * scale + decimals).checked_mul(*worth).ok_or(Malformed::Overflow)?;
    if scaled % scale != 0 {
        return Err(Malformed::Fraction);
    }
    u64::try_from(scaled / scale).map_err(|_| Malformed::Overflow)
}

/// The largest unit of which it is a whole number.
fn show(amount: u64, units: &[(&str, u128)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let amount = u128::from(amount);
    let fits = |worth: u128| amount > 0 && amount % worth == 0;
    let best =
        units.iter().filter(|(name, worth)| !name.is_empty() && fits(*worth)).max_by_key(|(_, worth)| *worth);
    match best {
        Some((name, worth)) => write!(f, "{}{name}", amount / worth),
        None => {
            write!(f, "0{}", units.iter().map(|(name, _)| *name).find(|name| name.len() == 1).unwrap_or(""))
        }
    }
}

impl FromStr for Span {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        parse(text, &DURATION_UNITS).map(Duration::from_nanos).map(Self)
    }
}

impl FromStr for Size {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        parse(text, &SIZE_UNITS).map(Self)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(u64::try_from(self.0.as_nanos()).unwrap_or(u64::MAX), &DURATION_UNITS, f)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(self.0, &SIZE_UNITS, f)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as \"10MiB\"")
    }

    fn visit_u64<E>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Span {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A length of time: a number and one of ns, us, ms, s, m, h.",
            "type": "string",
            "format": DURATION_FORMAT,
            "pattern": r"^\d+(\.\d{1,9})? ?(ns|us|µs|ms|s|m|h)$",
            "examples": ["20ms", "5s", "1m"],
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes: a number, or a number and one of B, KB, KiB, MB, MiB, GB, GiB.",
            "type": ["string", "integer"],
            "format": SIZE_FORMAT,
            "minimum": 0,
            "pattern": r"^\d+(\.\d{1,9})? ?([KMG]i?)?B?$",
            "examples": ["1KB", "10MiB"],
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        let cases: [(&str, Result<u64, Malformed>); 16] = [
            ("5s", Ok(5_000_000_000)),
            ("20ms", Ok(20_000_000)),
            ("1m", Ok(60_000_000_000)),
            ("1.5s", Ok(1_500_000_000)),
            ("0.25 ms", Ok(250_000)),
            ("7us", Ok(7_000)),
            ("2h", Ok(7_200_000_000_000)),
            ("0s", Ok(0)),
            ("5", Err(Malformed::Unit)),
            ("5 seconds", Err(Malformed::Unit)),
            ("5S", Err(Malformed::Unit)),
            ("s", Err(Malformed::Number)),
            ("-5s", Err(Malformed::Number)),
            ("1.2.3s", Err(Malformed::Number)),
            ("0.5ns", Err(Malformed::Fraction)),
            ("99999999999999999999h", Err(Malformed::Overflow)),
        ];
        for (text, expected) in cases {
            let found = text.parse::<Span>().map(|span| span.0.as_nanos() as u64);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_size_is_a_number_with_or_without_a_unit() {
        let cases: [(&str, Result<u64, Malformed>); 10] = [
            ("10MiB", Ok(10 << 20)),
            ("1KB", Ok(1_000)),
            ("1.5KiB", Ok(1_536)),
            ("42", Ok(42)),
            ("0B", Ok(0)),
            ("1kb", Err(Malformed::Unit)),
            ("1.3B", Err(Malformed::Fraction)),
            ("", Err(Malformed::Number)),
            ("18446744073709551615B", Ok(u64::MAX)),
            ("18446744073709551616B", Err(Malformed::Overflow)),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse::<Size>().map(|size| size.0), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_printed_reads_back(amount: u64) {
            let span = Span(Duration::from_nanos(amount));
            prop_assert_eq!(span.to_string().parse::<Span>(), Ok(span));
            prop_assert_eq!(Size(amount).to_string().parse::<Size>(), Ok(Size(amount)));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Span>();
            let _ = text.parse::<Size>();
        }
    }
}
