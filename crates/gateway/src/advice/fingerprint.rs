//! What tells a question from others, as far as advice needs it: 64 bits, made on the request's path, so that nothing
//! of what it says is handed on.
//!
//! Where the cache has made a key, its first bytes serve. Where the cache was not asked because of how it is set, the
//! body is hashed as it came, with the tenant and the target: a key would have told these apart, too. That takes 60 ns
//! for a body of a kilobyte and half a microsecond for one of 16 (`cargo bench --bench observe`). Where the caller did
//! not want the cache, or none may answer, there is no fingerprint, as nothing is to be advised.

use crate::remember::question::Question;
use crate::remember::status::Bypass;
use foldhash::fast::FixedState;
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use std::hash::{BuildHasher, Hasher};
use std::num::NonZeroU64;
use wire::openai::{Determinism, Request};

/// Longer bodies are not hashed.
const BODY_BYTES_MAX: usize = 64 << 10;
const SEED: u64 = 0x6164_7669_6365_2121;

/// A question without its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    /// The same for the same.
    pub bits: NonZeroU64,
    /// Whether the answer was left to chance.
    pub sampled: bool,
}

/// A request as the pipeline knows it.
pub struct Asked<'a> {
    /// Its head.
    pub headers: &'a HeaderMap,
    /// Whose it is.
    pub tenant: &'a str,
    /// What of its body was read.
    pub request: &'a Request<'a>,
    /// Whom it would ask first, as a number.
    pub target: u64,
}

impl Fingerprint {
    /// Of a request, by what the cache said to it.
    pub fn of(asked: &Asked<'_>, question: &Result<Question<'_>, Bypass>) -> Option<Self> {
        match question {
            Ok(question) => {
                let [a, b, c, d, e, f, g, h, ..] = *question.key.as_bytes();
                let bits = NonZeroU64::new(u64::from_le_bytes([a, b, c, d, e, f, g, h]))?;
                Some(Self { bits, sampled: false })
            }
            Err(Bypass::Temperature) => Self::of_body(asked, true),
            // It did not come to the caller's wishes, nor to what the request leaves behind.
            Err(Bypass::Disabled) if !asked.headers.contains_key(CACHE_CONTROL) => {
                let traits = asked.request.traits();
                let sampled = traits.determinism == Determinism::Sampled;
                if traits.stateful { None } else { Self::of_body(asked, sampled) }
            }
            Err(_) => None,
        }
    }

    fn of_body(asked: &Asked<'_>, sampled: bool) -> Option<Self> {
        let body = asked.request.text();
        if body.len() > BODY_BYTES_MAX {
            return None;
        }
        Some(Self { bits: hash(asked.tenant, asked.target, body.as_bytes())?, sampled })
    }
}

/// The same for the same, within one process.
pub fn hash(tenant: &str, target: u64, body: &[u8]) -> Option<NonZeroU64> {
    let mut hasher = FixedState::with_seed(SEED).build_hasher();
    hasher.write_u64(target);
    hasher.write_usize(tenant.len());
    hasher.write(tenant.as_bytes());
    hasher.write(body);
    NonZeroU64::new(hasher.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use wire::operation::Operation;

    fn print(why: Bypass, tenant: &str, members: &str, headers: &HeaderMap) -> Option<Fingerprint> {
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}]{members}}}"#);
        let request = Request::parse(Operation::ChatCompletions, body.as_bytes()).unwrap();
        Fingerprint::of(&Asked { headers, tenant, request: &request, target: 1 }, &Err(why))
    }

    #[test]
    fn the_same_has_the_same_and_nothing_else_does() {
        let plain = HeaderMap::new();
        let one = print(Bypass::Temperature, "t", "", &plain).unwrap();
        assert!(one.sampled);
        assert_eq!(print(Bypass::Temperature, "t", "", &plain), Some(one));
        assert_ne!(print(Bypass::Temperature, "u", "", &plain), Some(one));
        assert_ne!(print(Bypass::Temperature, "t", r#","n":2"#, &plain), Some(one));
        assert_ne!(hash("t", 2, b"x"), hash("t", 1, b"x"));
        assert_ne!(hash("tx", 1, b""), hash("t", 1, b"x"));
    }

    #[test]
    fn chance_is_told_where_the_cache_is_off() {
        let plain = HeaderMap::new();
        let sampled = |members| print(Bypass::Disabled, "t", members, &plain).unwrap().sampled;
        assert!(sampled(""));
        assert!(!sampled(r#","temperature":0"#));
    }

    #[test]
    fn where_nothing_could_be_remembered_there_is_none() {
        let plain = HeaderMap::new();
        let unwanted = HeaderMap::from_iter([(CACHE_CONTROL, "no-store".parse().unwrap())]);
        let long = format!(r#","user":"{}""#, "x".repeat(BODY_BYTES_MAX));
        for (why, members, headers) in [
            (Bypass::NoStore, "", &plain),
            (Bypass::NoCache, "", &plain),
            (Bypass::Stateful, "", &plain),
            (Bypass::NoScope, "", &plain),
            (Bypass::Disabled, r#","store":true"#, &plain),
            (Bypass::Disabled, "", &unwanted),
            (Bypass::Temperature, long.as_str(), &plain),
        ] {
            assert_eq!(
                print(why, "t", members, headers),
                None,
                "{why:?} {}",
                &members[..members.len().min(20)]
            );
        }
    }
}
