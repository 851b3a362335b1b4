#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const PLACE: PlaceParts<'_> = PlaceParts {
    operation: "chat",
    policy: 1,
    provider: "openai",
    base_url: "https://api.example/v1",
    credential: b"digest",
    model: "small",
};

/// The key of `body` with `change` made to what surrounds it.
fn try_key(body: &str, change: impl FnOnce(&mut Parts<'_>)) -> Result<Key, Fault> {
    let place = Place::new(&PLACE);
    let mut parts =
        Parts { place: &place, tenant: "acme", scope: "team", form: 0, body, leave_out: &[], hole: None };
    change(&mut parts);
    Key::new(&Secret::new("secret"), &parts)
}

fn key(body: &str) -> Key {
    try_key(body, |_| ()).unwrap_or_else(|fault| panic!("{body}: {fault}"))
}

#[test]
fn texts_that_mean_the_same_have_one_key() {
    let table: &[(&str, &[&str])] = &[
        (r#"{"a":1,"b":2}"#, &[r#"{"b":2,"a":1}"#, " {\n\t\"b\" : 2 ,\r\n \"a\" : 1 } "]),
        // As it stands, and otherwise: by order, by white space, by an escape, by names with one beginning.
        (r#"{"b":{"b":1,"a":2},"a":0}"#, &[r#"{"a":0,"b":{"a":2,"b":1}}"#, r#"{"b":{"b":1,"a": 2},"a":0}"#]),
        (r#"{"b":"x","a":[""]}"#, &[r#"{"b":"\u0078","a":[""]}"#, r#"{"\u0062":"x","a":[""]}"#]),
        (r#"{"beginning 2":1,"beginning 1":2}"#, &[r#"{"beginning 1":2,"beginning 2":1}"#]),
        (r#"{"b":1,"a\u0000":2,"a":3,"":4}"#, &[r#"{"":4,"a":3,"b":1,"a\u0000":2}"#]),
        (r#"{"o":{"x":[{"p":1,"q":2}],"y":{}}}"#, &[r#"{"o":{"y":{},"x":[{"q":2,"p":1}]}}"#]),
        (r#"["A"]"#, &[r#"["\u0041"]"#, "[ \"A\"\n]"]),
        (r#"["a/b"]"#, &[r#"["a\/b"]"#, r#"["a\u002fb"]"#, r#"["a\u002Fb"]"#]),
        (r#"["😀"]"#, &[r#"["\ud83d\ude00"]"#, r#"["\uD83D\uDE00"]"#]),
        (r#"["\n\t\r\b\f"]"#, &[r#"["\u000a\u0009\u000d\u0008\u000C"]"#]),
        (r#"["\"\\"]"#, &[r#"["\u0022\u005c"]"#]),
        ("[\"\u{fffd}\"]", &[r#"["\ufffd"]"#, r#"["\uFFFD"]"#]),
        (r#"["\u001f"]"#, &[r#"["\u001F"]"#]),
        (r#"{"ab":1,"b":2}"#, &[r#"{"b":2,"\u0061b":1}"#, r#"{"a\u0062":1,"\u0062":2}"#]),
        (r#""alone""#, &["  \"alone\" "]),
        ("{}", &["{ }", "\t{\n}\n"]),
        ("[]", &["[ ]"]),
    ];
    for (text, others) in table {
        for other in *others {
            assert_eq!(key(text), key(other), "{text} and {other}");
        }
    }
}

#[test]
fn texts_that_mean_something_else_have_another_key() {
    let table = [
        // Order and nesting.
        "[1,2]",
        "[2,1]",
        "[[1],2]",
        "[[1,2]]",
        "[1,[2]]",
        "[12]",
        "[]",
        "[[]]",
        "[[],[]]",
        "{}",
        "[{}]",
        r#"{"a":{}}"#,
        r#"{"a":[]}"#,
        r#"[{"role":"user"},{"role":"assistant"}]"#,
        r#"[{"role":"assistant"},{"role":"user"}]"#,
        r#"{"a":{"b":1},"c":2}"#,
        r#"{"a":{"b":1,"c":2}}"#,
        r#"{"a":1,"b":2}"#,
        r#"{"a":2,"b":1}"#,
        // Every character counts.
        r#"["x"]"#,
        r#"["x "]"#,
        r#"["X"]"#,
        r#"["x\n"]"#,
        r#"["x\\n"]"#,
        r#"["x\u0000"]"#,
        r#"[""]"#,
        r#"["","x"]"#,
        r#"["x",""]"#,
        r#"["x\",\"y"]"#,
        r#"["x","y"]"#,
        r#"["_"]"#,
        // Strings are not what they look like.
        r#"["1"]"#,
        "[1]",
        r#"["true"]"#,
        "[true]",
        "[false]",
        "[null]",
        r#"["null"]"#,
        // Numbers are as they are written.
        "[1.0]",
        "[1e0]",
        "[10e-1]",
        "[-1]",
        "[-0]",
        "[0]",
        // Halves of surrogate pairs, and the character that stands for what cannot be read.
        r#"["\ud800"]"#,
        r#"["\ud801"]"#,
        r#"["\udc00\ud800"]"#,
        r#"["\ufffd"]"#,
        r#"["\ufffd\ud800"]"#,
        r#"{"\ud800":1}"#,
        r#"{"\ud801":1}"#,
    ];
    for (index, text) in table.iter().enumerate() {
        for other in &table[..index] {
            assert_ne!(key(text), key(other), "{text} and {other}");
        }
    }
}

#[test]
fn every_part_counts() {
    let place = |change: fn(&mut PlaceParts<'static>)| {
        let mut parts = PLACE;
        change(&mut parts);
        Place::new(&parts)
    };
    let places = [
        place(|_| ()),
        place(|parts| parts.operation = "embeddings"),
        place(|parts| parts.policy = 2),
        place(|parts| parts.provider = "openai2"),
        place(|parts| parts.base_url = "https://api.example/v2"),
        place(|parts| parts.credential = b"another"),
        place(|parts| parts.model = "large"),
        // A byte that goes from one part to the next.
        place(|parts| (parts.provider, parts.base_url) = ("openaih", "ttps://api.example/v1")),
        place(|parts| (parts.credential, parts.model) = (b"diges", "tsmall")),
    ];
    let mut keys = vec![
        try_key("{}", |parts| parts.tenant = "acmE"),
        try_key("{}", |parts| parts.scope = "teaM"),
        try_key("{}", |parts| parts.form = 1),
        try_key("{}", |parts| (parts.tenant, parts.scope) = ("acmet", "eam")),
        try_key("{}", |parts| (parts.tenant, parts.scope) = ("", "acmeteam")),
        try_key("{}", |parts| (parts.tenant, parts.scope) = ("acmeteam", "")),
        try_key("[]", |_| ()),
    ];
    for place in &places {
        let parts =
            Parts { place, tenant: "acme", scope: "team", form: 0, body: "{}", leave_out: &[], hole: None };
        keys.push(Key::new(&Secret::new("secret"), &parts));
        keys.push(Key::new(&Secret::new("secret2"), &parts));
    }
    keys.push(Ok(Key::named(&Secret::new("secret"), "acme", "team")));
    keys.push(Ok(Key::named(&Secret::new("secret"), "acmet", "eam")));
    keys.push(Ok(Key::named(&Secret::new("secret2"), "acme", "team")));
    for (index, key) in keys.iter().enumerate() {
        assert!(key.is_ok());
        assert!(!keys[..index].contains(key), "number {index}");
    }
}

#[test]
fn members_left_out_do_not_count_at_the_top_and_only_there() {
    let left_out = |body: &str| try_key(body, |parts| parts.leave_out = &["user", "trace"]);
    let bare = left_out(r#"{"m":{"user":1}}"#);
    for same in [
        r#"{"user":"u1","m":{"user":1}}"#,
        r#"{"m":{"user":1},"trace":{"deep":[1,2,{"a":[]}]},"user":null}"#,
        r#"{"\u0075ser":7,"m":{"user":1}}"#,
    ] {
        assert_eq!(left_out(same), bare, "{same}");
    }
    for other in [r#"{"m":{"user":2}}"#, r#"{"m":{}}"#, r#"{"m":{"user":1},"users":1}"#] {
        assert_ne!(left_out(other), bare, "{other}");
    }
    assert_eq!(left_out(r#"{"user":1,"m":1,"user":2}"#), Err(Fault::DuplicateKey));
}

#[test]
fn a_hole_takes_out_just_that_string() {
    let with_hole = |body: &str, string: &str| {
        let start = body.find(string).unwrap();
        try_key(body, |parts| parts.hole = Some(start..start + string.len()))
    };
    let first = with_hole(r#"[{"content":"one"},"end"]"#, r#""one""#);
    assert_eq!(with_hole(r#"[ {"content" : "another\n\u0041"}, "end"]"#, r#""another\n\u0041""#), first);
    assert_eq!(with_hole(r#"[{"content":""},"end"]"#, r#""""#), first);

    let other = [
        with_hole(r#"[{"content":"one"},"end"]"#, r#""end""#),
        with_hole(r#"[{"content":"one"},"End"]"#, r#""one""#),
        with_hole(r#"[{"Content":"one"},"end"]"#, r#""one""#),
        try_key(r#"[{"content":"_"},"end"]"#, |_| ()),
        try_key(r#"[{"content":_},"end"]"#, |parts| parts.form = 1),
    ];
    assert!(!other.contains(&first));

    // Where everything else is canonical as it stands, and where nothing is.
    let message = |before: &str, string: &str| {
        let body = format!(r#"{{"model":"m",{before}"messages":[{{"role":"user","content":{string}}}]}}"#);
        with_hole(&body, string)
    };
    let hollow = message("", r#""one""#);
    assert_eq!(message("", r#""two\u0041""#), hollow);
    assert_eq!(message(" ", r#""three""#), hollow);
    assert_ne!(message(r#""n":1,"#, r#""one""#), hollow);

    // A span that is no string's takes nothing out, and one beyond the text harms nobody.
    let body = r#"["one",{"two":3}]"#;
    for hole in [2..5, 0..body.len(), 1..7, 8..13, 14..15, usize::MAX - 1..usize::MAX, 0..0] {
        assert_eq!(try_key(body, |parts| parts.hole = Some(hole.clone())), Ok(key(body)), "{hole:?}");
    }
}

#[test]
fn a_key_given_twice_is_refused_however_it_is_written() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":{"c":1,"d":2,"c":3}}"#,
        r#"[{"a":1,"\u0061":2}]"#,
        r#"{"\u0061":1,"\u0061":2}"#,
        r#"{"a/b":1,"a\/b":2}"#,
        r#"{"\n":1,"\u000a":2}"#,
        r#"{"😀":1,"\ud83d\ude00":2}"#,
        r#"{"":1,"":2}"#,
    ] {
        assert_eq!(try_key(text, |_| ()), Err(Fault::DuplicateKey), "{text}");
    }
    key(r#"{"a":{"a":{"a":1}},"A":1}"#);
}

#[test]
fn depth_has_a_bound() {
    for (open, close) in [("[", "]"), (r#"{"a":["#, "]}")] {
        let of_depth = |depth: usize| {
            let pairs = depth / open.matches(['{', '[']).count();
            try_key(&format!("{}{}", open.repeat(pairs), close.repeat(pairs)), |_| ())
        };
        assert!(of_depth(128).is_ok());
        assert_eq!(of_depth(130), Err(Fault::TooLarge));
    }
    assert_eq!(try_key(&("[".repeat(129) + &"]".repeat(129)), |_| ()), Err(Fault::TooLarge));
    assert_eq!(try_key(&"[".repeat(1 << 20), |_| ()), Err(Fault::TooLarge));
}

#[test]
fn what_is_plainly_no_json_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "{]",
        "[}",
        "[1",
        "1]",
        "\"",
        "\"a",
        "\"a\\",
        "\"a\\\"",
        "{\"a\"}",
        "{1:2}",
        "{\"a\":1,2}",
        "{\"a\":}",
        "[] []",
        "{} 1",
        "1 2",
        "{[]:1}",
    ] {
        assert_eq!(try_key(text, |_| ()), Err(Fault::Malformed), "{text:?}");
    }
}

#[test]
fn pieces_of_every_length_are_hashed_alike() {
    // Round the bound of what is gathered before it is hashed, written plainly and by escapes.
    for length in [1, 100, 16_200, 16_240, 16_284, 16_384, 16_400, 32_768, 40_000] {
        let plain = format!(r#"["{}","{}","end"]"#, "x".repeat(length), "y".repeat(length));
        let escaped = format!(r#"["{}","{}","\u0065nd"]"#, "x".repeat(length), "\\u0079".repeat(length));
        assert_eq!(key(&plain), key(&escaped), "{length}");
        assert_ne!(key(&plain), key(&plain.replacen('y', "z", 1)), "{length}");
    }
}

#[test]
fn a_key_is_read_as_it_is_written() {
    let made = key("[1]");
    assert_eq!(Key::from_hex(&made.to_string()), Some(made));
    assert_eq!(Key::from_bytes(*made.as_bytes()), made);
    let text = made.to_string();
    for wrong in
        [&text[1..], &format!("{text}0"), &text.replace(&text[..1], "g"), "é".repeat(32).as_str(), ""]
    {
        assert_eq!(Key::from_hex(wrong), None, "{wrong}");
    }
    assert!(!format!("{:?}", Secret::new("hidden")).contains("hidden"));
}

/// A value without numbers that differ in writing only.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-d\"\\\\\n/é]{0,3}", inner, 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// Writes `value` with its members in another order, other white space and other escapes, all by `random`.
fn write(value: &Value, random: &mut fastrand::Rng, out: &mut String) {
    let space = |random: &mut fastrand::Rng, out: &mut String| {
        (0..random.usize(..3)).for_each(|_| out.push(*random.choice(&[' ', '\n', '\t', '\r']).unwrap()));
    };
    space(random, out);
    match value {
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(element, random, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            random.shuffle(&mut members);
            out.push('{');
            for (index, (name, value)) in members.into_iter().enumerate() {
                out.push_str(if index > 0 { "," } else { "" });
                write(&json!(name), random, out);
                out.push(':');
                write(value, random, out);
            }
            out.push('}');
        }
        Value::String(text) => write_string(text, random, out),
        _ => out.push_str(&value.to_string()),
    }
    space(random, out);
}

fn write_string(text: &str, random: &mut fastrand::Rng, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        let mut units = [0; 2];
        match character {
            _ if random.u8(..) < 40 => {
                for unit in character.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            '"' | '\\' | '/' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            ..' ' => out.push_str(&format!("\\u{:04X}", character as u32)),
            _ => out.push(character),
        }
    }
    out.push('"');
}

/// Changes the leaf, or the empty container, that comes `at`-th.
fn change(value: &mut Value, at: &mut usize) {
    match value {
        Value::Array(elements) if !elements.is_empty() => {
            elements.iter_mut().for_each(|element| change(element, at));
        }
        Value::Object(members) if !members.is_empty() => {
            members.values_mut().for_each(|value| change(value, at));
        }
        leaf => {
            if *at == 0 {
                *leaf = match &*leaf {
                    Value::Null => json!(false),
                    Value::Bool(value) => json!(!*value),
                    Value::Number(number) => json!(number.to_string()),
                    Value::String(text) => json!(format!("{text} ")),
                    Value::Array(_) => json!({}),
                    Value::Object(_) => json!([]),
                };
            }
            *at = at.wrapping_sub(1);
        }
    }
}

fn leaves(value: &Value) -> usize {
    match value {
        Value::Array(elements) if !elements.is_empty() => elements.iter().map(leaves).sum(),
        Value::Object(members) if !members.is_empty() => members.values().map(leaves).sum(),
        _ => 1,
    }
}

proptest! {
    #[test]
    fn form_does_not_count_and_any_change_does(
        value in value(), other in value(), seed: u64, at: proptest::sample::Index,
    ) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut one, mut two) = (String::new(), String::new());
        write(&value, &mut random, &mut one);
        write(&value, &mut random, &mut two);
        prop_assert_eq!(key(&one), key(&two));
        prop_assert_eq!(key(&one), key(&value.to_string()));

        let mut changed = value.clone();
        change(&mut changed, &mut at.index(leaves(&value)));
        prop_assert_ne!(key(&one), key(&changed.to_string()));

        let canonical = |value| serde_json_canonicalizer::to_string(value).unwrap();
        let same = canonical(&value) == canonical(&other);
        prop_assert_eq!(same, key(&one) == key(&other.to_string()));
    }

    #[test]
    fn no_text_does_harm(text: String, at in 0..40_usize, length in 0..40_usize) {
        let _ = try_key(&text, |parts| parts.hole = Some(at..at + length));
    }

    #[test]
    fn no_mutilated_json_does_harm(
        value in value(), at: proptest::sample::Index, put in "[\\[\\]{}\",:\\\\u0-9de ]{0,4}", cut in 0..6_usize,
    ) {
        let mut text: Vec<char> = value.to_string().chars().collect();
        let at = at.index(text.len());
        text.splice(at..(at + cut).min(text.len()), put.chars());
        let text: String = text.into_iter().collect();
        let made = try_key(&text, |parts| parts.leave_out = &["a"]);
        // Whatever is JSON after all has a key, unless it gives a name twice.
        if serde_json::from_str::<Value>(&text).is_ok() {
            prop_assert!(matches!(made, Ok(_) | Err(Fault::DuplicateKey)), "{:?}: {}", made, text);
        }
    }
}
