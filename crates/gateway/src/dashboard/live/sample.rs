//! One sample of the live figures: what all counters say now, less what they said ten seconds ago, and the observer's
//! percentiles of that time. Pure but for [`Reading::of`]: times and counts are handed in.

use crate::gateway::Gateway;
use crate::observe::Seen;
use cache::stats::Summary;
use measure::live::{Figure, Quantiles, ScopeId, Window as Span};
use measure::metrics::Outcome;
use measure::metrics::sums::Sums;
use serde::Serialize;
use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What a rate and a percentile look back on.
const WINDOW: Duration = Duration::from_secs(10);
/// Readings that this may be; one a second, and one to spare.
const READINGS_MAX: usize = 12;

/// How long all requests of the last ten seconds took; `None` where there were none, or nobody looks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    total: Option<Quantiles>,
    overhead: Option<Quantiles>,
}

impl Times {
    /// What the observer says now.
    pub(super) async fn of(gateway: &Gateway) -> Self {
        let read = |seen: &Seen| {
            let of = |figure| Some(seen.figures.live().read(ScopeId::ALL, figure, Span::S10));
            let some = |figure| of(figure).filter(|quantiles| quantiles.count > 0);
            Self { total: some(Figure::Total), overhead: some(Figure::Overhead) }
        };
        gateway.observer.ask(read).await.unwrap_or_default()
    }
}

/// Everything that is counted, at one moment.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    at: Instant,
    sums: Sums,
    times: Times,
    connections: i64,
    waiting: usize,
    unwell: usize,
    hit_rate: Option<f64>,
    draining: bool,
}

impl Reading {
    /// What the gateway says now.
    pub(super) fn of(gateway: &Gateway, times: Times, now: Instant) -> Self {
        let snapshot = gateway.snapshot(0);
        let mut waiting = 0;
        snapshot.protection.for_each(|lane| waiting += lane.gate.report(now).waiting.iter().sum::<usize>());
        let hours = snapshot.remembered.hours();
        let hour = hours.iter().fold(Summary::default(), |total, (_, hour)| total.plus(hour));
        Self {
            at: now,
            sums: gateway.metrics.sums(),
            times,
            connections: gateway.metrics.connections.get(),
            waiting,
            unwell: snapshot.protection.unwell(now).len(),
            hit_rate: hour.hit_rate(),
            draining: gateway.draining(),
        }
    }
}

/// The figures of a moment. Rates and percentiles are of the last ten seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Sample {
    /// Milliseconds since 1970.
    pub(super) at_ms: u64,
    /// Requests that ended, a second.
    pub(super) requests_per_second: f64,
    /// Of these: what neither caller is at fault for nor was answered.
    pub(super) errors_per_second: f64,
    /// Under way now.
    pub(super) in_flight: i64,
    /// Waiting for a target now.
    pub(super) waiting: usize,
    /// Callers' connections now.
    pub(super) connections: i64,
    /// Of whole requests; `None` where none ended.
    pub(super) p50_ms: Option<f64>,
    /// The same.
    pub(super) p95_ms: Option<f64>,
    /// The same.
    pub(super) p99_ms: Option<f64>,
    /// Of our own time.
    pub(super) overhead_p50_ms: Option<f64>,
    /// The same.
    pub(super) overhead_p99_ms: Option<f64>,
    /// Tokens read and written by providers, a second.
    pub(super) tokens_in_per_second: f64,
    /// The same.
    pub(super) tokens_out_per_second: f64,
    /// Of the last hour, 0 to 1.
    pub(super) hit_rate: Option<f64>,
    /// Providers that are unwell now.
    pub(super) unwell: usize,
    /// Whether the process is leaving.
    pub(super) draining: bool,
}

/// The readings that a sample looks back on.
#[derive(Debug, Default)]
pub(super) struct Window(VecDeque<Reading>);

impl Window {
    /// Takes a reading in, and gives what it means.
    pub(super) fn sample(&mut self, now: Reading, clock: SystemTime) -> Sample {
        let since = |reading: &Reading| now.at.saturating_duration_since(reading.at);
        // The oldest that is kept is the last that is older than the window.
        while self.0.len() >= READINGS_MAX || self.0.get(1).is_some_and(|next| since(next) >= WINDOW) {
            self.0.pop_front();
        }
        let before = self.0.front().unwrap_or(&now);
        let seconds = since(before).as_secs_f64();
        let ended = now.sums.since(&before.sums);
        let rate = |count: u64| if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
        let millis = |of: Option<Quantiles>, which: fn(&Quantiles) -> Duration| {
            of.map(|quantiles| which(&quantiles).as_secs_f64() * 1e3)
        };
        let Times { total, overhead } = now.times;
        let sample = Sample {
            at_ms: u64::try_from(clock.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis())
                .unwrap_or(u64::MAX),
            requests_per_second: rate(ended.ended.iter().sum()),
            errors_per_second: rate(ended.of(Outcome::ProviderError) + ended.of(Outcome::GatewayError)),
            in_flight: now.sums.in_flight.max(0),
            waiting: now.waiting,
            connections: now.connections,
            p50_ms: millis(total, |of| of.p50),
            p95_ms: millis(total, |of| of.p95),
            p99_ms: millis(total, |of| of.p99),
            overhead_p50_ms: millis(overhead, |of| of.p50),
            overhead_p99_ms: millis(overhead, |of| of.p99),
            tokens_in_per_second: rate(ended.tokens_in),
            tokens_out_per_second: rate(ended.tokens_out),
            hit_rate: now.hit_rate,
            unwell: now.unwell,
            draining: now.draining,
        };
        self.0.push_back(now);
        sample
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{READINGS_MAX, Reading, Times, Window};
    use measure::metrics::Outcome;
    use measure::metrics::sums::Sums;
    use std::time::{Duration, Instant, UNIX_EPOCH};

    fn reading(at: Instant, ok: u64, failed: u64) -> Reading {
        let mut sums = Sums { in_flight: 3, tokens_out: ok * 100, ..Sums::default() };
        sums.ended[Outcome::Ok as usize] = ok;
        sums.ended[Outcome::ProviderError as usize] = failed;
        let times = Times::default();
        Reading {
            at,
            sums,
            times,
            connections: 1,
            waiting: 2,
            unwell: 0,
            hit_rate: Some(0.5),
            draining: false,
        }
    }

    #[test]
    fn rates_are_of_the_last_ten_seconds() {
        let (mut window, began) = (Window::default(), Instant::now());
        let mut last = None;
        // Ten a second for a minute, then none.
        for second in 0..90_u64 {
            let ended = second.min(60) * 10;
            let at = began + Duration::from_secs(second);
            let sample = window.sample(reading(at, ended, second.min(60)), UNIX_EPOCH);
            let expected = match second {
                0 => 0.0,
                1..=60 => 11.0,
                61..=69 => 11.0 * (70 - second) as f64 / 10.0,
                _ => 0.0,
            };
            assert!((sample.requests_per_second - expected).abs() < 1e-9, "{second}: {sample:?}");
            assert!((sample.errors_per_second - expected / 11.0).abs() < 1e-9, "{second}: {sample:?}");
            assert!((sample.tokens_out_per_second - expected * 1000.0 / 11.0).abs() < 1e-6, "{second}");
            assert!(window.0.len() <= READINGS_MAX);
            last = Some(sample);
        }
        let last = last.unwrap();
        assert_eq!((last.in_flight, last.waiting, last.p50_ms), (3, 2, None));
    }
}
