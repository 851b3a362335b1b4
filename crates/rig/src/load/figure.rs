//! A report's figures by name: `total_p99`, `ttft_p95`, `against.rps`, `added.total_p50`,
//! `ratio.total_p99`. What a threshold is set on, and a comparison of reports is made of.

use std::fmt;
use std::str::FromStr;

use super::report::{Comparison, Delta, Measured, Points, Report, Series};
use super::units;

/// A figure of a report.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// Microseconds.
    Time(f64),
    /// A share of one.
    Share(f64),
    /// A count, a rate or a ratio.
    Number(f64),
}

impl Figure {
    /// The bare number: microseconds of a time.
    #[must_use]
    pub fn value(self) -> f64 {
        match self {
            Self::Time(value) | Self::Share(value) | Self::Number(value) => value,
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&match self {
            Self::Time(us) => units::time(*us),
            Self::Share(share) => units::percent(*share),
            Self::Number(number) => units::rate(*number),
        })
    }
}

/// The name of a figure, known to exist in reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    of: Of,
    what: What,
}

/// Why a text names no figure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no figure of a report; say total, ttft, gap or lag with _p50, _p90, _p95, _p99, \
     _p99.9, _max or _mean (total_p99), or rps, fps, tps, requests, errors or error_rate; \
     with a second URL also against.…, added.… and ratio.…"
)]
pub struct UnknownFigure(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Target,
    Against,
    Added,
    Ratio,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Time(Times, Point),
    RequestsPerSecond,
    FramesPerSecond,
    TokensPerSecond,
    Requests,
    Errors,
    ErrorRate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Total,
    FirstToken,
    BetweenTokens,
    SendLag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    P50,
    P90,
    P95,
    P99,
    P999,
    Max,
    Mean,
}

impl FromStr for Name {
    type Err = UnknownFigure;

