#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::environment::{FILTERS, TESTS, get};
use super::*;

fn scope() -> Scope {
    let steps = BTreeMap::from([
        (
            "fetch".to_owned(),
            Seen { output: json!({"status": 200, "pages": ["a", "b"]}), state: "done", error: None },
        ),
        ("skipped".to_owned(), Seen { output: Value::Null, state: "skipped", error: None }),
    ]);
    let about = About { id: "run-1".to_owned(), workflow: "digest".to_owned() };
    Scope::new(&json!({"n": 3, "name": "Ada", "tags": ["x"]}), &steps, &about, Some((&json!({"k": 1}), 4)))
}

fn value(source: &str) -> Result<Value, String> {
    let (expression, _) = Expression::parse(source).map_err(|wrong| wrong.what)?;
    expression.value(&scope()).map_err(|error| error.to_string())
}

fn text(source: &str) -> Result<String, String> {
    let (text, _) = Text::parse(source).map_err(|wrong| wrong.what)?;
    text.render(&scope()).map_err(|error| error.to_string())
}

#[test]
fn an_expression_gives_a_value_with_its_type() {
    for (source, want) in [
        ("input.n", json!(3)),
        ("{{ input.n }}", json!(3)),
        ("{{- input.n -}}", json!(3)),
        ("{{ input.n + 1 }}", json!(4)),
        ("steps.fetch.output.pages", json!(["a", "b"])),
        ("steps.fetch.output.status == 200", json!(true)),
        ("steps['fetch'].output.pages[0]", json!("a")),
        ("steps.skipped.output", Value::Null),
        ("steps.skipped.output or 'none'", json!("none")),
        ("steps.skipped.state", json!("skipped")),
        ("item.k", json!(1)),
        ("index * 2", json!(8)),
        ("(input.n | int) * 2", json!(6)),
        ("run.id ~ '/' ~ run.workflow", json!("run-1/digest")),
        ("input.other | default('x')", json!("x")),
        ("steps.fetch.output.pages | map('upper') | join(', ')", json!("A, B")),
        ("input.tags | tojson", json!("[\"x\"]")),
        ("{'a': input.n, 'b': [1, none]}", json!({"a": 3, "b": [1, null]})),
        ("range(3) | list", json!([0, 1, 2])),
        ("'a-b' | replace('-', '+')", json!("a+b")),
    ] {
        assert_eq!(value(source), Ok(want), "{source}");
    }
}

#[test]
fn text_takes_values_in_and_writes_what_is_no_text_as_json() {
    for (source, want) in [
        ("Dear {{ input.name }}!", "Dear Ada!"),
        ("{{ true }} {{ none }} {{ steps.fetch.output.pages }} {{ 1.5 }}", "true null [\"a\",\"b\"] 1.5"),
        ("{% for p in steps.fetch.output.pages %}{{ loop.index }}:{{ p }} {% endfor %}", "1:a 2:b "),
        ("{% if input.n > 2 %}many{% else %}few{% endif %}", "many"),
        ("<b>{{ '<i>' }}</b>", "<b><i></b>"),
    ] {
        assert_eq!(text(source).as_deref(), Ok(want), "{source}");
    }
}

#[test]
fn what_is_not_allowed_is_told_before_it_is_run() {
    for (source, want) in [
        ("input.", "not an expression"),
        ("1 +", "not an expression"),
        ("input | uper", "unknown filter `uper`"),
        ("input | indent(9)", "unknown filter `indent`"),
        ("input is strng", "unknown test `strng`"),
        ("debug()", "unknown function `debug`"),
        ("input.name.upper()", "no methods"),
        ("inputs.n", "unknown name `inputs`"),
        ("steps.fetch", "`steps` without"),
        ("steps[input.name].output", "`steps` without"),
        ("steps.fetch.outputs", "nothing that can be read"),
        ("run.secret", "of `run` there are"),
        ("'a' * 1000000", "`*` takes"),
        ("input.tags * 3", "`*` takes"),
    ] {
        let wrong = Expression::parse(source).expect_err(source);
        assert!(wrong.what.contains(want), "{source}: {wrong:?}");
        assert!(!wrong.mend.is_empty(), "{source}: {wrong:?}");
    }
    for source in [
        "{% set a = 1 %}",
        "{% with a = 1 %}{% endwith %}",
        "{% filter upper %}a{% endfilter %}",
        "{% set a %}b{% endset %}",
        "{% autoescape true %}{% endautoescape %}",
        "{% do range(3) %}",
    ] {
        let wrong = Text::parse(source).expect_err(source);
        assert!(wrong.what.contains("not allowed"), "{source}: {wrong:?}");
    }
    for source in ["{% include 'x' %}", "{% macro a() %}{% endmacro %}", "{% block a %}{% endblock %}"] {
        assert!(Text::parse(source).is_err(), "{source}");
    }
    let long = vec!["'a'"; 70].join(" ~ ");
    assert!(Expression::parse(&long).expect_err("long").what.contains("more than 64"));
    assert!(Expression::parse(&"a".repeat(70_000)).expect_err("long").what.contains("64 KiB"));
    assert!(Expression::parse(&"(".repeat(50_000)).is_err());
}

#[test]
fn an_evaluation_has_bounds() {
    for (source, want) in [
        ("input.nothing", "not there"),
        ("steps.fetch.output.nothing.more", "not there"),
        ("1 / 0", "cannot be evaluated"),
        (
            "range(100000) | map('string') | join(input.name | replace('A', 'AAAAAAAA' ~ 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAA') ~ '                                                                                      ')",
            "more than 8 MiB",
        ),
    ] {
        let error = value(source).expect_err(source);
        assert!(error.contains(want), "{source}: {error}");
    }
    let forever = "{% for a in range(2000) %}{% for b in range(2000) %}{{ a + b }}{% endfor %}{% endfor %}";
    let error = text(forever).expect_err("forever");
    assert!(error.contains("takes too long") || error.contains("more than 8 MiB"), "{error}");
}

#[test]
fn what_an_expression_reads_is_known() {
    let (_, reads) = Text::parse("{{ steps.a.output }}{% for x in steps['b'].output[steps.c.output] %}{{ x.y }}{{ input.q }}{{ item }}{% endfor %}").unwrap();
    assert_eq!(reads.steps.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!(reads.inputs.iter().map(String::as_str).collect::<Vec<_>>(), ["q"]);
    assert_eq!(reads.item, Some("item"));
}

#[test]
fn every_filter_and_test_that_is_named_is_there() {
    for filter in FILTERS {
        let error =
            get().compile_expression(&format!("1 | {filter}")).and_then(|expression| expression.eval(()));
        assert!(
            error.err().is_none_or(|error| error.kind() != minijinja::ErrorKind::UnknownFilter),
            "{filter}"
        );
    }
    for test in TESTS.iter().filter(|test| test.starts_with(char::is_alphabetic)) {
        let error =
            get().compile_expression(&format!("1 is {test}")).and_then(|expression| expression.eval(()));
        assert!(error.err().is_none_or(|error| error.kind() != minijinja::ErrorKind::UnknownTest), "{test}");
    }
}
