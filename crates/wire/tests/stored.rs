//! Stored answers in both their forms, and what becomes of broken ones.
//!
//! `golden/stored/NAME.json` is a whole answer and `NAME.sse` the same answer as a stream, with its
//! usage chunk: recorded from the simulated provider, but for the refusal, which is written after
//! OpenAI's documentation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};
use wire::Operation::{self, ChatCompletions, Completions, Embeddings};
use wire::openai::stored::{StoredStream, stream_of, whole_of, worth_of};
use wire::sse::Frames;

const GOLDEN: [(&str, Operation); 7] = [
    ("chat", ChatCompletions),
    ("chat-logprobs", ChatCompletions),
    ("chat-n2", ChatCompletions),
    ("chat-tools", ChatCompletions),
    ("refusal", ChatCompletions),
    ("text", Completions),
    ("text-logprobs", Completions),
];

fn read(name: &str, extension: &str) -> Bytes {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/stored");
    std::fs::read(format!("{folder}/{name}.{extension}")).unwrap().into()
}

fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap()
}

/// The chunks of a stream, in order.
fn chunks(stream: &StoredStream) -> Vec<Value> {
    let whole = Frames::default().push(stream.frames.clone());
    let line = |frame: &[u8]| value(frame.strip_prefix(b"data: ").unwrap());
    whole.frames().map(line).collect()
}

/// Streams an answer, takes the stream apart again and assembles it: always the same answer.
#[track_caller]
fn check(operation: Operation, whole: &Value) -> StoredStream {
    let body = serde_json::to_vec(whole).unwrap();
    let stream = stream_of(operation, &body).unwrap();
    assert_eq!(StoredStream::split(operation, &stream.join()).as_ref(), Some(&stream));
    assert_eq!(&value(&whole_of(operation, &stream).unwrap()), whole);
    assert_eq!(stream.worth(), worth_of(operation, &body).unwrap());
    stream
}

#[test]
fn a_recorded_stream_is_assembled_to_the_recorded_answer() {
    for (name, operation) in GOLDEN {
        let stream = StoredStream::split(operation, &read(name, "sse")).unwrap();
        assert!(stream.usage.is_some(), "{name}");
        let whole = read(name, "json");
        assert_eq!(value(&whole_of(operation, &stream).unwrap()), value(&whole), "{name}");
        assert_eq!(stream.worth(), worth_of(operation, &whole).unwrap(), "{name}");
    }
}

#[test]
fn a_recorded_answer_is_streamed_and_comes_back() {
    for (name, operation) in GOLDEN {
        let stream = check(operation, &value(&read(name, "json")));
        assert!(stream.usage.is_some(), "{name}");
        // As it was written, too: with its line ends and in its order.
        let stream = stream_of(operation, &read(name, "json")).unwrap();
        assert_eq!(value(&whole_of(operation, &stream).unwrap()), value(&read(name, "json")), "{name}");
        // The recorded stream says the same, in more frames.
        let recorded = StoredStream::split(operation, &read(name, "sse")).unwrap();
        assert!(stream.frames.len() < recorded.frames.len(), "{name}");
        assert_eq!(whole_of(operation, &stream), whole_of(operation, &recorded), "{name}");
    }
}

#[test]
fn a_stream_cut_off_at_any_byte_is_not_complete() {
    for (name, operation) in GOLDEN {
        let recorded = read(name, "sse");
        let made = stream_of(operation, &read(name, "json")).unwrap().join();
        let crlf = String::from_utf8(recorded.to_vec()).unwrap().replace('\n', "\r\n").into();
        // Every byte of the short ones; of long ones, every byte of their last frames.
        for (stream, from) in [(&recorded, recorded.len().saturating_sub(2000)), (&made, 0), (&crlf, 0)] {
            assert!(StoredStream::split(operation, stream).is_some(), "{name}");
            let step = if stream.len() - from > 4000 { 7 } else { 1 };
            for cut in (from..stream.len()).step_by(step).chain(stream.len() - 40..stream.len()) {
                let part = stream.slice(..cut);
                assert_eq!(StoredStream::split(operation, &part), None, "{name} cut off at {cut}");
            }
        }
    }
}

