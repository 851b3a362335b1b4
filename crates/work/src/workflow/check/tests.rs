#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use crate::workflow::{Definition, Format};

/// A step that is fine.
fn step(id: &str, rest: &str) -> String {
    format!("[[steps]]\nid = '{id}'\nkind = 'model'\nmodel = 'm'\nrequest = {{}}\n{rest}\n")
}

fn workflow(steps: &str) -> String {
    format!("name = 'w'\n{steps}")
}

fn faults(text: &str) -> Vec<String> {
    match Definition::parse(text, Format::of(text)) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.iter().map(ToString::to_string).collect(),
    }
}

#[track_caller]
fn check(text: &str, want: &[&str]) {
    assert_eq!(faults(text), want, "{text}");
}

#[test]
fn a_key_that_is_not_known_is_told_with_the_one_that_was_meant() {
    check(
        "nme = 'w'\nname = 'w'\n[[steps]]\nid = 'a'\nkind = 'http'\nurll = 'https://x'\nurl = 'https://x'",
        &[
            "1:1: unknown key `nme` in a workflow; did you mean `name`? (at /nme)",
            "6:1: unknown key `urll` in a step of the kind `http`; did you mean `url`? (at /steps/0/urll)",
        ],
    );
    check(
        "{\"name\": \"w\",\n \"steps\": [{\"id\": \"a\", \"kind\": \"sleep\", \"for\": \"1s\", \"retry\": {}}]}",
        &[
            "2:55: unknown key `retry` in a step of the kind `sleep`; write one of `kind`, `id`, `description`, `needs`, `when`, `for`, `until` (at /steps/0/retry)",
        ],
    );
}

#[test]
fn each_fault_of_form_is_told_with_its_mend() {
    for (text, want) in [
        ("", "1:1: a workflow has no `name`; write `name = …`"),
        ("name = 'w'", "1:1: a workflow has no `steps`; write `steps = …`"),
        (
            "name = 'w'\nsteps = []",
            "2:9: 0 steps; write from 1 to 1000, or split it into children (at /steps)",
        ),
        ("name = 'w'\nsteps = 3", "2:9: a number where a list is to be; put it in `[` and `]` (at /steps)"),
        (
            "name = 'w",
            "1:10: invalid literal string, expected `'`; see https://toml.io for how TOML is written",
        ),
        ("{\"name\": }", "1:10: expected value; see https://json.org for how JSON is written"),
        (
            "{\"name\": \"w\", \"name\": \"v\", \"steps\": [{\"id\": \"a\", \"kind\": \"sleep\", \"for\": \"1s\"}]}",
            "1:16: the key `name` stands here a second time; keep one of them",
        ),
        (
            "name = '-w'\nsteps = [{id = 'a', kind = 'sleep', for = '1s'}]",
            "1:8: `-w` is no name; use letters, digits, `_`, `-` and `.`, a letter or digit first (at /name)",
        ),
    ] {
        let told = faults(text);
        assert!(told.contains(&want.to_owned()), "{text}: {told:#?}");
    }
}

