//! What is said of a key that is not in the file but in the store: the same as of the file's, by the same rules.
//!
//! What an operator asks for is checked whole, as a file of one key would be. What the store gives back was checked
//! then, and is only read; what it cannot be read as is no key.

use serde_json::{Map, Value, json};

use super::Judge;
use super::keys::model_pattern;
use super::limits::{key_rates, priority};
use super::models::Names;
use crate::config::fault::Findings;
use crate::config::read::Format;
use crate::config::tree::Node;
use crate::config::{Key, raw, shape};
use crate::keys::KeyHash;

/// What the file says of a key in its own members.
const OF_ITS_OWN: [&str; 3] = ["id", "hash", "tenant"];

/// What is said of a stored key beside its id and its hash: known to be sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySettings {
    /// Whose it is; empty: nobody's, so that it is a tenant of its own.
    pub tenant: String,
    /// The rest, as a JSON object.
    pub rest: Vec<u8>,
}

/// What is wrong with the settings of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFault {
    /// Which of them; empty: the whole.
    pub key: String,
    /// What is wrong, and the mend.
    pub what: String,
}

impl KeySettings {
    /// Takes settings that an operator asks for: an object with the members of `[[keys]]`, but for `id` and `hash`.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn check(mut asked: Map<String, Value>) -> Result<Self, KeyFault> {
        for member in ["id", "hash"] {
            if asked.contains_key(member) {
                return Err(KeyFault {
                    key: member.to_owned(),
                    what: "this is not to be chosen here".to_owned(),
                });
            }
        }
        // So that the whole is what the file's rules are for.
        asked.insert("id".to_owned(), json!("tg-000000000000"));
        asked.insert("hash".to_owned(), json!(KeyHash::NOBODY.to_string()));
        let text = json!({ "keys": [asked] }).to_string();
        let mut tree = Format::Json.parse(&text).map_err(|found| first(found.into_iter()))?;
        let shape = shape::check(&mut tree);
        told(shape.faults)?;
        let value = tree.to_value();
        let raw = serde_json::from_value::<raw::File>(value.clone()).map_err(|fault| unfit(&fault))?;
        judged(&tree, &raw)?;
        Ok(Self::of(value))
    }

    /// Of a sound file of one key.
    fn of(mut file: Value) -> Self {
        let key = file.pointer_mut("/keys/0").map(Value::take);
        let Some(Value::Object(mut key)) = key else {
            return Self { tenant: String::new(), rest: b"{}".into() };
        };
        let tenant = key.get("tenant").and_then(Value::as_str).unwrap_or_default().to_owned();
        OF_ITS_OWN.iter().for_each(|member| drop(key.remove(*member)));
        Self { tenant, rest: Value::Object(key).to_string().into_bytes() }
    }

    /// The settings as an operator could ask for them; `None` where they are none of ours.
    pub fn to_asked(&self) -> Option<Map<String, Value>> {
        let mut asked: Map<String, Value> = serde_json::from_slice(&self.rest).ok()?;
        if !self.tenant.is_empty() {
            asked.insert("tenant".to_owned(), self.tenant.as_str().into());
        }
        Some(asked)
    }

    /// The key that has these settings; `None` where they cannot be read, as a newer release may have written them.
    pub fn key(&self, id: &str, hash: KeyHash) -> Option<Key> {
        let members: Map<String, Value> = serde_json::from_slice(&self.rest).ok()?;
        let raw: raw::Key = serde_json::from_value(members.into()).ok()?;
        Some(Key {
            id: id.to_owned(),
            hash,
            tenant: (!self.tenant.is_empty()).then(|| self.tenant.clone()),
            models: raw.models.iter().map(|text| model_pattern(text)).collect(),
            priority: priority(raw.priority),
            rates: key_rates(&raw),
        })
    }
}

