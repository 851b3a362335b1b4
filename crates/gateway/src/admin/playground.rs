//! `POST /admin/playground`: a request asked by an operator through the very pipeline that callers' requests take:
//! limits, cache, single flight, queue, breakers. The answer comes as a caller would have it, a stream as it comes.

use super::asked::{headers_of, operation_of, principal_of};
use super::refusal;
use crate::desk::Commission;
use crate::gateway::Gateway;
use crate::http::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::Response;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use wire::failure::{Failure, Kind};

/// A request as a caller would send it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Play {
    /// The path, with or without `/v1`; chat completions where there is none.
    #[serde(default)]
    path: Option<String>,
    /// The public part of the caller's key on whose behalf it is asked; none where keys are not used.
    #[serde(default)]
    key: Option<String>,
    /// Its headers, of those that mean something here.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Its body, as it would be sent.
    body: Box<RawValue>,
}

/// Answers.
pub async fn ask(State(gateway): State<Arc<Gateway>>, what: Result<Json<Play>, JsonRejection>) -> Response {
    let what = what.map_err(|fault| Failure::new(Kind::InvalidRequest, fault.body_text()));
    match what.and_then(|Json(what)| what.commission(&gateway)) {
        Err(failure) => refusal(&failure),
        Ok(commission) => {
            let begun = gateway.desk.begin(commission).await;
            let mut response = http::Response::new(Body::events(begun.body));
            *response.status_mut() = begun.status;
            *response.headers_mut() = begun.headers;
            response.map(axum::body::Body::new)
        }
    }
}

impl Play {
    fn commission(self, gateway: &Gateway) -> Result<Commission, Failure> {
        let operation = operation_of(self.path.as_deref())?;
        let principal = principal_of(gateway, self.key.as_deref())?;
        let body = Bytes::copy_from_slice(self.body.get().as_bytes());
        Ok(Commission::new(operation, body, principal).with_headers_of(&headers_of(&self.headers)?))
    }
}