#[test]
fn each_fault_of_a_step_is_told_with_its_mend() {
    for (keys, want) in [
        ("kind = 'sleep'\nfor = '1s'", "has no `id`; write `id = …`"),
        ("id = 'a'", "a step has no `kind`; write `kind = …`"),
        ("id = 'a'\nkind = 'modl'", "unknown kind `modl`; did you mean `model`?"),
        (
            "id = 'a-b'\nkind = 'sleep'\nfor = '1s'",
            "`a-b` is no name; use letters, digits and `_`, as expressions name it; a letter first",
        ),
        ("id = '1a'\nkind = 'sleep'\nfor = '1s'", "`1a` is no id; use letters"),
        ("id = 'a'\nkind = 'sleep'", "a sleep needs one of `for` and `until`; write one of them"),
        ("id = 'a'\nkind = 'sleep'\nfor = '1s'\nuntil = '2030-01-01T00:00:00Z'", "a sleep needs one of"),
        ("id = 'a'\nkind = 'sleep'\nfor = '1 hour'", "`1 hour` is no length of time; write it as `250ms`"),
        ("id = 'a'\nkind = 'sleep'\nuntil = 'tomorrow'", "`tomorrow` is no moment; write it as RFC 3339"),
        ("id = 'a'\nkind = 'wait'\nsignal = 's'\ntimeout = '99999999d'", "`99999999d` is no length of time"),
        ("id = 'a'\nkind = 'wait'", "a step of the kind `wait` has no `signal`"),
        ("id = 'a'\nkind = 'http'\nurl = 'ftp://x'", "`ftp://x` is no address; begin it with `https://`"),
        (
            "id = 'a'\nkind = 'http'\nurl = 'https://x'\nmethod = 'PSOT'",
            "unknown method `PSOT`; did you mean `POST`?",
        ),
        (
            "id = 'a'\nkind = 'http'\nurl = 'https://x'\nheaders = {'a b' = 'c'}",
            "`a b` is no header; see RFC 9110",
        ),
        ("id = 'a'\nkind = 'model'\nmodel = 'm'", "has no `request`"),
        ("id = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = 'x'", "text where a table is to be"),
        (
            "id = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = {}\nretry = {attempts = 0}",
            "a number where a whole number is to be; write one from 1 to 100",
        ),
        ("id = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = {}\ntimeout = '2d'", "`2d` is out of range"),
        (
            "id = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = {}\non_error = 'ignore'",
            "unknown choice `ignore`; write one of `fail`, `continue`",
        ),
        (
            "id = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = {}\ncompensate = {kind = 'sleep'}",
            "unknown kind `sleep`; write one of `model`, `http`",
        ),
        ("id = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = {q = '{{ input. }}'}", "not an expression: "),
        (
            "id = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = {q = ['{{ x }}']}",
            "unknown name `x`; write one of `input`, `steps`, `item`, `index`, `run` (at /steps/0/request/q/0)",
        ),
        (
            "id = 'a'\nkind = 'sleep'\nfor = '1s'\nwhen = 3",
            "a number where an expression is to be; write it as text",
        ),
        ("id = 'a'\nkind = 'map'\nover = 'input.l'", "has no `step`"),
        (
            "id = 'a'\nkind = 'map'\nover = 'input.l'\nconcurrency = 101\nstep = {kind = 'http', url = '{{ item }}'}",
            "write one from 1 to 100",
        ),
        (
            "id = 'a'\nkind = 'map'\nover = 'input.l'\nstep = {kind = 'map'}",
            "unknown kind `map`; write one of `model`, `http`, `workflow`",
        ),
        (
            "id = 'a'\nkind = 'map'\nover = 'item'\nstep = {kind = 'http', url = '{{ item }}'}",
            "there is no `item` here; use it in the `step` of a map alone",
        ),
        ("id = 'a'\nkind = 'branch'\ncases = []", "0 cases; write from 1 to 100"),
        (
            "id = 'a'\nkind = 'branch'\ncases = [{when = 'true', steps = ['b']}]",
            "unknown step `b`; write one of `a` (at /steps/0/cases/0/steps/0)",
        ),
        (
            "id = 'a'\nkind = 'workflow'\nworkflow = 'w'",
            "`a` starts the workflow that it is part of; name another workflow",
        ),
        ("id = 'a'\nkind = 'workflow'\nworkflow = 'v'\nversion = 0", "write one from 1 to"),
        ("id = 'a'\nkind = 'sleep'\nfor = '1s'\nneeds = 'b'", "text where a list is to be"),
        (
            "id = 'a'\nkind = 'sleep'\nfor = '{{ steps.a.output }}'",
            "`a` reads its own output; read another step's",
        ),
        ("id = 'a'\nkind = 'sleep'\nfor = '{{ steps.b.output }}'", "unknown step `b`; write one of `a`"),
    ] {
        let told = faults(&workflow(&format!("[[steps]]\n{keys}")));
        assert!(told.iter().any(|fault| fault.contains(want)), "{keys}\nwants {want}\n{told:#?}");
        assert!(told.iter().all(|fault| !fault.contains("; (at") && !fault.ends_with("; ")), "{told:#?}");
    }
}

