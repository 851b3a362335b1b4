//! Lengths of time as a definition writes them: `90s`, `1h30m`, `250ms`, `2d`.

use std::time::Duration;

/// The longest that anything waits: ten years.
pub(super) const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

const UNITS_MS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// How it is written, for messages.
pub(super) const MEND: &str = "write it as `250ms`, `90s`, `1h30m` or `2d`";

/// Whole numbers with units, one after the other. `None` where it is anything else, or longer than
/// [`LONGEST`].
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total_ms: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, unit_ms) = UNITS_MS.iter().find(|(name, _)| *name == unit)?;
        total_ms = total_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(*unit_ms)?)?;
        rest = tail;
    }
    Some(Duration::from_millis(total_ms)).filter(|length| *length <= LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_with_units_are_read() {
        for (text, want_ms) in [
            ("250ms", Some(250)),
            ("90s", Some(90_000)),
            ("1h30m", Some(5_400_000)),
            (" 2d ", Some(172_800_000)),
            ("0s", Some(0)),
            ("", None),
            ("90", None),
            ("s", None),
            ("1.5h", None),
            ("-1s", None),
            ("1 h", None),
            ("1y", None),
            ("99999999999999999999s", None),
            ("999999d", None),
        ] {
            assert_eq!(parse(text), want_ms.map(Duration::from_millis), "{text:?}");
        }
    }
}
