//! The only code that dials out: one [`Upstream`] for each configured provider, with its
//! connections, its credentials and its addresses. It knows HTTP; what the bytes mean, whether to
//! try again and what the caller is told is decided elsewhere.
//!
//! A caller cannot reach anything from here but the paths that the configuration makes: the
//! request line, the host and the credentials are all built when the configuration loads.

mod answer;
mod dial;
mod error;
pub mod line;
mod names;
pub mod office;
mod outline;
mod payload;
mod peak;
mod pool;
pub mod post;
mod probe;
mod remote;
mod report;
mod room;
pub mod socket;
mod stock;
pub mod tls;

pub use answer::Answer;
pub use error::Error;
pub use report::PoolReport;
pub use room::Bound;
pub use stock::Stocks;

use crate::config;
use crate::trace::Carried;
use crate::worker::Worker;
use bytes::Bytes;
use http::header::HeaderValue;
use http::{Method, Request, Response, Uri};
use measure::metrics::Shard;
use outline::X_REQUEST_ID;
use remote::Remote;
use std::sync::Arc;
use std::time::Instant;
use wire::operation::Operation;
use wire::splice::Spliced;

/// What is to be sent.
pub struct Call {
    /// Decides the path.
    pub operation: Operation,
    /// The body, JSON.
    pub body: Spliced,
    /// Sent on, so that both sides' logs can be joined.
    pub request_id: HeaderValue,
    /// The trace that it is part of, where there is one.
    pub carried: Carried,
}

/// A provider as the configuration describes it, ready to be called from one worker: a connection is
/// driven by the runtime that opened it, so that each worker has its own. How many there may be is decided
/// for all workers together, and where there may be no more, a worker borrows another's.
pub struct Upstream {
    settings: config::Provider,
    backend: Backend,
}

enum Backend {
    Remote(Box<Remote>),
    Sim(rig::sim::Sim),
}

impl Upstream {
    /// Prepares a provider for the worker of this number; connects to nothing yet. Its connections are in
    /// `stocks`, and counted in `metrics`.
    ///
    /// # Errors
    /// Where a CA file cannot be read, or the credentials are no header value.
    pub fn new(
        settings: config::Provider,
        stocks: &Stocks,
        worker: usize,
        metrics: Shard<'_>,
    ) -> Result<Self, Error> {
        let backend = match (&settings.base_url, stocks.of(&settings.name)) {
            (Some(url), Some(stock)) => {
                Backend::Remote(Box::new(Remote::new(&settings, url, stock, worker, metrics)?))
            }
            _ => Backend::Sim(rig::sim::Sim::new(settings.sim.clone())),
        };
        Ok(Self { settings, backend })
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &config::Provider {
        &self.settings
    }

    /// The provider's name in the configuration.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Whether it is asked over the network.
    pub fn is_remote(&self) -> bool {
        matches!(self.backend, Backend::Remote(_))
    }

    /// Sends one request and gives the answer's head, its body still to come. There is no time
    /// limit here but for the connection; nobody waits for one beyond `due`. Dropping the future or the answer
    /// ends the call at the provider.
    ///
    /// # Errors
    /// See [`Error`]. A request is sent at most once; it moves to another connection only where
    /// nothing of it has left.
    pub async fn send(&self, worker: &Worker, call: &Call, due: Instant) -> Result<Response<Answer>, Error> {
        match &self.backend {
            Backend::Remote(remote) => remote.send(worker, call, due).await,
            // Boxed: it is large, and it is not the path that is measured.
            Backend::Sim(sim) => Box::pin(send_sim(sim, call)).await,
        }
    }

    /// Housekeeping, to be called now and then.
    pub async fn maintain(self: Arc<Self>, worker: &Worker) {
        if let Backend::Remote(remote) = &self.backend {
            remote.maintain(self.name(), worker).await;
        }
    }

    /// How its connections stand, over all workers; `None` where it has none, as it runs in process.
    pub fn pool_report(&self) -> Option<PoolReport> {
        match &self.backend {
            Backend::Remote(remote) => Some(remote.stock.report()),
            Backend::Sim(_) => None,
        }
    }
}

async fn send_sim(sim: &rig::sim::Sim, call: &Call) -> Result<Response<Answer>, Error> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(call.operation.path());
    request.headers_mut().insert(X_REQUEST_ID, call.request_id.clone());
    *request.body_mut() = call.body.clone().into_bytes();
    match sim.call(request).await {
        Ok(response) => Ok(response.map(Answer::sim)),
        Err(reset) => Err(Error::Cut(reset.to_string())),
    }
}

/// An error with its causes, in one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
