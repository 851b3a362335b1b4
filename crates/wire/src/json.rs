//! A strict, one-pass reader of JSON that says *where* things are.
//!
//! The gateway reads a few members of a body and sends the body on as it came. So this reader
//! builds no tree: it checks the whole text once (RFC 8259, UTF-8, depth, duplicate keys) and
//! remembers the spans of the top level's members; what lies deeper is read again on demand.
//!
//! It accepts and refuses what `serde_json` does, with three deliberate differences, all stricter
//! or bounded: a key given twice in one object is refused (two readers of one body must not see
//! two bodies), depth may be 128 and no more, and escapes that make half a surrogate pair are
//! refused. It is not a deserializer and writes nothing; see [`crate::splice`] for edits.

mod data;
mod fault;
mod keys;
mod scan;
mod strings;
#[cfg(test)]
mod tests;
mod tokens;

use std::borrow::Cow;
use std::ops::Range;

use smallvec::SmallVec;

pub use data::Data;
pub use fault::Fault;
use scan::{Member, Rules, Shape};

/// Containers within one another that are read; one more is refused.
pub const DEPTH_MAX: usize = 128;

/// Longest text that is read, so that an offset fits 32 bits with room for decoded keys.
pub const BYTES_MAX: usize = i32::MAX as usize;

/// Reads a caller's body: one object, strictly.
///
/// # Errors
/// The first [`Fault`] of the text, or that it is not an object.
pub fn object(body: &[u8]) -> Result<Object<'_>, Fault> {
    scan::object(body, Rules::Strict)
}

/// Reads a provider's reply: one object, as [`object`] does, except that a key may come twice (the
/// last one counts) and half a surrogate pair may stand in a string.
///
/// Providers do both, a model's output may end within a pair, and a reply is not what an attacker
/// smuggles past us to somebody else: it is passed on, not judged.
///
/// # Errors
/// The first [`Fault`] of the text, or that it is not an object.
pub fn reply(body: &[u8]) -> Result<Object<'_>, Fault> {
    scan::object(body, Rules::Tolerant)
}

/// Reads a provider's reply as [`reply`] does, for the members under a few keys alone: costs less.
///
/// # Errors
/// As [`reply`].
pub fn reply_members<'a, const N: usize>(
    body: &'a [u8],
    keys: [&str; N],
) -> Result<[Option<Value<'a>>; N], Fault> {
    let (text, found) = scan::members(body, Rules::Tolerant, keys)?;
    Ok(found.map(|member| member.map(|member| Value::of(text, &member))))
}

/// Checks a text whose top level may be any value, strictly.
///
/// # Errors
/// The first [`Fault`] of the text.
pub fn validate(body: &[u8]) -> Result<(), Fault> {
    scan::any(body, Rules::Strict)
}

/// Decodes what stands between the quotes of a string in a text that has been checked. Half a surrogate
/// pair becomes U+FFFD.
#[must_use]
pub fn decode(raw: &str) -> String {
    strings::decode(raw)
}

/// As [`decode`], without a copy of the whole: `take` gets piece by piece what is decoded and how it is
/// written, runs without escapes and every escape's character by itself.
pub fn decode_each(raw: &str, take: impl FnMut(&str, &str)) {
    strings::decode_each(raw, take);
}

/// Finds the closing quote of the string whose text begins at `at` of `text`, and whether it is written with the
/// shortest of escapes alone: `\"`, `\\`, `\b`, `\f`, `\n`, `\r`, `\t`. `None` where the text ends first.
///
/// For one who walks over a text that has been checked: whether the string is one is not judged.
#[must_use]
pub fn string_end(text: &[u8], at: usize) -> Option<(usize, bool)> {
    strings::end(text, at)
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number
    Number,
    /// A string
    String,
    /// An array
    Array,
    /// An object
    Object,
}

impl Kind {
    /// With its article, for messages: `an object`.
    #[must_use]
    pub const fn with_article(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::String => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// An object's members, in their order. No allocation up to 16 of them.
#[derive(Clone, Debug)]
pub struct Object<'a> {
    text: &'a str,
    members: SmallVec<[Member; 16]>,
    end: usize,
    data: Data,
}

impl<'a> Object<'a> {
    /// The value under `key`, compared as decoded: `"mod\u0065l"` is `model`. Where a reply gives
    /// a key twice, the last one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.members.iter().rev().find(|member| self.is_named(member, key)).map(|member| self.value(member))
    }

    /// Decoded keys and values, in the text's order.
    pub fn iter(&self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> + '_ {
        self.members.iter().map(|member| (self.key(member), self.value(member)))
    }

