//! What a thread counts while it sends: histograms of bounded size and plain sums. Merged at the
//! end of each slice; no locks, no sharing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::Error;
use super::fault::{Failed, Fault};
use super::payload::Usage;
use super::window::Window;

/// Durations from 1 µs to 1 h with three digits (188 kB, whatever is recorded). What lies outside
/// is counted at the nearer end.
pub(super) struct Distribution(Histogram<u64>);

const HOUR_US: u64 = 3_600_000_000;

impl Distribution {
    pub(super) fn new() -> Result<Self, Error> {
        Histogram::new_with_bounds(1, HOUR_US, 3)
            .map(Self)
            .map_err(|error| Error::Histogram(error.to_string()))
    }

    pub(super) fn record(&mut self, took: Duration) {
        let us = (took.as_nanos() + 500) / 1_000;
        self.0.saturating_record(u64::try_from(us).unwrap_or(HOUR_US).max(1));
    }

    pub(super) fn merge(&mut self, other: &Self) -> Result<(), Error> {
        self.0.add(&other.0).map_err(|error| Error::Histogram(error.to_string()))
    }

    /// The histogram, unless nothing was recorded.
    pub(super) fn filled(&self) -> Option<&Histogram<u64>> {
        (!self.0.is_empty()).then_some(&self.0)
    }
}

/// How often a fault was met, and what it looked like the first time.
#[derive(Default)]
pub(super) struct Met {
    pub(super) count: u64,
    pub(super) example: String,
}

/// Running totals of one thread, for the progress display.
#[derive(Default)]
pub(super) struct Live {
    pub(super) succeeded: AtomicU64,
    pub(super) failed: AtomicU64,
}

/// What counts towards rates, by the credit of each answer.
#[derive(Default)]
pub(super) struct Rated {
    pub(super) requests: f64,
    pub(super) frames: f64,
    pub(super) output_tokens: f64,
}

/// What an answer that succeeded held.
#[derive(Clone, Copy, Default)]
pub(super) struct Held {
    pub(super) frames: u64,
    pub(super) usage: Option<Usage>,
}

/// Everything counted. Latencies are of requests that succeeded; first tokens and gaps are of all
/// streams, as they were seen.
pub(super) struct Tally {
    pub(super) total: Distribution,
    pub(super) first_token: Distribution,
    pub(super) between_tokens: Distribution,
    pub(super) send_lag: Distribution,
    pub(super) succeeded: u64,
    /// Begun and not ended: under way, or, in the end, interrupted.
    pub(super) unfinished: u64,
    pub(super) faults: BTreeMap<Fault, Met>,
    pub(super) frames: u64,
    pub(super) usage: Usage,
    pub(super) with_usage: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) connections: u64,
    pub(super) rated: Rated,
    pub(super) window: Window,
    live: Arc<Live>,
}

const EXAMPLE_CHARS_MAX: usize = 240;

impl Tally {
    /// An empty tally.
    pub(super) fn new(window: Window, live: Arc<Live>) -> Result<Self, Error> {
        Ok(Self {
            total: Distribution::new()?,
            first_token: Distribution::new()?,
            between_tokens: Distribution::new()?,
            send_lag: Distribution::new()?,
            succeeded: 0,
            unfinished: 0,
            faults: BTreeMap::new(),
            frames: 0,
            usage: Usage::default(),
            with_usage: 0,
            bytes_sent: 0,
            bytes_received: 0,
            connections: 0,
            rated: Rated::default(),
            window,
            live,
        })
    }

    /// A request was answered well, `now`; its time counts `from` an instant.
    pub(super) fn succeed(&mut self, from: Instant, now: Instant, held: Held) {
        self.total.record(now.saturating_duration_since(from));
        self.succeeded += 1;
        let credit = self.window.credit(from, now);
        self.rated.requests += credit;
        self.rated.frames += credit * held.frames as f64;
        if let Some(usage) = held.usage {
            self.with_usage += 1;
            self.usage.input += usage.input;
            self.usage.output += usage.output;
            self.rated.output_tokens += credit * usage.output as f64;
        }
        self.live.succeeded.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fail(&mut self, failed: Failed) {
        let met = self.faults.entry(failed.fault).or_default();
        if met.count == 0 {
            met.example = shorten(failed.detail);
        }
        met.count += 1;
        self.live.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests failed.
    pub(super) fn failed(&self) -> u64 {
        self.faults.values().map(|met| met.count).sum()
    }

    pub(super) fn merge(&mut self, other: Self) -> Result<(), Error> {
        self.total.merge(&other.total)?;
        self.first_token.merge(&other.first_token)?;
        self.between_tokens.merge(&other.between_tokens)?;
        self.send_lag.merge(&other.send_lag)?;
        self.succeeded += other.succeeded;
        self.unfinished += other.unfinished;
        for (fault, theirs) in other.faults {
            let ours = self.faults.entry(fault).or_default();
            if ours.count == 0 {
                ours.example = theirs.example;
            }
            ours.count += theirs.count;
        }
        self.frames += other.frames;
        self.usage.input += other.usage.input;
        self.usage.output += other.usage.output;
        self.with_usage += other.with_usage;
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.connections += other.connections;
        self.rated.requests += other.rated.requests;
        self.rated.frames += other.rated.frames;
        self.rated.output_tokens += other.rated.output_tokens;
        self.window.merge(&other.window);
        Ok(())
    }
}

/// One line of bounded length, without control characters: it goes to a terminal.
fn shorten(text: String) -> String {
    let sound = text.chars().count() <= EXAMPLE_CHARS_MAX && !text.contains(char::is_control);
    if sound {
        return text;
    }
    let mut short: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(EXAMPLE_CHARS_MAX).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::load::window::Rule;

    #[test]
    fn a_distribution_keeps_three_digits_from_a_microsecond_to_an_hour() {
        let check = |took: Duration, us: u64| {
            let mut times = Distribution::new().unwrap();
            times.record(took);
            let max = times.filled().unwrap().max();
            assert!(max >= us && max <= us + us / 1000, "{took:?}: {max}");
        };
        check(Duration::ZERO, 1);
        check(Duration::from_nanos(1_499), 1);
        check(Duration::from_nanos(1_500), 2);
        check(Duration::from_millis(148), 148_000);
        check(Duration::from_secs(3_600), HOUR_US);
        check(Duration::from_secs(86_400), HOUR_US);
        check(Duration::MAX, HOUR_US);
    }

    fn empty() -> Tally {
        let window = Window::new(Rule::Closed, Instant::now(), None);
        Tally::new(window, Arc::default()).unwrap()
    }

    #[test]
    fn merging_adds_up_and_keeps_the_first_example() {
        let tally = |detail: &str| {
            let mut tally = empty();
            tally.fail(Failed::new(Fault::Status(503), detail));
            tally.succeed(Instant::now(), Instant::now(), Held::default());
            tally
        };
        let mut both = empty();
        both.merge(tally("one")).unwrap();
        both.merge(tally("two")).unwrap();
        let met = &both.faults[&Fault::Status(503)];
        assert_eq!((met.count, met.example.as_str()), (2, "one"));
        assert_eq!((both.succeeded, both.failed()), (2, 2));
        assert_eq!(both.total.filled().unwrap().len(), 2);
    }

    #[test]
    fn an_example_is_one_short_line() {
        assert_eq!(shorten("fine".to_owned()), "fine");
        assert_eq!(shorten("a\nb\u{1b}[31m".to_owned()), "a b [31m…");
        assert_eq!(shorten("é".repeat(1000)).chars().count(), 241);
    }
}
