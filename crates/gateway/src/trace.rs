//! Traces: whose a request is, what is recorded of it, and how that gets to a collector.
//!
//! ```text
//! traceparent ─► Context ─► the request's Record ──► its end: keep it? ─► Trace ─► queue ─┐   on the worker
//!                   └► traceparent of each call                                           │
//!                                         spans ─► OTLP ─► collector   ◄──────────────────┘   on a thread of its own
//! ```
//!
//! What an account tells anyhow is what a trace is made of; only its place in the trace and a few things besides are
//! kept for it. Text is made of it by the exporter's thread alone. A collector that is slow, hangs or is gone costs a
//! full queue, and what is dropped there is counted. Nothing of what callers and models say to each other is ever in it.

mod collector;
mod context;
mod examples;
mod exporter;
mod otlp;
mod sample;
mod span;
mod state;
#[cfg(test)]
mod tests;
mod traced;
mod tree;

pub use context::{Carried, Context, Parent, TRACEPARENT, TRACESTATE};
pub use exporter::{Exporter, Inlet, Queue};
pub use sample::Sampler;
pub use traced::{Traced, span_id};

use crate::auth::Principal;
use crate::observe::Id;
use crate::observe::trail::Label;
use crate::remember::status::Status;
use http::{HeaderMap, HeaderValue};
use measure::metrics::{AttemptResult, Outcome};
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use wire::openai::Usage;
use wire::operation::Operation;

/// Longest text of a trace that comes from outside, in bytes.
const TEXT_BYTES_MAX: usize = 256;

/// What is known of a request when it is over, or of work that several requests wait for. Times are counted from
/// its beginning.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Where it stands.
    pub context: Context,
    /// When it began.
    pub began: SystemTime,
    /// What was asked for.
    pub operation: Operation,
    /// The request itself. `None`: this is work behind one or several requests, which have traces of their own;
    /// its spans hang beneath the span of the request that `context` is of.
    pub request: Option<Request>,
    /// What it waited for within the gateway.
    pub steps: SmallVec<[Step; 2]>,
    /// Whom it asked, in the order in which they were.
    pub attempts: SmallVec<[Attempt; 1]>,
}

/// A request that is over.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its id, as the caller knows it.
    pub id: Id,
    /// The name under which it is counted, once that is known.
    pub route: Option<Arc<str>>,
    /// Whether that is an alias.
    pub is_alias: bool,
    /// Whom the name that was asked for led to first.
    pub first_target: Option<Arc<Label>>,
    /// Whether it came over TLS.
    pub https: bool,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// To the last byte of the answer.
    pub total: Duration,
    /// Our own part of it.
    pub overhead: Duration,
    /// To the first token, of a stream.
    pub first_token: Option<Duration>,
    /// The status that the caller read; `None` where there was nobody to read one.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong, in one word of few.
    pub error: Option<Box<str>>,
    /// What the cache had to do with it.
    pub cache: Option<Status>,
    /// Who answered, as the caller reads it.
    pub target: Option<HeaderValue>,
    /// How many tries were made.
    pub attempts: u32,
    /// What was used for it.
    pub usage: Option<Usage>,
    /// What it cost, in millionths of a US dollar.
    pub cost_micro_usd: Option<u64>,
    /// Whose request it was, where callers have keys.
    pub who: Option<Arc<Principal>>,
}

impl Request {
    /// The model's name as it was asked for, once that is known to be one: an alias, or whom it led to.
    fn model(&self) -> Option<&str> {
        let asked = self.first_target.as_ref().filter(|_| !self.is_alias).map(|target| &*target.name);
        asked.or(self.route.as_deref())
    }
}

/// A step within the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which.
    pub kind: StepKind,
    /// When it began.
    pub began: Duration,
    /// When it ended.
    pub ended: Duration,
}

/// What a request may wait for within the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// The answers in memory are searched.
    Cache,
    /// Those in Redis and on disk are, and other questions that may mean the same.
    Tiers,
    /// A target's turn.
    Queue,
}

impl StepKind {
    /// The span's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Tiers => "cache tiers",
            Self::Queue => "queue",
        }
    }
}

/// One try at one target.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its span: the provider was told of it.
    pub span_id: u64,
    /// Who was asked.
    pub target: Arc<Label>,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// When it began.
    pub began: Duration,
    /// When it ended.
    pub ended: Duration,
    /// How it ended.
    pub result: AttemptResult,
    /// The provider's status.
    pub status: Option<u16>,
    /// From its beginning to the first token, of a stream.
    pub first_token: Option<Duration>,
    /// What the provider says was used.
    pub usage: Option<Usage>,
    /// The model as the provider names it.
    pub response_model: Option<Id>,
}

/// Who is asked: what the spans of all tries at one target have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The provider as the conventions for generative AI name it.
    pub provider: Box<str>,
    /// The model as it is asked for.
    pub model: Box<str>,
    /// Where the provider is; `None`: in this process.
    pub server: Option<(Box<str>, u16)>,
}

impl Peer {
    /// What is to be known of `model` at a provider.
    #[must_use]
    pub fn new(provider: &crate::config::Provider, model: &str) -> Self {
        Self {
            provider: provider_name(provider.preset.name, &provider.name).into(),
            model: short(model).into(),
            server: provider.base_url.as_ref().map(|url| (url.host.as_str().into(), url.port)),
        }
    }
}

/// A preset's name among the well-known values of `gen_ai.provider.name`; where there is none its own name, and of
/// a provider that is nobody's in particular the one that the operator gave it.
fn provider_name<'a>(preset: &'a str, own: &'a str) -> &'a str {
    match preset {
        "azure" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        "openai-compatible" => own,
        known => known,
    }
}

/// What records one worker's requests.
#[derive(Debug)]
pub struct Tracer {
    sampler: Sampler,
    inlet: Inlet,
    https: bool,
}

impl Tracer {
    /// Records by these rules, into `inlet`. `https`: callers come in over TLS.
    #[must_use]
    pub fn new(sampler: Sampler, inlet: Inlet, https: bool) -> Self {
        Self { sampler, inlet, https }
    }

    /// The place in its trace of a request with this head.
    #[must_use]
    pub fn begin(&self, headers: &HeaderMap) -> Context {
        self.sampler.begin(Parent::of(headers))
    }
}

/// As much of a text as is told: callers may make up names of any length.
fn short(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default()
}