    fn from_str(text: &str) -> Result<Self, UnknownFigure> {
        parse(text.trim()).ok_or_else(|| UnknownFigure(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Name> {
    // `total_p99.9` has a dot of its own, so only the known words count as what stands before one.
    let (of, rest) =
        [("target.", Of::Target), ("against.", Of::Against), ("added.", Of::Added), ("ratio.", Of::Ratio)]
            .into_iter()
            .find_map(|(word, of)| Some((of, text.strip_prefix(word)?)))
            .unwrap_or((Of::Target, text));
    let what = what(rest)?;
    let sound = match (of, what) {
        (Of::Target | Of::Against, _) => true,
        (Of::Added | Of::Ratio, What::Time(Times::SendLag, _)) => false,
        (Of::Added | Of::Ratio, What::Time(..)) => true,
        (Of::Ratio, What::RequestsPerSecond | What::FramesPerSecond | What::TokensPerSecond) => true,
        (Of::Added | Of::Ratio, _) => false,
    };
    sound.then_some(Name { of, what })
}

fn what(text: &str) -> Option<What> {
    Some(match text {
        "rps" | "requests_per_second" => What::RequestsPerSecond,
        "fps" | "frames_per_second" => What::FramesPerSecond,
        "tps" | "tokens_per_second" => What::TokensPerSecond,
        "requests" => What::Requests,
        "errors" | "failed" => What::Errors,
        "error_rate" => What::ErrorRate,
        _ => {
            let (times, point) = text.rsplit_once('_')?;
            let times = match times {
                "total" => Times::Total,
                "ttft" | "first_token" => Times::FirstToken,
                "gap" | "itl" | "between_tokens" => Times::BetweenTokens,
                "lag" | "send_lag" => Times::SendLag,
                _ => return None,
            };
            let point = match point {
                "p50" => Point::P50,
                "p90" => Point::P90,
                "p95" => Point::P95,
                "p99" => Point::P99,
                "p99.9" | "p999" => Point::P999,
                "max" => Point::Max,
                "mean" => Point::Mean,
                _ => return None,
            };
            What::Time(times, point)
        }
    })
}

impl Name {
    /// Whether the figure is a time.
    #[must_use]
    pub fn is_time(&self) -> bool {
        self.of != Of::Ratio && matches!(self.what, What::Time(..))
    }

    /// Whether the figure exists only where two sides were measured.
    #[must_use]
    pub fn compares(&self) -> bool {
        self.of != Of::Target
    }

    pub(super) fn find(&self, report: &Report) -> Option<Figure> {
        match self.of {
            Of::Target => measured(&report.target, self.what),
            Of::Against => measured(report.against.as_ref()?, self.what),
            Of::Added => added(report.comparison.as_ref()?, self.what),
            Of::Ratio => ratio(report.comparison.as_ref()?, self.what),
        }
    }
}

fn measured(side: &Measured, what: What) -> Option<Figure> {
    Some(match what {
        What::Time(times, point) => Figure::Time(point.of(&times.of(side)?.points)),
        What::RequestsPerSecond => Figure::Number(side.requests_per_second),
        What::FramesPerSecond => Figure::Number(side.frames_per_second),
        What::TokensPerSecond => Figure::Number(side.tokens_per_second?),
        What::Requests => Figure::Number(side.requests as f64),
        What::Errors => Figure::Number(side.failed as f64),
        What::ErrorRate => Figure::Share(side.error_rate),
    })
}

fn added(comparison: &Comparison, what: What) -> Option<Figure> {
    let What::Time(times, point) = what else {
        return None;
    };
    let delta = times.between(comparison)?;
    Some(Figure::Time(point.of(&delta.added_us)))
}

fn ratio(comparison: &Comparison, what: What) -> Option<Figure> {
    Some(Figure::Number(match what {
        What::Time(times, point) => point.of(&times.between(comparison)?.ratio),
        What::RequestsPerSecond => comparison.requests_per_second?,
        What::FramesPerSecond => comparison.frames_per_second?,
        What::TokensPerSecond => comparison.tokens_per_second?,
        What::Requests | What::Errors | What::ErrorRate => return None,
    }))
}

impl Times {
    fn of(self, side: &Measured) -> Option<&Series> {
        match self {
            Self::Total => side.total_us.as_ref(),
            Self::FirstToken => side.first_token_us.as_ref(),
            Self::BetweenTokens => side.between_tokens_us.as_ref(),
            Self::SendLag => side.send_lag_us.as_ref(),
        }
    }

    fn between(self, comparison: &Comparison) -> Option<&Delta> {
        match self {
            Self::Total => comparison.total.as_ref(),
            Self::FirstToken => comparison.first_token.as_ref(),
            Self::BetweenTokens => comparison.between_tokens.as_ref(),
            Self::SendLag => None,
        }
    }
}

impl Point {
    fn of(self, points: &Points) -> f64 {
        match self {
            Self::P50 => points.p50,
            Self::P90 => points.p90,
            Self::P95 => points.p95,
            Self::P99 => points.p99,
            Self::P999 => points.p999,
            Self::Max => points.max,
            Self::Mean => points.mean,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_and_their_short_forms_mean_the_same() {
        for (one, other) in [
            ("ttft_p95", "first_token_p95"),
            ("gap_p99.9", "between_tokens_p999"),
            ("itl_p50", "gap_p50"),
            ("lag_max", "send_lag_max"),
            ("rps", "target.requests_per_second"),
            ("errors", "failed"),
        ] {
            assert_eq!(one.parse::<Name>(), other.parse::<Name>(), "{one}");
            assert!(one.parse::<Name>().is_ok(), "{one}");
        }
    }

    #[test]
    fn what_no_report_has_is_refused() {
        for text in [
            "",
            "total",
            "total_p42",
            "p99",
            "ttft_",
            "added.rps",
            "ratio.errors",
            "ratio.lag_p50",
            "other.total_p99",
            "against.against.rps",
        ] {
            assert!(text.parse::<Name>().is_err(), "{text}");
        }
    }
}
