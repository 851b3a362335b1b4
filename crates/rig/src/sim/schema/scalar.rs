//! Strings and numbers within their bounds.

use super::pattern;
use crate::sim::key::Draws;
use crate::sim::prose;
use serde_json::{Map, Value};

pub(super) use crate::sim::prose::words;

/// A string: after its format or pattern, or a few words, of the right length.
pub(super) fn string(schema: &Map<String, Value>, draws: &mut Draws) -> String {
    let word = |word: &str| schema.get(word).and_then(Value::as_str);
    if let Some(text) = word("pattern").and_then(|pattern| pattern::matching(pattern, draws)) {
        return text;
    }
    if let Some(text) = word("format").and_then(|format| formatted(format, draws)) {
        return text;
    }
    /// Longer strings than this are not made, whatever the schema says.
    const CHARACTERS_MAX: usize = 100_000;
    let bound = |word| super::bound(schema, word).map(|bound| bound.min(CHARACTERS_MAX));
    let mut text = words(draws);
    while text.len() < bound("minLength").unwrap_or(0) {
        text.push(' ');
        text.push_str(&prose::words(draws));
    }
    // ASCII: bytes are characters. Cut to the most, or to the least where
    // that came from padding.
    if let Some(most) = bound("maxLength") {
        text.truncate(most);
    }
    text
}

fn formatted(format: &str, draws: &mut Draws) -> Option<String> {
    let mut below = |bound| draws.below(bound);
    Some(match format {
        "date" => format!("2025-{:02}-{:02}", 1 + below(12), 1 + below(28)),
        "time" => format!("{:02}:{:02}:{:02}Z", below(24), below(60), below(60)),
        "date-time" => {
            format!(
                "2025-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                1 + below(12),
                1 + below(28),
                below(24),
                below(60),
                below(60)
            )
        }
        "duration" => format!("PT{}M", 1 + below(59)),
        "email" | "idn-email" => format!("pilot{}@example.com", below(1000)),
        "hostname" | "idn-hostname" => format!("berth{}.example.com", below(1000)),
        "uri" | "url" | "uri-reference" | "iri" => format!("https://example.com/berths/{}", below(1000)),
        "ipv4" => format!("192.0.2.{}", 1 + below(254)),
        "ipv6" => format!("2001:db8::{:x}", 1 + below(0xffff)),
        "uuid" => {
            let (high, low) = (draws.next(), draws.next());
            let node = low & 0xffff_ffff_ffff;
            format!(
                "{:08x}-{:04x}-4{:03x}-8{:03x}-{node:012x}",
                high >> 32,
                (high >> 16) & 0xffff,
                high & 0xfff,
                (low >> 52) & 0xfff
            )
        }
        _ => return None,
    })
}

/// A whole number within its bounds.
pub(super) fn integer(schema: &Map<String, Value>, draws: &mut Draws) -> Value {
    /// How far from its bound a number with one bound lies.
    const SPAN: i64 = 100;
    let (least, most) = bounds(schema);
    let strict = |bound: Option<Bound>, step: i64, round: fn(f64) -> f64| {
        let (bound, excluded) = bound?;
        let whole = round(bound) as i64;
        Some(if excluded && whole as f64 == bound { whole.saturating_add(step) } else { whole })
    };
    let (least, most) = (strict(least, 1, f64::ceil), strict(most, -1, f64::floor));
    let (least, most) = match (least, most) {
        (None, None) => (1, SPAN),
        (Some(least), None) => (least, least.saturating_add(SPAN)),
        (None, Some(most)) => (most.saturating_sub(SPAN), most),
        (Some(least), Some(most)) => (least, most.max(least)),
    };
    if let Some(step) = schema.get("multipleOf").and_then(Value::as_i64).filter(|step| *step > 0) {
        return Value::from(multiple(least as f64, most as f64, step as f64, draws) as i64);
    }
    let width = most.abs_diff(least).saturating_add(1);
    Value::from(least.wrapping_add_unsigned(draws.below(width)))
}

/// A number within its bounds, short where there is room for it.
pub(super) fn number(schema: &Map<String, Value>, draws: &mut Draws) -> Value {
    let (least, most) = bounds(schema);
    let (low, high) = match (least, most) {
        (None, None) => (0.0, 100.0),
        (Some((least, _)), None) => (least, least + 100.0),
        (None, Some((most, _))) => (most - 100.0, most),
        (Some((least, _)), Some((most, _))) => (least, most.max(least)),
    };
    if let Some(step) = schema.get("multipleOf").and_then(Value::as_f64).filter(|step| *step > 0.0) {
        return Value::from(multiple(low, high, step, draws));
    }
    // Off both ends, so that an excluded bound is never met.
    let drawn = low + (high - low) * (0.05 + 0.9 * draws.unit());
    let short = (drawn * 100.0).round() / 100.0;
    Value::from(if short > low && short < high { short } else { drawn })
}

fn multiple(low: f64, high: f64, step: f64, draws: &mut Draws) -> f64 {
    let (first, last) = ((low / step).ceil(), (high / step).floor());
    let choices = (last - first + 1.0).clamp(1.0, 100.0);
    (first + draws.below(choices as u64) as f64) * step
}

/// A bound, and whether it is itself excluded.
type Bound = (f64, bool);

/// The least and the most; in the older way of saying so, too
/// (`"exclusiveMinimum": true`).
fn bounds(schema: &Map<String, Value>) -> (Option<Bound>, Option<Bound>) {
    let bound = |inclusive: &str, exclusive: &str, tighter: fn(f64, f64) -> bool| {
        let flag = schema.get(exclusive) == Some(&Value::Bool(true));
        let included = schema.get(inclusive).and_then(Value::as_f64).map(|bound| (bound, flag));
        let excluded = schema.get(exclusive).and_then(Value::as_f64).map(|bound| (bound, true));
        match (included, excluded) {
            (Some(one), Some(other)) if tighter(one.0, other.0) => Some(one),
            (one, other) => other.or(one),
        }
    };
    (
        bound("minimum", "exclusiveMinimum", |included, excluded| included > excluded),
        bound("maximum", "exclusiveMaximum", |included, excluded| included < excluded),
    )
}
