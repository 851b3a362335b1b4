//! The configuration: what a gateway runs with, checked once, here, and never again.
//!
//! The types of this file cannot be wrong: an address is parsed, a range is kept, a provider that an alias
//! names exists. How they come about, layer by layer, is told in `load`: text → one spanned tree for all
//! formats (`read`) → layers merged (`environment`, `profile`) → shape checked against the schema
//! (`shape`) → raw types (`raw`) → these types (`validate`). Every fault on the way is collected with
//! its place and its mend (`fault`).
//!
//! It is not a place for state: nothing here opens a socket, starts a task or reads the process environment
//! (that is handed in as [`Sources`]).

mod advice;
mod alerts;
mod base_url;
mod cache;
mod environment;
mod expand;
mod fault;
mod files;
mod folder;
mod guard;
mod inputs;
mod jobs;
mod limits;
mod load;
mod mask;
mod models;
mod observe;
mod print;
mod profile;
mod quantity;
mod raw;
mod read;
mod schema;
mod shape;
mod traces;
mod tree;
mod validate;
mod workflows;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use advice::Advice;
pub use alerts::{Alerts, Mail, Receiver, Spot, Way};
pub use base_url::BaseUrl;
pub use cache::{Accept, AliasCache, Cache, CacheDisk, CacheRedis, CacheSemantic, EmbeddedBy};
pub use environment::Environment;
pub(crate) use fault::drawing;
pub use fault::{Fault, Faults, Place};
pub use guard::{
    Algorithm, Background, Concurrency, Guard, Health, Hedge, Pressure, Queue, Registry, Retry, Strategy,
};
pub use inputs::Inputs;
pub use jobs::{JobQueue, Jobs, Store, Webhook, WebhookSecret};
pub use limits::{Limits, Priority, Rates};
pub use load::{Loaded, Override, Sources};
pub use models::{Alias, AliasRetry, AliasTarget, AliasTimeouts, Balance, Coalesce, Fallback};
pub use observe::Observe;
pub use read::Unreadable;
pub use schema::schema;
pub use traces::{Collector, TraceProtocol, Traces};
pub use validate::listeners::{Unguarded, unguarded};
pub use validate::stored::{KeyFault, KeySettings};
pub use workflows::{NamedHost, Workflows};

use crate::keys::KeyHash;

/// A whole, valid configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which set of defaults lies underneath.
    pub profile: Profile,
    /// Folder for what the gateway keeps on disk. It need not exist yet.
    pub data: PathBuf,
    /// What is logged, and how.
    pub log: Log,
    /// The data plane: where callers come in.
    pub server: Server,
    /// The admin plane: metrics and whatever operators see.
    pub admin: Admin,
    /// Callers' keys, ids unique; those of the store are not among them. Where neither has any and none is required
    /// the data plane is open, which is allowed on loopback only.
    pub keys: Vec<Key>,
    /// Providers by name; `sim` is always among them.
    pub providers: BTreeMap<String, Provider>,
    /// Aliases by name; every target's provider exists.
    pub models: BTreeMap<String, Alias>,
    /// What is remembered of answers.
    pub cache: Cache,
    /// What protects callers and providers from each other.
    pub guard: Guard,
    /// What tenants may use.
    pub limits: Limits,
    /// Where what must last is kept.
    pub store: Store,
    /// What is done later.
    pub jobs: Jobs,
    /// What workflows may do.
    pub workflows: Workflows,
    /// What is seen of requests.
    pub observe: Observe,
    /// What is recorded of requests as traces, and where that goes.
    pub traces: Traces,
    /// When to call for somebody, and whom.
    pub alerts: Alerts,
    /// On which terms advice is given.
    pub advice: Advice,
}

impl Config {
    /// Where the figures are kept by the minute.
    #[must_use]
    pub fn history_folder(&self) -> PathBuf {
        self.data.join("history")
    }
}

/// A named set of defaults, laid beneath the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// For one's own machine: talkative, readable, quick to stop.
    Development,
    /// Production with more in the log.
    Staging,
    /// The defaults themselves.
    Production,
}

