//! The stretch of time that rates are told by, and which answers fall into it.
//!
//! Dividing all answers by the time until the last of them would let one straggler spoil the rate;
//! counting only what ends within the slice would lose what is under way at its end, which for long
//! streams in short slices is a tenth of the load. Each loop has a rule of its own that does neither.

use std::time::{Duration, Instant};

/// How a slice's answers are credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// As many are under way at the start as at the end, so an answer counts by the share of its
    /// time that lies within the slice.
    Closed,
    /// None is under way at the start, so the slice is shifted to begin with the first answer: an
    /// answer counts if it comes within the slice's length from then.
    Open,
}

/// One slice's time, on one thread or, merged, on all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    rule: Rule,
    start: Instant,
    /// `None`: the slice ends with its requests, and every answer counts.
    closes: Option<Instant>,
    first: Option<Instant>,
    answers: u64,
}

impl Window {
    pub(super) fn new(rule: Rule, start: Instant, closes: Option<Instant>) -> Self {
        Self { rule, start, closes, first: None, answers: 0 }
    }

    /// What an answer that took `from` one instant to another counts for, 0 to 1.
    pub(super) fn credit(&mut self, from: Instant, now: Instant) -> f64 {
        let first = *self.first.get_or_insert(now);
        self.answers += 1;
        let Some(closes) = self.closes else {
            return 1.0;
        };
        match self.rule {
            Rule::Closed if now <= closes => 1.0,
            Rule::Closed => {
                let within = closes.saturating_duration_since(from).as_secs_f64();
                within / now.saturating_duration_since(from).as_secs_f64()
            }
            Rule::Open if now.saturating_duration_since(first) <= closes - self.start => 1.0,
            Rule::Open => 0.0,
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.first = self.first.into_iter().chain(other.first).min();
        self.answers += other.answers;
    }

    /// How long the slice lasted, its last answer being in at `ended`. `cut`: it ended before its
    /// time, by a stop or for want of requests.
    pub(super) fn lasted(&self, ended: Instant, cut: bool) -> Duration {
        let planned = self.closes.map(|closes| closes - self.start);
        match planned {
            Some(planned) if !cut => planned,
            planned => planned.unwrap_or(Duration::MAX).min(self.spanned(ended)),
        }
    }

    fn spanned(&self, ended: Instant) -> Duration {
        match (self.rule, self.first) {
            // So many answers have one gap less between them.
            (Rule::Open, Some(first)) if self.answers > 1 => {
                let gaps = (self.answers - 1) as f64;
                ended.saturating_duration_since(first).mul_f64(self.answers as f64 / gaps)
            }
            _ => ended.saturating_duration_since(self.start),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    /// The rate that a window tells of answers given as their start and end in milliseconds.
    fn rate(rule: Rule, lasts: Option<Duration>, cut: bool, answers: &[(u32, u32)]) -> f64 {
        let start = Instant::now();
        let mut window = Window::new(rule, start, lasts.map(|lasts| start + lasts));
        let mut in_order = answers.to_vec();
        in_order.sort_by_key(|answer| answer.1);
        let credit: f64 =
            in_order.iter().map(|(from, to)| window.credit(start + MS * *from, start + MS * *to)).sum();
        let ended = start + MS * in_order.last().unwrap().1;
        credit / window.lasted(ended, cut).as_secs_f64()
    }

    fn close(told: f64, expected: f64) {
        assert!((told / expected - 1.0).abs() < 0.02, "{told} instead of {expected}");
    }

    /// Ten callers, each of whose answers takes so long, until the slice closes.
    fn callers(took: u32, until: u32) -> Vec<(u32, u32)> {
        let one = (0..).map(|n| (n * took, (n + 1) * took)).take_while(|answer| answer.0 < until);
        let one: Vec<_> = one.collect();
        (0..10).flat_map(|_| one.clone()).collect()
    }

    #[test]
    fn a_closed_loop_tells_its_true_rate_however_long_its_answers() {
        for took in [1, 7, 130, 300, 999, 1500] {
            let told = rate(Rule::Closed, Some(SECOND), false, &callers(took, 1000));
            close(told, 10.0 * 1000.0 / f64::from(took));
        }
    }

    #[test]
    fn a_straggler_does_not_stretch_the_time() {
        let mut answers = callers(10, 1000);
        answers.push((990, 60_000));
        close(rate(Rule::Closed, Some(SECOND), false, &answers), 1000.0);
    }

    #[test]
    fn an_open_loop_tells_what_fell_due_while_the_server_keeps_up() {
        for took in [1, 150, 900, 5000] {
            let answers: Vec<_> = (0..100).map(|n| (n * 10, n * 10 + took)).collect();
            close(rate(Rule::Open, Some(SECOND), false, &answers), 100.0);
        }
    }

    #[test]
    fn an_open_loop_tells_what_the_server_can_do_when_it_does_not() {
        // Due every 10 ms, answered one after the other in 20 ms.
        let answers: Vec<_> = (0..100).map(|n| (n * 10, (n + 1) * 20)).collect();
        close(rate(Rule::Open, Some(SECOND), false, &answers), 51.0);
    }

    #[test]
    fn a_slice_of_so_many_requests_lasts_as_long_as_they_take() {
        close(rate(Rule::Closed, None, true, &callers(130, 1000)), 10.0 * 1000.0 / 130.0);
        let answers: Vec<_> = (0..40).map(|n| (n * 10, n * 10 + 150)).collect();
        close(rate(Rule::Open, None, true, &answers), 100.0);
        close(rate(Rule::Open, Some(SECOND), true, &answers), 100.0);
        close(rate(Rule::Open, None, true, &[(0, 500)]), 2.0);
    }
}
