//! The one environment of all expressions: which filters, tests and functions there are.

use std::sync::LazyLock;

use minijinja::{Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};

use super::bounded::TOO_LONG;
use super::{FUEL, VALUE_BYTES_MAX};

/// The filters there are.
pub(super) const FILTERS: [&str; 41] = [
    "abs",
    "attr",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "groupby",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

/// Filters of `minijinja` that give more than they are given, or that are for HTML.
const LEFT_OUT: [&str; 8] = ["batch", "slice", "indent", "format", "pprint", "safe", "escape", "e"];

/// The tests there are.
pub(super) const TESTS: [&str; 34] = [
    "!=",
    "<",
    "<=",
    "==",
    ">",
    ">=",
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
];

/// The functions there are.
pub(super) const FUNCTIONS: [&str; 2] = ["dict", "range"];

/// How deep evaluations may go.
const RECURSION_MAX: usize = 64;

pub(super) fn get() -> &'static Environment<'static> {
    static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(build);
    &ENVIRONMENT
}

fn build() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(RECURSION_MAX);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_formatter(write_plain);
    environment.remove_global("debug");
    environment.remove_global("namespace");
    for name in LEFT_OUT {
        environment.remove_filter(name);
    }
    environment.add_filter("join", join);
    environment.add_filter("replace", replace);
    environment.add_filter("tojson", tojson);
    environment
}

/// Text as it is, everything else as JSON: a prompt has no use for another language's spelling of `true`.
fn write_plain(out: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    if value.is_undefined() {
        return Err(Error::from(ErrorKind::UndefinedError));
    }
    Ok(out.write_str(&plain(value)?)?)
}

fn plain(value: &Value) -> Result<String, Error> {
    value.as_str().map_or_else(|| tojson(value), |text| Ok(text.to_owned()))
}

fn tojson(value: &Value) -> Result<String, Error> {
    let json =
        super::bounded::to_json(value).map_err(|error| Error::new(ErrorKind::InvalidOperation, error))?;
    Ok(json.to_string())
}

fn too_long() -> Error {
    Error::new(ErrorKind::InvalidOperation, TOO_LONG)
}

/// As Jinja's, up to a bound.
fn join(list: &Value, separator: Option<&str>) -> Result<String, Error> {
    let separator = separator.unwrap_or_default();
    let mut joined = String::new();
    for (index, item) in list.try_iter()?.enumerate() {
        let item = plain(&item)?;
        let between = if index == 0 { "" } else { separator };
        if joined.len() + between.len() + item.len() > VALUE_BYTES_MAX {
            return Err(too_long());
        }
        joined.push_str(between);
        joined.push_str(&item);
    }
    Ok(joined)
}

/// As Jinja's, up to a bound.
fn replace(text: &str, from: &str, to: &str) -> Result<String, Error> {
    let growth = text.matches(from).count().saturating_mul(to.len().saturating_sub(from.len()));
    if text.len().saturating_add(growth) > VALUE_BYTES_MAX {
        return Err(too_long());
    }
    Ok(text.replace(from, to))
}

/// A fault of an evaluation, for people.
pub(super) fn explain(error: &Error) -> String {
    match error.kind() {
        ErrorKind::OutOfFuel => "takes too long".to_owned(),
        ErrorKind::UndefinedError => "reads what is not there; `| default(…)` gives another value".to_owned(),
        kind => {
            format!("cannot be evaluated: {}", error.detail().map_or(kind.to_string(), ToOwned::to_owned))
        }
    }
}
