//! Thresholds such as `total_p99<500ms`: what a run must keep to. Reading one and judging a report
//! by it; what follows from a missed one is the caller's to say.

use std::fmt;
use std::str::FromStr;

use super::figure::{Figure, Name, UnknownFigure};
use super::report::Report;
use super::units;

/// A figure, a comparison and a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Threshold {
    name: Name,
    relation: Relation,
    bound: f64,
    text: String,
}

/// Why a text is no threshold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// There is no comparison in it.
    #[error("{0:?} has none of <, <=, > and >=; write it like total_p99<500ms or error_rate<=1%")]
    NoRelation(String),
    /// What stands before the comparison is no figure.
    #[error(transparent)]
    Figure(#[from] UnknownFigure),
    /// What stands after it is no bound for that figure.
    #[error("{bound:?} is no bound for {figure}; {mend}")]
    Bound {
        /// The text after the comparison.
        bound: String,
        /// The figure's name.
        figure: String,
        /// What would do.
        mend: &'static str,
    },
}

/// How a report stands to a threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The threshold as it was written.
    pub threshold: String,
    /// What was measured; `None` if the report has no such figure.
    pub measured: Option<Figure>,
    /// Whether it was kept. What was not measured was not kept.
    pub met: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Threshold {
    /// Judges a report.
    #[must_use]
    pub fn judge(&self, report: &Report) -> Verdict {
        let measured = report.figure(&self.name);
        let met = measured.is_some_and(|figure| {
            let value = figure.value();
            match self.relation {
                Relation::Below => value < self.bound,
                Relation::AtMost => value <= self.bound,
                Relation::Above => value > self.bound,
                Relation::AtLeast => value >= self.bound,
            }
        });
        Verdict { threshold: self.text.clone(), measured, met }
    }

    /// Whether it can be judged only where two sides are measured.
    #[must_use]
    pub fn compares(&self) -> bool {
        self.name.compares()
    }
}

impl FromStr for Threshold {
    type Err = ThresholdError;

    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let at = text.find(['<', '>']).ok_or_else(|| ThresholdError::NoRelation(text.to_owned()))?;
        let (figure, rest) = text.split_at(at);
        let name: Name = figure.parse()?;
        let (relation, bound) = if let Some(bound) = rest.strip_prefix("<=") {
            (Relation::AtMost, bound)
        } else if let Some(bound) = rest.strip_prefix(">=") {
            (Relation::AtLeast, bound)
        } else if let Some(bound) = rest.strip_prefix('<') {
            (Relation::Below, bound)
        } else {
            (Relation::Above, &rest[1..])
        };
        Ok(Self { bound: parse_bound(&name, figure, bound)?, name, relation, text: text.trim().to_owned() })
    }
}

/// A time's bound in microseconds; a share as `1%` or `0.01`; any other as a number.
fn parse_bound(name: &Name, figure: &str, bound: &str) -> Result<f64, ThresholdError> {
    let refuse = |mend| ThresholdError::Bound {
        bound: bound.trim().to_owned(),
        figure: figure.trim().to_owned(),
        mend,
    };
    let bound_text = bound.trim();
    if name.is_time() {
        let time =
            units::parse_duration(bound_text).map_err(|_| refuse("give a time with its unit, like 500ms"))?;
        return Ok(time.as_secs_f64() * 1e6);
    }
    let (number, scale) = match bound_text.strip_suffix('%') {
        Some(percent) => (percent.trim_end(), 0.01),
        None => (bound_text.trim_end_matches(['x', '×']), 1.0),
    };
    let number: f64 = number.parse().map_err(|_| refuse("give a number, like 100, 1.5 or 1%"))?;
    if !number.is_finite() {
        return Err(refuse("give a number, like 100, 1.5 or 1%"));
    }
    Ok(number * scale)
}

/// As it was written.
impl fmt::Display for Threshold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = if self.met { "met" } else { "missed" };
        match &self.measured {
            Some(figure) => write!(f, "{} {kept}: {figure}", self.threshold),
            None => write!(f, "{} {kept}: not measured", self.threshold),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::load::report::tests::{compared, plain};

    #[test]
    fn a_report_is_judged_by_what_it_measured() {
        // The sample measured total p99 40 ms, first token p95 19 ms, 1 % errors, 100 requests/s;
        // the other side half of each time.
        let check = |text: &str, met: bool| {
            let threshold: Threshold = text.parse().expect(text);
            let verdict = threshold.judge(&compared());
            assert_eq!(verdict.met, met, "{verdict}");
        };
        check("total_p99<500ms", true);
        check("total_p99 < 40ms", false);
        check("total_p99<=40ms", true);
        check("total_p99>=40ms", true);
        check("total_p99>40ms", false);
        check("ttft_p95<20000us", true);
        check("rps>=100", true);
        check("rps>100", false);
        check("error_rate<=1%", true);
        check("error_rate<0.01", false);
        check("errors<1", false);
        check("against.total_p99<=20ms", true);
        check("added.total_p99<10ms", false);
        check("ratio.total_p99<=2x", true);
        check("ratio.rps>=0.65", true);
    }

    #[test]
    fn what_was_not_measured_is_missed() {
        for text in ["lag_p99<1h", "added.total_p50<1h", "tps>=0"] {
            let threshold: Threshold = text.parse().expect(text);
            let verdict = threshold.judge(&plain());
            assert!(!verdict.met && verdict.measured.is_none(), "{verdict}");
            assert!(verdict.to_string().ends_with("missed: not measured"));
        }
        assert!("added.total_p50<1h".parse::<Threshold>().unwrap().compares());
    }

    #[test]
    fn what_is_no_threshold_is_refused_with_the_mend() {
        for (text, mend) in [
            ("total_p99", "write it like"),
            ("total_p99=5ms", "write it like"),
            ("p99<5ms", "is no figure"),
            ("total_p99<500", "with its unit"),
            ("total_p99<", "with its unit"),
            ("rps>fast", "give a number"),
            ("rps>inf", "give a number"),
            ("error_rate<%", "give a number"),
        ] {
            let told = text.parse::<Threshold>().expect_err(text).to_string();
            assert!(told.contains(mend), "{text}: {told}");
        }
    }

    #[test]
    fn a_verdict_reads_as_a_sentence() {
        let verdict = "total_p99<30ms".parse::<Threshold>().unwrap();
        let verdict = verdict.judge(&compared());
        assert_eq!(verdict.to_string(), "total_p99<30ms missed: 40.0 ms");
    }
}
