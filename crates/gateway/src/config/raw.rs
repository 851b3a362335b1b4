//! The file's keys: what may be written, what each means, and its default.
//!
//! These types are the one place that knows the keys. The JSON schema is made from them, and the schema
//! drives the shape check, the typing of environment variables and the "did you mean". Values are only of
//! the right type here; whether they make sense together is for `validate`.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use super::quantity::{Size, Span};

mod advice;
mod alerts;
mod cache;
mod guard;
mod jobs;
mod limits;
mod models;
mod observe;
mod traces;
mod workflows;

pub(super) use advice::Advice;
pub(super) use alerts::{AlertRule, Alerts, Burn, MailTls, Receiver, ReceiverKind, RuleKind, Severity};
pub(super) use cache::{Accept, AliasCache, Cache, Disk, Redis, Semantic};
pub(super) use guard::{
    Algorithm, Batch, Concurrency, ConcurrencyChange, Guard, Health, Process, Queue, Registry, Retry,
    Strategy,
};
pub(super) use jobs::{JobQueue, Jobs, Store, Webhook};
pub(super) use limits::{Allowance, Limits, Priority, Rates};
pub(super) use models::{Alias, AliasTimeouts, Balance, BatchWay, Coalesce};
pub(super) use observe::Observe;
pub(super) use traces::{Protocol as TraceProtocol, Traces};
pub(super) use workflows::Workflows;

/// What stands in the place of a secret wherever a configuration is shown.
pub(super) const REDACTED: &str = "[redacted]";

/// The configuration of a Tidegate gateway. Every key has a default; the shortest useful file is empty.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Tidegate")]
pub(super) struct File {
    /// A set of defaults beneath everything else.
    pub(super) profile: Profile,
    /// Folder for what is kept on disk; by default `$XDG_DATA_HOME/tidegate`.
    pub(super) data: Option<String>,
    /// What is logged, and how.
    pub(super) log: Log,
    /// The data plane: where callers come in.
    pub(super) server: Server,
    /// The admin plane: metrics and whatever operators see.
    pub(super) admin: Admin,
    /// Callers' keys, as `tidegate keys create` prints them. None: open, on loopback only.
    #[schemars(length(max = 10_000))]
    pub(super) keys: Vec<Key>,
    /// Providers by any name; `preset` fills in the rest. `sim`, the simulated one, is always there.
    pub(super) providers: BTreeMap<String, Provider>,
    /// Aliases: names for one `provider/model` or several.
    pub(super) models: BTreeMap<String, Alias>,
    /// What is remembered of answers, and where.
    pub(super) cache: Cache,
    /// What protects callers and providers from each other.
    pub(super) guard: Guard,
    /// What tenants may use.
    pub(super) limits: Limits,
    /// Where what must last is kept.
    pub(super) store: Store,
    /// What is done later.
    pub(super) jobs: Jobs,
    /// What workflows may do.
    pub(super) workflows: Workflows,
    /// What is seen of requests.
    pub(super) observe: Observe,
    /// What is recorded of requests as traces, and where that goes.
    pub(super) traces: Traces,
    /// When to call for somebody, and whom.
    pub(super) alerts: Alerts,
    /// What to change.
    pub(super) advice: Advice,
}

/// A set of defaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Profile {
    /// For one's own machine: debug log as text, drains for two seconds.
    Development,
    /// Production with a debug log.
    Staging,
    /// The defaults themselves.
    #[default]
    Production,
}

/// What is logged, and how.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,hyper=debug`.
    pub(super) level: String,
    /// The lines' form.
    pub(super) format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Auto }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The data plane.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    /// Address and port. Any but loopback needs callers' keys and an admin key.
    pub(super) listen: String,
    /// Worker threads; by default one per core.
    #[schemars(range(min = 1, max = 1024))]
    pub(super) workers: Option<u32>,
    /// Largest request body taken.
    pub(super) body_bytes_max: Size,
    /// Largest request head taken.
    pub(super) header_bytes_max: Size,
    /// Most connections held open at once.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) connections_max: u32,
    /// Most connections open to all providers together, idle ones among them; by default as many as the
    /// system's limit on open files leaves beside `connections_max`, up to 65,536.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) upstream_connections_max: Option<u32>,
    /// Hosts requests may name, besides loopback names and the address itself; `*`: any. Empty: beyond
    /// loopback any.
    #[schemars(length(max = 1000))]
    pub(super) hosts: Vec<String>,
    /// Whether callers need a key.
    pub(super) keys: KeysNeeded,
    /// Whether whole answers are compressed for callers who accept it; a stream never is.
    pub(super) compress: bool,
    /// Answers of no more than this are not worth it.
    pub(super) compress_above: Size,
    /// How long each part of a request may take.
    pub(super) timeouts: ServerTimeouts,
    /// Serve TLS.
    pub(super) tls: Option<Tls>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:4000".to_owned(),
            workers: None,
            body_bytes_max: Size(10 << 20),
            header_bytes_max: Size(32 << 10),
            connections_max: 10_000,
            upstream_connections_max: None,
            hosts: Vec::new(),
            keys: KeysNeeded::Auto,
            compress: true,
            compress_above: Size(4 << 10),
            timeouts: ServerTimeouts::default(),
            tls: None,
        }
    }
}

