//! The paths under `/sim`: steering the simulator, and asking what it saw.

use super::reply::Reply;
use crate::sim::Sim;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use serde_json::json;

/// The answer to a control request; `None` for any other.
pub(super) fn answer(sim: &Sim, request: &Request<Bytes>) -> Option<Response<Reply>> {
    let path = request.uri().path().strip_prefix("/sim/")?;
    let (status, value) = match (path, request.method()) {
        ("script", &Method::POST) => match load(sim, request.body()) {
            Ok(queued) => (StatusCode::OK, json!({"queued": queued})),
            Err(why) => (StatusCode::BAD_REQUEST, error(&why)),
        },
        ("script", &Method::DELETE) => (StatusCode::OK, json!({"removed": sim.clear_script()})),
        ("log", &Method::GET) => match log(sim, request.uri().query()) {
            Ok(entries) => (StatusCode::OK, entries),
            Err(why) => (StatusCode::BAD_REQUEST, error(&why)),
        },
        ("log", &Method::DELETE) => {
            sim.clear_log();
            (StatusCode::OK, json!({}))
        }
        ("script" | "log", method) => {
            (StatusCode::METHOD_NOT_ALLOWED, error(&format!("not allowed to {method} here")))
        }
        _ => (StatusCode::NOT_FOUND, error("there are /sim/script and /sim/log")),
    };
    Some(response(status, &value))
}

/// An answer to a request that could not be read.
pub(super) fn refused(status: StatusCode) -> Response<Reply> {
    response(status, &error("the body could not be read, or is longer than 64 MiB"))
}

fn load(sim: &Sim, body: &[u8]) -> Result<usize, String> {
    let json = std::str::from_utf8(body).map_err(|_| "a script is UTF-8")?;
    sim.load_script(json).map_err(|why| why.to_string())
}

/// The requests after the one that the query names, or all there are: who reads them again and again need
/// not hold up the requests under way each time.
fn log(sim: &Sim, query: Option<&str>) -> Result<serde_json::Value, String> {
    let after = match query {
        None => 0,
        Some(query) => query
            .strip_prefix("after=")
            .and_then(|number| number.parse().ok())
            .ok_or("the log takes ?after=NUMBER, the id of a request")?,
    };
    serde_json::to_value(sim.log_after(after)).map_err(|why| why.to_string())
}

fn error(message: &str) -> serde_json::Value {
    json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}})
}

fn response(status: StatusCode, value: &serde_json::Value) -> Response<Reply> {
    let mut response = Response::new(Reply::Control(Some(value.to_string().into())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