impl Profile {
    /// The name as the file spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or filter directives as `tracing-subscriber`'s `EnvFilter` reads them; known to parse.
    pub level: String,
    /// The lines' form.
    pub format: LogFormat,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The data plane's listener and its bounds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens; loopback unless keys and an admin key are configured.
    pub listen: SocketAddr,
    /// Worker threads; `None`: one per core.
    pub workers: Option<usize>,
    /// Largest request body taken, in bytes.
    pub body_bytes_max: usize,
    /// Largest request head taken, in bytes.
    pub header_bytes_max: usize,
    /// Most connections held open at once.
    pub connections_max: usize,
    /// Most connections open to all providers together, idle ones among them.
    pub upstream_connections_max: usize,
    /// Hosts that requests may name, besides loopback names and the listener's own address: in lower case,
    /// without a port, IPv6 addresses in brackets; `"*"` stands for any. Empty: beyond loopback any.
    pub hosts: Vec<String>,
    /// Whether callers need a key, also where none is known.
    pub keys_required: bool,
    /// Whole answers of more bytes than this are compressed for callers who accept that; `None`: none is.
    pub compress_above: Option<usize>,
    /// How long each part of a request may take.
    pub timeouts: ServerTimeouts,
    /// Serve TLS with this certificate.
    pub tls: Option<Tls>,
}

/// Deadlines on the data plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// For a whole request head to arrive.
    pub header: Duration,
    /// For a kept-alive connection without a request.
    pub idle: Duration,
    /// For a whole request body to arrive.
    pub body: Duration,
    /// For a whole request, from head to the answer's last byte.
    pub total: Duration,
    /// For requests in flight to end once the process was told to stop; zero cuts them off.
    pub drain: Duration,
}

/// The admin plane's listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens; loopback unless keys and an admin key are configured.
    pub listen: SocketAddr,
    /// What opens it; `None`: open, which is allowed on loopback only.
    pub key: Option<Secret>,
    /// As [`Server::hosts`].
    pub hosts: Vec<String>,
    /// Serve TLS with this certificate.
    pub tls: Option<Tls>,
}

/// A certificate and its private key, both PEM files that were readable when the configuration was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// The leaf's private key.
    pub key: PathBuf,
}

/// One caller's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The public part, `tg-` and 12 alphanumerics.
    pub id: String,
    /// What the secret part must hash to.
    pub hash: KeyHash,
    /// Whose it is.
    pub tenant: Option<String>,
    /// What it may ask for; empty: everything.
    pub models: Vec<ModelPattern>,
    /// How its requests stand among others that wait; a request may lower it, never raise it.
    pub priority: Priority,
    /// What it may use, besides what its tenant may.
    pub rates: Rates,
}

impl Key {
    /// Whose its requests are: a key that belongs to nobody is a tenant of its own.
    #[must_use]
    pub fn tenant_name(&self) -> &str {
        self.tenant.as_deref().unwrap_or(&self.id)
    }

    /// Whether this key may ask for `model` (an alias or `provider/model`).
    #[must_use]
    pub fn allows(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|pattern| pattern.matches(model))
    }
}

/// A model's name, or a prefix of names that ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelPattern {
    /// Just this alias or `provider/model`.
    Exactly(String),
    /// Every name that begins like this (`openai/*` holds `openai/`).
    Prefix(String),
}

impl ModelPattern {
    /// Whether `model` is meant.
    #[must_use]
    pub fn matches(&self, model: &str) -> bool {
        match self {
            Self::Exactly(name) => name == model,
            Self::Prefix(prefix) => model.starts_with(prefix.as_str()),
        }
    }
}

impl fmt::Display for ModelPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(name) => f.write_str(name),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

/// One provider.
#[derive(Clone)]
pub struct Provider {
    /// Its name: what stands before the slash in `provider/model`.
    pub name: String,
    /// The row it is made from.
    pub preset: &'static wire::preset::Preset,
    /// Where it is; `None` only for the simulated provider, which runs in process.
    pub base_url: Option<BaseUrl>,
    /// What it asks of us; present wherever the preset requires one.
    pub api_key: Option<Secret>,
    /// How long it may take.
    pub timeouts: ProviderTimeouts,
    /// The connections kept to it.
    pub connections: Connections,
    /// What its breakers trip on.
    pub strategy: Strategy,
    /// What we may ask of it.
    pub rates: Rates,
    /// How many requests each of its models gets at once.
    pub concurrency: Concurrency,
    /// Certificates trusted for it besides the system's; a PEM file that was readable.
    pub ca_file: Option<PathBuf>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
    /// Models to show under `/v1/models`; any other may be asked for too.
    pub models: Vec<String>,
    /// The operator's own headers, names in lower case, sent with every call. Values may be secret.
    pub headers: BTreeMap<String, String>,
    /// Embedding requests sent to it several in one; `None`: each by itself.
    pub coalesce: Option<Coalesce>,
    /// Whether it runs batches itself, in the shape of OpenAI's `/files` and `/batches`.
    pub batches: bool,
    /// What its models cost, by name.
    pub prices: BTreeMap<String, Price>,
    /// How the simulated provider behaves; the default for every other.
    pub sim: rig::sim::Settings,
}

