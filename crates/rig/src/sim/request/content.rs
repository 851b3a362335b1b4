//! The values that may have several forms. Each is read by a visitor of its
//! own: serde's untagged enums would copy the value before they look at it.

use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// A string, borrowed from the body unless it has escapes. (`Option<Cow<str>>`
/// would always be copied.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// What a message says.
pub(crate) enum Content<'a> {
    Text(Cow<'a, str>),
    Parts(Vec<Part<'a>>),
}

/// A part of a message: text, or an image, a sound or a file.
#[derive(Deserialize)]
pub(crate) struct Part<'a> {
    #[serde(borrow, rename = "type")]
    pub(crate) kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) text: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) refusal: Option<Text<'a>>,
}

impl Content<'_> {
    /// The texts of a message, in order.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let (whole, parts) = match self {
            Content::Text(text) => (Some(text.as_ref()), &[][..]),
            Content::Parts(parts) => (None, parts.as_slice()),
        };
        let parts = parts.iter().filter_map(|part| part.text.as_deref().or(part.refusal.as_deref()));
        whole.into_iter().chain(parts)
    }

    /// The parts that are not text.
    pub(crate) fn media(&self) -> usize {
        match self {
            Content::Text(_) => 0,
            Content::Parts(parts) => {
                parts.iter().filter(|part| part.text.is_none() && part.refusal.is_none()).count()
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of objects")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Content::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut parts = Vec::new();
        while let Some(part) = list.next_element()? {
            parts.push(part);
        }
        Ok(Content::Parts(parts))
    }
}

/// `stop`: a string or a list of strings.
pub(crate) struct Stops<'a>(pub(crate) Vec<Text<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Stops<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let inputs = Inputs::deserialize(from)?.0;
        let text = |input| match input {
            Input::Text(text) => Ok(text),
            Input::Tokens(_) => Err(D::Error::custom("expected a string or an array of strings")),
        };
        inputs.into_iter().map(text).collect::<Result<_, _>>().map(Stops)
    }
}

/// `prompt` and `input`: a string, a list of strings, the tokens of a text,
/// or a list of such token lists.
pub(crate) struct Inputs<'a>(pub(crate) Vec<Input<'a>>);

/// One of them.
pub(crate) enum Input<'a> {
    Text(Text<'a>),
    Tokens(Vec<u64>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Inputs<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match from.deserialize_any(ItemVisitor)? {
            Item::Text(text) => Ok(Self(vec![Input::Text(Text(text))])),
            Item::List(items) => inputs(items).map_err(D::Error::custom),
            Item::Token(_) => Err(D::Error::custom("expected a string or an array")),
        }
    }
}

/// Numbers side by side are one input; anything else is one input each.
fn inputs(items: Vec<Item<'_>>) -> Result<Inputs<'_>, &'static str> {
    const MIXED: &str = "expected an array of one kind: strings, integers, or arrays of integers";
    if matches!(items.first(), Some(Item::Token(_))) {
        return tokens(items).map(|tokens| Inputs(vec![Input::Tokens(tokens)])).ok_or(MIXED);
    }
    let texts = matches!(items.first(), Some(Item::Text(_)));
    let each = items.into_iter().map(|item| match item {
        Item::Text(text) if texts => Some(Input::Text(Text(text))),
        Item::List(list) if !texts => tokens(list).map(Input::Tokens),
        _ => None,
    });
    each.collect::<Option<_>>().map(Inputs).ok_or(MIXED)
}

fn tokens(items: Vec<Item<'_>>) -> Option<Vec<u64>> {
    let token = |item| if let Item::Token(token) = item { Some(token) } else { None };
    items.into_iter().map(token).collect()
}

enum Item<'a> {
    Text(Cow<'a, str>),
    Token(u64),
    List(Vec<Item<'a>>),
}

impl<'de: 'a, 'a> Deserialize<'de> for Item<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, an array of strings, or an array of tokens")
    }
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Item::Text(Cow::Borrowed(text)))
    }
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Item::Text(Cow::Owned(text.to_owned())))
    }
    fn visit_u64<E: Error>(self, token: u64) -> Result<Self::Value, E> {
        Ok(Item::Token(token))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Item::List(items))
    }
}

/// `logprobs`: a boolean in a chat, a number in a completion.
#[derive(Clone, Copy)]
pub(crate) enum Logprobs {
    Wanted(bool),
    Top(u32),
}

impl<'de> Deserialize<'de> for Logprobs {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LogprobsVisitor)
    }
}

struct LogprobsVisitor;

impl Visitor<'_> for LogprobsVisitor {
    type Value = Logprobs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a boolean or an integer")
    }
    fn visit_bool<E: Error>(self, wanted: bool) -> Result<Self::Value, E> {
        Ok(Logprobs::Wanted(wanted))
    }
    fn visit_u64<E: Error>(self, top: u64) -> Result<Self::Value, E> {
        Ok(Logprobs::Top(u32::try_from(top).unwrap_or(u32::MAX)))
    }
}
