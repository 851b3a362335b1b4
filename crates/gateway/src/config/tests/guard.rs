//! Protection and limits: what arrives, and what is refused.

use std::time::Duration;

use super::*;

/// An alias with a word more.
fn alias(more: &str) -> String {
    format!("[models.a]\ntargets = [{{ model = 'sim/x' }}, {{ model = 'sim/y', priority = 1 }}]\n{more}\n")
}

#[test]
fn the_defaults_protect_and_limit_nobody() {
    let config = default_config();
    let guard = &config.guard;
    assert!(guard.enabled && !guard.hedge.enabled && !guard.health.probe && !guard.retry.accepted);
    let names: Vec<&String> = guard.strategies.keys().collect();
    assert_eq!(names, ["aggressive", "balanced", "conservative", "critical"]);
    assert_eq!((guard.concurrency.initial, guard.concurrency.min, guard.concurrency.max), (256, 4, 10_000));
    assert_eq!((guard.batch.initial, guard.batch.min, guard.batch.max), (5, 1, 20));
    assert_eq!(guard.batch.latency_bad, guard.concurrency.latency_bad);
    assert_eq!((guard.registry.entries, guard.registry.idle.as_secs()), (1000, 3600));
    assert_eq!((guard.queue.size, guard.background.at_once), (100, 5));
    assert!(config.limits.shared && config.limits.of(None).is_unlimited());
    let sim = &config.providers["sim"];
    assert_eq!((sim.strategy, sim.concurrency), (Strategy::BALANCED, guard.concurrency));
}

#[test]
fn presets_are_valid_strategies() {
    for name in Strategy::PRESETS {
        let preset = Strategy::named(name).unwrap();
        // Written out in full it is no other.
        let text = format!("[guard.strategies.again]\nlike = '{name}'\n[guard.strategies.{name}]\n");
        let guard = Given::toml(&text).config().guard;
        assert_eq!((guard.strategies["again"], guard.strategies[name]), (preset, preset), "{name}");
        assert!(preset.open <= preset.open_max && preset.consecutive > 0, "{name}");
    }
}

#[test]
fn strategies_are_changed_and_added() {
    let text = "
        [guard.strategies]
        balanced = { consecutive = 7 }
        plain = { window = '9s' }
        careful = { like = 'critical', open = '1s' }
        first = { like = 'balanced', calls_min = 3 }
        second = { like = 'first', last_resort = true }
        aggressive = { like = 'conservative' }
        [providers.vllm]
        strategy = 'second'
        [models.a]
        targets = [{ model = 'sim/x' }]
        strategy = 'careful'
    ";
    let config = Given::toml(text).config();
    let balanced = Strategy { consecutive: 7, ..Strategy::BALANCED };
    let second = Strategy { calls_min: 3, last_resort: true, ..balanced };
    let careful = Strategy { open: Duration::from_secs(1), ..Strategy::CRITICAL };
    let cases = [
        ("balanced", balanced),
        ("plain", Strategy { window: Duration::from_secs(9), ..balanced }),
        ("careful", careful),
        ("second", second),
        ("aggressive", Strategy::CONSERVATIVE),
        ("critical", Strategy::CRITICAL),
    ];
    for (name, expected) in cases {
        assert_eq!(config.guard.strategies[name], expected, "{name}");
    }
    assert_eq!(config.providers["vllm"].strategy, second);
    assert_eq!(config.providers["sim"].strategy, balanced);
    assert_eq!(config.models["a"].strategy, Some(careful));
}

