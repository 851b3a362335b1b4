//! A change of the configuration: which key, from what, to what.

use serde::{Serialize, Serializer};
use std::fmt::{self, Display, Formatter};

/// One key's new value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Which.
    pub key: Key,
    /// What holds now; `None` where nothing does.
    pub from: Option<Value>,
    /// What is to hold.
    pub to: Value,
}

/// Where a key is, from the top of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(pub Vec<Step>);

/// A step on the way to a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The member of this name.
    Member(String),
    /// The one of a list whose member of the first name is the second: a list may be put in another order meanwhile.
    Entry(String, String),
}

/// A value as configurations have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// Text.
    Text(String),
}

impl Key {
    /// `models`, `name`, and what is below it.
    pub(super) fn of_alias(name: &str, below: &[&str]) -> Self {
        Self::of(&["models", name]).and(below)
    }

    /// The weight of one target of an alias.
    pub(super) fn of_weight(alias: &str, target: &str) -> Self {
        let mut key = Self::of_alias(alias, &["targets"]);
        key.0.push(Step::Entry("model".to_owned(), target.to_owned()));
        key.and(&["weight"])
    }

    /// Members of members.
    pub(super) fn of(members: &[&str]) -> Self {
        Self(Vec::new()).and(members)
    }

    fn and(mut self, members: &[&str]) -> Self {
        self.0.extend(members.iter().map(|member| Step::Member((*member).to_owned())));
        self
    }
}

impl Display for Key {
    /// Dotted, as TOML writes it, with an entry of a list in brackets: `models.smart.targets[model = "a/b"].weight`.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_bare = |name: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            !name.is_empty() && name.bytes().all(is_plain)
        };
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(_) if index > 0 => f.write_str(".")?,
                _ => {}
            }
            match step {
                Step::Member(name) if is_bare(name) => f.write_str(name)?,
                Step::Member(name) => write!(f, "{name:?}")?,
                Step::Entry(member, value) => write!(f, "[{member} = {value:?}]")?,
            }
        }
        Ok(())
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => write!(f, "{value:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn a_key_is_written_as_toml_has_it() {
        for (key, expected) in [
            (Key::of_alias("smart", &["cache", "enabled"]), "models.smart.cache.enabled"),
            (Key::of_alias("gpt-4.1", &["affinity"]), r#"models."gpt-4.1".affinity"#),
            (Key::of_weight("smart", "a/b"), r#"models.smart.targets[model = "a/b"].weight"#),
        ] {
            assert_eq!(key.to_string(), expected);
        }
    }
}
