//! A [`Failure`] in OpenAI's words: `{"error":{"message","type","param","code"}}`.
//!
//! The status is not here: it is the kind's ([`Kind::status`]).

use bytes::Bytes;

use crate::failure::{Failure, Kind};
use crate::splice::push_json_string;

/// The body of an error's response.
#[must_use]
pub fn error_body(failure: &Failure) -> Bytes {
    let mut out = Vec::with_capacity(128 + failure.public().len());
    push_error(&mut out, failure);
    out.into()
}

/// The same with one member more in the error, which is JSON.
#[must_use]
pub fn error_body_with(failure: &Failure, member: &str, json: &str) -> Bytes {
    let mut out = Vec::with_capacity(128 + failure.public().len() + json.len());
    push_error(&mut out, failure);
    out.truncate(out.len() - b"}}".len());
    out.push(b',');
    push_json_string(&mut out, member);
    out.push(b':');
    out.extend_from_slice(json.as_bytes());
    out.extend_from_slice(b"}}");
    out.into()
}

/// The event that ends a stream which has begun. It has no `event:` line: OpenAI's own streams
/// have none, and its SDKs raise on a data frame with an `error`.
#[must_use]
pub fn error_event(failure: &Failure) -> Bytes {
    let mut out = Vec::with_capacity(136 + failure.public().len());
    out.extend_from_slice(b"data: ");
    push_error(&mut out, failure);
    out.extend_from_slice(b"\n\n");
    out.into()
}

fn push_error(out: &mut Vec<u8>, failure: &Failure) {
    out.extend_from_slice(b"{\"error\":{\"message\":");
    push_json_string(out, failure.public());
    out.extend_from_slice(b",\"type\":");
    push_json_string(out, type_of(failure.kind()));
    out.extend_from_slice(b",\"param\":");
    push_or_null(out, failure.param());
    out.extend_from_slice(b",\"code\":");
    push_or_null(out, failure.code());
    out.extend_from_slice(b"}}");
}

fn push_or_null(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => push_json_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

const fn type_of(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidRequest
        | Kind::MethodNotAllowed
        | Kind::Conflict
        | Kind::TooLarge
        | Kind::UnsupportedMediaType
        | Kind::Unprocessable
        | Kind::HeadersTooLarge
        | Kind::CallerLeft => "invalid_request_error",
        Kind::Unauthenticated => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::NotFound => "not_found_error",
        Kind::RateLimited => "rate_limit_error",
        Kind::Internal | Kind::Provider => "api_error",
        Kind::Overloaded => "overloaded_error",
        Kind::CallerTimeout | Kind::ProviderTimeout => "timeout_error",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_failure_in_openais_words() {
        let failure = Failure::new(Kind::InvalidRequest, "Invalid 'model': it is \"\u{7}\"\n.")
            .with_param("model")
            .with_detail("secret");
        let want = r#"{"error":{"message":"Invalid 'model': it is \"\u0007\"\n.","type":"invalid_request_error","param":"model","code":null}}"#;
        assert_eq!(error_body(&failure), want);
        assert_eq!(error_event(&failure), format!("data: {want}\n\n"));
    }

    #[test]
    fn every_kind_has_a_type() {
        let cases = [
            (Kind::Unauthenticated, "authentication_error"),
            (Kind::Forbidden, "permission_error"),
            (Kind::NotFound, "not_found_error"),
            (Kind::RateLimited, "rate_limit_error"),
            (Kind::Provider, "api_error"),
            (Kind::Overloaded, "overloaded_error"),
            (Kind::ProviderTimeout, "timeout_error"),
            (Kind::TooLarge, "invalid_request_error"),
        ];
        for (kind, want) in cases {
            let body = error_body(&Failure::new(kind, "x").with_code("c"));
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["error"]["type"], want);
            assert_eq!(body["error"]["code"], "c");
            assert!(body["error"]["param"].is_null());
        }
    }
}
