//! Values that came in pieces, joined as OpenAI's own clients join deltas.
//!
//! Strings are joined as they are written, escapes and all, and what came once is copied as it is:
//! nothing is decoded on the way, so nothing is lost. What cannot be joined with certainty is not
//! joined at all.

use std::borrow::Cow;

use crate::json::{Kind, Value};
use crate::splice::json_string;

/// Most members of one object, elements with an index of one list, or choices of one answer, since
/// each is looked for in turn.
pub(super) const PARTS_MAX: usize = 1024;

/// How pieces become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Deltas: strings are appended, lists by their elements' `index`.
    Append,
    /// Log-probabilities: lists are appended, of other values the last counts.
    Lists,
    /// The last value counts, within objects too.
    Latest,
}

/// A value, so far.
#[derive(Clone, Debug)]
pub(super) enum Joined<'a> {
    /// As it is written.
    Raw(Value<'a>),
    /// What stands between a string's quotes, as it is written.
    Text(String),
    /// Elements, each with its `index` where it has one.
    List(Vec<(Option<u64>, Joined<'a>)>),
    /// Members.
    Object(Members<'a>),
}

/// Members of an object, in the order in which they first came.
#[derive(Clone, Debug, Default)]
pub(super) struct Members<'a>(pub(super) Vec<(Cow<'a, str>, Joined<'a>)>);

impl<'a> Joined<'a> {
    /// The first piece of a value. `None` where it has too many parts.
    pub(super) fn of(value: Value<'a>, how: How) -> Option<Self> {
        match value.kind() {
            Kind::Array if how != How::Latest => {
                let mut list = Self::List(Vec::new());
                list.join("", value, how)?;
                Some(list)
            }
            Kind::Object => {
                let mut members = Self::Object(Members::default());
                members.join("", value, how)?;
                Some(members)
            }
            _ => Some(Self::Raw(value)),
        }
    }

    /// Joins the next piece of the value under `key`. `None` where it cannot be joined.
    pub(super) fn join(&mut self, key: &str, next: Value<'a>, how: How) -> Option<()> {
        match (&mut *self, next.kind()) {
            (_, Kind::Null) => {}
            (Self::Object(members), Kind::Object) => {
                for (key, value) in next.object()?.iter() {
                    members.join(key, value, how)?;
                }
            }
            (Self::List(list), Kind::Array) => {
                for element in next.elements()? {
                    join_element(list, element, how)?;
                }
            }
            (Self::Raw(so_far), _) if so_far.is_null() => *self = Self::of(next, how)?,
            (Self::Raw(so_far), Kind::String) if so_far.kind() == Kind::String && how == How::Append => {
                if !is_told_once(key) {
                    *self = Self::Text([within_quotes(so_far), within_quotes(&next)].concat());
                } else if within_quotes(so_far).is_empty() {
                    *so_far = next;
                } else if !within_quotes(&next).is_empty() && so_far.as_str() != next.as_str() {
                    return None;
                }
            }
            (Self::Text(text), Kind::String) => text.push_str(within_quotes(&next)),
            (Self::Raw(so_far), kind) if so_far.kind() == kind || how != How::Append => {
                *self = Self::of(next, how)?;
            }
            _ if how == How::Latest => *self = Self::of(next, how)?,
            _ => return None,
        }
        Some(())
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Raw(value) if value.is_null())
    }

    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Raw(value) => out.push_str(value.raw()),
            Self::Text(text) => {
                out.push('"');
                out.push_str(text);
                out.push('"');
            }
            Self::List(list) => {
                out.push('[');
                for (at, (_, element)) in list.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    element.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                members.write(out, |_| true);
                out.push('}');
            }
        }
    }
}

impl<'a> Members<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&Joined<'a>> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Joins the next piece of one member.
    pub(super) fn join(&mut self, key: Cow<'a, str>, next: Value<'a>, how: How) -> Option<()> {
        if let Some((_, so_far)) = self.0.iter_mut().find(|(known, _)| *known == key) {
            return so_far.join(&key, next, how);
        }
        if self.0.len() >= PARTS_MAX {
            return None;
        }
        self.0.push((key, Joined::of(next, how)?));
        Some(())
    }

    /// Takes a member's first value that says something. (Azure's first chunk has an empty id and
    /// model, and was created in 1970.)
    pub(super) fn take_first(&mut self, key: Cow<'a, str>, next: Value<'a>) -> Option<()> {
        let is_blank = |value: &Value<'_>| matches!(value.raw(), "null" | "\"\"" | "0");
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| *known == key) {
            if let Joined::Raw(so_far) = known
                && is_blank(so_far)
            {
                *so_far = next;
            }
            return Some(());
        }
        if self.0.len() >= PARTS_MAX {
            return None;
        }
        self.0.push((key, Joined::Raw(next)));
        Some(())
    }

    /// Writes `"key":value` of the members that `wanted` names, with commas where `out` already has
    /// members of the same object.
    pub(super) fn write(&self, out: &mut String, wanted: impl Fn(&str) -> bool) {
        for (key, value) in self.0.iter().filter(|(key, _)| wanted(key)) {
            push_key(out, key);
            value.write(out);
        }
    }
}

/// Appends `"key":`, behind a comma unless an object begins here.
pub(super) fn push_key(out: &mut String, key: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push_str(&String::from_utf8_lossy(&json_string(key)));
    out.push(':');
}

/// What stands between a string's quotes, as it is written.
pub(super) fn within_quotes<'a>(string: &Value<'a>) -> &'a str {
    let raw = string.raw();
    raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default()
}

fn join_element<'a>(list: &mut Vec<(Option<u64>, Joined<'a>)>, element: Value<'a>, how: How) -> Option<()> {
    if how == How::Lists {
        list.push((None, Joined::Raw(element)));
        return Some(());
    }
    let index = element.object().and_then(|element| element.get("index")?.as_u64());
    if index.is_some() {
        if let Some((_, so_far)) = list.iter_mut().rev().find(|(known, _)| *known == index) {
            return so_far.join("", element, how);
        }
        if list.len() >= PARTS_MAX {
            return None;
        }
    }
    list.push((index, Joined::of(element, how)?));
    Some(())
}

/// Strings of a delta that are told whole, once or again and again.
fn is_told_once(key: &str) -> bool {
    matches!(key, "role" | "id" | "type" | "name" | "format")
}
