#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn member(name: &str) -> Step {
    Step::Member(name.to_owned())
}

fn cache() -> Key {
    Key(["models", "smart", "cache", "enabled"].map(member).into())
}

fn weight() -> Key {
    let entry = Step::Entry("model".to_owned(), "b/m".to_owned());
    Key(vec![member("models"), member("smart"), member("targets"), entry, member("weight")])
}

fn check(before: &str, key: &Key, to: &Value, after: &str) {
    let (text, written) = write(before, [(key, to)]).unwrap_or_else(|fault| panic!("{before}: {fault}"));
    assert_eq!(text, after);
    assert!(stands(&text, &written));
    let kept = serde_json::to_string(&written).unwrap();
    let written: Vec<Written> = serde_json::from_str(&kept).unwrap();
    assert_eq!(take_back(&text, &written).unwrap(), before, "byte for byte");
    assert!(is_gone(before, &written) && !is_gone(after, &written));
}

#[test]
fn a_value_is_changed_and_changed_back_however_it_is_written() {
    let (key, yes) = (cache(), Value::Bool(true));
    for (before, after) in [
        (
            "# on top\n[models.smart]\ncache = { enabled = false, ttl = \"1m\" } # off\n\n[x]\n",
            "# on top\n[models.smart]\ncache = { enabled = true, ttl = \"1m\" } # off\n\n[x]\n",
        ),
        (
            "[models.smart.cache]\n  enabled   =   false   # why\n",
            "[models.smart.cache]\n  enabled   =   true   # why\n",
        ),
        ("models.smart.cache.enabled = false", "models.smart.cache.enabled = true"),
        (
            "[models]\nsmart = { cache = { enabled = \"${ON}\" } }\n",
            "[models]\nsmart = { cache = { enabled = true } }\n",
        ),
    ] {
        check(before, &key, &yes, after);
    }
}

#[test]
fn what_is_not_there_is_written_and_taken_away_again() {
    let (key, yes) = (cache(), Value::Bool(true));
    for (before, after) in [
        (
            "[models.smart]\ntargets = []\n# end\n",
            "[models.smart]\ntargets = []\ncache = { enabled = true }\n# end\n",
        ),
        (
            "[models.smart]\ncache = { ttl = \"1m\" }\n",
            "[models.smart]\ncache = { ttl = \"1m\" , enabled = true }\n",
        ),
        (
            "[models.smart]\ncache.ttl = \"1m\"\n",
            "[models.smart]\ncache.ttl = \"1m\"\ncache.enabled = true\n",
        ),
    ] {
        check(before, &key, &yes, after);
    }
}

#[test]
fn an_entry_of_a_list_is_found_by_what_it_is() {
    let (key, three) = (weight(), Value::Number(3));
    for (before, after) in [
        (
            "[models.smart]\ntargets = [\n  { model = \"a/m\", weight = 1 }, # a\n  { model = \"b/m\", weight = 1 }, # b\n]\n",
            "[models.smart]\ntargets = [\n  { model = \"a/m\", weight = 1 }, # a\n  { model = \"b/m\", weight = 3 }, # b\n]\n",
        ),
        (
            "[[models.smart.targets]]\nmodel = \"b/m\"\n\n[[models.smart.targets]]\nmodel = \"a/m\"\n",
            "[[models.smart.targets]]\nmodel = \"b/m\"\nweight = 3\n\n[[models.smart.targets]]\nmodel = \"a/m\"\n",
        ),
    ] {
        check(before, &key, &three, after);
    }
}

#[test]
fn what_cannot_be_edited_is_left_alone() {
    let cases = [
        ("[models.smart]\ntargets = [ { model = \"a/m\" } ]\n", weight()),
        ("[models.smart]\ntargets = [ { model = \"b/m\" }, { model = \"b/m\" } ]\n", weight()),
        ("[models.smart]\ntargets = \"${TARGETS}\"\n", weight()),
        ("[models]\nsmart = 7\n", cache()),
    ];
    for (text, key) in cases {
        assert_eq!(write(text, [(&key, &Value::Number(3))]), Err(Fault::Way(key.to_string())), "{text}");
    }
    for text in ["models = ", "[models.smart]\r\ncache.enabled = false\r\n"] {
        assert!(matches!(write(text, [(&cache(), &Value::Bool(true))]), Err(Fault::Form(_))), "{text:?}");
    }
}

#[test]
fn what_was_changed_since_is_not_taken_back() {
    let before = "[models.smart]\ncache.enabled = false\n";
    let (text, written) = write(before, [(&cache(), &Value::Bool(true))]).unwrap();
    let changed = Err(Fault::Changed("models.smart.cache.enabled".to_owned()));
    assert_eq!(take_back(before, &written), changed);
    assert_eq!(take_back("", &written), changed);
    assert_eq!(take_back("[models.smart]\ncache = 7\n", &written), changed);
    // By hand, say.
    let gone = [before, "", "[models.smart]\ncache = 7\n", &text].map(|text| is_gone(text, &written));
    assert_eq!(gone, [true, false, false, false]);
    // What else was written meanwhile stays.
    let more = format!("{text}hedge = true\n");
    assert_eq!(take_back(&more, &written).unwrap(), format!("{before}hedge = true\n"));
}

#[test]
fn a_table_that_was_made_stays_where_something_else_has_come_into_it() {
    let (text, written) = write("[models.smart]\n", [(&cache(), &Value::Bool(true))]).unwrap();
    let more = text.replace("enabled = true", "enabled = true, ttl = \"1m\"");
    let back = take_back(&more, &written).unwrap();
    assert!(back.contains("ttl") && !back.contains("enabled"), "{back}");
}
