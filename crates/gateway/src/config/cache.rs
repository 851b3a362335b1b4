//! What is remembered of answers, checked.

use std::path::PathBuf;
use std::time::Duration;

use super::Secret;

/// The cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    /// Whether answers are remembered at all.
    pub enabled: bool,
    /// What keys are made with; `None`: the same for all who set none.
    pub secret: Option<Secret>,
    /// How long an answer beyond its time may still be served while a new one is fetched.
    pub stale: Duration,
    /// Longer answers are compressed on their way to Redis and disk; bytes.
    pub compress_above: usize,
    /// The tier in this process.
    pub memory: cache::memory::Options,
    /// The tier that replicas share.
    pub redis: Option<CacheRedis>,
    /// The tier that survives a restart.
    pub disk: Option<CacheDisk>,
    /// How questions are compared.
    pub semantic: CacheSemantic,
}

/// How questions are compared.
#[derive(Clone, Debug, PartialEq)]
pub struct CacheSemantic {
    /// Who makes vectors.
    pub embedder: EmbeddedBy,
    /// The cosine from which a question is a candidate.
    pub threshold: f32,
    /// Who accepts a candidate.
    pub accept: Accept,
    /// A model that exists, to judge pairs and to audit hits.
    pub judge: Option<String>,
    /// The share of hits that is audited.
    pub audit: f64,
    /// The share of wrong hits beyond which a category of questions is left alone.
    pub error_max: f64,
}

/// Who makes vectors of questions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmbeddedBy {
    /// What is built in.
    Lexical,
    /// A sentence model in this folder.
    Folder(PathBuf),
    /// A configured model.
    Model(String),
}

/// Who accepts that two questions mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Decided here, at once.
    Local,
    /// Waits for evidence, entry by entry.
    Learned,
    /// Asks a model, in the background.
    Judge,
}

/// The tier in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheRedis {
    /// Where it is; may hold a password.
    pub url: Secret,
    /// What every key begins with.
    pub prefix: String,
    /// Longest stay.
    pub ttl: Duration,
    /// Most connections.
    pub connections: usize,
    /// The longest that a request waits for it.
    pub budget: Duration,
    /// How old an answer may be that is served while Redis is away.
    pub age_max_when_away: Duration,
    /// Whether identical requests on several replicas are computed once.
    pub coalesce: bool,
}

/// The tier on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheDisk {
    /// A folder of its own; it need not exist yet.
    pub path: PathBuf,
    /// Most bytes.
    pub bytes: u64,
    /// Longest stay.
    pub ttl: Duration,
    /// How many answers are read into memory at start.
    pub warm: usize,
}

/// What of an alias' answers is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AliasCache {
    /// Whether they are.
    pub enabled: bool,
    /// How long an answer is served; `None`: as long as a tier keeps it.
    pub ttl: Option<Duration>,
    /// How long beyond that, while a new one is fetched; `None`: as the whole cache has it.
    pub stale: Option<Duration>,
    /// Answers to any temperature.
    pub any_temperature: bool,
    /// Answers cut at their length limit.
    pub truncated: bool,
    /// Answers that call tools.
    pub tool_calls: bool,
    /// Answers to other questions that mean the same.
    pub semantic: bool,
    /// Only within one user's own circle.
    pub per_user: bool,
}

impl Cache {
    /// The longest that an answer is kept anywhere.
    #[must_use]
    pub fn longest_ttl(&self) -> Duration {
        let redis = self.redis.as_ref().map(|redis| redis.ttl);
        let disk = self.disk.as_ref().map(|disk| disk.ttl);
        [redis, disk].into_iter().flatten().fold(self.memory.ttl, Duration::max)
    }
}

impl Default for AliasCache {
    /// What holds for a model that no alias names.
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
