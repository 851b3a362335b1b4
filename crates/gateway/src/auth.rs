//! Who is calling: a caller's key to the caller it belongs to.
//!
//! All keys are held in memory, so that no store that is down can turn a valid key into a 401. A
//! data-plane key says nothing to the admin plane, which has a key of its own.

use crate::config::Key;
use crate::keys::{CallerKey, KeyHash};
use foldhash::HashMap;
use foldhash::HashMapExt as _;
use http::header::{AUTHORIZATION, HeaderMap};
use std::sync::Arc;
use subtle::ConstantTimeEq;
use wire::failure::{Failure, Kind};

/// Everyone who may call.
#[derive(Debug, Default)]
pub struct Callers {
    by_id: HashMap<Box<str>, Arc<Key>>,
}

/// Whoever calls: one of the configured, or anyone where no key is configured.
#[derive(Clone, Debug)]
pub enum Caller {
    /// No keys are configured, which the configuration allows on loopback only.
    Anyone,
    /// The holder of this key.
    Holder(Arc<Key>),
}

impl Callers {
    /// The callers that the configuration names.
    pub fn new(keys: &[Key]) -> Self {
        let mut by_id = HashMap::with_capacity(keys.len());
        for key in keys {
            by_id.insert(key.id.as_str().into(), Arc::new(key.clone()));
        }
        Self { by_id }
    }

    /// Whether anyone may call without a key.
    pub fn open(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Finds the caller by `Authorization: Bearer` or `x-api-key`.
    ///
    /// # Errors
    /// 401, with the same words whether the key is unknown, wrong or malformed.
    pub fn identify(&self, headers: &HeaderMap) -> Result<Caller, Failure> {
        if self.open() {
            return Ok(Caller::Anyone);
        }
        let Some(presented) = presented(headers) else {
            return Err(unauthenticated(
                "No API key was provided: send it as 'Authorization: Bearer tg-…' or as 'x-api-key'.",
            ));
        };
        self.check(presented)
            .map(Caller::Holder)
            .ok_or_else(|| unauthenticated("Incorrect API key provided."))
    }

    fn check(&self, presented: &[u8]) -> Option<Arc<Key>> {
        let presented = CallerKey::parse(presented)?;
        let known = self.by_id.get(presented.id);
        // An unknown id takes the same path as a known one, so that time does not tell them apart.
        let hash = known.map_or(KeyHash::NOBODY, |key| key.hash);
        (hash.verify(&presented) && known.is_some()).then(|| known.map(Arc::clone)).flatten()
    }
}

impl Caller {
    /// Whose requests these are: the tenant of the key, a key without one being a tenant of its own, and
    /// nobody's where no keys are configured.
    pub fn tenant(&self) -> &str {
        match self {
            Self::Anyone => "",
            Self::Holder(key) => key.tenant.as_deref().unwrap_or(&key.id),
        }
    }

    /// Whether this caller may ask for `model`, by the name the request used.
    ///
    /// # Errors
    /// 403 where it may not.
    pub fn may_use(&self, model: &str) -> Result<(), Failure> {
        match self {
            Self::Holder(key) if !key.allows(model) => Err(Failure::new(
                Kind::Forbidden,
                format!("This API key may not use the model '{model}'. Its allowed models are set in the gateway's configuration."),
            )
            .with_param("model")
            .with_code("model_not_allowed")),
            _ => Ok(()),
        }
    }
}

/// Whether the request carries `key`, by either header, compared in constant time.
pub fn carries(headers: &HeaderMap, key: &str) -> bool {
    presented(headers).is_some_and(|presented| presented.ct_eq(key.as_bytes()).into())
}

fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    match headers.get(AUTHORIZATION) {
        Some(value) => {
            let (scheme, key) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
        }
        None => headers.get("x-api-key").map(|value| value.as_bytes().trim_ascii()),
    }
}

fn unauthenticated(public: &'static str) -> Failure {
    Failure::new(Kind::Unauthenticated, public).with_code("invalid_api_key")
}
