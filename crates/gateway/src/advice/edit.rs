//! Writes keys into the text of a TOML file and takes them back, and leaves all else as it is: comments, order, blanks.
//! Text in, text out; who reads and writes files is [`apply`](super::apply).

use measure::advice::{Key, Step, Value};
use serde::{Deserialize, Serialize};
use toml_edit::{DocumentMut, InlineTable, Item, TableLike};

/// Why a key cannot be written or taken back.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not TOML, or no TOML that comes out as it went in.
    #[error("the file cannot be edited without changing more of it than this: {0}")]
    Form(String),
    /// What lies on the way to a key is no table, or no list that holds what is looked for once.
    #[error("`{0}` is not written in the file in a way that can be edited; write the change yourself")]
    Way(String),
    /// A key is not as it was written.
    #[error("`{0}` has been changed since: it is not what was written there")]
    Changed(String),
}

/// A key that was written, and what stood there before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    key: Vec<KeptStep>,
    to: KeptValue,
    before: Before,
}

/// What stood there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Before {
    /// A value, as it was written.
    Value(String),
    /// Nothing; and of so many tables round it there was nothing either.
    Nothing {
        /// Tables that were made for it.
        tables: usize,
    },
}

/// A [`Step`], on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum KeptStep {
    Member(String),
    Entry { member: String, is: String },
}

/// A [`Value`], on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum KeptValue {
    Bool(bool),
    Number(u64),
    Text(String),
}

impl Written {
    /// The key.
    pub fn key(&self) -> Key {
        let of = |step: &KeptStep| match step {
            KeptStep::Member(name) => Step::Member(name.clone()),
            KeptStep::Entry { member, is } => Step::Entry(member.clone(), is.clone()),
        };
        Key(self.key.iter().map(of).collect())
    }

    /// What was written.
    pub fn to(&self) -> Value {
        match &self.to {
            KeptValue::Bool(value) => Value::Bool(*value),
            KeptValue::Number(value) => Value::Number(*value),
            KeptValue::Text(value) => Value::Text(value.clone()),
        }
    }

    /// What stood in the file before, as it was written; `None` where nothing did.
    pub fn from(&self) -> Option<&str> {
        match &self.before {
            Before::Value(text) => Some(text),
            Before::Nothing { .. } => None,
        }
    }

    fn new(key: &Key, to: &Value, before: Before) -> Self {
        let of = |step: &Step| match step {
            Step::Member(name) => KeptStep::Member(name.clone()),
            Step::Entry(member, is) => KeptStep::Entry { member: member.clone(), is: is.clone() },
        };
        let to = match to {
            Value::Bool(value) => KeptValue::Bool(*value),
            Value::Number(value) => KeptValue::Number(*value),
            Value::Text(value) => KeptValue::Text(value.clone()),
        };
        Self { key: key.0.iter().map(of).collect(), to, before }
    }
}

/// Writes values at keys.
///
/// # Errors
/// Where one of them cannot be written; nothing is then.
pub fn write<'a>(
    text: &str,
    changes: impl IntoIterator<Item = (&'a Key, &'a Value)>,
) -> Result<(String, Vec<Written>), Fault> {
    let mut document = parse(text)?;
    let mut written = Vec::new();
    for (key, to) in changes {
        let before = set(document.as_table_mut(), key, value(to))?;
        written.push(Written::new(key, to, before));
    }
    Ok((shown(&document, text), written))
}

/// Takes back what was written, the last first.
///
/// # Errors
/// Where one of the keys is not as it was written; nothing is taken back then.
pub fn take_back(text: &str, written: &[Written]) -> Result<String, Fault> {
    let mut document = parse(text)?;
    for written in written.iter().rev() {
        restore(document.as_table_mut(), written)?;
    }
    Ok(shown(&document, text))
}

/// Whether all of it still stands as it was written.
pub fn stands(text: &str, written: &[Written]) -> bool {
    take_back(text, written).is_ok()
}

/// Whether all of it was taken back already: every key says what it said before.
pub fn is_gone(text: &str, written: &[Written]) -> bool {
    let again: Vec<(Key, Value)> = written.iter().map(|written| (written.key(), written.to())).collect();
    let again = write(text, again.iter().map(|(key, to)| (key, to)));
    again.is_ok_and(|(_, again)| again == written)
}

fn parse(text: &str) -> Result<DocumentMut, Fault> {
    let document: DocumentMut =
        text.parse().map_err(|fault: toml_edit::TomlError| Fault::Form(fault.message().to_owned()))?;
    if shown(&document, text) == text {
        Ok(document)
    } else {
        Err(Fault::Form("its line ends are not those of this system".to_owned()))
    }
}

/// The document as text that ends as the text that it was read from.
fn shown(document: &DocumentMut, before: &str) -> String {
    let mut text = document.to_string();
    if !before.ends_with('\n') && text.ends_with('\n') {
        text.pop();
    }
    text
}