#[test]
fn a_long_answer_is_streamed_in_a_moderate_number_of_frames() {
    let text = "潮が満ちる。\n".repeat(1000);
    let whole = json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]});
    let stream = check(ChatCompletions, &whole);
    let pieces: Vec<String> = chunks(&stream)
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert!((19..40).contains(&pieces.len()), "{}", pieces.len());
    assert!(pieces.iter().all(|piece| piece.len() <= 1030));
    assert_eq!(stream.usage, None);
}

#[test]
fn each_piece_of_text_has_the_log_probabilities_of_its_tokens() {
    let tokens: Vec<String> = (0..100).map(|at| format!(" t{at}\u{e9}😀")).collect();
    let content: Vec<Value> =
        tokens.iter().map(|token| json!({"token": token, "logprob": -0.5, "top_logprobs": []})).collect();
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": tokens.concat(), "refusal": null},
        "logprobs": {"content": content, "refusal": null}, "finish_reason": "stop"});
    let whole = json!({"object": "chat.completion", "choices": [choice]});
    let stream = check(ChatCompletions, &whole);
    let mut pieces = 0;
    for chunk in chunks(&stream) {
        let choice = &chunk["choices"][0];
        let Some(tokens) = choice["logprobs"]["content"].as_array() else { continue };
        let text: String = tokens.iter().map(|token| token["token"].as_str().unwrap()).collect();
        assert_eq!(choice["delta"]["content"], text);
        pieces += 1;
    }
    assert_eq!(pieces, 4);
    // Tokens that are not the text, and a text that is not there: still, nothing is lost.
    for content in [json!("other"), json!(""), json!(null)] {
        let mut whole = whole.clone();
        whole["choices"][0]["message"]["content"] = content;
        check(ChatCompletions, &whole);
    }
}

#[test]
fn what_an_answer_has_beside_openai_s_own_members_is_kept() {
    check(
        ChatCompletions,
        &json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "provider": "p", "citations": [1, {"a": "\n"}],
            "choices": [
                {"index": 0, "finish_reason": "stop", "native_finish_reason": "end", "content_filter_results": {"hate": {"filtered": false}},
                 "message": {"role": "assistant", "content": "a", "reasoning_content": "h\"m", "reasoning": "r", "annotations": [{"index": 1}],
                    "reasoning_details": [{"type": "reasoning.text", "text": "h", "index": 0}], "tool_calls": [], "x": 1.50, "y": "text", "z": false}},
                {"index": 1, "finish_reason": "function_call",
                 "message": {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{\"a\":\"潮\"}"}}},
                {"index": 2, "finish_reason": "tool_calls",
                 "message": {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}, "extra_content": {"google": {"thought_signature": "s"}}},
                    {"id": "d", "type": "custom", "custom": {"name": "g", "input": "i"}}]}},
            ],
            "usage": {"prompt_tokens": 1, "cost": 0.25}, "service_tier": null, "system_fingerprint": "fp"}),
    );
}

/// Text with everything that is awkward in JSON.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z \"\\\\\n\r\t\u{0}\u{1f}\u{7f}é潮😀\u{2028}]{0,40}",
        1 => any::<String>(),
        1 => ("[a潮😀\"\\\\]{1,9}", 200..800_usize).prop_map(|(text, times)| text.repeat(times)),
    ]
}

fn some_text() -> impl Strategy<Value = Value> {
    prop_oneof![1 => Just(Value::Null), 4 => text().prop_map(Value::String)]
}

fn message() -> impl Strategy<Value = Value> {
    let call = (text(), text(), text()).prop_map(
        |(id, name, arguments)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}),
    );
    let calls = prop::option::of(prop::collection::vec(call, 0..4));
    (some_text(), some_text(), prop::option::of(text()), calls).prop_map(
        |(content, refusal, reasoning, calls)| {
            let mut message = json!({"role": "assistant", "content": content, "refusal": refusal});
            if let Some(reasoning) = reasoning {
                message["reasoning_content"] = reasoning.into();
            }
            if let Some(calls) = calls {
                message["tool_calls"] = calls.into();
            }
            message
        },
    )
}

