//! The data plane's routes: one match over method and path. A general router would look each of
//! them up, box each body and hold each handler behind a pointer; here are a dozen paths.
//!
//! What one endpoint does is in its own file below.

mod batch;
pub mod body;
pub mod compress;
mod durable;
pub mod error;
mod framing;
pub mod head;
pub(crate) mod health;
pub mod hosts;
mod models;
pub mod ratelimit;
pub mod read;

use crate::gateway::Shared;
use crate::listener::watch::Underway;
use crate::pipeline;
use ::http::{Method, Request, Response, Uri};
use body::Body;
use hosts::Served;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use wire::failure::{Failure, Kind};
use wire::operation::Operation;

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint<'a> {
    Root,
    Health,
    Ready,
    Performance,
    Inference(Operation),
    Batch,
    Models,
    Model(&'a str),
    /// Something of a collection that lasts.
    Durable(durable::Place),
}

/// What takes its time to be answered.
#[derive(Clone, Copy, Debug)]
enum Work {
    /// One question to a model.
    Inference(Operation),
    /// Several in one body.
    Batch,
    /// Something of a collection that lasts.
    Durable(durable::Place),
}

/// Answers one request on the data plane; the answer's body keeps its connection marked as busy.
///
/// The future of an inference is large, and is let go of when the answer's head is
/// made: a stream may live on for minutes after that.
pub fn handle(
    shared: Arc<Shared>,
    request: Request<Incoming>,
    underway: Underway,
) -> Handling<impl Future<Output = Response<Body>>> {
    match route(&shared, &request) {
        Ok(Work::Inference(operation)) => {
            Handling::Pipeline(in_place(|| pipeline::serve(shared, operation, request)), Some(underway))
        }
        Ok(Work::Batch) => Handling::Other(Box::pin(batch::serve(shared, request)), Some(underway)),
        Ok(Work::Durable(place)) => {
            Handling::Other(Box::pin(durable::serve(shared, place, request)), Some(underway))
        }
        Err(mut response) => {
            head::identify(response.headers_mut(), head::request_id(request.headers()));
            Handling::Done(Some(Box::new(response.map(|body| body.holding(Some(underway))))))
        }
    }
}

/// Puts what `make` makes on the heap at once: what is made first and put there then is copied, and a future of five
/// kilobytes shows that.
fn in_place<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

/// An answer on its way.
pub enum Handling<F> {
    /// It is being made.
    Pipeline(Pin<Box<F>>, Option<Underway>),
    /// It is being made, and is none of the above: seldom enough that the future's type need not be known.
    Other(Pin<Box<dyn Future<Output = Response<Body>> + Send>>, Option<Underway>),
    /// It is made.
    Done(Option<Box<Response<Body>>>),
}

impl<F: Future<Output = Response<Body>>> Future for Handling<F> {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let (response, underway) = match &mut *self {
            Self::Done(response) => {
                return response.take().map_or(Poll::Pending, |response| Poll::Ready(Ok(*response)));
            }
            Self::Pipeline(future, underway) => (ready!(future.as_mut().poll(cx)), underway.take()),
            Self::Other(future, underway) => (ready!(future.as_mut().poll(cx)), underway.take()),
        };
        *self = Self::Done(None);
        Poll::Ready(Ok(response.map(|body| body.holding(underway))))
    }
}

/// The work to be done, or an answer that needs none.
fn route(shared: &Shared, request: &Request<Incoming>) -> Result<Work, Box<Response<Body>>> {
    framing::check(request).map_err(|failure| Box::new(framing::refusal(&failure)))?;
    let Some(endpoint) = endpoint(request.uri().path()) else { return Err(Box::new(unknown(request))) };
    guard(shared, endpoint, request)?;
    let response = match (endpoint, request.method()) {
        (Endpoint::Inference(operation), &Method::POST) => return Ok(Work::Inference(operation)),
        (Endpoint::Batch, &Method::POST) => return Ok(Work::Batch),
        (Endpoint::Durable(place), _) => return Ok(Work::Durable(place)),
        (Endpoint::Inference(_) | Endpoint::Batch, _) => error::method_not_allowed("POST"),
        (Endpoint::Root, &Method::GET | &Method::HEAD) => health::root(),
        (Endpoint::Health, &Method::GET | &Method::HEAD) => health::live(),
        (Endpoint::Ready, &Method::GET | &Method::HEAD) => health::ready(&shared.gateway),
        (Endpoint::Performance, &Method::GET | &Method::HEAD) => health::performance(&shared.gateway),
        (Endpoint::Models, &Method::GET | &Method::HEAD) => models::list(shared, request.headers()),
        (Endpoint::Model(id), &Method::GET | &Method::HEAD) => models::one(shared, request.headers(), id),
        _ => error::method_not_allowed("GET, HEAD"),
    };
    Err(Box::new(response))
}

