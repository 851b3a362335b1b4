//! A request that an operator sends in a caller's place: to be explained, or to be answered.

use crate::auth::Principal;
use crate::gateway::Gateway;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use wire::failure::{Failure, Kind};
use wire::operation::Operation;

/// A request as a caller would send it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
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

impl Sent {
    /// What its path asks for.
    pub fn operation(&self) -> Result<Operation, Failure> {
        operation_of(self.path.as_deref())
    }

    /// On whose behalf: of a key by its public part, the file's or a stored one; or of nobody where keys are not used.
    pub fn principal(&self, gateway: &Gateway) -> Result<Principal, Failure> {
        let snapshot = gateway.snapshot(0);
        let Some(id) = self.key.as_deref() else {
            return if snapshot.keyring.needed {
                Err(bad("callers need keys here: name one's public part in \"key\""))
            } else {
                Ok(Principal { key: None, tenant: "".into() })
            };
        };
        let known = snapshot.keyring.keys.iter().find(|known| known.id == id);
        let known = known.ok_or_else(|| bad("there is no such key"))?;
        Ok(Principal { key: Some(id.into()), tenant: known.tenant_name().into() })
    }

    /// Its headers.
    pub fn headers(&self) -> Result<HeaderMap, Failure> {
        headers_of(&self.headers)
    }

    /// Its body, byte for byte.
    pub fn body(&self) -> Bytes {
        Bytes::copy_from_slice(self.body.get().as_bytes())
    }
}

/// What a path asks for.
pub fn operation_of(path: Option<&str>) -> Result<Operation, Failure> {
    let path = path.unwrap_or("/v1/chat/completions");
    let path = path.strip_prefix("/v1").unwrap_or(path);
    let known = [Operation::ChatCompletions, Operation::Completions, Operation::Embeddings];
    known
        .into_iter()
        .find(|operation| operation.path() == path)
        .ok_or_else(|| bad("\"path\" must be one of /v1/chat/completions, /v1/completions, /v1/embeddings"))
}

/// Headers from names and values.
pub fn headers_of(named: &BTreeMap<String, String>) -> Result<HeaderMap, Failure> {
    let header = |(name, value): (&String, &String)| {
        let known = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        known.ok_or_else(|| bad(format!("\"{name}\" is no header")))
    };
    named.iter().map(header).collect()
}

/// A request that cannot be asked, and why.
pub(in crate::admin) fn bad(what: impl Into<String>) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("This cannot be asked: {}.", what.into()))
}