fn judged(tree: &Node, raw: &raw::File) -> Result<(), KeyFault> {
    let none = Findings::default();
    let mut judge = Judge::new(tree, std::path::Path::new(""), &none);
    judge.keys(&raw.keys, &Names::of(raw));
    told(judge.faults)
}

fn told(found: Findings) -> Result<(), KeyFault> {
    if found.is_empty() { Ok(()) } else { Err(first(found.into_iter())) }
}

fn first(mut found: impl Iterator<Item = crate::config::fault::Finding>) -> KeyFault {
    let Some(fault) = found.next().map(|finding| finding.told(None)) else {
        return KeyFault { key: String::new(), what: "this is no key's settings".to_owned() };
    };
    let key = fault.key.strip_prefix("keys[0]").unwrap_or_default().trim_start_matches('.').to_owned();
    KeyFault { key, what: format!("{}; {}", fault.what, fault.mend) }
}

fn unfit(fault: &serde_json::Error) -> KeyFault {
    KeyFault { key: String::new(), what: fault.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::config::{ModelPattern, Priority, Rates};

    fn check(asked: Value) -> Result<KeySettings, KeyFault> {
        let Value::Object(asked) = asked else { panic!("an object") };
        KeySettings::check(asked)
    }

    #[test]
    fn what_the_file_may_say_of_a_key_may_be_said_of_a_stored_one() {
        let asked = json!({
            "tenant": "search", "models": ["smart", "openai/*"], "priority": "low",
            "requests_per_minute": 60, "tokens_per_minute": 9000,
            "concurrent_requests": 4, "concurrent_streams": 2,
        });
        let settings = check(asked.clone()).unwrap();
        assert_eq!(Value::Object(settings.to_asked().unwrap()), asked);
        let key = settings.key("tg-AbCdEf123456", KeyHash::NOBODY).unwrap();
        assert_eq!(
            key,
            Key {
                id: "tg-AbCdEf123456".into(),
                hash: KeyHash::NOBODY,
                tenant: Some("search".into()),
                models: vec![ModelPattern::Exactly("smart".into()), ModelPattern::Prefix("openai/".into())],
                priority: Priority::Low,
                rates: Rates {
                    requests_per_minute: Some(60),
                    tokens_per_minute: Some(9000),
                    concurrent_requests: Some(4),
                    concurrent_streams: Some(2),
                },
            }
        );
    }

    #[test]
    fn a_key_of_which_nothing_is_said_may_do_everything_as_a_tenant_of_its_own() {
        let settings = check(json!({})).unwrap();
        assert_eq!(settings, KeySettings { tenant: String::new(), rest: b"{}".into() });
        let key = settings.key("tg-AbCdEf123456", KeyHash::NOBODY).unwrap();
        assert!(key.allows("any/thing") && key.tenant_name() == "tg-AbCdEf123456");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (asked, at) in [
            (json!({ "id": "tg-AbCdEf123456" }), "id"),
            (json!({ "hash": "b3:00" }), "hash"),
            (json!({ "tenant": "a b" }), "tenant"),
            (json!({ "tenant": 1 }), "tenant"),
            (json!({ "modles": [] }), "modles"),
            (json!({ "models": ["a", "*b"] }), "models[1]"),
            (json!({ "models": [1] }), "models[0]"),
            (json!({ "priority": "urgent" }), "priority"),
            (json!({ "requests_per_minute": 0 }), "requests_per_minute"),
            (json!({ "concurrent_streams": 1.5 }), "concurrent_streams"),
        ] {
            let fault = check(asked.clone()).unwrap_err();
            assert_eq!(fault.key, at, "{asked} {}", fault.what);
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_key() {
        for rest in ["", "[]", r#"{"budget":1}"#, r#"{"priority":"urgent"}"#] {
            let settings = KeySettings { tenant: String::new(), rest: rest.into() };
            assert_eq!(settings.key("tg-AbCdEf123456", KeyHash::NOBODY), None, "{rest}");
        }
    }
}
