#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::split::apportion;
use super::{InputKind, Inputs, Share, join, split};
use crate::openai::Request;
use crate::operation::Operation;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

fn inputs(body: &[u8]) -> Option<Inputs> {
    Request::parse(Operation::Embeddings, body).unwrap().inputs()
}

/// The body of a request for these inputs.
fn body(input: &Value) -> Bytes {
    format!("{{\"model\": \"m\", \"dimensions\":2 ,\"input\" :{input}}}").into()
}

/// All of them as one request.
fn joined(bodies: &[Bytes]) -> Bytes {
    let inputs: Vec<_> = bodies.iter().map(|body| inputs(body).unwrap()).collect();
    join(bodies.iter().zip(&inputs)).unwrap()
}

fn shares(bodies: &[Bytes]) -> Vec<Share> {
    let share = |body: &Bytes| inputs(body).map(|Inputs { count, weight, .. }| Share { count, weight });
    bodies.iter().map(|body| share(body).unwrap()).collect()
}

/// What a provider says to a request: a vector that could only be this input's, and so many tokens for each.
fn answer(body: &[u8]) -> Value {
    let request: Value = serde_json::from_slice(body).unwrap();
    let input = match &request["input"] {
        Value::Array(inputs) if !inputs[0].is_number() => inputs.clone(),
        one => vec![one.clone()],
    };
    let vector = |(index, input): (usize, &Value)| json!({ "object": "embedding", "embedding": [input], "index": index });
    let data: Vec<_> = input.iter().enumerate().map(vector).collect();
    let tokens: usize = input.iter().map(|input| input.as_array().map_or(1, Vec::len)).sum();
    json!({ "object": "list", "data": data, "model": "m", "usage": { "prompt_tokens": tokens, "total_tokens": tokens } })
}

#[test]
fn inputs_are_told_by_their_form() {
    use InputKind::{Texts, Tokens};
    for (input, expected) in [
        (json!("some words"), Some((Texts, 1))),
        (json!(["a", "b", "c"]), Some((Texts, 3))),
        (json!([1, 2, 3]), Some((Tokens, 1))),
        (json!([[1, 2], [3]]), Some((Tokens, 2))),
        (json!(["a", [1]]), None),
        (json!(["a", 1]), None),
    ] {
        let found = inputs(&body(&input)).map(|inputs| (inputs.kind, inputs.count));
        assert_eq!(found, expected, "{input}");
    }
    assert_eq!(inputs(&body(&json!([[1, 2], [3]]))).unwrap().weight, 3);
    let chat = br#"{"model":"m","messages":[],"input":"x"}"#;
    let chat = Request::parse(Operation::ChatCompletions, br#"{"model":"m","messages":[{}],"input":"x"}"#)
        .unwrap_or_else(|_| panic!("{chat:?}"));
    assert_eq!(chat.inputs(), None);
}

#[test]
fn requests_are_joined_as_they_are_written() {
    let bodies = [
        "{\"model\":\"m\",\"input\": \"\\u0061\" ,\"user\":\"u\"}",
        "{\"input\":[ \"b\" ,\"c\"],\"user\":\"u\",\"model\":\"m\"}",
    ]
    .map(|body| Bytes::from_static(body.as_bytes()));
    let whole = joined(&bodies);
    assert_eq!(whole, "{\"model\":\"m\",\"input\": [\"\\u0061\", \"b\" ,\"c\"] ,\"user\":\"u\"}");
    let tokens = [json!([1, 2]), json!([[3], [4, 5]])].map(|input| body(&input));
    let whole: Value = serde_json::from_slice(&joined(&tokens)).unwrap();
    assert_eq!(whole["input"], json!([[1, 2], [3], [4, 5]]));
}

#[test]
fn a_part_is_what_the_provider_sent_but_for_places_and_counts() {
    let answer = Bytes::from_static(
        br#" {"usage" : {"prompt_tokens":7, "total_tokens":10, "cost":0.5,"details":{"cached":3,"x":null}},
 "data":[ {"index" : 2,"embedding":"QUJD"}, {"embedding":[1.50],"index":0} ,{"embedding":[],"index":1} ], "object":"list"} "#,
    );
    let parts = split(&answer, &[Share { count: 1, weight: 2 }, Share { count: 2, weight: 5 }]).unwrap();
    let one = r#" {"usage" : {"prompt_tokens":2, "total_tokens":3, "cost":0.5,"details":{"cached":1,"x":null}},
 "data":[{"embedding":[1.50],"index":0}], "object":"list"} "#;
    let other = r#" {"usage" : {"prompt_tokens":5, "total_tokens":7, "cost":0.5,"details":{"cached":2,"x":null}},
 "data":[{"embedding":[],"index":0},{"index" : 1,"embedding":"QUJD"}], "object":"list"} "#;
    assert_eq!(parts, [one, other]);
}

