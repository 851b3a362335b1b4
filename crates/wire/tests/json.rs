//! The JSON reader against an oracle: `serde_json` reading into a type that refuses a key given
//! twice. On generated and on mutated documents both accept and refuse the same, and see the same
//! values at the spans told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::fmt;

use proptest::prelude::*;
use serde_json::Value as Tree;
use wire::json::{self, Kind, Object, Value};

/// Reads anything; refuses a key given twice.
struct Strict;

impl<'de> serde::Deserialize<'de> for Strict {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Strict;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_unit<E>(self) -> Result<Strict, E> {
                Ok(Strict)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Strict, E> {
                Ok(Strict)
            }
            fn visit_i64<E>(self, _: i64) -> Result<Strict, E> {
                Ok(Strict)
            }
            fn visit_u64<E>(self, _: u64) -> Result<Strict, E> {
                Ok(Strict)
            }
            fn visit_f64<E>(self, _: f64) -> Result<Strict, E> {
                Ok(Strict)
            }
            fn visit_str<E>(self, _: &str) -> Result<Strict, E> {
                Ok(Strict)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Strict, A::Error> {
                while seq.next_element::<Strict>()?.is_some() {}
                Ok(Strict)
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Strict, A::Error> {
                let mut keys = HashSet::new();
                let mut twice = false;
                while let Some((key, Strict)) = map.next_entry::<String, Strict>()? {
                    twice |= !keys.insert(key);
                }
                if twice { Err(serde::de::Error::custom("a key twice")) } else { Ok(Strict) }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

fn agree(document: &[u8]) -> Result<(), TestCaseError> {
    let strict = serde_json::from_slice::<Strict>(document);
    let ours = json::validate(document);
    prop_assert_eq!(
        ours.is_ok(),
        strict.is_ok(),
        "ours {:?}, the oracle's {:?}, of {:?}",
        ours.err().map(|fault| fault.to_string()),
        strict.err().map(|error| error.to_string()),
        String::from_utf8_lossy(document)
    );
    let tree = serde_json::from_slice::<Tree>(document);
    let is_object = matches!(tree, Ok(Tree::Object(_)));
    prop_assert_eq!(json::object(document).is_ok(), ours.is_ok() && is_object);
    match json::reply(document) {
        Ok(_) if !is_object => {
            let error = tree.expect_err("a reply is an object").to_string();
            prop_assert!(error.contains("surrogate") || error.contains("hex escape"), "{}", error);
        }
        Ok(_) => {}
        Err(fault) => prop_assert!(!is_object, "{} in {:?}", fault, String::from_utf8_lossy(document)),
    }
    Ok(())
}

/// Walks both readings side by side.
fn same(document: &str, ours: Value<'_>, tree: &Tree) -> Result<(), TestCaseError> {
    prop_assert_eq!(&document[ours.span()], ours.raw());
    prop_assert_eq!(ours.raw().trim(), ours.raw());
    prop_assert_eq!(&serde_json::from_str::<Tree>(ours.raw()).unwrap(), tree);
    match tree {
        Tree::Null => prop_assert!(ours.is_null()),
        Tree::Bool(value) => prop_assert_eq!(ours.as_bool(), Some(*value)),
        Tree::Number(number) => {
            prop_assert_eq!(ours.kind(), Kind::Number);
            if ours.raw() != "-0" {
                prop_assert_eq!(ours.as_u64(), number.as_u64());
            }
        }
        Tree::String(text) => prop_assert_eq!(&ours.as_str().unwrap().into_owned(), text),
        Tree::Array(elements) => {
            let read: Vec<_> = ours.elements().unwrap().collect();
            prop_assert_eq!(read.len(), elements.len());
            prop_assert_eq!(ours.is_empty_container(), elements.is_empty());
            for (ours, tree) in read.into_iter().zip(elements) {
                same(document, ours, tree)?;
            }
        }
        Tree::Object(members) => {
            let object = ours.object().unwrap();
            prop_assert_eq!(object.end() + 1, ours.span().end);
            same_members(document, &object, members)?;
        }
    }
    Ok(())
}

fn same_members(
    document: &str,
    object: &Object<'_>,
    members: &serde_json::Map<String, Tree>,
) -> Result<(), TestCaseError> {
    prop_assert_eq!(object.len(), members.len());
    for (key, value) in object.iter() {
        same(document, value, &members[&*key])?;
        prop_assert_eq!(object.get(&key).unwrap().span(), value.span());
    }
    Ok(())
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 1 => Just(" "), 1 => Just("\n\t"), 1 => Just("\r\n    ")]
}

fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-zA-Z0-9 ,:{}\\[\\]']{0,12}",
        1 => Just("\\n".to_owned()), 1 => Just("\\\"".to_owned()), 1 => Just("\\\\".to_owned()),
        1 => Just("\\u00e9".to_owned()), 1 => Just("\\ud83d\\ude00".to_owned()), 1 => Just("\\/".to_owned()),
        1 => Just("\\u0000".to_owned()), 2 => "[\\u{7f}-\\u{ffff}]{0,4}", 1 => Just("潮の満ち引き😀".to_owned()),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?"
}

/// A document's text, with white space anywhere and escapes in keys; keys may repeat.
fn document() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number(),
        string()
    ];
    leaf.prop_recursive(5, 60, 30, |inner| {
        let key = prop_oneof![
            3 => string(),
            3 => "\"[a-z]{1,3}\"",
            1 => "\"\\\\u006[1-9]\"",
        ];
        let element = (space(), inner.clone(), space()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let member = (space(), key, space(), space(), inner, space())
            .prop_map(|(a, key, b, c, value, d)| format!("{a}{key}{b}:{c}{value}{d}"))
            .boxed();
        prop_oneof![
            prop::collection::vec(element, 0..6).prop_map(|all| format!("[{}]", all.join(","))),
            prop::collection::vec(member.clone(), 0..8).prop_map(|all| format!("{{{}}}", all.join(","))),
            prop::collection::vec(member, 20..32).prop_map(|all| format!("{{{}}}", all.join(","))),
        ]
    })
}

/// One change to a document: at a place, so many bytes out, these in.
fn change() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    let bytes = prop_oneof![
        4 => prop::sample::select(&b"{}[]\",:\\u0123456789abcdefDdtrufalsn+-.eE \n\t\r\x00\x1f\x7f\x80\xc3\xed\xff/"[..])
            .prop_map(|byte| vec![byte]),
        1 => Just(vec![]),
        1 => prop::sample::select(vec![
            &b"\\ud800"[..], b"\\udc00", b"1e999", b"1e-999", b"\"a\":1,", b"null", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"00", b"\\u",
        ]).prop_map(<[u8]>::to_vec),
    ];
    (any::<prop::sample::Index>(), 0..3_usize, bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_generated_document_is_read_as_the_oracle_reads_it(document in document()) {
        agree(document.as_bytes())?;
        if json::validate(document.as_bytes()).is_ok() {
            let tree: Tree = serde_json::from_str(&document).unwrap();
            let wrapped = format!("{{\"it\": {document} }}");
            same(&wrapped, json::object(wrapped.as_bytes()).unwrap().get("it").unwrap(), &tree)?;
        }
    }

    #[test]
    fn a_mutated_document_is_judged_as_the_oracle_judges_it(
        document in document(),
        changes in prop::collection::vec(prop::collection::vec(change(), 1..4), 20),
    ) {
        for changes in changes {
            let mut bytes = document.clone().into_bytes();
            for (at, out, with) in changes {
                let at = at.index(bytes.len() + 1);
                let end = (at + out).min(bytes.len());
                bytes.splice(at..end, with);
            }
            agree(&bytes)?;
        }
    }

    #[test]
    fn a_document_cut_anywhere_is_refused_where_the_oracle_refuses_it(document in document()) {
        // The middle of a long document says nothing that its ends do not.
        let last = document.len().saturating_sub(100);
        for cut in (0..document.len()).filter(|cut| *cut < 100 || *cut > last) {
            agree(&document.as_bytes()[..cut])?;
        }
    }

    #[test]
    fn bytes_that_are_anything_at_all_end_no_process(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        agree(&bytes)?;
    }
}

/// Small documents that between them hold every kind of token and every nesting of two.
const SMALL: &[&str] = &[
    r#"{"a":1,"b":[true,{}],"c":{"d":null}}"#,
    r#"[[],[[1],{"a":"b"}],"x",false,-0.5e+10]"#,
    r#" { "k" : "v\n\u00e9" , "" : [ 0 , 12 ] } "#,
    r#"["\ud83d\ude00","\\\"\/\b\f\n\r\t"]"#,
    r#"{"a":{"a":{"a":[]}},"b":{"a":{}}}"#,
    r#"{"abcdefgh":1,"abcdefgi":2,"abcdefghi":3,"aaaaaaaa":4}"#,
    r#"[1,-1,0,-0,1.25,1e5,1E-5,10,100e2]"#,
    "\"plain text of more than a word, 潮 and 😀 in it\"",
];

/// Bytes that mean something somewhere in JSON, or look as if they did.
const TELLING: &[u8] =
    b"{}[]\",:\\/u0123456789aAdDeEfFbnrtlsNI+-. \n\t\r'\x00\x1f\x20\x7f\x80\xbf\xc3\xe6\xed\xf0\xff";

#[test]
fn every_single_change_of_a_small_document_is_judged_as_the_oracle_judges_it() {
    for document in SMALL {
        let document = document.as_bytes();
        for at in 0..=document.len() {
            let (before, after) = document.split_at(at);
            let rest = after.get(1..).unwrap_or_default();
            agree(&[before, rest].concat()).unwrap();
            for byte in TELLING {
                agree(&[before, &[*byte], rest].concat()).unwrap();
                agree(&[before, &[*byte], after].concat()).unwrap();
            }
        }
    }
}

#[test]
fn a_number_no_float_can_hold_is_judged_as_the_oracle_judges_it() {
    let zeros = "0".repeat(400);
    for number in [
        "1e308",
        "-1e308",
        "1e309",
        "-1e309",
        "1e310",
        "123e307",
        "0e999999999999",
        "-0.0e999",
        "1e-999999999999",
        "1e99999999999999999999",
        &zeros[..310].replacen('0', "1", 1),
        &zeros[..309].replacen('0', "1", 1),
        &zeros[..309].replacen('0', "2", 1),
        &format!("1{zeros}"),
        &format!("0.{zeros}1"),
        &format!("0.{zeros}1e500"),
        &format!("1{zeros}e-400"),
        &format!("1{zeros}.5"),
    ] {
        assert_eq!(
            json::validate(number.as_bytes()).is_ok(),
            serde_json::from_str::<Tree>(number).is_ok(),
            "{number}"
        );
    }
}
