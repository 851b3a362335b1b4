//! Whether the process lives, and whether it should be sent requests. Both planes answer with it.

use super::body::Body;
use crate::gateway::Gateway;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// `/`: that somebody is here. `HEAD /` is how some clients look for a server.
pub(super) fn root() -> Response<Body> {
    json(StatusCode::OK, r#"{"name":"tidegate","health":"/health","models":"/v1/models"}"#)
}

/// `/health`: the process answers.
pub(crate) fn live() -> Response<Body> {
    json(StatusCode::OK, r#"{"status":"ok"}"#)
}

/// `/health/ready`: new requests are welcome.
pub(crate) fn ready(gateway: &Gateway) -> Response<Body> {
    match gateway.draining() {
        false => json(StatusCode::OK, r#"{"status":"ready"}"#),
        true => json(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#),
    }
}

fn json(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::whole(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
