//! The form of a stream.

use crate::support::{ask, call, frames, post, read, sim, stream};
use serde_json::{Value, json};

fn text(frames: &[Value], index: usize) -> String {
    let choices =
        frames.iter().filter_map(|frame| frame["choices"].get(0)).filter(|choice| choice["index"] == index);
    choices.filter_map(|choice| choice["delta"]["content"].as_str()).collect()
}

#[tokio::test]
async fn a_stream_says_what_the_whole_reply_says_one_token_a_frame() {
    let sim = sim();
    let whole = ask(&sim, "hello", json!({})).await;
    let frames = stream(&sim, "hello", json!({})).await;
    assert_eq!(text(&frames, 0), whole["choices"][0]["message"]["content"].as_str().unwrap());
    // The role, a frame for each token, the end.
    assert_eq!(frames.len() as u64, whole["usage"]["completion_tokens"].as_u64().unwrap() + 2);
    assert_eq!(frames[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(frames[1..].iter().all(|frame| frame["choices"][0]["delta"].get("role").is_none()));
    let last = &frames.last().unwrap()["choices"][0];
    assert_eq!((&last["finish_reason"], &last["delta"]), (&json!("stop"), &json!({})));
    for frame in &frames {
        assert_eq!(frame["object"], "chat.completion.chunk");
        assert_eq!((&frame["id"], &frame["created"]), (&whole["id"], &whole["created"]));
        assert!(frame.get("usage").is_none());
    }
}

#[tokio::test]
async fn usage_comes_last_without_choices_and_is_null_before() {
    let sim = sim();
    let whole = ask(&sim, "hello", json!({"n": 2})).await;
    let frames = stream(&sim, "hello", json!({"n": 2, "stream_options": {"include_usage": true}})).await;
    let (last, others) = frames.split_last().unwrap();
    assert_eq!(last["choices"], json!([]));
    assert_eq!(last["usage"], whole["usage"]);
    assert!(others.iter().all(|frame| frame.as_object().unwrap()["usage"].is_null()));
    let tokens = others
        .iter()
        .filter(|frame| frame["choices"][0]["delta"]["content"].as_str().is_some_and(|t| !t.is_empty()));
    assert_eq!(last["usage"]["completion_tokens"], tokens.count());
    let off = stream(&sim, "hello", json!({"stream_options": {"include_usage": false}})).await;
    assert!(off.iter().all(|frame| frame.get("usage").is_none()));
}

#[tokio::test]
async fn answers_side_by_side_take_turns() {
    let sim = sim();
    let whole = ask(&sim, "hello", json!({"n": 3})).await;
    let frames = stream(&sim, "hello", json!({"n": 3})).await;
    for index in 0..3 {
        assert_eq!(text(&frames, index), whole["choices"][index]["message"]["content"].as_str().unwrap());
    }
    let turns: Vec<u64> = frames.iter().map(|frame| frame["choices"][0]["index"].as_u64().unwrap()).collect();
    assert_eq!(turns[..9], [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    let ends = frames.iter().filter(|frame| !frame["choices"][0]["finish_reason"].is_null()).count();
    assert_eq!(ends, 3);
}

#[tokio::test]
async fn log_probabilities_are_streamed_token_by_token() {
    let sim = sim();
    let members = json!({"logprobs": true, "top_logprobs": 2, "max_tokens": 6});
    let whole = ask(&sim, "hello", members.clone()).await;
    let frames = stream(&sim, "hello", members).await;
    let streamed: Vec<&Value> =
        frames.iter().filter_map(|frame| frame["choices"][0]["logprobs"]["content"].get(0)).collect();
    assert_eq!(json!(streamed), whole["choices"][0]["logprobs"]["content"]);
}

#[tokio::test]
async fn completions_stream_too() {
    let sim = sim();
    let mut body = json!({"model": "instant", "prompt": "hello", "max_tokens": 5, "logprobs": 0});
    let whole: Value =
        serde_json::from_slice(&read(call(&sim, post("/v1/completions", &body)).await).await).unwrap();
    body["stream"] = json!(true);
    let frames = frames(&read(call(&sim, post("/v1/completions", &body)).await).await);
    assert_eq!(frames.len(), 6);
    let text: String = frames.iter().map(|frame| frame["choices"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(text, whole["choices"][0]["text"].as_str().unwrap());
    assert_eq!(frames[5]["choices"][0]["finish_reason"], "length");
    let offsets: Vec<&Value> =
        frames[..5].iter().map(|frame| &frame["choices"][0]["logprobs"]["text_offset"][0]).collect();
    assert_eq!(json!(offsets), whole["choices"][0]["logprobs"]["text_offset"]);
}

#[tokio::test]
async fn names_with_odd_characters_are_escaped() {
    let model = "a \"quoted\"\n\\ model";
    let frames = stream(&sim(), "hello", json!({"model": model, "max_tokens": 1})).await;
    assert!(frames.iter().all(|frame| frame["model"] == model));
}