fn set(root: &mut dyn TableLike, key: &Key, mut value: toml_edit::Value) -> Result<Before, Fault> {
    let (table, missing) = reach(root, &key.0).ok_or_else(|| Fault::Way(key.to_string()))?;
    let [Step::Member(name), rest @ ..] = missing else { return Err(Fault::Way(key.to_string())) };
    if let Some(item) = table.get_mut(name) {
        let old = item.as_value_mut().ok_or_else(|| Fault::Way(key.to_string()))?;
        let before = Before::Value(bare(old));
        *value.decor_mut() = old.decor().clone();
        *old = value;
        return Ok(before);
    }
    for step in rest.iter().rev() {
        let Step::Member(name) = step else { return Err(Fault::Way(key.to_string())) };
        value = InlineTable::from_iter([(name.as_str(), value)]).into();
    }
    table.insert(name, Item::Value(value));
    Ok(Before::Nothing { tables: rest.len() })
}

fn restore(root: &mut dyn TableLike, written: &Written) -> Result<(), Fault> {
    let key = written.key();
    let changed = || Fault::Changed(key.to_string());
    let (table, missing) = reach(root, &key.0).ok_or_else(changed)?;
    let [Step::Member(name)] = missing else { return Err(changed()) };
    let standing = table.get_mut(name).and_then(Item::as_value_mut).ok_or_else(changed)?;
    if bare(standing) != bare(&value(&written.to())) {
        return Err(changed());
    }
    match &written.before {
        Before::Value(text) => {
            let mut old: toml_edit::Value = text.parse().map_err(|_| changed())?;
            *old.decor_mut() = standing.decor().clone();
            *standing = old;
        }
        Before::Nothing { tables } => {
            table.remove(name);
            drop_empty(root, &key.0, *tables);
        }
    }
    Ok(())
}

/// Removes the tables that were made for a key, where nothing else has come into them.
fn drop_empty(root: &mut dyn TableLike, steps: &[Step], tables: usize) {
    for above in 1..=tables {
        let Some((Step::Member(name), way)) =
            steps.len().checked_sub(above).and_then(|end| steps[..end].split_last())
        else {
            return;
        };
        let Some((table, [])) = walk(root, way) else { return };
        if !table.get(name).and_then(Item::as_table_like).is_some_and(TableLike::is_empty) {
            return;
        }
        table.remove(name);
    }
}

/// The innermost table on the way to a key's last step that is there, and the steps that are missing, the last among
/// them. `None` where something else lies on the way.
fn reach<'a, 's>(
    root: &'a mut dyn TableLike,
    steps: &'s [Step],
) -> Option<(&'a mut dyn TableLike, &'s [Step])> {
    let (_, way) = steps.split_last()?;
    let (table, missing) = walk(root, way)?;
    Some((table, &steps[way.len() - missing.len()..]))
}

/// The table that steps lead to, or the innermost that is there with the steps that are missing.
fn walk<'a, 's>(
    mut table: &'a mut dyn TableLike,
    mut steps: &'s [Step],
) -> Option<(&'a mut dyn TableLike, &'s [Step])> {
    loop {
        match steps {
            [Step::Member(name), ..] if !table.contains_key(name) => return Some((table, steps)),
            [Step::Member(name), Step::Entry(member, is), rest @ ..] => {
                table = entry(table.get_mut(name)?, member, is)?;
                steps = rest;
            }
            [Step::Member(name), rest @ ..] => {
                table = table.get_mut(name)?.as_table_like_mut()?;
                steps = rest;
            }
            [] => return Some((table, steps)),
            [Step::Entry(..), ..] => return None,
        }
    }
}

/// The one table of a list whose member is this; `None` where there is none, or several.
fn entry<'a>(list: &'a mut Item, member: &str, is: &str) -> Option<&'a mut dyn TableLike> {
    let tables: Vec<&mut dyn TableLike> = match list {
        Item::ArrayOfTables(tables) => tables.iter_mut().map(|table| table as &mut dyn TableLike).collect(),
        Item::Value(toml_edit::Value::Array(array)) => array
            .iter_mut()
            .filter_map(|value| Some(value.as_inline_table_mut()? as &mut dyn TableLike))
            .collect(),
        _ => return None,
    };
    let is_it = |table: &&mut dyn TableLike| table.get(member).and_then(Item::as_str) == Some(is);
    let mut found = tables.into_iter().filter(is_it);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn value(value: &Value) -> toml_edit::Value {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Number(value) => i64::try_from(*value).unwrap_or(i64::MAX).into(),
        Value::Text(value) => value.as_str().into(),
    }
}

/// A value as it is written, without the blanks and comments round it.
fn bare(value: &toml_edit::Value) -> String {
    value.clone().decorated("", "").to_string()
}

#[cfg(test)]
mod tests;
