//! `/admin/cache`: what is remembered, what came of it in the last hour, and taking it back.

pub mod lookup;

use super::{refusal, refused};
use crate::gateway::Gateway;
use crate::remember::Remembered;
use crate::remember::question::ANY_TENANT;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::{IntoResponse, Response};
use cache::clock::Millis;
use cache::disk::{self, Disk};
use cache::epochs::Tag;
use cache::key::Key;
use cache::redis::{self, Redis};
use cache::semantic::{Interval, Report};
use cache::stats::{Count, Summary};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use wire::failure::{Failure, Kind};

/// What to take back: exactly one of the first four, or a path from the left.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Invalidation {
    /// Everything.
    pub everything: bool,
    /// One answer, by its key in hexadecimal digits.
    pub key: Option<String>,
    /// Answers to requests with this name in `x-tidegate-tags`; refused without the tenant where callers have keys.
    pub tag: Option<String>,
    /// Answers made from this: requests with `dep:NAME` in `x-tidegate-tags`; of its tenant, as a tag is.
    pub dependency: Option<String>,
    /// Whose answers; `*` or none: any tenant's, where a provider is named.
    pub tenant: Option<String>,
    /// Of this provider.
    pub provider: Option<String>,
    /// Of this model of it.
    pub model: Option<String>,
    /// Of this operation on it: `chat`, `text_completion` or `embeddings`.
    pub operation: Option<String>,
}

/// `GET /admin/cache`
pub async fn show(State(gateway): State<Arc<Gateway>>) -> Response {
    let remembered = Arc::clone(&gateway.snapshot(0).remembered);
    let tiers = &remembered.tiers;
    let memory = json!({
        "entries": tiers.memory().len(),
        "weight_bytes": tiers.memory().weight(),
        "entries_max": remembered.settings().memory.entries,
        "bytes_max": remembered.settings().memory.bytes,
    });
    let own = tiers.stats().summary(Millis::now());
    let hours = remembered.hours();
    let total = hours.iter().fold(Summary::default(), |total, (_, hour)| total.plus(hour));
    let models: serde_json::Map<String, Value> = hours
        .iter()
        .filter(|(_, hour)| *hour != Summary::default())
        .map(|(name, hour)| (name.clone(), of_hour(hour)))
        .collect();
    Json(json!({
        "enabled": remembered.enabled(),
        "memory": memory,
        "redis": tiers.redis().map(of_redis),
        "disk": tiers.disk().map(|disk| disk.get().map_or(json!({ "state": "opening" }), of_disk)),
        "semantic": of_questions(&remembered.kin.index().stats()),
        "flights": { "under_way": remembered.departures.len(), "bytes": remembered.departures.held_bytes() },
        "last_hour": of_hour(&total),
        "tiers_last_hour": {
            "reads": own.get(Count::Reads),
            "read_seconds_mean": own.mean_seconds(Count::Reads, Count::ReadNanos),
            "writes": own.get(Count::Writes),
            "write_seconds_mean": own.mean_seconds(Count::Writes, Count::WriteNanos),
            "compression_ratio": own.compression_ratio(),
        },
        "models": models,
    }))
    .into_response()
}

fn of_redis(redis: &Redis) -> Value {
    let health = redis.health();
    let state = |state: redis::State| match state {
        redis::State::Closed => "closed",
        redis::State::Open => "open",
        redis::State::HalfOpen => "half_open",
    };
    json!({
        "breaker": state(health.server),
        "breaker_of_writes": state(health.writes),
        "trips": health.trips,
        "connections": health.connections,
        "invalidations_not_yet_told": health.pending_tags,
        "corrupt": health.corrupt,
    })
}

fn of_disk(disk: &Disk) -> Value {
    let counts = disk.counts();
    json!({
        "state": match disk.state() {
            disk::State::Open => "open",
            disk::State::Resting => "resting",
            disk::State::Closed => "closed",
        },
        "bytes_max": disk.capacity_bytes(),
        "written": counts.written,
        "torn": counts.torn,
        "given_up": counts.given_up,
        "late": counts.late,
        "outages": counts.outages,
    })
}

