//! Tables for the reader; `tests/json.rs` compares it with `serde_json` on generated documents.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;

fn check(text: impl AsRef<[u8]>, want: &str) {
    let text = text.as_ref();
    let got = validate(text).map_or_else(|fault| fault.to_string(), |()| "ok".to_owned());
    assert_eq!(got, want, "{:?}", String::from_utf8_lossy(text));
}

#[test]
fn a_fault_says_what_was_expected_and_where() {
    let cases: &[(&[u8], &str)] = &[
        (br#"{"a":1,"b":"x" 2}"#, "expected ',' or '}' at line 1 column 16 (byte 15)"),
        (b"", "expected a value at line 1 column 1 (byte 0)"),
        (b" \n ", "expected a value at line 2 column 2 (byte 3)"),
        (b"{", "expected a key in double quotes or '}' at line 1 column 2 (byte 1)"),
        (b"{,}", "expected a key in double quotes or '}' at line 1 column 2 (byte 1)"),
        (br#"{"a":1,}"#, "expected a key in double quotes at line 1 column 8 (byte 7)"),
        (b"{'a':1}", "expected a key in double quotes or '}' at line 1 column 2 (byte 1)"),
        (br#"{"a" 1}"#, "expected ':' at line 1 column 6 (byte 5)"),
        (br#"{"a":}"#, "expected a value at line 1 column 6 (byte 5)"),
        (b"[1,]", "expected a value at line 1 column 4 (byte 3)"),
        (b"[1 2]", "expected ',' or ']' at line 1 column 4 (byte 3)"),
        (br#"{"a":1]"#, "expected ',' or '}' at line 1 column 7 (byte 6)"),
        (b"[1}", "expected ',' or ']' at line 1 column 3 (byte 2)"),
        (b"[1", "expected ',' or ']' at line 1 column 3 (byte 2)"),
        (b"1 1", "expected nothing after the value at line 1 column 3 (byte 2)"),
        (b"{}\0", "expected nothing after the value at line 1 column 3 (byte 2)"),
        (b"tru", "expected a value at line 1 column 1 (byte 0)"),
        (b"nulll", "expected nothing after the value at line 1 column 5 (byte 4)"),
        (b"NaN", "expected a value at line 1 column 1 (byte 0)"),
        (b"-", "expected a digit at line 1 column 2 (byte 1)"),
        (b"01", "expected nothing after the value at line 1 column 2 (byte 1)"),
        (b"1.", "expected a digit at line 1 column 3 (byte 2)"),
        (b".5", "expected a value at line 1 column 1 (byte 0)"),
        (b"1e+", "expected a digit at line 1 column 4 (byte 3)"),
        (b"1e999", "number out of range at line 1 column 1 (byte 0)"),
        (b"+1", "expected a value at line 1 column 1 (byte 0)"),
        (b"\"a", "expected the string's closing '\"' at line 1 column 3 (byte 2)"),
        (b"\"\x01\"", "control character in a string (escape it) at line 1 column 2 (byte 1)"),
        (b"\"a\nb\"", "control character in a string (escape it) at line 1 column 3 (byte 2)"),
        (b"\"12345678\0\"", "control character in a string (escape it) at line 1 column 10 (byte 9)"),
        (br#""\x""#, "unknown escape in a string at line 1 column 2 (byte 1)"),
        (br#""\"#, "unknown escape in a string at line 1 column 2 (byte 1)"),
        (br#""\u12g4""#, "expected four hexadecimal digits at line 1 column 4 (byte 3)"),
        (br#""\u12"#, "expected four hexadecimal digits at line 1 column 4 (byte 3)"),
        (br#""\ud800""#, "half a surrogate pair in a string at line 1 column 2 (byte 1)"),
        (br#""\udc00\ud800""#, "half a surrogate pair in a string at line 1 column 2 (byte 1)"),
        (br#""\ud800\ud800""#, "half a surrogate pair in a string at line 1 column 2 (byte 1)"),
        (br#""\ud800\u0041""#, "half a surrogate pair in a string at line 1 column 2 (byte 1)"),
        (b"\"\xff\"", "invalid UTF-8 at line 1 column 2 (byte 1)"),
        (b"\"\xed\xa0\x80\"", "invalid UTF-8 at line 1 column 2 (byte 1)"),
        (b"\xef\xbb\xbf{}", "expected a value at line 1 column 1 (byte 0)"),
        ("{\n \"ä\": \"ö\" x}".as_bytes(), "expected ',' or '}' at line 2 column 11 (byte 14)"),
        (br#"{"a":1,"a":2}"#, "the same key twice in one object at line 1 column 8 (byte 7)"),
    ];
    for (text, want) in cases {
        check(text, want);
    }
}

#[test]
fn what_is_json_is_accepted() {
    let cases = [
        "{}",
        "[]",
        " [ ] ",
        "\t{\r\n}\n",
        "0",
        "-0",
        "-0.0e-0",
        "[1,2.5,-3e2,4E+1,5e-999]",
        "true",
        "[null,false]",
        "\"\"",
        "\"\\u0000\\ud83d\\ude00\\/\\b\\f\"",
        "\"\u{7f}\u{80}\u{10ffff}\"",
        "{\"\":{\"\":[{}]}}",
        "{\"a\":1,\"A\":2,\"a \":3,\"a\\u0000\":4}",
        "123456789012345678901234567890",
    ];
    for text in cases {
        check(text, "ok");
    }
    check("1".repeat(308), "ok");
}

#[test]
fn a_key_given_twice_is_refused_at_any_depth_and_however_it_is_written() {
    let twice = |text: &str, byte: usize| {
        let fault = validate(text.as_bytes()).unwrap_err();
        assert!(fault.to_string().starts_with("the same key twice"), "{text}: {fault}");
        assert_eq!(fault.offset(), byte, "{text}");
    };
    twice(r#"[[{"x":{"model":1,"model":2}}]]"#, 18);
    twice(r#"{"model":1,"mod\u0065l":2}"#, 11);
    twice(r#"{"mod\u0065l":1,"model":2}"#, 16);
    twice(r#"{"\u006d\u006fdel":1,"m\u006fd\u0065l":2}"#, 21);
    twice(r#"{"":1,"":2}"#, 6);
    twice(r#"{"a long key, longer than a word":1,"a long key, longer than a word":2}"#, 36);
    // The same key in other objects is another key.
    check(r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}"#, "ok");
    check(r#"{"a long key, longer than a word":1,"a long key, longer than a Word":2}"#, "ok");
}

#[test]
fn a_key_given_twice_is_found_in_large_objects_too() {
    for count in [23, 24, 25, 26, 100, 5_000] {
        let keys: Vec<String> =
            (0..count).map(|at| format!("\"key number {}\":{at}", at * 7919 % 10_007)).collect();
        let distinct = format!("{{\"in\":{{{}}}}}", keys.join(","));
        check(&distinct, "ok");
        for again in [0, count / 2, count - 1] {
            let offset = distinct.len() - 1;
            let text = format!("{},{}}}}}", &distinct[..distinct.len() - 2], keys[again]);
            let fault = validate(text.as_bytes()).unwrap_err();
            assert_eq!(fault.offset(), offset, "{count} keys, number {again} again");
        }
    }
}

#[test]
fn the_first_repetition_is_the_one_reported() {
    let keys: Vec<String> = (0..50).map(|at| format!("\"k{at}\":0")).collect();
    let text = format!("{{{},\"\\u006b7\":1,\"k7\":2,\"k3\":3}}", keys.join(","));
    assert_eq!(validate(text.as_bytes()).unwrap_err().offset(), text.find("\"\\u006b7").unwrap());
}

#[test]
fn depth_is_128_and_no_more() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(nested(128), "ok");
    check(nested(129), "nested deeper than 128 levels at line 1 column 129 (byte 128)");
    check(nested(10_000), "nested deeper than 128 levels at line 1 column 129 (byte 128)");
    check("[".repeat(1_000_000), "nested deeper than 128 levels at line 1 column 129 (byte 128)");
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(object(objects(128).as_bytes()).is_ok());
    assert!(object(objects(129).as_bytes()).is_err());
    // A document at the bound can still be walked to its innermost value.
    let text = objects(128);
    let mut value = object(text.as_bytes()).unwrap().get("a").unwrap();
    for _ in 1..128 {
        value = value.object().unwrap().get("a").unwrap();
    }
    assert_eq!(value.as_u64(), Some(1));
}

#[test]
fn only_an_object_is_an_object() {
    for text in ["[]", "1", "\"{}\"", "null", "", " "] {
        let fault = object(text.as_bytes()).unwrap_err();
        assert!(fault.to_string().starts_with("expected a JSON object at"), "{text}: {fault}");
    }
}

#[test]
fn members_are_found_by_their_decoded_key_and_told_with_their_span() {
    let text = r#" { "a\tb" : [1, "two", {}] ,"mod\u0065l": "g\u0070t" , "n":null,"t":true ,"f":-1.5e1 } "#;
    let object = object(text.as_bytes()).unwrap();
    assert_eq!(object.len(), 5);
    assert_eq!(&text[object.end()..], "} ");
    let model = object.get("model").unwrap();
    assert_eq!((model.raw(), model.as_str().unwrap().as_ref()), (r#""g\u0070t""#, "gpt"));
    assert_eq!(&text[model.span()], model.raw());
    assert_eq!(object.get("mod\\u0065l").map(|value| value.span()), None);
    assert_eq!(object.get("t").unwrap().as_bool(), Some(true));
    assert_eq!(object.get("f").unwrap().as_f64(), Some(-15.0));
    assert_eq!(object.get("f").unwrap().as_u64(), None);
    assert!(object.get("n").unwrap().is_null());
    let list = object.get("a\tb").unwrap();
    let elements: Vec<_> = list.elements().unwrap().map(|value| (value.raw(), value.kind())).collect();
    assert_eq!(elements, [("1", Kind::Number), ("\"two\"", Kind::String), ("{}", Kind::Object)]);
    assert!(list.holds_only(&[Kind::Number, Kind::String, Kind::Object]));
    assert!(!list.holds_only(&[Kind::Number, Kind::String]));
    let keys: Vec<String> = object.iter().map(|(key, _)| key.into_owned()).collect();
    assert_eq!(keys, ["a\tb", "model", "n", "t", "f"]);
    assert!(matches!(object.iter().nth(4), Some((Cow::Borrowed("f"), _))));
}

#[test]
fn a_value_of_another_kind_is_none_of_it() {
    let object = object(br#"{"s":"1","n":1,"b":false,"a":[],"o":{},"big":18446744073709551616}"#).unwrap();
    let get = |key| object.get(key).unwrap();
    for key in ["n", "b", "a", "o"] {
        assert_eq!(get(key).as_str(), None);
    }
    for key in ["s", "b", "a", "o"] {
        assert_eq!((get(key).as_u64(), get(key).as_f64()), (None, None));
    }
    assert!(get("s").object().is_none() && get("s").elements().is_none() && get("s").as_bool().is_none());
    assert!(get("a").is_empty_container() && get("o").is_empty_container() && !get("s").is_empty_container());
    assert_eq!(get("a").elements().unwrap().count(), 0);
    assert_eq!(get("big").as_u64(), None);
    assert_eq!(get("big").as_f64(), Some(18_446_744_073_709_551_616.0));
}

#[test]
fn a_reply_may_repeat_a_key_and_break_a_pair() {
    let text = br#"{"a":1,"a":2,"s":"x\ud83d","t":"\ud83d\u0041\ude00\ud83d\ude00"}"#;
    assert!(object(text).is_err());
    let reply = reply(text).unwrap();
    assert_eq!(reply.get("a").unwrap().as_u64(), Some(2));
    assert_eq!(reply.get("s").unwrap().as_str().unwrap(), "x\u{fffd}");
    assert_eq!(reply.get("t").unwrap().as_str().unwrap(), "\u{fffd}A\u{fffd}\u{1f600}");
    // Tolerant is not careless.
    for text in ["{\"a\":}", "{\"a\":\"\x01\"}", "{} {}", "{\"a\":\"\\ud83\"}"] {
        assert!(super::reply(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_few_members_of_a_reply_are_found_as_among_all() {
    let texts = [
        r#"{}"#,
        r#" {"b":1} "#,
        r#"{"a":1}"#,
        r#"{"a":{"a":2},"b":3}"#,
        r#"{"a":1,"b":2,"a":[3]}"#,
        r#"{"\u0061":"x","b":{}}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"aa":1,"":2}"#,
        r#"{"a\\b":1}"#,
        r#"{"é":1,"a":"é"}"#,
    ];
    for text in texts {
        let span = |value: Option<Value<'_>>| value.map(|value| value.span());
        let keys = ["a", "b", "é", "", r"a\\b", r"a\b"];
        let among_all = keys.map(|key| span(reply(text.as_bytes()).unwrap().get(key)));
        assert_eq!(reply_members(text.as_bytes(), keys).unwrap().map(span), among_all, "{text}");
    }
    for text in [&b"[]"[..], b"", b"{\"a\":1", b"{\"a\":1}x", b"{\"a\":\"\xff\"}", b"{\"\\u0061\xff\":1}"] {
        let fault = reply(text).unwrap_err().to_string();
        assert_eq!(reply_members(text, ["a"]).unwrap_err().to_string(), fault);
    }
}

#[test]
fn members_are_visited_in_their_order() {
    let object = object(br#"{"o":{"b":1,"\u0061":[2],"b\"":{}},"n":[1]}"#).unwrap();
    let visited = |key| {
        let mut members = Vec::new();
        let visit = |key: &str, value: Value<'_>| members.push((key.to_owned(), value.raw().to_owned()));
        object.get(key).unwrap().each_member(visit).map(|()| members)
    };
    let members = [("b", "1"), ("a", "[2]"), ("b\"", "{}")];
    assert_eq!(visited("o").unwrap(), members.map(|(key, value)| (key.to_owned(), value.to_owned())));
    assert_eq!(visited("n"), None);
}

#[test]
fn every_place_in_a_word_is_looked_at() {
    for length in 0..40 {
        for (byte, ok) in
            [(b'"', false), (b'\\', false), (0x1f, false), (0x20, true), (0x7f, true), (b'#', true)]
        {
            for at in 0..length {
                let mut text = vec![b'a'; length];
                text[at] = byte;
                let want = if ok { length } else { at };
                assert_eq!(strings::skip_plain(&text, 0).end, want, "{byte:#x} at {at} of {length}");
            }
        }
    }
    let high: Vec<u8> = (0x80..=0xff).collect();
    assert_eq!(strings::skip_plain(&high, 0).end, high.len());
}

/// What a body may hold, in every sort of place, with an odd byte in each: not UTF-8 is the fault, there and
/// nowhere else, whatever comes first; and what is UTF-8 is the text that is given back.
#[test]
fn bytes_that_are_not_utf_8_are_found_at_every_place() {
    let long = "The tide, \\\"she\\\" said.\\n".repeat(20);
    let body = format!(
        r#" {{"m\u006fdel": "m" ,"long {long}":[1.5e3,true,"{long}",{{"k":null,"\\":"a\\"}},"{long}\u00e9 and"]}} "#
    );
    assert_eq!(object(body.as_bytes()).unwrap().text(), body);
    for at in 0..body.len() {
        for odd in [0x80, 0xbf, 0xc3, 0xe2, 0xff] {
            let mut bytes = body.clone().into_bytes();
            bytes[at] = odd;
            for fault in [object(&bytes).unwrap_err(), reply(&bytes).unwrap_err()] {
                assert!(fault.to_string().starts_with("invalid UTF-8 at"), "{odd:#x} at {at}: {fault}");
                assert_eq!(fault.offset(), at);
            }
            // Another fault before it does not count.
            bytes[0] = b'}';
            if at > 0 {
                assert_eq!(validate(&bytes).unwrap_err().offset(), at, "{odd:#x} at {at}");
            }
        }
        let (before, behind) = body.split_at(at);
        let with = format!("{before}\u{e9}{behind}");
        if let Ok(read) = object(with.as_bytes()) {
            assert_eq!(read.text(), with);
        }
    }
}

#[test]
fn an_escaped_key_that_is_not_utf_8_is_no_key() {
    let fault = object(b"{\"\\n\xff\":1,\"\\n\xff\":2}").unwrap_err();
    assert_eq!(fault.to_string(), "invalid UTF-8 at line 1 column 5 (byte 4)");
}

#[test]
fn a_string_s_end_is_found_and_how_it_is_written() {
    let long = "x".repeat(100);
    for (escape, shortest) in [
        ("", true),
        ("\\n", true),
        ("\\\"", true),
        ("\\\\", true),
        ("\\/", false),
        ("\\u0041", false),
        ("\u{1}", true),
        ("é", true),
    ] {
        for place in 0..=long.len() {
            let (before, behind) = long.split_at(place);
            let text = format!("{before}{escape}{behind}{escape}\"\"{long}");
            let want = Some((text.rfind("\"\"").unwrap(), shortest));
            assert_eq!(string_end(text.as_bytes(), 0), want, "{text}");
            let open = &text.as_bytes()[..text.len() - long.len() - 2];
            assert_eq!(string_end(open, 0), None, "{text}");
        }
    }
    for text in ["\\", "a\\\"", ""] {
        assert_eq!(string_end(text.as_bytes(), 0), None, "{text}");
    }
    assert_eq!(string_end(b"\"", 2), None);
}
