//! TOML → tree. The parser goes on after a fault, so several are told at once.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{DEPTH_MAX, syntax, too_deep};
use crate::config::fault::Finding;
use crate::config::tree::{Entry, Kind, Node, Origin, Table};

pub(super) fn parse(text: &str) -> Result<Node, Vec<Finding>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut faults: Vec<Finding> = errors
        .iter()
        .map(|error| {
            syntax(
                error.message(),
                error.span().unwrap_or(0..0),
                "see https://toml.io for how TOML is written",
            )
        })
        .collect();
    let root = table(document.get_ref(), 0, &mut faults);
    if faults.is_empty() { Ok(Node::new(Kind::Table(root), Origin::File(0..0))) } else { Err(faults) }
}

fn table(table: &DeTable<'_>, depth: usize, faults: &mut Vec<Finding>) -> Table {
    let mut entries = Table::new();
    for (key, item) in table {
        if let Some(node) = value(item, depth + 1, faults) {
            entries.insert(key.get_ref().to_string(), Entry { key: Origin::File(key.span()), node });
        }
    }
    entries
}

fn value(item: &Spanned<DeValue<'_>>, depth: usize, faults: &mut Vec<Finding>) -> Option<Node> {
    let span = item.span();
    if depth > DEPTH_MAX {
        faults.push(too_deep(span));
        return None;
    }
    let kind = match item.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Boolean(flag) => Kind::Bool(*flag),
        DeValue::Integer(int) => match i128::from_str_radix(int.as_str(), int.radix()) {
            Ok(int) => Kind::Int(int),
            Err(_) => {
                faults.push(syntax("a number no key can hold", span, "write a smaller number"));
                return None;
            }
        },
        DeValue::Float(float) => match float.as_str().parse() {
            Ok(float) => Kind::Float(float),
            Err(_) => {
                faults.push(syntax("not a number", span, "write it as 0.5"));
                return None;
            }
        },
        DeValue::Datetime(_) => {
            faults.push(syntax("no key takes a date", span, "put it in quotes if text is meant"));
            return None;
        }
        DeValue::Array(items) => {
            Kind::List(items.iter().filter_map(|item| value(item, depth + 1, faults)).collect())
        }
        DeValue::Table(entries) => Kind::Table(table(entries, depth, faults)),
    };
    Some(Node::new(kind, Origin::File(span)))
}
