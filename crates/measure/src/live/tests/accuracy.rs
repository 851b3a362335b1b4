//! Percentiles beside those of the sorted samples.

use super::super::{Figure, Options, ScopeId, Window};
use super::World;
use proptest::prelude::*;
use std::time::Duration;

const SHORTEST_NANOS: f64 = 1e3;
const LONGEST_NANOS: f64 = 3.6e12;

/// How samples are spread, for a number from 0 to 1.
#[derive(Clone, Copy, Debug)]
enum Spread {
    /// Every order of magnitude from a microsecond to an hour as often.
    LogUniform,
    /// Pareto's law: most are near `scale`, the mean is made by the tail.
    Pareto { scale: f64, alpha: f64 },
    /// Hits of the cache and a slow provider, far apart.
    Modes { share: f64 },
    /// Hardly any difference.
    Narrow,
}

impl Spread {
    fn sample(self, uniform: f64) -> Duration {
        let nanos = match self {
            Self::LogUniform => SHORTEST_NANOS * (LONGEST_NANOS / SHORTEST_NANOS).powf(uniform),
            Self::Pareto { scale, alpha } => scale / (1.0 - uniform).max(1e-9).powf(1.0 / alpha),
            Self::Modes { share } if uniform < share => 20e3 * (1.0 + uniform),
            Self::Modes { .. } => 2e9 * (1.0 + 20.0 * uniform),
            Self::Narrow => 1e6 * (1.0 + uniform / 1000.0),
        };
        Duration::from_nanos(nanos.clamp(SHORTEST_NANOS, LONGEST_NANOS) as u64)
    }
}

fn spreads() -> impl Strategy<Value = Spread> {
    prop_oneof![
        Just(Spread::LogUniform),
        (3.0..10.0, 0.6..3.0)
            .prop_map(|(digits, alpha)| Spread::Pareto { scale: 10_f64.powf(digits), alpha }),
        (0.0..1.0).prop_map(|share| Spread::Modes { share }),
        Just(Spread::Narrow),
    ]
}

/// The sample at the nearest rank.
fn exact(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent).div_ceil(100) - 1]
}

fn off(read: Duration, exact: Duration) -> f64 {
    (read.as_secs_f64() / exact.as_secs_f64() - 1.0).abs()
}

fn check(window: Window, spread: Spread, numbers: &[f64]) -> Result<(), TestCaseError> {
    let mut world = World::new(Options::default());
    // What is older than the window must not be seen, however much it would change.
    for _ in 0..numbers.len() {
        world.live.record(ScopeId::ALL, Figure::External, Duration::from_millis(1));
        world.live.record(ScopeId::ALL, Figure::External, Duration::from_secs(3000));
    }
    world.pass(window.length() + Duration::from_secs(601));
    let mut samples: Vec<_> = numbers.iter().map(|number| spread.sample(*number)).collect();
    let pause = window.length() / samples.len() as u32;
    for sample in &samples {
        world.live.record(ScopeId::ALL, Figure::External, *sample);
        world.pass(pause);
    }
    samples.sort_unstable();
    let read = world.live.read(ScopeId::ALL, Figure::External, window);
    prop_assert_eq!(read.count, samples.len() as u64);
    for (percent, value) in [(50, read.p50), (95, read.p95), (99, read.p99), (100, read.max)] {
        let exact = exact(&samples, percent);
        prop_assert!(off(value, exact) < 0.02, "p{percent} is {value:?}, not {exact:?}");
    }
    let mean = samples.iter().map(Duration::as_secs_f64).sum::<f64>() / samples.len() as f64;
    prop_assert!(off(read.mean, Duration::from_secs_f64(mean)) < 0.02, "the mean is {:?}", read.mean);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn percentiles_are_within_two_percent_of_the_exact_ones_in_every_window(
        window in prop::sample::select(Window::ALL.to_vec()),
        spread in spreads(),
        numbers in prop::collection::vec(0.0..1.0_f64, 1..400),
    ) {
        check(window, spread, &numbers)?;
    }
}
