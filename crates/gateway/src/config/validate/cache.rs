//! The cache: bounds that make sense, and an address that Redis can be asked at.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Judge;
use super::models::Names;
use crate::config::quantity::{Size, Span};
use crate::config::raw;
use crate::config::tree::Path;
use crate::config::{Accept, AliasCache, Cache, CacheDisk, CacheRedis, CacheSemantic, EmbeddedBy, Secret};
use cache::redis;

/// How long an answer may be kept: up to 30 days.
const TTL: RangeInclusive<Span> = Span::seconds(1)..=Span::seconds(30 * 86_400);
/// How long one may be served beyond its time: up to a day.
const STALE: RangeInclusive<Span> = Span::seconds(0)..=Span::seconds(86_400);
/// Fewest bytes of a secret.
const SECRET_BYTES_MIN: usize = 16;

impl Judge<'_> {
    pub(super) fn cache(&mut self, raw: &raw::Cache, data: &std::path::Path, names: &Names) -> Cache {
        let at = Path::of(&["cache"]);
        let memory = at.key("memory");
        Cache {
            enabled: raw.enabled,
            secret: self.cache_secret(&at.key("secret"), raw.secret.as_ref()),
            stale: self.duration(&at.key("stale"), raw.stale, STALE),
            compress_above: self.size(&at.key("compress_above"), raw.compress_above, Size(0)..=Size(1 << 30)),
            memory: cache::memory::Options {
                entries: raw.memory.entries as usize,
                bytes: self.size(&memory.key("bytes"), raw.memory.bytes, Size(1 << 20)..=Size(1 << 40))
                    as u64,
                ttl: self.duration(&memory.key("ttl"), raw.memory.ttl, TTL),
            },
            redis: raw.redis.as_ref().and_then(|redis| self.cache_redis(&at.key("redis"), redis)),
            disk: raw.disk.as_ref().map(|disk| self.cache_disk(&at.key("disk"), disk, data)),
            semantic: self.cache_semantic(&at.key("semantic"), &raw.semantic, names),
        }
    }

    fn cache_secret(&mut self, at: &Path, raw: Option<&raw::SecretText>) -> Option<Secret> {
        let secret = raw.map(|raw| raw.0.as_str()).filter(|secret| !secret.is_empty())?;
        if secret.len() < SECRET_BYTES_MIN {
            let what = format!("shorter than {SECRET_BYTES_MIN} bytes");
            self.fault(at, what, "use a long random text, the same on every replica");
        }
        Some(Secret::new(secret))
    }

    /// `None` where no address is given, as where `${REDIS_URL:-}` is empty: the tier is off then.
    fn cache_redis(&mut self, at: &Path, raw: &raw::Redis) -> Option<CacheRedis> {
        let url = raw.url.as_ref().map(|url| url.0.trim()).filter(|url| !url.is_empty())?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        if raw.prefix.is_empty() || raw.prefix.len() > 64 || !raw.prefix.chars().all(plain) {
            let mend = "use 1 to 64 letters, digits and - _ . :";
            self.fault(&at.key("prefix"), "not a prefix for keys", mend);
        }
        let options = redis::Options { url: url.to_owned(), ..redis::Options::default() };
        if let Err(fault) = redis::Redis::new(options, Arc::default()) {
            self.fault(&at.key("url"), "not an address of Redis", fault.to_string());
        }
        let budget = Span(Duration::from_millis(1))..=Span::seconds(5);
        Some(CacheRedis {
            url: Secret::new(url),
            prefix: raw.prefix.clone(),
            ttl: self.duration(&at.key("ttl"), raw.ttl, TTL),
            connections: raw.connections as usize,
            budget: self.duration(&at.key("budget"), raw.budget, budget),
            age_max_when_away: self.duration(
                &at.key("age_max_when_away"),
                raw.age_max_when_away,
                Span::seconds(0)..=*TTL.end(),
            ),
            coalesce: raw.coalesce,
        })
    }

    fn cache_disk(&mut self, at: &Path, raw: &raw::Disk, data: &std::path::Path) -> CacheDisk {
        let path = raw.path.as_deref().map(|path| self.path(&at.key("path"), path));
        CacheDisk {
            path: path.unwrap_or_else(|| PathBuf::from(data).join("cache")),
            bytes: self.size(&at.key("bytes"), raw.bytes, Size(64 << 20)..=Size(1 << 44)) as u64,
            ttl: self.duration(&at.key("ttl"), raw.ttl, TTL),
            warm: raw.warm as usize,
        }
    }

    fn cache_semantic(&mut self, at: &Path, raw: &raw::Semantic, names: &Names) -> CacheSemantic {
        let embedder_at = at.key("embedder");
        let embedder = match raw.embedder.as_str() {
            "lexical" => EmbeddedBy::Lexical,
            folder if folder.starts_with(['/', '.']) => {
                if cfg!(not(feature = "minilm")) {
                    let what = "this build reads no sentence models";
                    self.fault(&embedder_at, what, "build with `--features minilm`, or use \"lexical\"");
                }
                EmbeddedBy::Folder(self.path(&embedder_at, folder))
            }
            model => {
                self.known_model(&embedder_at, model, names);
                EmbeddedBy::Model(model.to_owned())
            }
        };
        if let Some(judge) = &raw.judge {
            self.known_model(&at.key("judge"), judge, names);
        } else if raw.accept == raw::Accept::Judge {
            self.fault(&at.key("accept"), "there is no judge", "name one under `cache.semantic.judge`");
        }
        CacheSemantic {
            embedder,
            threshold: raw.threshold as f32,
            accept: match raw.accept {
                raw::Accept::Local => Accept::Local,
                raw::Accept::Learned => Accept::Learned,
                raw::Accept::Judge => Accept::Judge,
            },
            judge: raw.judge.clone(),
            audit: raw.audit,
            error_max: raw.error_max,
        }
    }

    fn known_model(&mut self, at: &Path, model: &str, names: &Names) {
        if model.contains('*') || !names.may_mean(model) {
            let shown = self.quoted(at, model);
            self.fault(at, format!("{shown}: there is no such model"), "write provider/model, or an alias");
        }
    }

    pub(super) fn alias_cache(&mut self, at: &Path, raw: &raw::AliasCache) -> AliasCache {
        AliasCache {
            enabled: raw.enabled,
            ttl: raw.ttl.map(|ttl| self.duration(&at.key("ttl"), ttl, TTL)),
            stale: raw.stale.map(|stale| self.duration(&at.key("stale"), stale, STALE)),
            any_temperature: raw.any_temperature,
            truncated: raw.truncated,
            tool_calls: raw.tool_calls,
            semantic: raw.semantic,
            per_user: raw.per_user,
        }
    }
}
