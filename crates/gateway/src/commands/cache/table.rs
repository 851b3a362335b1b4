//! What `GET /admin/cache` says, for people. What an older or a newer gateway does not say is left out.

use std::fmt::Write as _;

use rig::load::units;
use serde_json::Value;

/// Where the cache finds answers, in the order it looks.
const PLACES: [&str; 5] = ["memory", "redis", "disk", "semantic", "coalesced"];

/// A screen of it.
pub(super) fn of(said: &Value) -> String {
    let hour = &said["last_hour"];
    let mut out = String::new();
    if said["enabled"] == false {
        out.push_str("The cache is switched off: `cache.enabled` is false.\n\n");
    }
    let asked = hits(hour) + number(&hour["misses"]);
    let mut row = |name: &str, text: &str| {
        let _ = writeln!(out, "{name:11}  {text}");
    };
    row("hit rate", &format!("{} of {} that asked, in the last hour", rate(hour), units::count(asked)));
    let places = PLACES.iter().map(|place| format!("{place} {}", count(&hour["hits"][place])));
    row("hits", &places.collect::<Vec<_>>().join("   "));
    row("misses", &count(&hour["misses"]));
    row("bypassed", &count(&hour["bypassed"]));
    row("key time", &format!("{}, {} made", mean(&hour["key_seconds_mean"]), count(&hour["keys"])));
    row("saved", &format!("{} tokens, {}", count(&hour["saved"]["tokens"]), bytes(&hour["saved"]["bytes"])));
    let memory = &said["memory"];
    row(
        "memory",
        &format!(
            "{} of {} entries, {} of {}",
            count(&memory["entries"]),
            count(&memory["entries_max"]),
            bytes(&memory["weight_bytes"]),
            bytes(&memory["bytes_max"])
        ),
    );
    let far: Vec<&str> = said["tiers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !far.is_empty() {
        row("beyond it", &beyond(&far, &said["tiers_last_hour"]));
    }
    let flights = &said["flights"];
    row("under way", &format!("{}, holding {}", count(&flights["under_way"]), bytes(&flights["bytes"])));
    models(&mut out, &said["models"]);
    out
}

/// The tiers beyond memory, and how they did.
fn beyond(names: &[&str], tiers: &Value) -> String {
    let timed =
        |what: &str, seconds: &str| format!("{} {what} ({})", count(&tiers[what]), mean(&tiers[seconds]));
    let mut text = format!(
        "{}: {}, {}",
        names.join(", "),
        timed("reads", "read_seconds_mean"),
        timed("writes", "write_seconds_mean")
    );
    if let Some(ratio) = tiers["compression_ratio"].as_f64() {
        let _ = write!(text, ", compressed {}", units::ratio(ratio));
    }
    text
}

/// A line for each alias and model that anything came of.
fn models(out: &mut String, models: &Value) {
    let Some(models) = models.as_object().filter(|models| !models.is_empty()) else { return };
    let width = models.keys().map(|name| name.chars().count()).max().unwrap_or(0).max("model".len());
    let _ = writeln!(
        out,
        "\n{:width$}  {:>8}  {:>9}  {:>9}  {:>9}  {:>8}  {:>13}",
        "model", "hit rate", "hits", "misses", "bypassed", "key time", "saved tokens"
    );
    for (name, hour) in models {
        let _ = writeln!(
            out,
            "{name:width$}  {:>8}  {:>9}  {:>9}  {:>9}  {:>8}  {:>13}",
            rate(hour),
            units::count(hits(hour)),
            count(&hour["misses"]),
            count(&hour["bypassed"]),
            mean(&hour["key_seconds_mean"]),
            count(&hour["saved"]["tokens"])
        );
    }
}

fn hits(hour: &Value) -> u64 {
    PLACES.iter().map(|place| number(&hour["hits"][place])).sum()
}

fn rate(hour: &Value) -> String {
    hour["hit_rate"].as_f64().map_or_else(|| "–".to_owned(), units::percent)
}

fn mean(seconds: &Value) -> String {
    seconds.as_f64().map_or_else(|| "–".to_owned(), |seconds| units::time(seconds * 1e6))
}

fn bytes(value: &Value) -> String {
    units::bytes(number(value))
}

/// A count with its thousands set apart; 0 where none is told.
pub(super) fn count(value: &Value) -> String {
    units::count(number(value))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    fn hour() -> Value {
        json!({
            "hit_rate": 0.8, "misses": 400, "bypassed": 12, "keys": 2000, "key_seconds_mean": 3e-6,
            "hits": { "memory": 1500, "redis": 60, "disk": 30, "semantic": 0, "coalesced": 10 },
            "saved": { "tokens": 123_456, "bytes": 12_300_000 },
        })
    }

    #[test]
    fn the_table_says_what_the_gateway_said() {
        let said = json!({
            "enabled": true,
            "memory": { "entries": 532, "entries_max": 10_000, "weight_bytes": 1_230_000, "bytes_max": 268_435_456 },
            "tiers": ["redis", "disk"],
            "flights": { "under_way": 2, "bytes": 512 },
            "last_hour": hour(),
            "tiers_last_hour": {
                "reads": 490, "read_seconds_mean": 0.0012, "writes": 400, "write_seconds_mean": null,
                "compression_ratio": 3.2,
            },
            "models": { "smart": hour(), "sim/fast": hour() },
        });
        let table = of(&said);
        for part in [
            "hit rate     80.0 % of 2,000 that asked",
            "memory 1,500   redis 60   disk 30   semantic 0   coalesced 10",
            "misses       400\n",
            "bypassed     12\n",
            "key time     3 µs, 2,000 made",
            "saved        123,456 tokens, 12.3 MB",
            "memory       532 of 10,000 entries, 1.23 MB of 268 MB",
            "redis, disk: 490 reads (1.20 ms), 400 writes (–), compressed 3.20×",
            "under way    2, holding 512 B",
            "\nsmart       80.0 %      1,600        400         12      3 µs        123,456\n",
        ] {
            assert!(table.contains(part), "{part}\n{table}");
        }
    }

    #[test]
    fn what_is_not_said_is_no_fault() {
        let table = of(&json!({ "enabled": false }));
        assert!(
            table.starts_with("The cache is switched off") && table.contains("hit rate     – of 0"),
            "{table}"
        );
        assert!(!table.contains("beyond it") && !table.contains("model "), "{table}");
    }
}
