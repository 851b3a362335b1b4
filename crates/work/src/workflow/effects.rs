//! What a step may do to the world outside: functions that are handed in.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::definition::Method;
use super::event::Failure;

/// For whom and for what a call is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Stable for the same step and item, whatever crashes, until somebody retries the step by hand: the
    /// call's idempotency key.
    pub key: String,
    /// Whose run it is.
    pub tenant: String,
    /// Who started it, or the run above it: as [`Start::caller`](super::engine::Start::caller) said.
    pub caller: Option<String>,
    /// The run.
    pub run: String,
    /// The workflow.
    pub workflow: String,
    /// The step's id.
    pub step: String,
    /// How long the call may take; it is dropped then.
    pub timeout: Duration,
}

/// A call of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCall {
    /// For whom and for what.
    pub origin: Origin,
    /// The model's name.
    pub model: String,
    /// The request's body, the model apart.
    pub request: serde_json::Map<String, Value>,
}

/// A call of a server.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCall {
    /// For whom and for what.
    pub origin: Origin,
    /// How.
    pub method: Method,
    /// Where; it begins with `http://` or `https://`, and nothing else of it is checked.
    pub url: String,
    /// Names and values; the values are not checked.
    pub headers: BTreeMap<String, String>,
    /// What is sent: text as it is, everything else as JSON.
    pub body: Option<Value>,
}

/// A call under way.
pub type Calling = Pin<Box<dyn Future<Output = Result<Value, Failure>> + Send>>;

/// What does the calls. What it gives is the step's output.
#[derive(Clone)]
pub struct Effects {
    pub(super) model: Arc<dyn Fn(ModelCall) -> Calling + Send + Sync>,
    pub(super) http: Arc<dyn Fn(HttpCall) -> Calling + Send + Sync>,
}

impl Effects {
    /// Functions that call models and servers. Each may be called more than once for a step, with the same
    /// [key](Origin::key), and dropped at each of its awaits. It must not block its thread.
    pub fn new<M, MF, H, HF>(model: M, http: H) -> Self
    where
        M: Fn(ModelCall) -> MF + Send + Sync + 'static,
        MF: Future<Output = Result<Value, Failure>> + Send + 'static,
        H: Fn(HttpCall) -> HF + Send + Sync + 'static,
        HF: Future<Output = Result<Value, Failure>> + Send + 'static,
    {
        Self {
            model: Arc::new(move |call| Box::pin(model(call))),
            http: Arc::new(move |call| Box::pin(http(call))),
        }
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Effects").finish_non_exhaustive()
    }
}
