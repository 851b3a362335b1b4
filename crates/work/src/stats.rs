//! What a runner has done since it began, to be shown elsewhere.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Classes of failures that are told apart; those beyond are counted as [`OTHER`].
const CLASSES_MAX: usize = 64;
/// The class of failures beyond those that are told apart.
pub const OTHER: &str = "other";

/// The upper bounds of a histogram's buckets in seconds; one bucket more is for what is longer.
pub const BOUNDS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 600.0, 3600.0];

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Durations, by length.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    buckets: [Count; BOUNDS.len() + 1],
    micros: Count,
}

impl Durations {
    pub fn add(&self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.buckets[BOUNDS.partition_point(|bound| *bound < seconds)].add(1);
        self.micros.add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn report(&self) -> Histogram {
        let buckets = self.buckets.each_ref().map(Count::get);
        Histogram { buckets, sum: Duration::from_micros(self.micros.get()) }
    }
}

/// Failures, by class.
#[derive(Debug, Default)]
pub(crate) struct Classes(Mutex<BTreeMap<String, u64>>);

impl Classes {
    pub fn add(&self, class: &str) {
        let mut classes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = classes.get_mut(class) {
            *count += 1;
            return;
        }
        let class = if classes.len() < CLASSES_MAX { class } else { OTHER };
        *classes.entry(class.to_owned()).or_default() += 1;
    }

    fn report(&self) -> BTreeMap<String, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The counters of a runner.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub claims: Count,
    pub claimed: Count,
    pub done: Count,
    pub retried: Count,
    pub dead: Count,
    pub cancelled: Count,
    pub released: Count,
    pub recorded: Count,
    pub lost: Count,
    pub failed: Classes,
    pub promoted: Count,
    pub reaped: Count,
    pub purged: Count,
    pub fired: Count,
    pub claim_time: Durations,
    pub finish_time: Durations,
    pub wait_time: Durations,
    pub run_time: Durations,
}

/// Durations, by length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many in each bucket, not added up; their upper bounds are [`BOUNDS`].
    pub buckets: [u64; BOUNDS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

impl Histogram {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

/// How a queue stands in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueReport {
    /// Its name.
    pub name: String,
    /// Workers that it has at present.
    pub workers: u32,
    /// Those that are busy: jobs under way, or over and not recorded yet.
    pub busy: u32,
}

/// What a runner has done since it began, and how it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The queues, as in the options.
    pub queues: Vec<QueueReport>,
    /// Whether the store is away.
    pub is_away: bool,
    /// Leases held now.
    pub held: usize,
    /// Claims, whatever they brought.
    pub claims: u64,
    /// Jobs that they brought.
    pub claimed: u64,
    /// Attempts that ended a job well.
    pub done: u64,
    /// Attempts that are followed by another.
    pub retried: u64,
    /// Attempts that made a job a dead letter.
    pub dead: u64,
    /// Attempts that ended as their job was taken back.
    pub cancelled: u64,
    /// Attempts that were put back or put off uncharged.
    pub released: u64,
    /// Attempts whose handlers recorded the end themselves.
    pub recorded: u64,
    /// Attempts whose lease was lost, or whose end could not be recorded: somebody does the job again.
    pub lost: u64,
    /// Attempts that failed, by class; those that are followed by another and those that are not.
    pub failed: BTreeMap<String, u64>,
    /// Delayed jobs made ready.
    pub promoted: u64,
    /// Leases that nobody had renewed, taken back.
    pub reaped: u64,
    /// Jobs forgotten because they were old.
    pub purged: u64,
    /// Jobs added by schedules.
    pub fired: u64,
    /// How long claims took.
    pub claim_time: Histogram,
    /// How long it took to record a batch of ends.
    pub finish_time: Histogram,
    /// How long jobs had waited when they were begun for the first time, from when they were added.
    pub wait_time: Histogram,
    /// How long attempts took.
    pub run_time: Histogram,
}

impl Stats {
    /// All counters; what is not counted is left empty.
    pub fn report(&self) -> Report {
        Report {
            claims: self.claims.get(),
            claimed: self.claimed.get(),
            done: self.done.get(),
            retried: self.retried.get(),
            dead: self.dead.get(),
            cancelled: self.cancelled.get(),
            released: self.released.get(),
            recorded: self.recorded.get(),
            lost: self.lost.get(),
            failed: self.failed.report(),
            promoted: self.promoted.get(),
            reaped: self.reaped.get(),
            purged: self.purged.get(),
            fired: self.fired.get(),
            claim_time: self.claim_time.report(),
            finish_time: self.finish_time.report(),
            wait_time: self.wait_time.report(),
            run_time: self.run_time.report(),
            ..Report::default()
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{BOUNDS, CLASSES_MAX, OTHER, Stats};
    use std::time::Duration;

    #[test]
    fn durations_fall_into_the_bucket_whose_bound_they_do_not_pass() {
        let stats = Stats::default();
        for (millis, bucket) in
            [(0, 0), (1, 0), (2, 1), (1000, 9), (1001, 10), (3_600_000, 15), (3_600_001, 16)]
        {
            let before = stats.run_time.report().buckets[bucket];
            stats.run_time.add(Duration::from_millis(millis));
            assert_eq!(stats.run_time.report().buckets[bucket], before + 1, "{millis} ms");
        }
        assert_eq!(stats.report().run_time.count(), 7);
        assert_eq!(stats.report().run_time.sum, Duration::from_millis(7_202_005));
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn classes_are_bounded() {
        let stats = Stats::default();
        for class in 0..CLASSES_MAX * 2 {
            stats.failed.add(&class.to_string());
            stats.failed.add("0");
        }
        let failed = stats.report().failed;
        assert_eq!(failed.len(), CLASSES_MAX + 1);
        assert_eq!((failed["0"], failed[OTHER]), (CLASSES_MAX as u64 * 2 + 1, CLASSES_MAX as u64));
    }
}