#[test]
fn a_fault_of_one_key_hides_none_of_the_others() {
    check(
        "name = 'w'\n[[steps]]\nid = 'a-b'\nkind = 'slep'\nneeds = 3\nwhen = '{{'\ndescription = 1\n",
        &[
            "3:6: `a-b` is no name; use letters, digits and `_`, as expressions name it; a letter first (at /steps/0/id)",
            "4:8: unknown kind `slep`; did you mean `sleep`? (at /steps/0/kind)",
            "5:9: a number where a list is to be; put it in `[` and `]` (at /steps/0/needs)",
            "6:8: not an expression: unexpected end of input, expected expression; see https://jinja.palletsprojects.com/templates (at /steps/0/when)",
            "7:15: a number where text is to be; put it in quotes (at /steps/0/description)",
        ],
    );
    for (rest, places) in [
        (
            "kind = 'http'\nmethod = 'PSOT'\nurl = 'ftp://x'\ntimeout = '2d'\non_error = 'no'",
            &["method", "url", "timeout", "on_error"][..],
        ),
        (
            "kind = 'model'\nmodel = 'm'\nretry = {attempts = 0, backoff = '2d', backoff_max = '2d'}\ntimeout = '2d'",
            &["", "attempts", "backoff", "backoff_max", "timeout"],
        ),
        ("kind = 'wait'\nsignal = '-'\ntimeout = '2'\non_error = 'no'", &["signal", "timeout", "on_error"]),
        ("kind = 'workflow'\nworkflow = '-'\nversion = 0\ninput = 3", &["workflow", "version", "input"]),
    ] {
        let told = faults(&format!("name = 'w'\n[[steps]]\nid = 'a'\n{rest}\n"));
        assert_eq!(told.len(), places.len(), "{told:#?}");
        for place in places {
            assert!(told.iter().any(|fault| fault.ends_with(&format!("{place})"))), "{place}: {told:#?}");
        }
    }
}

#[test]
fn what_steps_mean_to_one_another_is_judged() {
    for (steps, want) in [
        (
            vec![step("a", ""), step("a", "")],
            vec!["9:6: the id `a` is there twice; give this step another id (at /steps/1/id)"],
        ),
        (
            vec!["[[steps]]\nid = 'a'\n".to_owned(), step("b", "needs = ['a']")],
            vec!["2:1: a step has no `kind`; write `kind = …` (at /steps/0)"],
        ),
        (
            vec![step("first", ""), step("b", "needs = ['frist']")],
            vec!["13:10: unknown step `frist`; did you mean `first`? (at /steps/1/needs/0)"],
        ),
        (
            vec![step("a", "needs = ['c']"), step("b", "needs = ['a']"), step("c", "needs = ['b']")],
            vec![
                "3:6: a cycle: `a` needs `c` needs `b` needs `a`; take one of these out of `needs`, or out of the branch's case (at /steps/0/id)",
            ],
        ),
        (
            vec![step("a", "needs = ['a']"), step("b", "needs = ['c']"), step("c", "needs = ['b', 'a']")],
            vec![
                "3:6: a cycle: `a` needs `a`; take one of these out of `needs`, or out of the branch's case (at /steps/0/id)",
                "9:6: a cycle: `b` needs `c` needs `b`; take one of these out of `needs`, or out of the branch's case (at /steps/1/id)",
            ],
        ),
        (
            vec![step("a", ""), step("b", "when = 'steps.a.output'")],
            vec![
                "13:8: `a` is not upstream of `b`: its output may not be there yet; add `a` to the `needs` of `b` (at /steps/1/when)",
            ],
        ),
        (
            vec![
                step("a", ""),
                "[[steps]]\nid = 'x'\nkind = 'branch'\ncases = [{when = 'true', steps = ['a']}]\n".to_owned(),
                "[[steps]]\nid = 'y'\nkind = 'branch'\ncases = [{when = 'true', steps = ['a']}]\n".to_owned(),
            ],
            vec![
                "15:35: `a` is decided on by the branch `x` too; name it in one branch, and give it `when` for the rest (at /steps/2/cases/0/steps/0)",
            ],
        ),
        (
            vec![
                "[[steps]]\nid = 'x'\nkind = 'wait'\nsignal = 's'\n".to_owned(),
                "[[steps]]\nid = 'y'\nkind = 'wait'\nsignal = 's'\n".to_owned(),
            ],
            vec![
                "7:6: two steps wait for the signal `s`; give each signal a name of its own (at /steps/1/id)",
            ],
        ),
    ] {
        let want: Vec<String> = want.into_iter().map(ToOwned::to_owned).collect();
        assert_eq!(faults(&workflow(&steps.concat())), want);
    }
}

