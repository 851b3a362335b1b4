//! What came of the rows: counted, kept in the journal from run to run, and told at the end.

use std::time::Duration;

use rig::load::units;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What one answer used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Used {
    /// Tokens read.
    pub(super) input_tokens: u64,
    /// Tokens written.
    pub(super) output_tokens: u64,
    /// Millionths of a US dollar, where the gateway knows the price.
    pub(super) micro_usd: u64,
    /// Answers that the gateway had remembered.
    pub(super) hits: u64,
}

/// The sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Tally {
    /// Rows that are in the output or among the errors.
    pub(super) rows: u64,
    /// Those among the errors.
    pub(super) failed: u64,
    /// Bytes of the input that they took.
    pub(super) bytes: u64,
    /// What their answers used.
    #[serde(flatten)]
    pub(super) used: Used,
}

/// How a run stands: its sums, and those that it began with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    /// Of all runs.
    pub(super) all: Tally,
    /// Of those before.
    pub(super) before: Tally,
    /// Of this one.
    pub(super) elapsed: Duration,
}

impl Tally {
    /// How far it has come: in rows where their number is what bounds it, else in bytes of the input.
    pub(super) fn so_far(&self, limited: bool) -> u64 {
        if limited { self.rows } else { self.bytes }
    }

    /// Counts a row of so many bytes.
    pub(super) fn count(&mut self, failed: bool, bytes: u64, used: Used) {
        self.rows += 1;
        self.failed += u64::from(failed);
        self.bytes += bytes;
        self.used.input_tokens += used.input_tokens;
        self.used.output_tokens += used.output_tokens;
        self.used.micro_usd += used.micro_usd;
        self.used.hits += used.hits;
    }
}

impl Standing {
    /// Rows a second, of this run.
    fn rate(&self) -> f64 {
        (self.all.rows - self.before.rows) as f64 / self.elapsed.as_secs_f64().max(1e-3)
    }

    /// On one line, for a look at a run under way.
    pub(super) fn line(&self) -> String {
        let used = self.all.used;
        let mut text = format!(
            "{} rows · {}/s · {} tokens",
            units::count(self.all.rows),
            units::rate(self.rate()),
            units::count(used.input_tokens + used.output_tokens)
        );
        if used.micro_usd > 0 {
            text.push_str(&format!(" · {}", dollars(used.micro_usd)));
        }
        for (count, what) in [(used.hits, "cached"), (self.all.failed, "errors")] {
            if count > 0 {
                text.push_str(&format!(" · {} {what}", units::count(count)));
            }
        }
        text
    }

    /// In words, for the end.
    pub(super) fn summary(&self) -> String {
        let used = self.all.used;
        let this = self.all.rows - self.before.rows;
        let mut text = format!(
            "{} rows in {}, {}/s",
            units::count(this),
            units::time(self.elapsed.as_secs_f64() * 1e6),
            units::rate(self.rate())
        );
        if self.before.rows > 0 {
            text.push_str(&format!("; {} in all", units::count(self.all.rows)));
        }
        text.push('\n');
        let mut row = |name: &str, figure: &str, note: &str| {
            text.push_str(&format!("{name:11}  {figure:>11}{note}\n"));
        };
        row("answered", &units::count(self.all.rows - self.all.failed), "");
        row("errors", &units::count(self.all.failed), "");
        row("cached", &units::count(used.hits), "");
        let tokens = format!("  read, {} written", units::count(used.output_tokens));
        row("tokens", &units::count(used.input_tokens), &tokens);
        if used.micro_usd > 0 {
            row("cost", &dollars(used.micro_usd), "");
        }
        text
    }

    /// For machines.
    pub(super) fn to_json(self, ended: &str) -> Value {
        let Tally { rows, failed, used, .. } = self.all;
        json!({
            "ended": ended,
            "rows": rows,
            "answered": rows - failed,
            "errors": failed,
            "rows_of_this_run": rows - self.before.rows,
            "cached": used.hits,
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
            "cost_usd": used.micro_usd as f64 / 1e6,
            "seconds": self.elapsed.as_secs_f64(),
        })
    }
}

/// An amount of money, in as many digits as it needs: `$0.00125`, `$12.30`.
pub(super) fn dollars(micro_usd: u64) -> String {
    let cents = micro_usd.is_multiple_of(10_000) || micro_usd >= 1_000_000;
    let amount = micro_usd as f64 / 1e6;
    if cents { format!("${amount:.2}") } else { format!("${amount:.6}").trim_end_matches('0').to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn sums_go_on_from_run_to_run_and_the_rate_is_of_this_one() {
        let mut before = Tally::default();
        before.count(true, 10, Used::default());
        let kept: Tally = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
        assert_eq!(kept, before);
        let mut all = kept;
        let used = Used { input_tokens: 1000, output_tokens: 200, micro_usd: 1250, hits: 1 };
        (0..20).for_each(|_| all.count(false, 10, used));
        let standing = Standing { all, before, elapsed: Duration::from_secs(10) };
        assert_eq!(standing.line(), "21 rows · 2.00/s · 24,000 tokens · $0.025 · 20 cached · 1 errors");
        let summary = standing.summary();
        assert!(summary.starts_with("20 rows in 10.0 s, 2.00/s; 21 in all\n"), "{summary}");
        let json = standing.to_json("done");
        assert_eq!((&json["rows"], &json["errors"], &json["answered"]), (&21.into(), &1.into(), &20.into()));
    }

    #[test]
    fn money_has_the_digits_it_needs() {
        for (micro_usd, text) in [
            (0, "$0.00"),
            (1250, "$0.00125"),
            (10_000, "$0.01"),
            (12_300_000, "$12.30"),
            (1_234_567, "$1.23"),
        ] {
            assert_eq!(dollars(micro_usd), text);
        }
    }
}