/// Whether callers need a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeysNeeded {
    /// As soon as there is one, in this file or in the store, and from then on.
    #[default]
    Auto,
    /// Always: until there is one nobody calls. Lets keys of the store alone guard a listener beyond loopback.
    Required,
}

/// Deadlines on the data plane.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServerTimeouts {
    /// For a whole request head to arrive.
    pub(super) header: Span,
    /// For a kept-alive connection without a request.
    pub(super) idle: Span,
    /// For a whole request body to arrive.
    pub(super) body: Span,
    /// For a whole request, to the answer's last byte.
    pub(super) total: Span,
    /// For requests in flight to end once the process was told to stop.
    pub(super) drain: Span,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self {
            header: Span::seconds(10),
            idle: Span::seconds(75),
            body: Span::seconds(60),
            total: Span::seconds(900),
            drain: Span::seconds(30),
        }
    }
}

/// A certificate and its private key, PEM files, read anew when they change. Paths are relative to the
/// configuration file.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["cert", "key"]))]
pub(super) struct Tls {
    /// The chain, leaf first.
    pub(super) cert: Option<String>,
    /// The leaf's private key.
    pub(super) key: Option<String>,
}

/// The admin plane.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Admin {
    /// Address and port. Any but loopback needs callers' keys and an admin key.
    pub(super) listen: String,
    /// What opens it, 32 bytes or more; by default `TIDEGATE_ADMIN_KEY`.
    pub(super) key: Option<SecretText>,
    /// As `server.hosts`.
    #[schemars(length(max = 1000))]
    pub(super) hosts: Vec<String>,
    /// Serve TLS.
    pub(super) tls: Option<Tls>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: "127.0.0.1:4001".to_owned(), key: None, hosts: Vec::new(), tls: None }
    }
}

/// A caller's key.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id", "hash"]))]
pub(super) struct Key {
    /// The public part: `tg-` and 12 alphanumerics.
    #[schemars(regex(pattern = r"^tg-[0-9A-Za-z]{12}$"))]
    pub(super) id: Option<String>,
    /// The keyed hash of the secret part: `b3:` and 64 hexadecimal digits.
    pub(super) hash: Option<SecretText>,
    /// Whose it is.
    pub(super) tenant: Option<String>,
    /// What it may ask for: aliases, `provider/model`, `provider/*`. Empty: everything.
    #[schemars(length(max = 1000))]
    pub(super) models: Vec<String>,
    /// How its requests stand among others that wait; a request may lower it by `x-tidegate-priority`.
    pub(super) priority: Priority,
    /// Most requests a minute; by default any number.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(super) requests_per_minute: Option<u64>,
    /// Most tokens a minute, read and written; by default any number.
    #[schemars(range(min = 1, max = 1_000_000_000_000_u64))]
    pub(super) tokens_per_minute: Option<u64>,
    /// Most requests under way at once; by default any number.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) concurrent_requests: Option<u32>,
    /// Most streams under way at once; by default any number.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) concurrent_streams: Option<u32>,
}