/// What is checked before anything is read: that no web page reaches a gateway on loopback through a
/// caller's browser.
fn guard(
    shared: &Shared,
    endpoint: Endpoint<'_>,
    request: &Request<Incoming>,
) -> Result<(), Box<Response<Body>>> {
    // Health is asked by probes that know an address and no name, and tells nothing.
    if matches!(endpoint, Endpoint::Health | Endpoint::Ready | Endpoint::Performance) {
        return Ok(());
    }
    let snapshot = shared.snapshot();
    hosts::check(Served::data(&snapshot.server), request)
        .map_err(|failure| Box::new(error::response(&failure)))
}

/// Paths are matched with and without `/v1`, and under `/openai` and `/anthropic`, so that an SDK's
/// base URL is all that changes.
fn endpoint(path: &str) -> Option<Endpoint<'_>> {
    let path = match path.strip_prefix("/openai").or_else(|| path.strip_prefix("/anthropic")) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => path,
    };
    let path = match path.strip_prefix("/v1") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => rest,
        _ => path,
    };
    Some(match path {
        "" | "/" => Endpoint::Root,
        "/chat/completions" => Endpoint::Inference(Operation::ChatCompletions),
        "/completions" => Endpoint::Inference(Operation::Completions),
        "/embeddings" => Endpoint::Inference(Operation::Embeddings),
        "/batch" => Endpoint::Batch,
        "/health" => Endpoint::Health,
        "/health/ready" => Endpoint::Ready,
        "/health/performance" => Endpoint::Performance,
        "/models" | "/models/" => Endpoint::Models,
        _ => match path.strip_prefix("/models/") {
            Some(id) => Endpoint::Model(id),
            None => Endpoint::Durable(durable::place(path)?),
        },
    })
}

/// The operation that is asked for at a path, for requests that name theirs in a body.
pub(crate) fn inference(path: &str) -> Option<Operation> {
    match endpoint(path) {
        Some(Endpoint::Inference(operation)) => Some(operation),
        _ => None,
    }
}

fn unknown(request: &Request<Incoming>) -> Response<Body> {
    error::response(&unknown_path(request.method(), request.uri()))
}

/// Says that nothing is at a path, on either plane.
pub(crate) fn unknown_path(method: &Method, uri: &Uri) -> Failure {
    let path: String = uri.path().chars().take(128).collect();
    Failure::new(Kind::NotFound, format!("Unknown path: {method} {path}.")).with_code("unknown_url")
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, durable, endpoint};
    use wire::operation::Operation;

    #[test]
    fn every_form_of_a_path_is_known() {
        let chat = Some(Endpoint::Inference(Operation::ChatCompletions));
        for (path, expected) in [
            ("/v1/chat/completions", chat),
            ("/chat/completions", chat),
            ("/openai/v1/chat/completions", chat),
            ("/openai/chat/completions", chat),
            ("/v1/batch", Some(Endpoint::Batch)),
            ("/v1/batches", durable::place("/batches").map(Endpoint::Durable)),
            ("/v1/models", Some(Endpoint::Models)),
            ("/v1/models/sim/fast", Some(Endpoint::Model("sim/fast"))),
            ("/models/sim%2Ffast", Some(Endpoint::Model("sim%2Ffast"))),
            ("/", Some(Endpoint::Root)),
            ("/v1", Some(Endpoint::Root)),
            ("/health/ready", Some(Endpoint::Ready)),
            ("/health/performance", Some(Endpoint::Performance)),
            ("/openaichat/completions", None),
            ("/v1chat/completions", None),
            ("/v1/v1/chat/completions", None),
            ("/admin", None),
            ("/metrics", None),
            ("", Some(Endpoint::Root)),
        ] {
            assert_eq!(endpoint(path), expected, "{path}");
        }
    }
}
