//! What is the same for every request to a provider, made when the configuration loads: request lines, host,
//! credentials. A caller has no part in it.

use super::payload::Payload;
use super::{Call, Error};
use crate::config;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use http::{Method, Request, Uri};
use wire::operation::Operation;
use wire::preset::Auth;

/// Requests to one provider, but for what each says.
pub(super) struct Outline {
    endpoints: Endpoints,
    /// Everything that is the same for each request, credentials among it, with a place for the
    /// request's id: a clone of it is filled in without growing.
    headers: HeaderMap,
}

/// Where each operation is found, in both forms: HTTP/1.1 sends the path, HTTP/2 the whole.
struct Endpoints([Endpoint; 4]);

struct Endpoint {
    path: Uri,
    whole: Uri,
}

impl Outline {
    /// Of requests to `url`.
    ///
    /// # Errors
    /// Where something configured is no header or makes no URL.
    pub(super) fn new(settings: &config::Provider, url: &config::BaseUrl) -> Result<Self, Error> {
        let authority = url.authority();
        let mut headers = fixed_headers(settings, header_value(&authority)?)?;
        // Both are a request's own, and have their places.
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("-"));
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        Ok(Self { endpoints: Endpoints::new(url, &authority)?, headers })
    }

    /// A request on an HTTP/1.1 connection.
    pub(super) fn request_http1(&self, call: &Call) -> Request<Payload> {
        self.request(call, self.endpoints.of(call.operation).path.clone())
    }

    /// The same on an HTTP/2 connection.
    pub(super) fn request_http2(&self, call: &Call) -> Request<Payload> {
        let mut request = self.request(call, self.endpoints.of(call.operation).whole.clone());
        // HTTP/2 names the host in the request's `:authority`.
        request.headers_mut().remove(HOST);
        request
    }

    fn request(&self, call: &Call, uri: Uri) -> Request<Payload> {
        let mut request = Request::new(Payload::of(&call.body));
        *request.method_mut() = match call.operation {
            Operation::Models => Method::GET,
            _ => Method::POST,
        };
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        let length = call.body.len();
        // They have their places: to look at each is cheaper than to find two by their hashes.
        for (name, value) in headers.iter_mut() {
            if *name == X_REQUEST_ID {
                *value = call.request_id.clone();
            } else if *name == CONTENT_LENGTH {
                *value = HeaderValue::from(length);
            }
        }
        if length == 0 {
            headers.remove(CONTENT_LENGTH);
        }
        call.carried.write(headers);
        request
    }
}

impl Endpoints {
    fn new(url: &config::BaseUrl, authority: &str) -> Result<Self, Error> {
        let scheme = if url.https { "https" } else { "http" };
        let base = url.path.trim_end_matches('/');
        let endpoint = |operation: Operation| -> Result<Endpoint, Error> {
            let path = format!("{base}{}", operation.path());
            let whole = format!("{scheme}://{authority}{path}");
            let parse = |text: String| {
                Uri::try_from(text).map_err(|error| Error::Unreachable(format!("bad base_url: {error}")))
            };
            Ok(Endpoint { path: parse(path)?, whole: parse(whole)? })
        };
        Ok(Self([
            endpoint(Operation::ChatCompletions)?,
            endpoint(Operation::Completions)?,
            endpoint(Operation::Embeddings)?,
            endpoint(Operation::Models)?,
        ]))
    }

    fn of(&self, operation: Operation) -> &Endpoint {
        match operation {
            Operation::Completions => &self.0[1],
            Operation::Embeddings => &self.0[2],
            // No caller's: the gateway answers those itself.
            Operation::Models => &self.0[3],
            Operation::ChatCompletions => &self.0[0],
        }
    }
}

/// The header by which both sides' logs are joined.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Headers of every request, but for those of one provider.
const FIXED: usize = 7;

pub(super) fn fixed_headers(settings: &config::Provider, host: HeaderValue) -> Result<HeaderMap, Error> {
    // With room to spare, which a copy has too: for a trace's headers.
    let mut headers = HeaderMap::with_capacity(2 * FIXED);
    headers.insert(HOST, host);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &settings.headers {
        let name = HeaderName::try_from(name)
            .map_err(|_| Error::Unreachable(format!("'{name}' is no header's name")))?;
        headers.insert(name, header_value(value)?);
    }
    if let Some(key) = &settings.api_key {
        let (name, text) = match settings.preset.auth {
            Auth::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
            Auth::Header(name) => (HeaderName::from_static(name), key.expose().to_owned()),
            Auth::None => return Ok(headers),
        };
        let mut value = header_value(&text)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The text itself is not repeated in the error: it may be a credential.
pub(super) fn header_value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(text)
        .map_err(|_| Error::Unreachable("a header of this provider has characters that HTTP forbids".into()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Outline, X_REQUEST_ID};
    use crate::config::{Config, Override, Sources};
    use crate::trace::Carried;
    use crate::upstream::Call;
    use http::HeaderValue;
    use http::header::{CONTENT_LENGTH, HOST};
    use wire::operation::Operation;
    use wire::splice::splice;

    /// Of a provider whose operator has an id of its own for every request.
    fn outline() -> Outline {
        let provider = r#"{"preset": "vllm", "headers": {"x-request-id": "fixed", "x-team": "a"}}"#;
        let overrides = vec![Override::new("--test", "providers", format!(r#"{{"p": {provider}}}"#))];
        let config = Config::load(&Sources { overrides, ..Sources::default() }).unwrap().config;
        let settings = &config.providers["p"];
        Outline::new(settings, settings.base_url.as_ref().unwrap()).unwrap()
    }

    fn call(operation: Operation, body: &'static [u8]) -> Call {
        Call {
            operation,
            body: splice(&body.into(), &[]),
            request_id: HeaderValue::from_static("req_1"),
            carried: Carried { traceparent: Some(HeaderValue::from_static("00-1-2-01")), tracestate: None },
        }
    }

    #[test]
    fn a_request_says_once_what_is_its_own_beside_what_all_say() {
        let outline = outline();
        for (operation, body, length) in
            [(Operation::ChatCompletions, &b"{\"a\":1}"[..], Some("7")), (Operation::Models, b"", None)]
        {
            let request = outline.request_http1(&call(operation, body));
            let said = |name: &str| {
                let values = request.headers().get_all(name);
                values.iter().map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            assert_eq!(said(X_REQUEST_ID.as_str()), ["req_1"]);
            assert_eq!(said(CONTENT_LENGTH.as_str()), Vec::from_iter(length));
            assert_eq!((said("x-team"), said("traceparent")), (vec!["a".into()], vec!["00-1-2-01".into()]));
            assert_eq!(said(HOST.as_str()).len(), 1);
        }
        let request = outline.request_http2(&call(Operation::ChatCompletions, b"{}"));
        assert!(!request.headers().contains_key(HOST) && request.uri().authority().is_some());
    }
}