/// A provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Provider {
    /// The row it is made from; by default the one of the provider's own name.
    #[schemars(schema_with = "preset_schema")]
    pub(super) preset: Option<String>,
    /// Where it is, up to and including `/v1`; by default the preset's.
    #[schemars(extend("format" = "uri"))]
    pub(super) base_url: Option<String>,
    /// What it asks of us; by default the preset's variable, such as `OPENAI_API_KEY`, unless `base_url` is
    /// changed.
    pub(super) api_key: Option<SecretText>,
    /// How long it may take.
    pub(super) timeouts: ProviderTimeouts,
    /// The connections kept to it.
    pub(super) connections: Connections,
    /// What its breakers trip on: a preset, or a strategy of `[guard.strategies]`.
    pub(super) strategy: String,
    /// What we may ask of it.
    pub(super) limits: Rates,
    /// How many requests each of its models gets at once, where that is not as in `[guard.concurrency]`.
    pub(super) concurrency: ConcurrencyChange,
    /// A PEM file of certificates trusted besides the system's. Relative to the configuration file.
    pub(super) ca_file: Option<String>,
    /// Whether HTTP/2 is offered.
    pub(super) http2: bool,
    /// Models to show under `/v1/models`; any other may be asked for too.
    #[schemars(length(max = 1000))]
    pub(super) models: Vec<String>,
    /// Whether it runs batches itself, in the shape of OpenAI's `/files` and `/batches`; by default as the preset
    /// says.
    pub(super) batches: Option<bool>,
    /// Headers sent with every call.
    pub(super) headers: BTreeMap<String, SecretText>,
    /// Whether embedding requests are sent to it several in one; by default each by itself.
    pub(super) coalesce: Option<Coalesce>,
    /// What its models cost, by name: for `x-tidegate-cost-usd`, and for what the cache saves.
    pub(super) prices: BTreeMap<String, Price>,
    /// How the simulated provider behaves; for the preset `sim` only.
    pub(super) sim: Option<Sim>,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            preset: None,
            base_url: None,
            api_key: None,
            timeouts: ProviderTimeouts::default(),
            connections: Connections::default(),
            strategy: "balanced".to_owned(),
            limits: Rates::default(),
            concurrency: ConcurrencyChange::default(),
            ca_file: None,
            http2: true,
            models: Vec::new(),
            batches: None,
            headers: BTreeMap::new(),
            coalesce: None,
            prices: BTreeMap::new(),
            sim: None,
        }
    }
}

/// What a model costs, in US dollars for a million tokens.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["input", "output"]))]
pub(super) struct Price {
    /// For tokens read.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub(super) input: f64,
    /// For tokens written.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub(super) output: f64,
    /// For tokens read that the provider had cached; by default as for the others.
    #[schemars(range(min = 0.0, max = 1_000_000.0))]
    pub(super) cached_input: Option<f64>,
    /// What of these it costs in a batch that the provider runs itself: 0.5 is half; by default as the preset says.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) batch: Option<f64>,
}

/// Deadlines for a provider's part of a request.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProviderTimeouts {
    /// For the connection, TLS included.
    pub(super) connect: Span,
    /// From the request sent to the first token.
    pub(super) first_token: Span,
    /// Between two tokens of a stream.
    pub(super) between_tokens: Span,
    /// For the whole answer.
    pub(super) total: Span,
}

impl Default for ProviderTimeouts {
    fn default() -> Self {
        Self {
            connect: Span::seconds(5),
            first_token: Span::seconds(30),
            between_tokens: Span::seconds(15),
            total: Span::seconds(600),
        }
    }
}

/// The pool of connections to a provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Connections {
    /// Most connections open at once, idle ones among them; beyond it requests wait for one to be given back,
    /// as long as a connection may take. By default `server.upstream_connections_max`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) max: Option<u32>,
    /// Most idle connections kept; by then as many as were in use at once of late.
    #[schemars(range(min = 1, max = 65_536))]
    pub(super) per_host: u32,
    /// How long an idle one is kept.
    pub(super) idle: Span,
    /// How many are idle at least, also before the first request; at most `per_host` and `max`.
    #[schemars(range(max = 1024))]
    pub(super) warm: u32,
}

impl Default for Connections {
    fn default() -> Self {
        Self { max: None, per_host: 256, idle: Span::seconds(90), warm: 2 }
    }
}

/// How the simulated provider behaves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Sim {
    /// Delay to the first token.
    pub(super) first_token: Span,
    /// Delay between two tokens.
    pub(super) between_tokens: Span,
    /// Length of an answer, where the request does not say.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) tokens: u32,
    /// The share of calls that fail.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) errors: f64,
    /// How far a delay may stray, as a share of it.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) jitter: f64,
    /// What all chance comes from: the same seed, the same run.
    pub(super) seed: u64,
}

impl Default for Sim {
    fn default() -> Self {
        let settings = rig::sim::Settings::default();
        Self {
            first_token: Span(settings.first_token),
            between_tokens: Span(settings.between_tokens),
            tokens: settings.tokens,
            errors: settings.errors,
            jitter: settings.jitter,
            seed: settings.seed,
        }
    }
}

/// Text that is written by hand or by a variable, and never shown again.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct SecretText(pub(super) String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(if self.0.is_empty() { "" } else { REDACTED })
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Secret text; better by `${VAR}` or `${file:PATH}` than in plain.",
            "type": "string",
            "writeOnly": true,
        })
    }
}

/// The presets' names, from the table of `wire`.
fn preset_schema(_: &mut SchemaGenerator) -> Schema {
    let names: Vec<&str> = wire::preset::all().iter().map(|preset| preset.name).collect();
    json_schema!({ "type": "string", "enum": names })
}
