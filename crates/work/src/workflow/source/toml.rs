//! TOML → tree. The parser goes on after a fault, so several are told at once.

use serde_json::{Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DEPTH_MAX, Entry, Kind, Node, at, too_deep};
use crate::workflow::fault::Findings;

pub(super) fn parse(text: &str, faults: &mut Findings) -> Option<Node> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        faults.add(
            &at(error.span().unwrap_or(0..0)),
            error.message(),
            "see https://toml.io for how TOML is written",
        );
    }
    errors.is_empty().then(|| Node { kind: table(document.get_ref(), 0, faults), span: 0..0 })
}

fn table(table: &DeTable<'_>, depth: usize, faults: &mut Findings) -> Kind {
    let mut entries: Vec<Entry> = Vec::with_capacity(table.len());
    for (key, item) in table {
        if let Some(node) = value(item, depth + 1, faults) {
            entries.push(Entry { key: key.get_ref().to_string(), key_span: key.span(), node });
        }
    }
    // The parser sorts keys by name; people expect them as they wrote them.
    entries.sort_by_key(|entry| entry.key_span.start);
    Kind::Table(entries)
}

fn value(item: &Spanned<DeValue<'_>>, depth: usize, faults: &mut Findings) -> Option<Node> {
    let span = item.span();
    if depth > DEPTH_MAX {
        too_deep(span, faults);
        return None;
    }
    let number = match item.get_ref() {
        DeValue::Integer(int) => i64::from_str_radix(int.as_str(), int.radix()).ok().map(Number::from),
        DeValue::Float(float) => float.as_str().parse().ok().and_then(Number::from_f64),
        _ => None,
    };
    let kind = match item.get_ref() {
        DeValue::Integer(_) | DeValue::Float(_) => match number {
            Some(number) => Kind::Plain(Value::Number(number)),
            None => {
                faults.add(&at(span), "a number that JSON cannot hold", "write a finite, smaller number");
                return None;
            }
        },
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Boolean(flag) => Kind::Plain(Value::Bool(*flag)),
        DeValue::Datetime(moment) => Kind::Text(moment.to_string()),
        DeValue::Array(items) => {
            Kind::List(items.iter().filter_map(|item| value(item, depth + 1, faults)).collect())
        }
        DeValue::Table(entries) => table(entries, depth, faults),
    };
    Some(Node { kind, span })
}
