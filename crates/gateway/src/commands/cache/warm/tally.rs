//! What came of the requests: counted, and told at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use rig::load::units;
use serde_json::{Value, json};

/// Most different reasons for a bypass that are told apart.
const REASONS_MAX: usize = 16;

/// What came of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Came {
    /// It was remembered, or on its way.
    Hit,
    /// It was fetched.
    Fetched,
    /// The cache was not asked, for this reason.
    Bypassed(String),
    /// There was no good answer, for this reason.
    Failed(String),
}

/// The counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Lines asked to the end.
    pub(super) prompts: u64,
    /// Answers that were remembered.
    pub(super) hits: u64,
    /// Answers that were fetched.
    pub(super) fetched: u64,
    /// Answers past the cache, by reason.
    pub(super) bypassed: BTreeMap<String, u64>,
    /// Requests without a good answer.
    pub(super) failed: u64,
    /// Lines that could not be asked.
    pub(super) bad_lines: u64,
}

impl Tally {
    /// Counts one request.
    pub(super) fn count(&mut self, came: Came) {
        match came {
            Came::Hit => self.hits += 1,
            Came::Fetched => self.fetched += 1,
            Came::Failed(_) => self.failed += 1,
            Came::Bypassed(reason) => {
                let known = self.bypassed.len() < REASONS_MAX || self.bypassed.contains_key(&reason);
                let reason = if known { reason } else { "other".to_owned() };
                *self.bypassed.entry(reason).or_default() += 1;
            }
        }
    }

    /// Requests that have ended.
    pub(super) fn requests(&self) -> u64 {
        self.hits + self.fetched + self.passed() + self.failed
    }

    /// Answers past the cache.
    pub(super) fn passed(&self) -> u64 {
        self.bypassed.values().sum()
    }

    /// Whether everything was asked and answered.
    pub(super) fn is_clean(&self) -> bool {
        self.failed == 0 && self.bad_lines == 0
    }

    /// Requests a second.
    fn rate(&self, elapsed: Duration) -> f64 {
        self.requests() as f64 / elapsed.as_secs_f64().max(1e-3)
    }

    /// The counts on one line, for a look at a run under way.
    pub(super) fn line(&self, elapsed: Duration) -> String {
        let mut text = format!(
            "{}/s · {} fetched · {} hits",
            units::rate(self.rate(elapsed)),
            units::count(self.fetched),
            units::count(self.hits)
        );
        let further = [(self.passed(), "bypassed"), (self.failed, "failed"), (self.bad_lines, "bad lines")];
        for (count, what) in further.iter().filter(|(count, _)| *count > 0) {
            text.push_str(&format!(" · {} {what}", units::count(*count)));
        }
        text
    }

    /// The counts in words, for the end.
    pub(super) fn summary(&self, elapsed: Duration, interrupted: bool) -> String {
        let mut text = format!(
            "{} prompts in {}, {} requests/s\n",
            units::count(self.prompts),
            units::time(elapsed.as_secs_f64() * 1e6),
            units::rate(self.rate(elapsed))
        );
        let mut row = |name: &str, count: u64, why: &str| {
            text.push_str(&format!("{name:11}  {:>9}{why}\n", units::count(count)));
        };
        row("fetched", self.fetched, "");
        row("hits", self.hits, "  remembered already");
        let reasons: Vec<String> =
            self.bypassed.iter().map(|(why, count)| format!("{why} {count}")).collect();
        let reasons = if reasons.is_empty() { String::new() } else { format!("  {}", reasons.join(", ")) };
        row("bypassed", self.passed(), &reasons);
        row("failed", self.failed, "");
        row("bad lines", self.bad_lines, "");
        if interrupted {
            text.push_str("interrupted: the rest of the file was not asked\n");
        }
        text
    }

    /// The counts for machines.
    pub(super) fn to_json(&self, elapsed: Duration, interrupted: bool) -> Value {
        json!({
            "prompts": self.prompts,
            "requests": self.requests(),
            "fetched": self.fetched,
            "hits": self.hits,
            "bypassed": self.bypassed,
            "failed": self.failed,
            "bad_lines": self.bad_lines,
            "seconds": elapsed.as_secs_f64(),
            "interrupted": interrupted,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn everything_is_counted_once() {
        let mut tally = Tally { prompts: 5, bad_lines: 1, ..Tally::default() };
        let passed = Came::Bypassed("temperature".to_owned());
        for came in [Came::Hit, Came::Fetched, Came::Fetched, passed, Came::Failed("x".to_owned())] {
            tally.count(came);
        }
        let elapsed = Duration::from_secs(10);
        assert_eq!(tally.line(elapsed), "0.50/s · 2 fetched · 1 hits · 1 bypassed · 1 failed · 1 bad lines");
        let summary = tally.summary(elapsed, true);
        for part in ["5 prompts in 10.0 s, 0.50 requests/s", "  temperature 1\n", "interrupted"] {
            assert!(summary.contains(part), "{part}: {summary}");
        }
        let json = tally.to_json(elapsed, false);
        assert_eq!((&json["requests"], &json["bypassed"]["temperature"]), (&5.into(), &1.into()));
        assert!(!tally.is_clean());
    }

    #[test]
    fn reasons_are_bounded_whatever_a_server_says() {
        let mut tally = Tally::default();
        for number in 0..100 {
            tally.count(Came::Bypassed(number.to_string()));
        }
        assert_eq!((tally.passed(), tally.bypassed.len()), (100, REASONS_MAX + 1));
    }
}