#[test]
fn what_keys_and_tenants_may_use_arrives() {
    let text = format!(
        "{KEY}tenant = 'search'\npriority = 'low'\nrequests_per_minute = 10\nconcurrent_streams = 2\n\
         [limits]\nshared = false\n[limits.default]\ntokens_per_minute = 5\n\
         [limits.tenants.search]\ntokens_per_minute = 7\nconcurrent_requests = 3\n"
    );
    let config = Given::toml(&text).config();
    let key = &config.keys[0];
    let rates = Rates { requests_per_minute: Some(10), concurrent_streams: Some(2), ..Rates::default() };
    assert_eq!((key.priority, key.rates), (Priority::Low, rates));
    assert!(!config.limits.shared);
    let tokens = |tenant| config.limits.of(tenant).tokens_per_minute;
    assert_eq!((tokens(Some("search")), tokens(Some("other")), tokens(None)), (Some(7), Some(5), Some(5)));
    assert_eq!(config.limits.of(Some("search")).concurrent_requests, Some(3));
}

#[test]
fn what_an_alias_says_arrives() {
    let text = alias(
        "fallback = ['sim/z', 'sim/w']\nbalance = 'least_loaded'\naffinity = false\nhedge = true\n\
         limits = { requests_per_minute = 9 }\ntimeouts = { first_token = '2s' }\nretry = { tries = 5 }",
    );
    let alias = &Given::toml(&text).config().models["a"];
    let fallback: Vec<&str> = alias.fallback.iter().map(|fallback| fallback.model.as_str()).collect();
    assert_eq!(fallback, ["z", "w"]);
    let groups: Vec<u32> = alias.targets.iter().map(|target| target.priority).collect();
    assert_eq!(groups, [0, 1]);
    assert_eq!((alias.balance, alias.affinity, alias.hedge), (Balance::LeastLoaded, false, true));
    assert_eq!(alias.rates.requests_per_minute, Some(9));
    assert_eq!(alias.retry, AliasRetry { tries: 5, accepted: false });
    let provider = default_config().providers["sim"].timeouts;
    let expected = ProviderTimeouts { first_token: Duration::from_secs(2), ..provider };
    assert_eq!(alias.timeouts.over(provider), expected);
}

#[test]
fn embedding_requests_are_joined_where_somebody_says_so() {
    let milliseconds = Duration::from_millis;
    let default = Coalesce { wait: milliseconds(3), items: 64, tokens: 16_000 };
    let of = |text: &str| {
        let config = Given::toml(text).config();
        (config.providers["sim"].coalesce, config.models["a"].coalesce)
    };
    assert_eq!(of(&alias("")), (None, None));
    assert_eq!(of(&alias("coalesce = {}")), (None, Some(default)));
    let other = Coalesce { wait: Duration::ZERO, items: 2, tokens: 9 };
    let text = alias("coalesce = { wait = '0s', items = 2, tokens = 9 }");
    assert_eq!(of(&format!("{text}\n[providers.sim.coalesce]\n")), (Some(default), Some(other)));
}

#[test]
fn an_alias_that_says_nothing_follows_what_holds_for_all() {
    let text = alias("[guard]\nhedge.enabled = true\nretry = { tries = 2, accepted = true }");
    let alias = &Given::toml(&text).config().models["a"];
    assert!(alias.hedge && alias.affinity && alias.strategy.is_none() && alias.rates.is_unlimited());
    assert_eq!(alias.retry, AliasRetry { tries: 2, accepted: true });
    assert_eq!((alias.balance, alias.fallback.len()), (Balance::Weights, 0));
}

#[test]
fn what_a_provider_leaves_out_gives_way_to_what_it_writes() {
    // (what is written, min, initial, max)
    let cases = [
        ("{}", (4, 256, 10_000)),
        ("{ max = 100 }", (4, 100, 100)),
        ("{ max = 2 }", (2, 2, 2)),
        ("{ min = 500 }", (500, 500, 10_000)),
        ("{ initial = 1 }", (1, 1, 10_000)),
        ("{ initial = 20000 }", (4, 20_000, 20_000)),
        ("{ min = 5000, max = 6000 }", (5000, 5000, 6000)),
    ];
    for (written, expected) in cases {
        let config = Given::toml(&format!("providers.sim.concurrency = {written}")).config();
        let found = config.providers["sim"].concurrency;
        assert_eq!((found.min, found.initial, found.max), expected, "{written}");
    }
    let config = Given::toml("providers.sim.concurrency.algorithm = 'off'").config();
    assert_eq!(config.providers["sim"].concurrency.algorithm, Algorithm::Off);
    assert_eq!(config.guard.concurrency.algorithm, Algorithm::Aimd);
}

