//! Facts made up for tests: an hour in which all is well, which the tests spoil in one way each.

use super::{Alias, Bounds, Facts, Provider, Questions, Settings, Target, Times};
use std::time::Duration;

pub(super) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// So many tries, of which half took 100 ms.
pub(super) fn times(count: u64, p95_ms: u64, p99_ms: u64) -> Times {
    Times { count, p50: millis(100), p95: millis(p95_ms), p99: millis(p99_ms) }
}

/// A target that nothing is wrong with.
pub(super) fn target(name: &str) -> Target {
    let model = name.split_once('/').map_or(name, |(_, model)| model);
    Target {
        name: name.to_owned(),
        model: model.to_owned(),
        weight: 1,
        price: Some((1.0, 4.0)),
        answers: 500,
        tokens_in: 50_000,
        cost_micro_usd: 500_000,
        times: times(500, 200, 250),
        ..Target::default()
    }
}

/// An alias with two providers of one model, asked a thousand times in an hour.
pub(super) fn well() -> Facts {
    let hour = Duration::from_secs(3600);
    let settings = Settings {
        cache: true,
        affinity: true,
        ttl: Duration::from_secs(300),
        ttl_max: Duration::from_secs(300),
        ..Settings::default()
    };
    let alias = Alias {
        name: "smart".to_owned(),
        settings,
        requests: 1000,
        questions: Questions { asked: 1000, ..Questions::default() },
        bounds: Bounds {
            requests: 1000,
            asked_tokens: 200_000,
            written_tokens: 100_000,
            written_tokens_max: 180,
        },
        waits: times(1000, 200, 250),
        targets: vec![target("a/m"), target("b/m")],
        fallback: false,
    };
    let provider = Provider { name: "a".to_owned(), tries: 1000, answers: 1000, ..Provider::default() };
    Facts { span: hour, cache: true, aliases: vec![alias], providers: vec![provider] }
}

/// The only alias there is.
pub(super) fn smart(facts: &mut Facts) -> &mut Alias {
    &mut facts.aliases[0]
}