#[test]
fn an_answer_that_does_not_fit_is_not_split() {
    let two = [Share { count: 1, weight: 1 }, Share { count: 1, weight: 1 }];
    for (data, fits) in [
        (r#"[{"index":0},{"index":1}]"#, true),
        (r#"[{"index":1},{"index":0}]"#, true),
        ("[{},{}]", true),
        (r#"[{"index":null},{}]"#, true),
        (r#"[{"index":0},{}]"#, false),
        (r#"[{"index":0},{"index":0}]"#, false),
        (r#"[{"index":0},{"index":2}]"#, false),
        (r#"[{"index":"0"},{"index":"1"}]"#, false),
        ("[{}]", false),
        ("[{},{},{}]", false),
        ("[1,2]", false),
        ("{}", false),
    ] {
        let answer = Bytes::from(format!(r#"{{"data":{data}}}"#));
        assert_eq!(split(&answer, &two).is_some(), fits, "{data}");
    }
    for answer in ["", "[]", "{}", "<html>"] {
        assert_eq!(split(&Bytes::from_static(answer.as_bytes()), &two), None, "{answer}");
    }
}

#[test]
fn numbers_are_shared_out_by_weight() {
    for (total, weights, expected) in [
        (10, vec![1, 1], vec![5, 5]),
        (7, vec![3, 4], vec![3, 4]),
        (1, vec![1, 1, 1], vec![1, 0, 0]),
        (10, vec![1, 1, 1], vec![4, 3, 3]),
        (0, vec![5, 6], vec![0, 0]),
        (5, vec![0, 0], vec![5, 0]),
        (u64::MAX, vec![u64::MAX, u64::MAX], vec![u64::MAX / 2 + 1, u64::MAX / 2]),
        (9, vec![], vec![]),
    ] {
        assert_eq!(apportion(total, &weights), expected, "{total} by {weights:?}");
    }
}

/// Inputs as callers write them, all of one kind.
fn callers() -> impl Strategy<Value = Vec<Value>> {
    let text = || any::<String>().prop_map(|text| json!(text));
    let tokens = || prop::collection::vec(any::<u32>(), 1..5).prop_map(|tokens| json!(tokens));
    let texts = prop_oneof![text(), prop::collection::vec(text(), 1..5).prop_map(|texts| json!(texts))];
    let lists = prop_oneof![tokens(), prop::collection::vec(tokens(), 1..5).prop_map(|lists| json!(lists))];
    prop_oneof![prop::collection::vec(texts, 1..9), prop::collection::vec(lists, 1..9)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn each_gets_what_it_would_have_got_alone(inputs in callers(), backwards: bool, pretty: bool) {
        let bodies: Vec<_> = inputs.iter().map(body).collect();
        let mut joint = answer(&joined(&bodies));
        if backwards {
            joint["data"].as_array_mut().unwrap().reverse();
        }
        let total = joint["usage"]["total_tokens"].as_u64().unwrap();
        let written = if pretty { format!("{joint:#}") } else { joint.to_string() };
        let parts = split(&written.into(), &shares(&bodies)).unwrap();
        prop_assert_eq!(parts.len(), bodies.len());
        let mut sum = 0;
        for (part, body) in parts.iter().zip(&bodies) {
            let mut part: Value = serde_json::from_slice(part).unwrap();
            let mut alone = answer(body);
            sum += part["usage"]["total_tokens"].as_u64().unwrap();
            if super::tests::inputs(body).unwrap().kind == InputKind::Texts {
                part["usage"].take();
                alone["usage"].take();
            }
            prop_assert_eq!(part, alone);
        }
        prop_assert_eq!(sum, total);
    }

    #[test]
    fn shares_are_whole_and_fair(total: u64, weights in prop::collection::vec(1_u64.., 1..20)) {
        let shares = apportion(total, &weights);
        prop_assert_eq!(shares.iter().map(|share| u128::from(*share)).sum::<u128>(), u128::from(total));
        let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        for (share, weight) in shares.iter().zip(&weights) {
            let floor = u128::from(total) * u128::from(*weight) / sum;
            prop_assert!((floor..=floor + 1).contains(&u128::from(*share)));
        }
    }

    #[test]
    fn nothing_that_is_sent_panics(answer: Vec<u8>, counts in prop::collection::vec(0_usize..4, 0..4)) {
        let shares: Vec<_> = counts.iter().map(|&count| Share { count, weight: 1 }).collect();
        let _ = split(&answer.into(), &shares);
    }
}
