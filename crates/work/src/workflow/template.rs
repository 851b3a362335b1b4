//! A value whose texts may hold expressions: a request's body, headers, a child's input. Text that is one
//! `{{ expression }}` and nothing else gives that expression's value with its type; all other text gives text.

use serde_json::{Map, Value};

use super::expression::{EvaluationError, Expression, Reads, Scope, Text, Wrong, unwrapped};
use super::fault::Spot;
use super::source::{Kind, Node};

/// A value to be filled in.
#[derive(Clone, Debug, PartialEq)]
pub enum Template {
    /// As it stands.
    Plain(Value),
    /// The value of an expression.
    Value(Expression),
    /// Text with expressions in it.
    Text(Text),
    /// A list of such.
    List(Vec<Template>),
    /// A table of such.
    Table(Vec<(String, Template)>),
}

impl Template {
    /// Reads one, and hands out what each part of it reads, and what is wrong with it, with its place.
    pub(super) fn read(
        node: &Node,
        spot: &Spot,
        found: &mut impl FnMut(&Spot, Result<Reads, Wrong>),
    ) -> Self {
        match &node.kind {
            Kind::Plain(value) => Self::Plain(value.clone()),
            Kind::Text(text) => match Self::read_text(text) {
                Ok((template, reads)) => {
                    found(spot, Ok(reads));
                    template
                }
                Err(wrong) => {
                    found(spot, Err(wrong));
                    Self::Plain(Value::Null)
                }
            },
            Kind::List(items) => {
                let items = items.iter().enumerate();
                let read = |(index, item): (usize, &Node)| {
                    Self::read(item, &spot.below(index, item.span.clone()), &mut *found)
                };
                Self::List(items.map(read).collect())
            }
            Kind::Table(entries) => {
                let mut table = Vec::with_capacity(entries.len());
                for entry in entries {
                    let below = spot.below(&entry.key, entry.node.span.clone());
                    table.push((entry.key.clone(), Self::read(&entry.node, &below, &mut *found)));
                }
                Self::Table(table)
            }
        }
    }

    fn read_text(text: &str) -> Result<(Self, Reads), Wrong> {
        if !text.contains("{{") && !text.contains("{%") && !text.contains("{#") {
            return Ok((Self::Plain(Value::String(text.to_owned())), Reads::default()));
        }
        if let Some(inner) = unwrapped(text) {
            return Expression::parse(inner).map(|(expression, reads)| (Self::Value(expression), reads));
        }
        Text::parse(text).map(|(text, reads)| (Self::Text(text), reads))
    }

    /// The value, filled in.
    ///
    /// # Errors
    /// An expression within it gives nothing.
    pub fn value(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Value(expression) => expression.value(scope)?,
            Self::Text(text) => Value::String(text.render(scope)?),
            Self::List(items) => {
                Value::Array(items.iter().map(|item| item.value(scope)).collect::<Result<_, _>>()?)
            }
            Self::Table(entries) => {
                let filled = |(key, item): &(String, Self)| Ok((key.clone(), item.value(scope)?));
                Value::Object(entries.iter().map(filled).collect::<Result<Map<_, _>, _>>()?)
            }
        })
    }

    /// The text that it is without anything's being filled in.
    pub(super) fn as_plain_text(&self) -> Option<&str> {
        match self {
            Self::Plain(Value::String(text)) => Some(text),
            _ => None,
        }
    }
}
