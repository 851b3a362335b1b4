//! Errors as the provider words them: `{"error":{"message","type","param","code"}}`.

use super::json;
use bytes::Bytes;
use http::StatusCode;
use std::borrow::Cow;

/// A request refused, or an error played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) message: Cow<'static, str>,
    pub(crate) kind: &'static str,
    pub(crate) param: Option<Box<str>>,
    pub(crate) code: Option<&'static str>,
    /// The methods that a path knows, for a 405.
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    /// A 400 without a place.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            kind: "invalid_request_error",
            param: None,
            code: None,
            allow: None,
        }
    }

    /// A 400 at a place in the body, such as `messages[0].role`.
    pub(crate) fn at(param: &str, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { param: Some(param.into()), code: Some(code), ..Self::invalid(message) }
    }

    /// A parameter that has to be there and is not.
    pub(crate) fn missing(param: &str) -> Self {
        Self::at(param, "missing_required_parameter", format!("Missing required parameter: '{param}'."))
    }

    /// A value of the wrong type.
    pub(crate) fn wrong_type(param: &str, expected: &str, got: &str) -> Self {
        let message = format!("Invalid type for '{param}': expected {expected}, but got {got} instead.");
        Self::at(param, "invalid_type", message)
    }

    /// A value that none of the allowed ones is.
    pub(crate) fn wrong_value(param: &str, got: &str, supported: &str) -> Self {
        let message = format!("Invalid value: '{got}'. Supported values are: {supported}.");
        Self::at(param, "invalid_value", message)
    }

    /// A directive or a schema nobody can follow.
    pub(crate) fn wrong(param: &str, why: &str) -> Self {
        Self::at(param, "invalid_value", format!("Invalid '{param}': {why}."))
    }

    /// A path that the provider does not have.
    pub(crate) fn unknown_path(method: &http::Method, path: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: Some("unknown_url"),
            ..Self::invalid(format!("Unknown request URL: {method} {path}. Please check the URL for typos."))
        }
    }

    /// A path that knows other methods.
    pub(crate) fn wrong_method(method: &http::Method, allow: &'static str) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            code: Some("method_not_supported"),
            allow: Some(allow),
            ..Self::invalid(format!("Not allowed to {method} here; use {allow}."))
        }
    }

    /// The error that a provider gives with a status, in its own words.
    pub(crate) fn played(status: StatusCode) -> Self {
        let (kind, code, message) = match status.as_u16() {
            401 => ("invalid_request_error", Some("invalid_api_key"), "Incorrect API key provided."),
            403 => (
                "invalid_request_error",
                Some("unsupported_country_region_territory"),
                "Country, region, or territory not supported",
            ),
            404 => (
                "invalid_request_error",
                Some("model_not_found"),
                "The model does not exist or you do not have access to it.",
            ),
            408 => ("server_error", Some("timeout"), "Request timed out."),
            429 => (
                "requests",
                Some("rate_limit_exceeded"),
                "Rate limit reached for requests. Please try again later.",
            ),
            500 => (
                "server_error",
                None,
                "The server had an error while processing your request. Sorry about that!",
            ),
            503 => ("server_error", None, "The server is currently overloaded. Please try again later."),
            501.. => ("server_error", None, "The server could not process your request."),
            _ => ("invalid_request_error", None, "The request was refused."),
        };
        Self { status, kind, code, ..Self::invalid(message) }
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> Bytes {
        let mut out = Vec::with_capacity(160 + self.message.len());
        out.extend_from_slice(b"{\"error\":{\"message\":");
        json::string(&mut out, &self.message);
        out.extend_from_slice(b",\"type\":");
        json::string(&mut out, self.kind);
        out.extend_from_slice(b",\"param\":");
        json::optional(&mut out, self.param.as_deref());
        out.extend_from_slice(b",\"code\":");
        json::optional(&mut out, self.code);
        out.extend_from_slice(b"}}");
        out.into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_refusal_has_the_four_members_and_the_place() {
        let body = Refusal::missing("messages").body();
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"error": {
                "message": "Missing required parameter: 'messages'.",
                "type": "invalid_request_error",
                "param": "messages",
                "code": "missing_required_parameter",
            }})
        );
    }
}
