//! When the requests of an open loop fall due: pure arithmetic, the same for a seed.

use std::time::Duration;

use super::options::Arrivals;
use super::prompt::mix;

/// One thread's share of a schedule: instants since the slice's start, growing, without end.
pub(super) enum Schedule {
    Constant { next: u64, step: u64, rate: f64 },
    Poisson { due_s: f64, rate: f64, random: fastrand::Rng },
}

impl Schedule {
    /// The share of thread `thread` of `threads` in `rate` arrivals a second.
    ///
    /// Constant arrivals are dealt out in turn, so that together they are evenly spaced. Poisson
    /// arrivals are drawn apart: independent poisson streams add up to one.
    pub(super) fn new(arrivals: Arrivals, rate: f64, thread: usize, threads: usize, seed: u64) -> Self {
        match arrivals {
            Arrivals::Constant => Self::Constant { next: thread as u64, step: threads as u64, rate },
            Arrivals::Poisson => Self::Poisson {
                due_s: 0.0,
                rate: rate / threads as f64,
                random: fastrand::Rng::with_seed(mix(seed, thread as u64)),
            },
        }
    }
}

impl Iterator for Schedule {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let due_s = match self {
            // From the number of the arrival, not by adding up steps, which would drift.
            Self::Constant { next, step, rate } => {
                let number = *next;
                *next += *step;
                number as f64 / *rate
            }
            Self::Poisson { due_s, rate, random } => {
                // 1 − u lies in (0, 1], so its logarithm is finite.
                *due_s += -(1.0 - random.f64()).ln() / *rate;
                *due_s
            }
        };
        Duration::try_from_secs_f64(due_s).ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn due_within(schedule: Schedule, time: Duration) -> Vec<Duration> {
        schedule.take_while(|due| *due < time).collect()
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced_over_all_threads() {
        for threads in 1..=5 {
            let mut all: Vec<_> = (0..threads)
                .flat_map(|thread| {
                    let share = Schedule::new(Arrivals::Constant, 1000.0, thread, threads, 1);
                    due_within(share, 2 * SECOND)
                })
                .collect();
            all.sort();
            assert_eq!(all.len(), 2000, "{threads} threads");
            for (i, due) in all.iter().enumerate() {
                let off = due.abs_diff(Duration::from_millis(i as u64));
                assert!(off < Duration::from_micros(1), "{i}: {due:?}");
            }
        }
    }

    #[test]
    fn poisson_arrivals_have_the_rate_and_the_spread_of_their_name() {
        let threads = 4;
        let mut all: Vec<_> = (0..threads)
            .flat_map(|thread| {
                let share = Schedule::new(Arrivals::Poisson, 1000.0, thread, threads, 7);
                due_within(share, 100 * SECOND)
            })
            .collect();
        all.sort();
        // 100,000 ± 5 standard deviations of √100,000.
        assert!((98_400..=101_600).contains(&all.len()), "{}", all.len());
        // A share of e⁻¹ of exponential gaps is longer than the mean gap.
        let long = all.windows(2).filter(|gap| gap[1] - gap[0] > Duration::from_millis(1)).count();
        let share = long as f64 / all.len() as f64;
        assert!((0.36..0.376).contains(&share), "{share}");
    }

    #[test]
    fn a_seed_gives_the_same_arrivals_again() {
        let of = |seed| {
            let schedule = Schedule::new(Arrivals::Poisson, 10.0, 0, 1, seed);
            schedule.take(100).collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
