//! Expressions over a run's input and the outputs of its steps: Jinja's, by `minijinja`, with what could read
//! a file, change anything or grow without bound taken out.
//!
//! There are no assignments, macros, includes and methods; `*` takes what is written as a number, as it would
//! also repeat text; filters that grow their input beyond it are left out or bounded. What remains is
//! bounded by the size of what is read, the [fuel](FUEL), and the number of operators.

mod bounded;
mod environment;
mod reads;

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::Serde;
use serde::Serialize;
use serde_json::Value;

pub(super) use self::reads::Reads;

/// Most bytes of one expression or text.
pub const EXPRESSION_BYTES_MAX: usize = 64 << 10;
/// Most instructions that one evaluation may take.
pub const FUEL: u64 = 1_000_000;
/// Most bytes of what one evaluation gives, as JSON.
pub const VALUE_BYTES_MAX: usize = 8 << 20;

/// An expression: `steps.fetch.output.status == 200`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    source: Arc<str>,
}

/// Text with expressions in it: `Summarise: {{ input.text }}`, with Jinja's `if` and `for`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    source: Arc<str>,
}

/// Why an expression cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) what: String,
    pub(super) mend: String,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), mend: mend.into() }
    }
}

/// Why an evaluation gave nothing: for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvaluationError(String);

/// What expressions can read.
#[derive(Clone, Debug)]
pub struct Scope {
    root: minijinja::Value,
}

/// What expressions can read of a step.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Seen {
    /// What came of it; null where it was skipped or failed.
    pub output: Value,
    /// `done`, `skipped` or `failed`.
    pub state: &'static str,
    /// Why it failed.
    pub error: Option<String>,
}

/// What expressions can read of the run.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    /// Its id.
    pub id: String,
    /// The workflow's name.
    pub workflow: String,
}

#[derive(Serialize)]
struct Root<'a> {
    input: &'a Value,
    steps: &'a BTreeMap<String, Seen>,
    run: &'a About,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
}

impl Scope {
    /// What a step's expressions read; `item` and its index where it fans out.
    #[must_use]
    pub fn new(
        input: &Value,
        steps: &BTreeMap<String, Seen>,
        run: &About,
        item: Option<(&Value, usize)>,
    ) -> Self {
        let (item, index) = item.map_or((None, None), |(item, index)| (Some(item), Some(index)));
        Self { root: minijinja::Value::from(Serde(Root { input, steps, run, item, index })) }
    }
}

impl Expression {
    /// Reads one, alone or within `{{ }}`, and says what it reads.
    pub(super) fn parse(source: &str) -> Result<(Self, Reads), Wrong> {
        let source = unwrapped(source).unwrap_or(source).trim();
        let reads = Reads::of_expression(source)?;
        Ok((Self { source: source.into() }, reads))
    }

    /// Its value.
    ///
    /// # Errors
    /// What it reads is not there or of the wrong type, or its bounds are passed.
    pub fn value(&self, scope: &Scope) -> Result<Value, EvaluationError> {
        let value = environment::get()
            .compile_expression(&self.source)
            .and_then(|expression| expression.eval(scope.root.clone()))
            .map_err(|error| self.fault(&environment::explain(&error)))?;
        if value.is_undefined() {
            return Err(self.fault("gives nothing: what it reads is not there"));
        }
        bounded::to_json(&value).map_err(|error| self.fault(&error))
    }

    /// Whether its value counts as true: not false, null, zero or empty.
    ///
    /// # Errors
    /// As [`value`](Self::value).
    pub fn holds(&self, scope: &Scope) -> Result<bool, EvaluationError> {
        Ok(match self.value(scope)? {
            Value::Null => false,
            Value::Bool(flag) => flag,
            Value::Number(number) => number.as_f64() != Some(0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(items) => !items.is_empty(),
            Value::Object(members) => !members.is_empty(),
        })
    }

    fn fault(&self, why: &str) -> EvaluationError {
        fault(&format!("{{{{ {} }}}}", self.source), why)
    }
}

impl Text {
    /// Reads one, and says what it reads.
    pub(super) fn parse(source: &str) -> Result<(Self, Reads), Wrong> {
        let reads = Reads::of_text(source)?;
        Ok((Self { source: source.into() }, reads))
    }

    /// The text with its expressions' values; those that are no text as JSON.
    ///
    /// # Errors
    /// As [`Expression::value`].
    pub fn render(&self, scope: &Scope) -> Result<String, EvaluationError> {
        let mut written = bounded::Written::default();
        let rendered = environment::get()
            .template_from_named_str("text", &self.source)
            .and_then(|template| template.render_captured_to(scope.root.clone(), &mut written).map(drop));
        if written.is_full() {
            return Err(fault(&self.source, bounded::TOO_LONG));
        }
        rendered.map_err(|error| fault(&self.source, &environment::explain(&error)))?;
        written.into_text().map_err(|error| fault(&self.source, &error))
    }
}

/// What stands between `{{` and `}}` where that is all there is.
pub(super) fn unwrapped(source: &str) -> Option<&str> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    let inner = inner.strip_suffix(['-', '+']).unwrap_or(inner).trim();
    minijinja::machinery::parse_expr(inner).is_ok().then_some(inner)
}

fn fault(source: &str, why: &str) -> EvaluationError {
    let shown: String = source.chars().take(80).collect();
    let dots = if shown.len() < source.len() { "…" } else { "" };
    EvaluationError(format!("`{shown}{dots}` {why}"))
}

#[cfg(test)]
mod tests;
