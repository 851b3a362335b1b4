//! What advice rests on, put together: the configuration in force, what was counted for it, and the live figures. The
//! one place that knows all three.

use crate::config::{self, Config};
use crate::observe::Seen;
use measure::advice::{Alias, Facts, Provider, Settings, Target, Times};
use measure::live::{Figure, Kind, Window};
use std::time::{Duration, Instant};

/// All but the aliases, each of which is a question of its own, so that many hold up nobody who records.
pub fn of_all(config: &Config, seen: &Seen, now: Instant) -> Facts {
    let provider = |(name, provider): (&String, &config::Provider)| {
        let of = seen.evidence.of_provider(name, now);
        Provider {
            name: name.clone(),
            tries: of.tries,
            answers: of.answers,
            throttled: of.throttled,
            requests_per_minute: provider.rates.requests_per_minute,
        }
    };
    Facts {
        span: seen.evidence.span(now),
        cache: config.cache.enabled,
        aliases: Vec::new(),
        providers: config.providers.iter().map(provider).collect(),
    }
}

/// One alias.
pub fn of_alias(config: &Config, name: &str, seen: &Seen, now: Instant) -> Option<Alias> {
    let alias = config.models.get(name)?;
    let of = seen.evidence.of_alias(name, now);
    let target = |target: &config::AliasTarget| {
        let full = format!("{}/{}", target.provider, target.model);
        let of = seen.evidence.of_target(name, &full, now);
        let price = config.providers.get(&target.provider).and_then(|it| it.prices.get(&target.model));
        Target {
            model: target.model.clone(),
            weight: target.weight,
            group: target.priority,
            price: price.map(|price| (price.input, price.output)),
            answers: of.answers,
            tokens_in: of.tokens_in,
            tokens_cached: of.tokens_cached,
            cost_micro_usd: of.cost_micro_usd,
            times: times(seen, Kind::Target, &full),
            name: full,
        }
    };
    Some(Alias {
        name: name.to_owned(),
        settings: settings(alias, config.cache.longest_ttl()),
        requests: of.requests,
        questions: of.questions,
        bounds: of.bounds,
        waits: times(seen, Kind::Alias, name),
        targets: alias.targets.iter().map(target).collect(),
        fallback: !alias.fallback.is_empty(),
    })
}

fn settings(alias: &config::Alias, ttl_max: Duration) -> Settings {
    Settings {
        cache: alias.cache.enabled,
        any_temperature: alias.cache.any_temperature,
        ttl: alias.cache.ttl.unwrap_or(ttl_max).min(ttl_max),
        ttl_max,
        affinity: alias.affinity,
        least_loaded: alias.balance == config::Balance::LeastLoaded,
        hedge: alias.hedge,
    }
}

/// How long providers were waited for within the last hour.
fn times(seen: &Seen, kind: Kind, name: &str) -> Times {
    let live = seen.figures.live();
    let Some(scope) = live.find(kind, name) else { return Times::default() };
    let read = live.read(scope, Figure::External, Window::H1);
    Times { count: read.count, p50: read.p50, p95: read.p95, p99: read.p99 }
}
