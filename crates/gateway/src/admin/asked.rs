//! What operators say of a request that is not a caller's: which path, whose, with which headers.

use crate::auth::Principal;
use crate::gateway::Gateway;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::BTreeMap;
use wire::failure::{Failure, Kind};
use wire::operation::Operation;

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

/// On whose behalf: of a configured key by its public part, or of nobody where keys are not used.
pub fn principal_of(gateway: &Gateway, key: Option<&str>) -> Result<Principal, Failure> {
    let snapshot = gateway.snapshot(0);
    let Some(id) = key else {
        return if snapshot.config.keys.is_empty() {
            Ok(Principal { key: None, tenant: "".into() })
        } else {
            Err(bad("callers need keys here: name one's public part in \"key\""))
        };
    };
    let known = snapshot.config.keys.iter().find(|known| known.id == id);
    let known = known.ok_or_else(|| bad("there is no such key"))?;
    Ok(Principal { key: Some(id.into()), tenant: known.tenant_name().into() })
}

/// Headers from names and values.
pub fn headers_of(named: &BTreeMap<String, String>) -> Result<HeaderMap, Failure> {
    let header = |(name, value): (&String, &String)| {
        let known = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
        known.ok_or_else(|| bad(format!("\"{name}\" is no header")))
    };
    named.iter().map(header).collect()
}

fn bad(what: impl Into<String>) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("This cannot be asked: {}.", what.into()))
}
