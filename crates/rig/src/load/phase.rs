//! A stretch of load on one side: a warm-up or a slice of the measurement.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Options;
use super::progress::Stage;

/// A stretch as planned, before its start is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Which target: 0 is the one under test, 1 what it is compared with.
    pub(super) side: usize,
    pub(super) stage: Stage,
    pub(super) lasts: Option<Duration>,
    pub(super) requests: Option<u64>,
}

/// The whole run: both sides warmed up, then measured slice by slice in turn, A B A B ….
pub(super) fn plan(options: &Options) -> Vec<Plan> {
    let sides = if options.against.is_some() { 2 } else { 1 };
    let rounds = if sides == 1 { 1 } else { options.rounds };
    let warmups = (0..sides).map(|side| Plan {
        side,
        stage: Stage::Warmup,
        lasts: Some(options.warmup),
        requests: None,
    });
    let slices = (0..rounds).flat_map(|round| {
        (0..sides).map(move |side| Plan {
            side,
            stage: Stage::Round { number: round + 1, of: rounds },
            lasts: options.duration.map(|whole| whole / rounds),
            requests: options.requests.map(|whole| share(whole, round, rounds)),
        })
    });
    warmups
        .chain(slices)
        .filter(|plan| plan.lasts != Some(Duration::ZERO) && plan.requests != Some(0))
        .collect()
}

/// The share of slice `index` in `whole`, so that all shares add up to it.
fn share(whole: u64, index: u32, of: u32) -> u64 {
    let (index, of) = (u64::from(index), u64::from(of));
    whole / of + u64::from(index < whole % of)
}

/// A stretch under way, shared by all threads.
pub(super) struct Phase {
    pub(super) side: usize,
    pub(super) start: Instant,
    /// Nothing is sent from here on; what is under way is still awaited.
    pub(super) closes: Option<Instant>,
    /// Gives each stretch other random draws than the one before.
    pub(super) seed: u64,
    left: Option<AtomicU64>,
}

impl Phase {
    pub(super) fn new(plan: &Plan, start: Instant, seed: u64) -> Self {
        Self {
            side: plan.side,
            start,
            closes: plan.lasts.map(|lasts| start + lasts),
            seed,
            left: plan.requests.map(AtomicU64::new),
        }
    }

    /// Whether an instant still lies within the stretch.
    pub(super) fn covers(&self, at: Instant) -> bool {
        self.closes.is_none_or(|closes| at < closes)
    }

    /// Takes one of the requests that may be sent; false when none is left.
    pub(super) fn claim(&self) -> bool {
        let Some(left) = &self.left else {
            return true;
        };
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Whether its requests are used up.
    pub(super) fn spent(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.load(Ordering::Relaxed) == 0)
    }

    /// How much of the stretch is over, 0 to 1: by its time or its requests, whichever is nearer
    /// its end.
    pub(super) fn done(&self, plan: &Plan, now: Instant) -> f64 {
        let by_time = plan
            .lasts
            .map(|lasts| now.saturating_duration_since(self.start).as_secs_f64() / lasts.as_secs_f64());
        let by_count = plan
            .requests
            .zip(self.left.as_ref())
            .map(|(all, left)| 1.0 - left.load(Ordering::Relaxed) as f64 / all as f64);
        let over = by_time.unwrap_or(0.0).max(by_count.unwrap_or(0.0));
        over.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn options() -> Options {
        Options::new("http://h/v1".parse().unwrap(), "m")
    }

    #[test]
    fn one_side_is_measured_in_one_piece() {
        let plan = plan(&options());
        assert_eq!(plan.len(), 2);
        assert_eq!(plan[0].stage, Stage::Warmup);
        assert_eq!(plan[1].lasts, Some(Duration::from_secs(10)));
    }

    #[test]
    fn two_sides_are_measured_in_turn_and_get_the_same() {
        let mut options = options();
        options.against = Some("http://i/v1".parse().unwrap());
        options.requests = Some(10);
        let plan = plan(&options);
        let sides: Vec<_> = plan.iter().map(|plan| plan.side).collect();
        assert_eq!(sides, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1]);
        for side in 0..2 {
            let slices = || plan[2..].iter().filter(|plan| plan.side == side);
            let lasts: Duration = slices().filter_map(|plan| plan.lasts).sum();
            let requests: u64 = slices().filter_map(|plan| plan.requests).sum();
            assert_eq!((lasts, requests), (Duration::from_secs(10), 10));
        }
    }

    #[test]
    fn without_a_warm_up_there_is_none_and_empty_slices_are_left_out() {
        let mut options = options();
        options.against = Some("http://i/v1".parse().unwrap());
        options.warmup = Duration::ZERO;
        options.requests = Some(2);
        let plan = plan(&options);
        assert_eq!(plan.len(), 4);
        assert!(plan.iter().all(|plan| plan.stage != Stage::Warmup));
    }

    #[test]
    fn no_more_requests_are_claimed_than_there_are() {
        let plan = Plan { side: 0, stage: Stage::Warmup, lasts: None, requests: Some(3) };
        let phase = Phase::new(&plan, Instant::now(), 1);
        let claimed = (0..10).filter(|_| phase.claim()).count();
        assert_eq!(claimed, 3);
        assert!(phase.spent());
        assert!((phase.done(&plan, Instant::now()) - 1.0).abs() < f64::EPSILON);
    }
}