/// Precision stands beside the hit rate: the one says nothing without the other.
fn of_questions(report: &Report) -> Value {
    let interval =
        |of: Option<Interval>| of.map(|of| json!({ "rate": of.rate, "low_95": of.low, "high_95": of.high }));
    let categories: serde_json::Map<String, Value> = report
        .categories
        .iter()
        .map(|(form, tally)| {
            let counts =
                json!({ "hits": tally.hits, "right": tally.right, "wrong": tally.wrong, "off": tally.off });
            (form.name().to_owned(), counts)
        })
        .collect();
    json!({
        "lookups": report.lookups,
        "hits": report.hits + report.alias_hits,
        "hit_rate": report.hit_rate(),
        "precision": interval(report.precision()),
        "vetoed": report.vetoes.iter().map(|(_, count)| count).sum::<u64>(),
        "refused": report.refused,
        "candidates": report.candidates,
        "questions": report.questions,
        "categories": categories,
    })
}

fn of_hour(hour: &Summary) -> Value {
    json!({
        "hit_rate": hour.hit_rate(),
        "hits": {
            "memory": hour.get(Count::MemoryHits),
            "redis": hour.get(Count::RedisHits),
            "disk": hour.get(Count::DiskHits),
            "semantic": hour.get(Count::SemanticHits),
            "coalesced": hour.get(Count::Coalesced),
        },
        "misses": hour.get(Count::Misses),
        "bypassed": hour.get(Count::Bypassed),
        "keys": hour.get(Count::Keys),
        "key_seconds_mean": hour.mean_seconds(Count::Keys, Count::KeyNanos),
        "saved": {
            "tokens": hour.get(Count::SavedTokens),
            "bytes": hour.get(Count::SavedBytes),
            "usd": hour.get(Count::SavedMicroUsd) as f64 / 1e6,
        },
    })
}

/// `POST /admin/cache/invalidate`
pub async fn invalidate(
    State(gateway): State<Arc<Gateway>>,
    what: Result<Json<Invalidation>, JsonRejection>,
) -> Response {
    let keys_needed = gateway.snapshot(0).keyring.needed;
    let tag = match what.map_err(refused::body).and_then(|Json(what)| what.tag(keys_needed)) {
        Ok(tag) => tag,
        Err(failure) => return refusal(&failure),
    };
    let remembered = Arc::clone(&gateway.snapshot(0).remembered);
    match remembered.tiers.invalidate(&[tag]).await {
        Ok(number) => Json(json!({ "invalidated": true, "number": number.0 })).into_response(),
        // It holds here; what is not certain is who else knows.
        Err(failed) => {
            let failed: serde_json::Map<String, Value> =
                failed.iter().map(|(tier, error)| (tier.name().into(), error.to_string().into())).collect();
            Json(json!({ "invalidated": true, "not_yet_told": failed })).into_response()
        }
    }
}

/// `POST /admin/cache/clear-expired`
pub async fn clear_expired(State(gateway): State<Arc<Gateway>>) -> Response {
    let remembered = Arc::clone(&gateway.snapshot(0).remembered);
    let cleared = remembered.tiers.clear_expired().await;
    Json(json!({ "cleared": cleared, "entries": remembered.tiers.memory().len() })).into_response()
}

/// Sets the gauges that are read with the metrics.
pub fn measure(gateway: &Gateway) {
    let remembered: &Remembered = &gateway.snapshot(0).remembered;
    let metrics = &gateway.metrics;
    let hours = remembered.hours();
    let total = hours.iter().fold(Summary::default(), |total, (_, hour)| total.plus(hour));
    metrics.cached.hit_rate.set(total.hit_rate().unwrap_or(0.0));
    let as_gauge = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    metrics.cached.entries.set(as_gauge(remembered.tiers.memory().len() as u64));
    metrics.cached.bytes.set(as_gauge(remembered.tiers.memory().weight()));
}