#[test]
fn variables_reach_every_depth() {
    let config = Given::toml("[models.smart-one]\ntargets = [{ model = 'sim/x' }]\n")
        .variable("TIDEGATE__GUARD__ENABLED", "false")
        .variable("TIDEGATE__GUARD__STRATEGIES__BALANCED__CONSECUTIVE", "9")
        .variable("TIDEGATE__GUARD__CONCURRENCY__ALGORITHM", "gradient2")
        .variable("TIDEGATE__GUARD__QUEUE", r#"{"size": 7}"#)
        .variable("TIDEGATE__GUARD__PROCESS__BUFFERED_BYTES", "1GiB")
        .variable("TIDEGATE__LIMITS__DEFAULT__REQUESTS_PER_MINUTE", "100")
        .variable("TIDEGATE__MODELS__SMART_ONE__FALLBACK", r#"["sim/y"]"#)
        .variable("TIDEGATE__MODELS__SMART_ONE__RETRY__TRIES", "1")
        .config();
    let guard = &config.guard;
    assert!(!guard.enabled);
    assert_eq!(config.providers["sim"].strategy.consecutive, 9);
    assert_eq!(guard.concurrency.algorithm, Algorithm::Gradient2);
    assert_eq!((guard.queue.size, guard.queue.aging.as_secs()), (7, 10));
    assert_eq!(guard.pressure.buffered_bytes, 1 << 30);
    assert_eq!(config.limits.default.requests_per_minute, Some(100));
    let alias = &config.models["smart-one"];
    assert_eq!((alias.fallback[0].model.as_str(), alias.retry.tries), ("y", 1));
}

#[test]
fn protection_is_judged() {
    let strategy = |body: &str| format!("guard.strategies = {body}");
    let cases = [
        (
            strategy("{ a = { like = 'blanced' } }"),
            "guard.strategies.a.like",
            "no such strategy",
            "`balanced`?",
        ),
        (
            strategy("{ a = { like = 'zzzzzz' } }"),
            "guard.strategies.a.like",
            "no such",
            "use one of a, aggressive",
        ),
        (strategy("{ a = { like = 'a' } }"), "guard.strategies.a.like", "itself: a → a", "from a preset"),
        (
            strategy("{ b = { like = 'c' }, c = { like = 'b' }, d = { like = 'c' } }"),
            "guard.strategies.b.like",
            "itself: b → c → b",
            "from a preset",
        ),
        (
            strategy("{ a = { open = '6m' } }"),
            "guard.strategies.a.open",
            "`open` (6m) is more than",
            "raise `open_max`",
        ),
        (
            strategy("{ a = { open_max = '5s' } }"),
            "guard.strategies.a.open_max",
            "`open` (10s) is more",
            "lower `open`",
        ),
        (
            strategy("{ a = { window = '0s' } }"),
            "guard.strategies.a.window",
            "out of range: 1ms to 24h",
            "within",
        ),
        (
            strategy("{ a = { consecutive = 0 } }"),
            "guard.strategies.a.consecutive",
            "out of range: 1 to",
            "number",
        ),
        (strategy("{ a = { success_below = 1.5 } }"), "guard.strategies.a.success_below", "0 to 1", "number"),
        (strategy("{ a = { wndow = '1s' } }"), "guard.strategies.a.wndow", "unknown key", "`window`?"),
        (strategy("{ 'a b' = {} }"), "guard.strategies.\"a b\"", "no strategy's name", "letters"),
        ("guard.retry.tries = 0".into(), "guard.retry.tries", "out of range: 1 to 10", "number"),
        ("guard.retry.budget = 2".into(), "guard.retry.budget", "out of range: 0 to 1", "number"),
        (
            "guard.retry.backoff = '6s'".into(),
            "guard.retry.backoff",
            "`backoff_max` (5s)",
            "raise `backoff_max`",
        ),
        ("guard.hedge.quantile = 0.2".into(), "guard.hedge.quantile", "0.5 to 0.999", "number"),
        (
            "guard.concurrency.max = 100".into(),
            "guard.concurrency.max",
            "`initial` (256) is more than `max` (100)",
            "lower",
        ),
        (
            "guard.concurrency.min = 300".into(),
            "guard.concurrency.min",
            "`min` (300) is more than `initial`",
            "lower",
        ),
        (
            "guard.concurrency = { min = 9, max = 5 }".into(),
            "guard.concurrency.min",
            "`max` (5)",
            "raise `max`",
        ),
        (
            "guard.concurrency.algorithm = 'amid'".into(),
            "guard.concurrency.algorithm",
            "`aimd`?",
            "gradient2",
        ),
        (
            "guard.concurrency.latency_bad = '2s'".into(),
            "guard.concurrency.latency_bad",
            "is not below",
            "raise",
        ),
        (
            "guard.concurrency.errors_good = 0.2".into(),
            "guard.concurrency.errors_good",
            "is not below",
            "lower",
        ),
        ("guard.batch.max = 4".into(), "guard.batch.max", "`initial` (5) is more than `max` (4)", "lower"),
        ("guard.queue.target = '3s'".into(), "guard.queue.target", "more than `interval` (500ms)", "raise"),
        ("guard.process.memory = 0.95".into(), "guard.process.memory", "`memory_shed` (0.9)", "raise"),
        (
            "guard.process.memory_grow_below = 0.9".into(),
            "guard.process.memory_grow_below",
            "`memory` (0.85)",
            "lower",
        ),
        ("guard.process.cpu = 80".into(), "guard.process.cpu", "out of range: 0.1 to 1", "number"),
        (
            "guard.process.buffered_bytes = '1KB'".into(),
            "guard.process.buffered_bytes",
            "out of range: 1MiB",
            "size",
        ),
        ("guard.registry.sweep = '0s'".into(), "guard.registry.sweep", "out of range: 1s", "duration"),
        ("guard.health.timeout = '1m'".into(), "guard.health.timeout", "more than `interval` (30s)", "lower"),
        ("guard.background.at_once = 0".into(), "guard.background.at_once", "out of range: 1 to", "number"),
        (
            "providers.sim.strategy = 'agressive'".into(),
            "providers.sim.strategy",
            "no such strategy",
            "`aggressive`?",
        ),
        (
            "providers.sim.limits.requests_per_minute = 0".into(),
            "providers.sim.limits.requests_per_minute",
            "1 to",
            "number",
        ),
        (
            "providers.sim.concurrency = { min = 9, max = 5 }".into(),
            "providers.sim.concurrency.min",
            "`max` (5)",
            "lower",
        ),
        (
            alias("strategy = 'nope'"),
            "models.a.strategy",
            "`nope`: there is no such strategy",
            "[guard.strategies]",
        ),
        (alias("fallback = ['openai/x']"), "models.a.fallback[0]", "no such provider", "set OPENAI_API_KEY"),
        (
            alias("fallback = ['a']"),
            "models.a.fallback[0]",
            "aliases do not lead to aliases",
            "provider/model",
        ),
        (alias("fallback = ['sim/y']"), "models.a.fallback[0]", "among the targets already", "leave it out"),
        (alias("fallback = ['sim/z', 'sim/z']"), "models.a.fallback[1]", "a second time", "keep one"),
        (alias("balance = 'random'"), "models.a.balance", "unknown value", "weights, least_loaded"),
        (alias("timeouts.total = '0s'"), "models.a.timeouts.total", "out of range: 1ms to 24h", "duration"),
        (
            alias("timeouts.connect = '1s'"),
            "models.a.timeouts.connect",
            "unknown key",
            "providers.*.timeouts.connect",
        ),
        (alias("coalesce.wait = '51ms'"), "models.a.coalesce.wait", "out of range: 0s to 50ms", "duration"),
        (alias("coalesce.items = 1"), "models.a.coalesce.items", "out of range: 2 to 2048", "number"),
        (
            "providers.sim.coalesce.tokens = 0".into(),
            "providers.sim.coalesce.tokens",
            "1 to 1000000",
            "number",
        ),
        (alias("retry.tries = 11"), "models.a.retry.tries", "out of range: 1 to 10", "number"),
        (
            format!("{KEY}priority = 'urgent'"),
            "keys[0].priority",
            "unknown value",
            "high, normal, low, batch",
        ),
        (format!("{KEY}tokens_per_minute = 0"), "keys[0].tokens_per_minute", "out of range: 1 to", "number"),
        ("limits.tenants.'a b' = {}".into(), "limits.tenants.\"a b\"", "not a tenant's name", "1 to 64"),
        (
            "limits.default.concurrent_requests = 0".into(),
            "limits.default.concurrent_requests",
            "1 to",
            "number",
        ),
        (
            "limits.requests_per_minute = 1".into(),
            "limits.requests_per_minute",
            "unknown key",
            "did you mean",
        ),
    ];
    for (text, key, what, mend) in cases {
        let faults = Given::toml(&text).faults();
        let found: Vec<(&str, &str, &str)> =
            faults.iter().map(|f| (f.key.as_str(), f.what.as_str(), f.mend.as_str())).collect();
        let fits = matches!(found[..], [(k, w, m)] if k == key && w.contains(what) && m.contains(mend));
        assert!(fits, "{text}: {found:?}");
        assert!(faults.iter().all(|fault| fault.place.is_some()), "{text}");
    }
}

#[test]
fn a_fault_that_is_inherited_is_told_where_it_is_written() {
    let text = "guard.strategies = { a = { open = '6m' }, b = { like = 'a', consecutive = 2 } }";
    let faults = Given::toml(text).faults();
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    assert_eq!(keys, ["guard.strategies.a.open"]);
}

#[test]
fn no_heap_of_strategies_is_followed() {
    let many: Vec<String> = (0..5000).map(|n| format!("s{n} = {{ like = 's{}' }}", n + 1)).collect();
    let faults = Given::toml(&format!("[guard.strategies]\n{}\n", many.join("\n"))).faults();
    let found: Vec<(&str, &str)> = faults.iter().map(|f| (f.key.as_str(), f.what.as_str())).collect();
    assert_eq!(found, [("guard.strategies", "more than 64 strategies")]);
}

#[test]
fn odd_limits_and_deadlines_are_warned_of() {
    let cases = [
        ("[limits.tenants.serach]".to_owned(), "limits.tenants.serach", "limits nobody"),
        (
            alias("timeouts = { first_token = '5s', total = '2s' }"),
            "models.a.timeouts.first_token",
            "never reached",
        ),
    ];
    for (text, key, what) in cases {
        let loaded = Given::toml(&text).loaded();
        let found: Vec<(&str, &str)> =
            loaded.warnings.iter().map(|f| (f.key.as_str(), f.what.as_str())).collect();
        assert!(matches!(found[..], [(k, w)] if k == key && w.contains(what)), "{text}: {found:?}");
    }
}

#[test]
fn a_priority_is_brought_down_and_never_up() {
    use Priority::{Batch, High, Low, Normal};
    let cases = [(High, Normal, Normal), (Batch, Normal, Batch), (Normal, Normal, Normal), (High, Low, Low)];
    for (asked, ceiling, expected) in cases {
        assert_eq!(asked.under(ceiling), expected, "{asked:?} {ceiling:?}");
    }
}