    /// Offset of the closing brace in the body given.
    #[must_use]
    pub fn end(&self) -> usize {
        self.end
    }

    /// The whole text that the object was read from, known to be UTF-8.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// What of the object is encoded bytes, however deep, rather than words. Known from the first reading: costs
    /// nothing.
    #[must_use]
    pub fn data(&self) -> Data {
        self.data
    }

    /// Number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    fn is_named(&self, member: &Member, key: &str) -> bool {
        if member.escaped { self.key(member) == key } else { slice(self.text, &member.key()) == key }
    }

    fn key(&self, member: &Member) -> Cow<'a, str> {
        key_of(self.text, member)
    }

    fn value(&self, member: &Member) -> Value<'a> {
        Value::of(self.text, member)
    }
}

/// A member's decoded key.
fn key_of<'a>(text: &'a str, member: &Member) -> Cow<'a, str> {
    let raw = slice(text, &member.key());
    if member.escaped { Cow::Owned(strings::decode(raw)) } else { Cow::Borrowed(raw) }
}

/// One value of a text that has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    text: &'a str,
    start: u32,
    end: u32,
    shape: Shape,
}

impl<'a> Value<'a> {
    fn of(text: &'a str, member: &Member) -> Self {
        Self { text, start: member.value_start, end: member.value_end, shape: member.shape }
    }

    /// The value as it is written, without the white space round it.
    #[must_use]
    pub fn raw(&self) -> &'a str {
        slice(self.text, &self.span())
    }

    /// Where it stands in the body given, in bytes.
    #[must_use]
    pub fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.shape.kind
    }

    /// Whether it is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// The decoded string; borrowed where it has no escapes.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        if self.kind() != Kind::String {
            return None;
        }
        let raw = slice(self.text, &(self.start as usize + 1..self.end as usize - 1));
        Some(match memchr::memchr(b'\\', raw.as_bytes()) {
            Some(_) => Cow::Owned(strings::decode(raw)),
            None => Cow::Borrowed(raw),
        })
    }

    /// The boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == "true")
    }

    /// The number, where it is written as a whole one from 0 to 2⁶⁴ − 1.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if self.kind() == Kind::Number { self.raw().parse().ok() } else { None }
    }

    /// The number, rounded to the nearest `f64`; always finite.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        if self.kind() == Kind::Number { self.raw().parse().ok() } else { None }
    }

    /// The object's members. Reads the value's text again.
    #[must_use]
    pub fn object(&self) -> Option<Object<'a>> {
        if self.kind() != Kind::Object {
            return None;
        }
        scan::members_at(self.text, self.start as usize)
    }

    /// Visits the object's members in the text's order, decoded keys and values, and keeps none. Reads the value's
    /// text again. `None`, and no visit, where it is no object.
    pub fn each_member(&self, mut visit: impl FnMut(&str, Value<'a>)) -> Option<()> {
        if self.kind() != Kind::Object {
            return None;
        }
        let text = self.text;
        let each = |member: Member| visit(&key_of(text, &member), Value::of(text, &member));
        scan::each_at(text, self.start as usize, each).map(|_| ())
    }

    /// The array's elements. Reads the value's text again, element by element.
    #[must_use]
    pub fn elements(&self) -> Option<Elements<'a>> {
        if self.kind() != Kind::Array {
            return None;
        }
        Some(Elements { text: self.text, at: self.start as usize + 1 })
    }

    /// Whether the container has no member or element. False for what is not a container.
    #[must_use]
    pub fn is_empty_container(&self) -> bool {
        matches!(self.kind(), Kind::Array | Kind::Object) && self.shape.holds.is_empty()
    }

    /// Whether every element of an array, or every value of an object, is of one of `kinds`. Known
    /// from the first reading: costs nothing.
    #[must_use]
    pub fn holds_only(&self, kinds: &[Kind]) -> bool {
        self.shape.holds.only(kinds)
    }
}

/// An array's elements; made by [`Value::elements`].
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Value<'a>;

    fn next(&mut self) -> Option<Value<'a>> {
        let (span, shape) = scan::element_at(self.text, self.at)?;
        self.at = span.end;
        Some(Value { text: self.text, start: span.start as u32, end: span.end as u32, shape })
    }
}

/// A span of the text. Spans come from the scanner, which stops between characters only.
fn slice<'a>(text: &'a str, span: &Range<usize>) -> &'a str {
    text.get(span.clone()).unwrap_or_default()
}