impl Invalidation {
    /// The one tag that it means. Where callers need keys, a name that they gave means something with its tenant only.
    fn tag(&self, keys_needed: bool) -> Result<Tag, Failure> {
        let Self { everything, key, tag, dependency, tenant, provider, model, operation } = self;
        let path = [provider, model, operation];
        let by_path = path.iter().any(|part| part.is_some());
        let named = [*everything, key.is_some(), tag.is_some(), dependency.is_some(), by_path];
        let tenant_alone = tenant.is_some() && !named.contains(&true);
        if named.iter().filter(|is| **is).count() + usize::from(tenant_alone) != 1 {
            return Err(bad(
                "name one thing: \"everything\", \"key\", \"tag\", \"dependency\", a \"tenant\", or a \"provider\" with its \"model\" and \"operation\"",
            ));
        }
        if keys_needed && tenant.is_none() && (tag.is_some() || dependency.is_some()) {
            return Err(bad(
                "callers have keys here, and tags and dependencies are a tenant's own: name the \"tenant\", which is a key's id where the key has none",
            ));
        }
        let own = tenant.as_deref().unwrap_or_default();
        match (key, tag, dependency) {
            _ if *everything => Ok(Tag::everything()),
            (Some(key), _, _) => Key::from_hex(key)
                .map(|key| Tag::key(&key))
                .ok_or_else(|| bad("\"key\" must be 64 hexadecimal digits")),
            (_, Some(tag), _) => Ok(Tag::named(own, tag)),
            (_, _, Some(dependency)) => Ok(Tag::dependency(own, dependency)),
            _ => {
                let given = path.iter().take_while(|part| part.is_some()).count();
                if path.iter().skip(given).any(|part| part.is_some()) {
                    return Err(bad(
                        "a \"model\" needs its \"provider\", and an \"operation\" its \"model\"",
                    ));
                }
                let tenant = tenant.as_deref().unwrap_or(ANY_TENANT);
                let segments: Vec<&str> =
                    std::iter::once(tenant).chain(path.iter().filter_map(|part| part.as_deref())).collect();
                Ok(Tag::prefix(&segments))
            }
        }
    }
}

fn bad(what: impl Into<String>) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("Nothing was invalidated: {}.", what.into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Invalidation;
    use cache::epochs::Tag;

    #[test]
    fn exactly_one_thing_is_taken_back() {
        let tag = |text: &str| serde_json::from_str::<Invalidation>(text).unwrap().tag(false);
        for (text, expected) in [
            (r#"{"everything":true}"#, Tag::everything()),
            (r#"{"tag":"docs","tenant":"search"}"#, Tag::named("search", "docs")),
            (r#"{"dependency":"doc-7"}"#, Tag::dependency("", "doc-7")),
            (r#"{"tenant":"search"}"#, Tag::prefix(&["search"])),
            (r#"{"provider":"openai"}"#, Tag::prefix(&["*", "openai"])),
            (r#"{"provider":"openai","model":"a/b"}"#, Tag::prefix(&["*", "openai", "a/b"])),
            (
                r#"{"tenant":"t","provider":"p","model":"m","operation":"chat"}"#,
                Tag::prefix(&["t", "p", "m", "chat"]),
            ),
        ] {
            assert_eq!(tag(text).unwrap(), expected, "{text}");
        }
        for text in [
            "{}",
            r#"{"everything":true,"tag":"x"}"#,
            r#"{"everything":true,"provider":"x"}"#,
            r#"{"model":"m"}"#,
            r#"{"provider":"p","operation":"chat"}"#,
            r#"{"key":"12"}"#,
        ] {
            assert!(tag(text).is_err(), "{text}");
        }
    }

    #[test]
    fn where_callers_have_keys_a_tag_is_taken_back_for_a_tenant_that_is_named() {
        let tag = |text: &str| serde_json::from_str::<Invalidation>(text).unwrap().tag(true);
        for text in [r#"{"tag":"docs"}"#, r#"{"dependency":"doc-7"}"#] {
            let refused = tag(text).unwrap_err().to_string();
            assert!(refused.contains("name the \"tenant\""), "{text}: {refused}");
        }
        assert_eq!(tag(r#"{"tag":"docs","tenant":"search"}"#).unwrap(), Tag::named("search", "docs"));
        assert_eq!(tag(r#"{"provider":"openai"}"#).unwrap(), Tag::prefix(&["*", "openai"]));
        assert_eq!(tag(r#"{"everything":true}"#).unwrap(), Tag::everything());
    }
}
