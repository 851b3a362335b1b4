//! A request to a collection: who asks, what, and what is needed to answer.

use crate::alarm::Alarm;
use crate::auth::Caller;
use crate::durable::Durable;
use crate::gateway::Shared;
use crate::http::body::Body;
use crate::http::models::decode;
use crate::http::{compress, read};
use crate::snapshot::Snapshot;
use bytes::Bytes;
use guard::pressure::Buffered;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;
use wire::failure::{Failure, Kind};

/// A request to a collection, by somebody who is known.
pub(super) struct Asked {
    pub(super) shared: Arc<Shared>,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) caller: Caller,
    pub(super) method: Method,
    pub(super) headers: HeaderMap,
    /// What follows the collection in the path.
    rest: String,
    query: String,
    body: Option<Incoming>,
    arrived: Instant,
    /// The body counts as held for as long as this lives.
    held: Option<Buffered>,
}

impl Asked {
    /// # Errors
    /// 401 where nobody knows who asks.
    pub(super) fn new(
        shared: Arc<Shared>,
        rest_bytes: usize,
        request: Request<Incoming>,
    ) -> Result<Self, Failure> {
        let (parts, body) = request.into_parts();
        let snapshot = shared.snapshot();
        let caller = snapshot.callers.identify(&parts.headers)?;
        Ok(Self {
            shared,
            snapshot,
            caller,
            method: parts.method,
            headers: parts.headers,
            rest: parts.uri.path().split_at(parts.uri.path().len() - rest_bytes).1.to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            body: Some(body),
            arrived: Instant::now(),
            held: None,
        })
    }

    /// The path's further words: of `/jobs/job_1/events`, `["job_1", "events"]`.
    pub(super) fn words(&self) -> Vec<String> {
        self.rest
            .trim_end_matches('/')
            .split('/')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// The way to the store.
    pub(super) fn durable(&self) -> &Durable {
        &self.shared.gateway.durable
    }

    /// Whose things these are.
    pub(super) fn tenant(&self) -> String {
        self.caller.tenant().to_owned()
    }

    /// The request's body, once.
    ///
    /// # Errors
    /// As [`read::whole`], and 413 where it has more than `bytes_max`.
    pub(super) async fn body(&mut self, bytes_max: usize, setting: &str) -> Result<Bytes, Failure> {
        let Some(body) = self.body.take() else { return Ok(Bytes::new()) };
        let mut alarm = Alarm::default();
        let body = read::whole(&self.headers, body, &self.snapshot.server, self.arrived, &mut alarm).await?;
        if body.len() > bytes_max {
            let public =
                format!("The request's body is larger than {bytes_max} bytes, the gateway's '{setting}'.");
            return Err(Failure::new(Kind::TooLarge, public).with_code("request_too_large"));
        }
        self.held = Some(self.shared.gateway.pressure.hold(body.len())?);
        Ok(body)
    }

    /// The request's body as it comes in, once.
    pub(super) fn stream(&mut self) -> Option<Incoming> {
        self.body.take()
    }

    /// What the query says under this name, the first time; an empty text counts as nothing.
    ///
    /// # Errors
    /// 400 where that cannot be decoded.
    pub(super) fn query(&self, name: &str) -> Result<Option<String>, Failure> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let Some((_, value)) = pairs.into_iter().find(|(key, _)| *key == name) else { return Ok(None) };
        let value = decode(value).ok_or_else(|| {
            let public = format!("The query's '{name}' is not percent-encoded UTF-8.");
            Failure::new(Kind::InvalidRequest, public).with_param(name.to_owned())
        })?;
        Ok(Some(value.into_owned()).filter(|value| !value.is_empty()))
    }

    /// How many a page is to hold: `limit`, 20 where it is not said.
    ///
    /// # Errors
    /// 400 where it is no number from 1 to 100.
    pub(super) fn limit(&self) -> Result<usize, Failure> {
        let Some(text) = self.query("limit")? else { return Ok(20) };
        text.parse().ok().filter(|limit| (1..=100).contains(limit)).ok_or_else(|| {
            let public = "The query's 'limit' must be a whole number from 1 to 100.";
            Failure::new(Kind::InvalidRequest, public).with_param("limit")
        })
    }

    /// An answer in JSON.
    pub(super) async fn json(
        &self,
        status: StatusCode,
        value: &impl Serialize,
    ) -> Result<Response<Body>, Failure> {
        let body = serde_json::to_vec(value);
        let mut body = Bytes::from(body.map_err(|fault| {
            Failure::new(Kind::Internal, "The answer could not be written.").with_detail(fault.to_string())
        })?);
        let media = HeaderValue::from_static("application/json");
        let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, media)]);
        compress::answer(self.snapshot.server.compress_above, &self.headers, &mut headers, &mut body).await;
        let mut response = Response::new(Body::whole(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// There is no such thing, or it is another's: nobody is told which.
pub(super) fn not_found(what: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("There is no such {what}.")).with_code("not_found")
}
