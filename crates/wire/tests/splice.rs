//! Edits keep every other byte: random edits against a plain reference, and requests whose edited
//! body says what it said before but for the model's name and the wish for usage.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value as Tree, json};
use wire::Operation;
use wire::openai::Request;
use wire::splice::{Edit, splice};

/// Sorted edits that do not overlap: pairs of cuts in the body, and what stands between them.
fn edits(length: usize) -> impl Strategy<Value = Vec<Edit>> {
    prop::collection::vec((0..=length, 0..=length, "[a-z]{0,9}"), 0..4).prop_map(|drawn| {
        let mut cuts: Vec<usize> = drawn.iter().flat_map(|(start, end, _)| [*start, *end]).collect();
        cuts.sort_unstable();
        let ranges = cuts.chunks(2).map(|pair| pair[0]..pair[1]);
        ranges.zip(drawn).map(|(range, (_, _, with))| Edit { range, with: with.into() }).collect()
    })
}

fn body_and_edits() -> impl Strategy<Value = (Vec<u8>, Vec<Edit>)> {
    // Both sides of the size from which the original is shared.
    prop_oneof![0..60_usize, 16_300..16_500_usize]
        .prop_flat_map(|length| (prop::collection::vec(any::<u8>(), length), edits(length)))
}

/// A member that the gateway does not look at.
fn other() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        r#""temperature" : 0.70"#,
        r#""metadata":{"model":"m","stream":false , "stream_options":{}}"#,
        r#""big":12345678901234567890123"#,
        r#""t\u0065xt":"\u00e9\/ 潮""#,
        r#""tools":[{"type":"function","function":{"parameters":{"type":"object","properties":{"b":{},"a":{}}}}}]"#,
    ])
    .prop_map(str::to_owned)
}

/// A chat request that streams, its members in any order, and the text of its `stream_options`.
fn chat() -> impl Strategy<Value = String> {
    let model = prop::sample::select(vec![r#""model": "smart""#, r#""mod\u0065l":"sm\u0061rt""#]);
    let options = prop::sample::select(vec![
        "",
        r#""stream_options":null"#,
        r#""stream_options" : { }"#,
        r#""stream_options":{"x":[1],"include_usage":false}"#,
        r#""stream_options":{"include_usage" : true }"#,
        r#""stream_options":{"other":null}"#,
    ]);
    let space = prop::sample::select(vec!["", " ", "\n  "]);
    (model, options, other(), space)
        .prop_flat_map(|(model, options, other, space)| {
            let mut members = vec![
                model.to_owned(),
                r#""messages":[{"role":"user","content":"a \"model\": b"}]"#.to_owned(),
                r#""stream":true"#.to_owned(),
                other,
            ];
            if !options.is_empty() {
                members.push(options.to_owned());
            }
            (Just(members).prop_shuffle(), Just(space))
        })
        .prop_map(|(members, space)| {
            format!("{{{space}{}{space}}}{space}", members.join(&format!("{space},{space}")))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_byte_outside_the_edits_is_kept((body, edits) in body_and_edits()) {
        let mut want = body.clone();
        for edit in edits.iter().rev() {
            want.splice(edit.range.clone(), edit.with.iter().copied());
        }
        let spliced = splice(&Bytes::from(body), &edits);
        prop_assert_eq!(spliced.len(), want.len());
        prop_assert!(spliced.segments.iter().all(|segment| !segment.is_empty()));
        prop_assert_eq!(spliced.segments.concat(), want);
    }

    #[test]
    fn an_edited_request_says_what_it_said_but_for_what_was_asked(
        body in chat(),
        model in prop::option::of("[a-z\"\\\\/]{1,8}"),
        ask in any::<bool>(),
    ) {
        let bytes = Bytes::from(body.clone());
        let request = Request::parse(Operation::ChatCompletions, &bytes).unwrap();
        let edits = request.edits(model.as_deref(), ask);
        let edited = splice(&bytes, &edits).into_bytes();
        let mut want: Tree = serde_json::from_str(&body).unwrap();
        if let Some(model) = &model {
            want["model"] = json!(model);
        }
        if ask {
            if !want["stream_options"].is_object() {
                want["stream_options"] = json!({});
            }
            want["stream_options"]["include_usage"] = json!(true);
        }
        prop_assert_eq!(serde_json::from_slice::<Tree>(&edited).unwrap(), want);
        // What lies between the edits is untouched, byte for byte.
        let mut start = 0;
        let mut from = 0;
        for edit in &edits {
            let kept = &body.as_bytes()[start..edit.range.start];
            prop_assert_eq!(&edited[from..from + kept.len()], kept);
            from += kept.len() + edit.with.len();
            start = edit.range.end;
        }
        prop_assert_eq!(&edited[from..], &body.as_bytes()[start..]);
    }

    #[test]
    fn no_body_at_all_panics_the_reader(body in chat(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = body.into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        for operation in Operation::ALL {
            if let Ok(request) = Request::parse(operation, &bytes) {
                let body = Bytes::from(bytes.clone());
                let edits = request.edits(Some("other"), true);
                prop_assert!(wire::json::object(&splice(&body, &edits).into_bytes()).is_ok());
            }
        }
    }
}
