//! When a schedule's next time is: cron's five or six fields, in a time zone.
//!
//! Where clocks go forward, what was to happen at a time that there is not happens right after the gap; where
//! they go back, what was to happen at a time that there is twice happens the first time. What happens every so
//! often (`*/10`) happens as often as time passes: not in the gap, and both times. That is Vixie cron's rule,
//! and croner's.

use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use store::Time;

/// A longer pattern is nobody's.
const PATTERN_BYTES_MAX: usize = 256;

/// Why there is no such schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// The pattern cannot be understood.
    #[error(
        "`{pattern}` is no schedule: {why}; give minute, hour, day, month and weekday, with seconds before them if need be, as in `0 9 * * MON-FRI`"
    )]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such time zone.
    #[error("`{0}` is no time zone; give an IANA name as in `Europe/Paris`, or `UTC`")]
    Zone(String),
    /// It is a pattern, and its time never comes.
    #[error("the time of `{0}` never comes; give a day that there is")]
    Never(String),
}

/// A pattern in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {
    pattern: croner::Cron,
    zone: TimeZone,
}

impl Cron {
    /// Understands a pattern of five or six fields, and an IANA name.
    ///
    /// # Errors
    /// Where either cannot be understood.
    pub fn parse(pattern: &str, zone: &str) -> Result<Self, Invalid> {
        let invalid = |why: String| Invalid::Pattern { pattern: pattern.chars().take(64).collect(), why };
        if pattern.len() > PATTERN_BYTES_MAX {
            return Err(invalid(format!("it is longer than {PATTERN_BYTES_MAX} bytes")));
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let parsed = parser.parse(pattern).map_err(|error| invalid(error.to_string()))?;
        let zone = TimeZone::get(zone).map_err(|_| Invalid::Zone(zone.to_owned()))?;
        Ok(Self { pattern: parsed, zone })
    }

    /// The first time after `after`; `None` where there is none within the calendar.
    #[must_use]
    pub fn next(&self, after: Time) -> Option<Time> {
        let after = Timestamp::from_millisecond(after.0).ok()?.to_zoned(self.zone.clone());
        let next = self.pattern.find_next_occurrence(&after, false).ok()?;
        Some(Time(next.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests;
