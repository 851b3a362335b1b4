//! `POST /admin/playground`: a request asked by an operator through the very pipeline that callers' requests take:
//! limits, cache, single flight, queue, breakers. The answer comes as a caller would have it, a stream as it comes.

use super::asked::Sent;
use super::{refusal, refused};
use crate::desk::Commission;
use crate::gateway::Gateway;
use crate::http::body::Body;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::response::Response;
use std::sync::Arc;
use wire::failure::Failure;

/// Answers.
pub async fn ask(State(gateway): State<Arc<Gateway>>, what: Result<Json<Sent>, JsonRejection>) -> Response {
    let what = what.map_err(refused::body);
    match what.and_then(|Json(sent)| commission(&sent, &gateway)) {
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

fn commission(sent: &Sent, gateway: &Gateway) -> Result<Commission, Failure> {
    let principal = sent.principal(gateway)?;
    Ok(Commission::new(sent.operation()?, sent.body(), principal).with_headers_of(&sent.headers()?))
}