/// What a model costs. A dollar for a million tokens is a millionth of a dollar for one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    /// Millionths of a US dollar for a token read.
    pub input: f64,
    /// The same for one that the provider had cached.
    pub cached_input: f64,
    /// The same for a token written.
    pub output: f64,
    /// What of these a token costs in a batch that the provider runs itself, where that is said.
    pub batch: Option<f64>,
}

impl Provider {
    /// What of its usual price a model costs in a batch that the provider runs itself; `None` where it runs none, or
    /// where that costs no less as far as anybody has said.
    #[must_use]
    pub fn batch_factor(&self, model: &str) -> Option<f64> {
        let said = self.prices.get(model).and_then(|price| price.batch);
        let usual = || self.preset.batch_percent.map(|percent| f64::from(percent) / 100.0);
        said.or_else(usual).filter(|factor| self.batches && *factor < 1.0)
    }
}

impl Price {
    /// What an answer cost, in millionths of a US dollar, rounded up.
    #[must_use]
    pub fn of(&self, usage: &wire::openai::Usage) -> u64 {
        let cached = usage.cached_input.min(usage.input);
        let tokens =
            [(usage.input - cached, self.input), (cached, self.cached_input), (usage.output, self.output)];
        tokens.iter().map(|(count, price)| *count as f64 * price).sum::<f64>().ceil() as u64
    }

    /// So much of it.
    #[must_use]
    pub fn times(self, factor: f64) -> Self {
        let Self { input, cached_input, output, batch } = self;
        Self { input: input * factor, cached_input: cached_input * factor, output: output * factor, batch }
    }
}

impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        // Presets are rows of one static table, so the name says it all. Taken apart in full, so that a new
        // field cannot be forgotten: reload decides by this comparison what must be built anew.
        let Self {
            name,
            preset,
            base_url,
            api_key,
            timeouts,
            connections,
            strategy,
            rates,
            concurrency,
            ca_file,
            http2,
            models,
            headers,
            coalesce,
            batches,
            prices,
            sim,
        } = self;
        *name == other.name
            && preset.name == other.preset.name
            && *base_url == other.base_url
            && *api_key == other.api_key
            && *timeouts == other.timeouts
            && *connections == other.connections
            && *strategy == other.strategy
            && *rates == other.rates
            && *concurrency == other.concurrency
            && *ca_file == other.ca_file
            && *http2 == other.http2
            && *models == other.models
            && *headers == other.headers
            && *coalesce == other.coalesce
            && *batches == other.batches
            && *prices == other.prices
            && *sim == other.sim
    }
}

impl fmt::Debug for Provider {
    /// Names the headers without their values, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider")
            .field("name", &self.name)
            .field("preset", &self.preset.name)
            .field("base_url", &self.base_url)
            .field("api_key", &self.api_key)
            .field("headers", &self.headers.keys())
            .finish_non_exhaustive()
    }
}

/// Deadlines for a provider's part of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProviderTimeouts {
    /// For the connection, TLS included.
    pub connect: Duration,
    /// From the request sent to the first token (or the whole answer's head, where it does not stream).
    pub first_token: Duration,
    /// Between two tokens of a stream.
    pub between_tokens: Duration,
    /// For the whole answer.
    pub total: Duration,
}

/// The pool of connections to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Most connections open at once over all workers, idle ones among them.
    pub max: usize,
    /// Most idle connections kept over all workers.
    pub per_host: usize,
    /// How long an idle one is kept.
    pub idle: Duration,
    /// How many are idle at least, also before the first request; at most `per_host` and `max`.
    pub warm: usize,
}

/// Text that is never shown: no `Display`, no `Serialize`, and a `Debug` that hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself, for the one place that sends or compares it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