#[test]
fn the_input_is_known_to_expressions() {
    let text = "name = 'w'\ninput = ['url']\noutput = '{{ input.ur }}'\n".to_owned() + &step("a", "");
    check(&text, &["3:10: the input has no field `ur`; did you mean `url`? (at /output)"]);
    let text =
        "name = 'w'\ninput = {properties = {n = {type = 'integer', default = 'x'}, m = {type = 'int'}}}\n"
            .to_owned()
            + &step("a", "");
    check(
        &text,
        &[
            "2:57: the default is not of the type; change one of them (at /input/properties/n/default)",
            "2:75: unknown type `int`; write one of `string`, `number`, `integer`, `boolean`, `array`, `object` (at /input/properties/m/type)",
        ],
    );
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_source() {
    let steps: String = (0..150).map(|index| step(&format!("s{index}"), "needs = ['none']")).collect();
    let text = workflow(&steps);
    let told = Definition::parse(&text, Format::Toml).expect_err("unknown steps");
    assert_eq!(told.iter().count(), 100);
    assert!(told.more);
    let lines: Vec<usize> = told.iter().map(|fault| fault.place.unwrap().0).collect();
    assert!(lines.is_sorted());
    assert_eq!(told.to_json()[0]["pointer"], "/steps/0/needs/0");
}

#[test]
fn a_definition_has_bounds() {
    let long = format!("name = 'w'\n# {}\n", "x".repeat(1 << 20));
    check(&long, &["1:1: longer than 1 MiB; pass long text in the input, or split it into children"]);
    let many: String = (0..1_001).map(|index| step(&format!("s{index}"), "")).collect();
    check(
        &workflow(&many),
        &["2:1: 1001 steps; write from 1 to 1000, or split it into children (at /steps)"],
    );
    let deep = format!("name = 'w'\nx = {}{}", "[".repeat(40), "]".repeat(40));
    assert!(faults(&deep).iter().any(|fault| fault.contains("deeper than 32 levels")));
    let deep = format!("{{\"name\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(!faults(&deep).is_empty());
    let chain: String = (0..1_000)
        .map(|index| step(&format!("s{index}"), &format!("needs = ['s{}']", (index + 1) % 1_000)))
        .collect();
    assert_eq!(faults(&workflow(&chain)).len(), 1);
}

#[test]
fn both_forms_give_the_same_definition() {
    let toml = "name = 'w'\n[[steps]]\nid = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = {max_tokens = 5, messages = [{role = 'user', content = '{{ input.q }}'}]}\n[[steps]]\nid = 'b'\nkind = 'sleep'\nneeds = ['a']\nfor = '1s'\n";
    let json = r#"{"name": "w", "steps": [
        {"id": "a", "kind": "model", "model": "m",
         "request": {"max_tokens": 5, "messages": [{"role": "user", "content": "{{ input.q }}"}]}},
        {"id": "b", "kind": "sleep", "needs": ["a"], "for": "1s"}
    ]}"#;
    let toml = Definition::parse(toml, Format::Toml).expect("toml");
    let json = Definition::parse(json, Format::Json).expect("json");
    assert_eq!(format!("{:?}", toml.steps()), format!("{:?}", json.steps()));
    assert_eq!(toml.steps()[1].needs, [0]);
    assert_eq!(toml.followers, [vec![1], vec![]]);
}

#[test]
fn an_input_is_checked_and_completed() {
    let text = "name = 'w'\ninput = {required = ['url'], properties = {n = {type = 'integer', default = 3}, tag = {type = 'string'}}}\n".to_owned()
        + &step("a", "");
    let definition = Definition::parse(&text, Format::Toml).expect("fine");
    assert_eq!(definition.accept(json!({"url": 1})), Ok(json!({"url": 1, "n": 3, "tag": null})));
    for (input, want) in [
        (json!({}), "`url` is missing; give a value (at /url)"),
        (json!({"url": 1, "n": "x"}), "`n` must be of the type `integer`; give a value of that type (at /n)"),
        (json!({"url": 1, "tga": "x"}), "unknown field `tga`; did you mean `tag`? (at /tga)"),
        (
            json!([1]),
            "the input is no object; give an object with a value for each field\n`url` is missing; give a value (at /url)",
        ),
    ] {
        assert_eq!(definition.accept(input).expect_err(want).to_string(), want);
    }
}

#[test]
fn the_examples_are_fine() {
    for text in
        [include_str!("../../../examples/digest.toml"), include_str!("../../../examples/approval.toml")]
    {
        check(text, &[]);
    }
}
