//! The list of models, as `/v1/models` shows it.

use std::borrow::Cow;

use bytes::Bytes;

use crate::splice::push_json_string;

/// One model that a caller may name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEntry<'a> {
    /// What the caller writes as `model`.
    pub id: Cow<'a, str>,
    /// Seconds since 1970, or 0 where nobody knows.
    pub created: u64,
    /// The provider's name.
    pub owned_by: Cow<'a, str>,
}

/// `{"object":"list","data":[…]}`
#[must_use]
pub fn models_list<'a>(entries: impl Iterator<Item = ModelEntry<'a>>) -> Bytes {
    let mut out = Vec::from(b"{\"object\":\"list\",\"data\":[");
    for (at, entry) in entries.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_entry(&mut out, &entry);
    }
    out.extend_from_slice(b"]}");
    out.into()
}

/// `{"id","object":"model","created","owned_by"}`
#[must_use]
pub fn model_entry(entry: &ModelEntry<'_>) -> Bytes {
    let mut out = Vec::with_capacity(128);
    push_entry(&mut out, entry);
    out.into()
}

fn push_entry(out: &mut Vec<u8>, entry: &ModelEntry<'_>) {
    out.extend_from_slice(b"{\"id\":");
    push_json_string(out, &entry.id);
    out.extend_from_slice(b",\"object\":\"model\",\"created\":");
    out.extend_from_slice(entry.created.to_string().as_bytes());
    out.extend_from_slice(b",\"owned_by\":");
    push_json_string(out, &entry.owned_by);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> ModelEntry<'_> {
        ModelEntry { id: id.into(), created: 1_700_000_000, owned_by: "sim".into() }
    }

    #[test]
    fn models_as_openai_lists_them() {
        let one = r#"{"id":"sim/fast","object":"model","created":1700000000,"owned_by":"sim"}"#;
        assert_eq!(model_entry(&entry("sim/fast")), one);
        assert_eq!(models_list(std::iter::empty()), r#"{"object":"list","data":[]}"#);
        let list = models_list([entry("sim/fast"), entry("sim/fast")].into_iter());
        assert_eq!(list, format!(r#"{{"object":"list","data":[{one},{one}]}}"#));
        assert!(model_entry(&entry("a\"b")).starts_with(br#"{"id":"a\"b""#));
    }
}
