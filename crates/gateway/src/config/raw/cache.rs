//! The keys of `[cache]` and of an alias' `cache`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretText;
use crate::config::quantity::{Size, Span};

/// What is remembered of answers, and where.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Cache {
    /// Whether answers are remembered at all.
    pub(in crate::config) enabled: bool,
    /// What the keys of answers are made with. Replicas that share a cache share it; changing it forgets
    /// everything.
    pub(in crate::config) secret: Option<SecretText>,
    /// How long an answer beyond its time may still be served while a new one is fetched.
    pub(in crate::config) stale: Span,
    /// Longer answers are kept compressed on their way to Redis and disk.
    pub(in crate::config) compress_above: Size,
    /// The nearest tier: this process.
    pub(in crate::config) memory: Memory,
    /// The tier that replicas share; by default at `REDIS_URL`, and off without it.
    pub(in crate::config) redis: Option<Redis>,
    /// The tier that survives a restart; off unless this is written.
    pub(in crate::config) disk: Option<Disk>,
    /// Answers to other questions that mean the same, for aliases with `cache.semantic`.
    pub(in crate::config) semantic: Semantic,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: true,
            secret: None,
            stale: Span::seconds(0),
            compress_above: Size(1_000),
            memory: Memory::default(),
            redis: None,
            disk: None,
            semantic: Semantic::default(),
        }
    }
}

/// The tier in this process.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Memory {
    /// Most answers.
    #[schemars(range(min = 1, max = 10_000_000))]
    pub(in crate::config) entries: u32,
    /// Most bytes.
    pub(in crate::config) bytes: Size,
    /// Longest stay.
    pub(in crate::config) ttl: Span,
}

impl Default for Memory {
    fn default() -> Self {
        Self { entries: 10_000, bytes: Size(256 << 20), ttl: Span::seconds(300) }
    }
}

/// The tier in Redis or Valkey.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Redis {
    /// `redis://`, `rediss://` or `unix://`; of a cluster, several nodes with commas between; by default
    /// `REDIS_URL`.
    pub(in crate::config) url: Option<SecretText>,
    /// What every key begins with.
    pub(in crate::config) prefix: String,
    /// Longest stay.
    pub(in crate::config) ttl: Span,
    /// Most connections.
    #[schemars(range(min = 1, max = 1000))]
    pub(in crate::config) connections: u32,
    /// The longest that a request waits for it, tries included.
    pub(in crate::config) budget: Span,
    /// How old an answer may be that is served while Redis is away, as others' invalidations are not heard
    /// then.
    pub(in crate::config) age_max_when_away: Span,
    /// Whether identical requests on several replicas are computed once.
    pub(in crate::config) coalesce: bool,
}

impl Default for Redis {
    fn default() -> Self {
        Self {
            url: None,
            prefix: "tidegate".to_owned(),
            ttl: Span::seconds(3600),
            connections: 20,
            budget: Span(std::time::Duration::from_millis(30)),
            age_max_when_away: Span::seconds(2),
            coalesce: true,
        }
    }
}

/// The tier on disk.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Disk {
    /// A folder of its own; by default `cache` in the data folder. Relative to the configuration file.
    pub(in crate::config) path: Option<String>,
    /// Most bytes.
    pub(in crate::config) bytes: Size,
    /// Longest stay.
    pub(in crate::config) ttl: Span,
    /// How many of the answers that were worth most are read into memory at start.
    #[schemars(range(max = 1_000_000))]
    pub(in crate::config) warm: u32,
}

impl Default for Disk {
    fn default() -> Self {
        Self { path: None, bytes: Size(4 << 30), ttl: Span::seconds(24 * 3600), warm: 1000 }
    }
}

/// How questions are compared.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Semantic {
    /// Who makes vectors: `lexical` (built in), the folder of a sentence model (a path with a `/` or a `.` in
    /// front), or `provider/model`.
    pub(in crate::config) embedder: String,
    /// The cosine from which a question is a candidate at all.
    #[schemars(range(min = 0.85, max = 1.0))]
    pub(in crate::config) threshold: f64,
    /// Who accepts a candidate.
    pub(in crate::config) accept: Accept,
    /// `provider/model` or an alias that judges pairs for `accept = "judge"`, and audits hits.
    pub(in crate::config) judge: Option<String>,
    /// The share of hits that the judge audits.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) audit: f64,
    /// The share of wrong hits beyond which a category of questions is left alone.
    #[schemars(range(min = 0.001, max = 0.5))]
    pub(in crate::config) error_max: f64,
}

impl Default for Semantic {
    fn default() -> Self {
        Self {
            embedder: "lexical".to_owned(),
            threshold: 0.85,
            accept: Accept::Local,
            judge: None,
            audit: 0.02,
            error_max: 0.02,
        }
    }
}

/// Who accepts that two questions mean the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Accept {
    /// Decided here, at once: every word of either must be explained by the other.
    #[default]
    Local,
    /// Waits for evidence, entry by entry.
    Learned,
    /// Asks a model, in the background; the next such question is answered.
    Judge,
}

/// What of an alias' answers is remembered. Without it: what `[cache]` says, where a request leaves nothing to
/// chance.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct AliasCache {
    /// Whether its answers are remembered.
    pub(in crate::config) enabled: bool,
    /// How long an answer is served; by default as long as a tier keeps it.
    pub(in crate::config) ttl: Option<Span>,
    /// How long beyond that it may still be served while a new one is fetched; by default `cache.stale`.
    pub(in crate::config) stale: Option<Span>,
    /// Answers to a temperature above 0, or to none given, too: the same question then gets the same answer.
    pub(in crate::config) any_temperature: bool,
    /// Answers that ended at their length limit too.
    pub(in crate::config) truncated: bool,
    /// Answers that call tools too.
    pub(in crate::config) tool_calls: bool,
    /// Answers to other questions that mean the same too.
    pub(in crate::config) semantic: bool,
    /// Only within one user's own circle: requests must give a `user` or `x-tidegate-cache-scope`.
    pub(in crate::config) per_user: bool,
}

impl Default for AliasCache {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl: None,
            stale: None,
            any_temperature: false,
            truncated: false,
            tool_calls: false,
            semantic: false,
            per_user: false,
        }
    }
}
