//! `GET /v1/models` and `/v1/models/{id}`: the names that a caller may use.

use super::body::Body;
use super::{compress, error};
use crate::gateway::Shared;
use bytes::Bytes;
use http::Response;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use std::borrow::Cow;
use wire::failure::{Failure, Kind};
use wire::openai::{self, ModelEntry};

/// Every alias and configured model that this caller may use.
pub(super) fn list(shared: &Shared, headers: &HeaderMap) -> Response<Body> {
    let snapshot = shared.snapshot();
    let caller = match snapshot.callers.identify(headers) {
        Ok(caller) => caller,
        Err(failure) => return error::response(&failure),
    };
    let mut names: Vec<_> =
        snapshot.routes.listed().filter(|(name, _)| caller.may_use(name).is_ok()).collect();
    names.sort_unstable();
    let entries = names.iter().map(|(name, owner)| ModelEntry {
        id: name.as_str().into(),
        created: 0,
        owned_by: (*owner).into(),
    });
    json(openai::models_list(entries), snapshot.server.compress_above, headers)
}

/// One name, with its slash plain or percent-encoded.
pub(super) fn one(shared: &Shared, headers: &HeaderMap, id: &str) -> Response<Body> {
    let snapshot = shared.snapshot();
    let found = snapshot.callers.identify(headers).and_then(|caller| {
        let id = decode(id).filter(|id| snapshot.routes.knows(id)).ok_or_else(unknown)?;
        caller.may_use(&id)?;
        Ok(id)
    });
    match found {
        Ok(id) => {
            let owner = id.split_once('/').map_or("tidegate", |(provider, _)| provider);
            let entry = ModelEntry { id: id.as_ref().into(), created: 0, owned_by: owner.into() };
            json(openai::model_entry(&entry), snapshot.server.compress_above, headers)
        }
        Err(failure) => error::response(&failure),
    }
}

fn unknown() -> Failure {
    Failure::new(Kind::NotFound, "The model does not exist: name an alias, or 'provider/model'.")
        .with_param("model")
        .with_code("model_not_found")
}

/// Percent-decoding (RFC 3986, section 2.1); `None` where it is broken or not UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let (digits, after) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn json(mut bytes: Bytes, compress_above: Option<usize>, asked: &HeaderMap) -> Response<Body> {
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    compress::answer_at_once(compress_above, asked, &mut headers, &mut bytes);
    let mut response = Response::new(Body::whole(bytes));
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn a_slash_may_be_encoded() {
        for (text, decoded) in [
            ("sim/fast", Some("sim/fast")),
            ("sim%2Ffast", Some("sim/fast")),
            ("sim%2ffast", Some("sim/fast")),
            ("%C3%A9", Some("é")),
            ("%", None),
            ("%2", None),
            ("%zz", None),
            ("%+1", None),
            ("%ff", None),
        ] {
            assert_eq!(decode(text).as_deref(), decoded, "{text}");
        }
    }
}