/// A chat of up to four choices, some with log-probabilities.
fn chat() -> impl Strategy<Value = Value> {
    let tokens = prop::collection::vec("[a-z é潮😀\"\\\\]{1,5}", 0..80);
    let reason = prop::sample::select(vec!["stop", "length", "tool_calls", "content_filter"]);
    let choice = (message(), prop::option::of(tokens), reason);
    prop::collection::vec(choice, 1..4).prop_map(|choices| {
        let choices = choices.into_iter().enumerate().map(|(index, (mut message, tokens, reason))| {
            let logprobs = tokens.map(|tokens| {
                message["content"] = tokens.concat().into();
                let content: Vec<Value> =
                    tokens.iter().map(|token| json!({"token": token, "logprob": -1.5})).collect();
                json!({"content": content, "refusal": null})
            });
            json!({"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason})
        });
        let choices: Vec<Value> = choices.collect();
        json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": choices,
            "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
    })
}

fn completion() -> impl Strategy<Value = Value> {
    prop::collection::vec(prop::collection::vec("[a-z é潮😀\"\\\\]{1,5}", 0..80), 1..4).prop_map(|choices| {
        let choices = choices.into_iter().enumerate().map(|(index, tokens)| {
            let logprobs = json!({"tokens": tokens, "token_logprobs": vec![-0.5; tokens.len()],
                "top_logprobs": vec![json!({"index": -0.5}); tokens.len()], "text_offset": tokens});
            let logprobs = if index == 1 { Value::Null } else { logprobs };
            json!({"text": tokens.concat(), "index": index, "logprobs": logprobs, "finish_reason": "length"})
        });
        json!({"id": "c", "object": "text_completion", "created": 1, "model": "m", "choices": choices.collect::<Vec<_>>()})
    })
}

/// Everything that is done with an answer, whatever it is: only not to panic.
fn try_all(bytes: &Bytes) {
    for operation in [ChatCompletions, Completions, Embeddings] {
        let _ = worth_of(operation, bytes);
        if let Some(stream) = stream_of(operation, bytes) {
            let _ = (stream.worth(), whole_of(operation, &stream));
        }
        let unchecked = StoredStream { frames: bytes.clone(), usage: Some(bytes.clone()) };
        let _ = (unchecked.worth(), whole_of(operation, &unchecked));
        if let Some(stream) = StoredStream::split(operation, bytes) {
            let _ = (stream.worth(), whole_of(operation, &stream));
        }
    }
}

/// One change to a text: some of its bytes are replaced by others of the kind that JSON is made of.
fn mutation() -> impl Strategy<Value = (prop::sample::Index, usize, String)> {
    let with = prop::sample::select(vec![
        "", "{", "}", "[", "]", "\"", ",", ":", "null", "0", "-1", "1e400", "\"a\"", "[]", "{}", "\\", "\\u",
        "\\ud83d", "\n\n", "\r", "data: ", "\u{0}", "true",
    ]);
    (any::<prop::sample::Index>(), 0..6_usize, with.prop_map(str::to_owned))
}

fn mutated(bytes: &Bytes, mutations: &[(prop::sample::Index, usize, String)]) -> Bytes {
    let mut bytes = bytes.to_vec();
    for (at, length, with) in mutations {
        let at = at.index(bytes.len() + 1);
        let end = (at + length).min(bytes.len());
        bytes.splice(at..end, with.bytes());
    }
    bytes.into()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_chat_is_streamed_and_comes_back(whole in chat()) {
        check(ChatCompletions, &whole);
    }

    #[test]
    fn any_completion_is_streamed_and_comes_back(whole in completion()) {
        check(Completions, &whole);
    }

    #[test]
    fn no_answer_however_broken_panics(
        golden in prop::sample::select(GOLDEN.to_vec()),
        mutations in prop::collection::vec(mutation(), 1..5),
    ) {
        for extension in ["json", "sse"] {
            try_all(&mutated(&read(golden.0, extension), &mutations));
        }
    }
}
