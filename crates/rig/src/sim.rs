//! The simulated provider: OpenAI's chat completions, completions, embeddings,
//! models, files and batches, with delays and faults on demand.
//!
//! One prompt, model and seed always give the same bytes. It is no model (it
//! understands nothing) and no server: it answers a request that is in memory,
//! for the gateway's own `sim` provider and for the server in [`crate::mock`].

// From a request to its answer.
mod turn;

// What is asked, and what the answer is told to do.
mod chance;
mod directive;
mod prompt;
mod request;
mod route;
mod script;

// What is said.
mod batches;
mod embeddings;
mod format;
mod generate;
mod logprobs;
mod models;
mod prose;
mod refusal;
mod reply;
mod schema;
mod tools;

// How it goes out, and what is remembered of it.
mod body;
mod log;
mod pace;
mod paced;
mod stream;

// What all of them stand on.
mod json;
mod key;
mod token;

pub use body::Body;
pub use log::{Entry, Outcome};
pub use models::MODELS;
pub use script::ScriptError;

use bytes::Bytes;
use http::{Request, Response};
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How simulated models behave whose names say nothing of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// From the request to its first token.
    pub first_token: Duration,
    /// From a token to the next; its inverse is the rate of tokens.
    pub between_tokens: Duration,
    /// Tokens of a reply.
    pub tokens: u32,
    /// The share of requests that fail, from 0 to 1.
    pub errors: f64,
    /// How far delays spread round their mean, from 0 to 1.
    pub jitter: f64,
    /// Another seed gives other replies and other failures.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            first_token: Duration::from_millis(20),
            between_tokens: Duration::from_millis(2),
            tokens: 64,
            errors: 0.0,
            jitter: 0.0,
            seed: 0,
        }
    }
}

/// The simulated provider. Clones are the same provider: one script, one log.
#[derive(Clone)]
pub struct Sim {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    script: script::Script,
    log: Arc<log::Log>,
    /// Requests so far, from which chance is drawn.
    sequence: AtomicU64,
    /// What was brought, and what is done with it.
    cabinet: batches::Cabinet,
}

impl Sim {
    /// A provider with these settings, an empty script and an empty log.
    pub fn new(settings: Settings) -> Self {
        let shared = Shared {
            settings,
            script: script::Script::default(),
            log: Arc::new(log::Log::new()),
            sequence: AtomicU64::new(0),
            cabinet: batches::Cabinet::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Answers one request; every error of the protocol is an answer too.
    ///
    /// A reply that is not streamed comes after the time that it takes; the
    /// head of a stream comes at once, its frames as they become due. Letting
    /// go of the future or of the body is a caller that left.
    ///
    /// # Errors
    /// [`Reset`] where the connection was to break before a head.
    pub async fn call(&self, request: Request<Bytes>) -> Result<Response<Body>, Reset> {
        let turn = self.shared.plan(request);
        if !turn.wait.is_zero() {
            tokio::time::sleep(turn.wait).await;
        }
        if turn.directive.hang {
            std::future::pending::<()>().await;
        }
        turn.answer()
    }

    /// Appends directives for the requests to come, a JSON list of objects
    /// such as `[{"status": 503, "retry_after": 2}, {}, {"hang": true}]`, and
    /// says how many. An empty object is a reply without fault.
    ///
    /// # Errors
    /// Where an entry is wrong; then none of them is taken.
    pub fn load_script(&self, json: &str) -> Result<usize, ScriptError> {
        self.shared.script.load(json)
    }

    /// Empties the script, and says how many entries were left.
    pub fn clear_script(&self) -> usize {
        self.shared.script.clear()
    }

    /// The last 1,000 requests, the oldest first.
    pub fn log(&self) -> Vec<Entry> {
        self.shared.log.entries()
    }

    /// Those of the last 1,000 requests that came after the `id`th, the oldest first.
    pub fn log_after(&self, id: u64) -> Vec<Entry> {
        self.shared.log.after(id)
    }

    /// Empties the log. Requests under way are forgotten.
    pub fn clear_log(&self) {
        self.shared.log.clear();
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sim").field("settings", &self.shared.settings).finish_non_exhaustive()
    }
}

/// The connection broke: before the head where [`Sim::call`] returns it, in
/// the middle of the body where [`Body`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset;

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated provider reset the connection")
    }
}

impl std::error::Error for Reset {}

/// Locks what no holder can leave half changed: a poisoned lock is sound.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
