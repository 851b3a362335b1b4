//! What is refused before a route of the admin plane sees it, told as everything else here is: a path or a method there
//! is not, a body or a query that cannot be read.

use super::refusal;
use crate::http::unknown_path;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{self, FromRequestParts};
use axum::response::Response;
use http::request::Parts;
use http::{Method, StatusCode, Uri};
use serde::de::DeserializeOwned;
use std::error::Error;
use wire::failure::{Failure, Kind};

/// Largest body taken, in bytes.
pub const BODY_BYTES_MAX: usize = 2 << 20;

/// A body that is not the JSON which is asked for.
pub fn body(rejection: JsonRejection) -> Failure {
    match rejection {
        JsonRejection::JsonDataError(fault) => {
            bad(format!("The body does not say what is asked for: {}.", why(&fault)))
        }
        JsonRejection::JsonSyntaxError(fault) => bad(format!("The body is not valid JSON: {}.", why(&fault))),
        JsonRejection::MissingJsonContentType(_) => Failure::new(
            Kind::UnsupportedMediaType,
            "The body must be JSON: send it with 'Content-Type: application/json'.",
        ),
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => Failure::new(
            Kind::TooLarge,
            format!("The body is larger than the {BODY_BYTES_MAX} bytes that the admin plane takes."),
        ),
        other => bad("The body could not be read.").with_detail(other.body_text()),
    }
}

/// A query of which a member is unknown, or has no such value.
pub fn query(rejection: QueryRejection) -> Failure {
    match rejection {
        QueryRejection::FailedToDeserializeQueryString(fault) => {
            bad(format!("The query does not say what is asked for: {}.", why(&fault)))
        }
        other => bad("The query could not be read.").with_detail(other.body_text()),
    }
}

/// Says that nothing is at a path.
pub async fn path(method: Method, uri: Uri) -> Response {
    refusal(&unknown_path(&method, &uri))
}

/// Says that there is something, but not by this method. The router adds those that there are.
pub async fn method(method: Method) -> Response {
    let public = format!("The method {method} is not allowed here; those in 'Allow' are.");
    refusal(&Failure::new(Kind::MethodNotAllowed, public))
}

/// What a path says where its route leaves room. What cannot be read is no path of ours.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match extract::Path::from_request_parts(parts, state).await {
            Ok(extract::Path(said)) => Ok(Self(said)),
            Err(_) => Err(refusal(&unknown_path(&parts.method, &parts.uri))),
        }
    }
}

/// What the parser says, without what the framework says before it.
fn why(fault: &dyn Error) -> String {
    fault.source().map_or_else(|| fault.to_string(), ToString::to_string)
}

fn bad(public: impl Into<String>) -> Failure {
    Failure::new(Kind::InvalidRequest, public.into())
}
