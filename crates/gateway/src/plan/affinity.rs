//! Whose conversation a request belongs to: the same goes to the same target while that is healthy, as the
//! provider has its beginning at hand.

use foldhash::fast::FixedState;
use http::HeaderMap;
use std::hash::{BuildHasher, Hasher};
use wire::openai::Request;

/// Bytes of a conversation's beginning that tell it from others. More would cost time and tell little.
const OPENING_BYTES_MAX: usize = 4096;
/// The same in all replicas, and after a restart.
const SEED: u64 = 0x7469_6465_6761_7465;

/// The conversation as a number: by the caller's own name for it, or by how it begins. `None` where it is none.
pub fn of(headers: &HeaderMap, tenant: &str, ask: &Request<'_>) -> Option<u64> {
    let opening = match headers.get("x-tidegate-session") {
        Some(session) => session.as_bytes(),
        None => ask.opening()?.as_bytes(),
    };
    let opening = opening.get(..OPENING_BYTES_MAX).unwrap_or(opening);
    let mut hasher = FixedState::with_seed(SEED).build_hasher();
    hasher.write(tenant.as_bytes());
    hasher.write_usize(tenant.len());
    hasher.write(opening);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::of;
    use http::HeaderMap;
    use wire::openai::Request;
    use wire::operation::Operation;

    fn affinity(session: Option<&str>, tenant: &str, messages: &str) -> Option<u64> {
        let headers: HeaderMap = session
            .map(|name| (http::HeaderName::from_static("x-tidegate-session"), name.parse().unwrap()))
            .into_iter()
            .collect();
        let body = format!(r#"{{"model":"m","messages":[{messages}]}}"#);
        of(&headers, tenant, &Request::parse(Operation::ChatCompletions, body.as_bytes()).unwrap())
    }

    #[test]
    fn a_conversation_is_known_by_its_beginning_or_by_its_name() {
        let (one, other) = (r#"{"role":"user","content":"one"}"#, r#"{"role":"user","content":"other"}"#);
        let begun = affinity(None, "t", one);
        assert!(begun.is_some());
        assert_eq!(affinity(None, "t", &format!("{one},{other}")), begun);
        assert_ne!(affinity(None, "t", other), begun);
        assert_ne!(affinity(None, "u", one), begun);
        assert_eq!(affinity(Some("s"), "t", one), affinity(Some("s"), "t", other));
        assert_eq!(affinity(None, "t", r#"{"role":"system","content":"s"}"#), None);
    }
}
