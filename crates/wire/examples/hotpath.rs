//! A small repeatable measurement of the hot path: nanoseconds an operation, best of many rounds.
//!
//! `cargo run --release -p tidegate-wire --example hotpath [PART OF A NAME]`. Not a test: it passes no
//! judgement. The best round is shown beside the median, since a busy machine only ever adds time.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use wire::openai::{Relay, RelayOptions, Request, UsageChunk, usage_of};
use wire::{Operation, json, splice};

const ROUNDS: usize = 60;

fn main() {
    println!("{:<44} {:>10} {:>12} {:>12} {:>9}", "operation", "bytes", "best ns", "median ns", "GB/s");
    for (name, body) in bodies() {
        measure(&format!("json::object, {name}"), body.len(), || {
            black_box(json::object(black_box(&body)).is_ok());
        });
    }
    let small = Bytes::from(chat(1_000, "Tell me about tides. "));
    measure("Request::parse, 1 KB", small.len(), || {
        black_box(Request::parse(Operation::ChatCompletions, black_box(&small)).is_ok());
    });
    measure("Request::parse + edits + splice, 1 KB", small.len(), || parse_edit_splice(&small));
    let large = Bytes::from(chat(100_000, "Tell me about tides. "));
    measure("Request::parse + edits + splice, 100 KB", large.len(), || parse_edit_splice(&large));

    let reply = reply();
    measure("usage_of, 1 KB", reply.len(), || {
        black_box(usage_of(black_box(&reply)).is_ok());
    });
    relay();
}

fn parse_edit_splice(body: &Bytes) {
    if let Ok(request) = Request::parse(Operation::ChatCompletions, black_box(body)) {
        black_box(splice::splice(body, &request.edits(Some("gpt-4o"), true)).len());
    }
}

fn relay() {
    for (name, usage) in [("", ""), (", usage null", r#","usage":null"#)] {
        let frame = Bytes::from(frame(usage));
        let mut relay = Relay::new(RelayOptions { usage_chunk: UsageChunk::Drop, done_marker: true });
        measure(&format!("Relay::push, one frame{name}"), frame.len(), || {
            black_box(relay.push(black_box(frame.clone())).is_ok());
        });
    }
    let eight = Bytes::from(frame("").repeat(8));
    let mut relay = Relay::new(RelayOptions { usage_chunk: UsageChunk::Drop, done_marker: true });
    measure("Relay::push, eight frames", eight.len(), || {
        black_box(relay.push(black_box(eight.clone())).is_ok());
    });
    let whole = Bytes::from(frame(""));
    let (head, tail) = (whole.slice(..90), whole.slice(90..));
    let mut relay = Relay::new(RelayOptions { usage_chunk: UsageChunk::Drop, done_marker: true });
    measure("Relay::push, one frame cut in two", whole.len(), || {
        black_box(relay.push(black_box(head.clone())).is_ok());
        black_box(relay.push(black_box(tail.clone())).is_ok());
    });
}

fn measure(name: &str, bytes: usize, mut operation: impl FnMut()) {
    if std::env::args().nth(1).is_some_and(|part| !name.contains(&part)) {
        return;
    }
    // Enough repetitions that a round lasts about two milliseconds.
    let started = Instant::now();
    let mut repetitions = 0_u32;
    while started.elapsed().as_millis() < 20 {
        operation();
        repetitions += 1;
    }
    let repetitions = (repetitions / 10).max(1);
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let started = Instant::now();
            for _ in 0..repetitions {
                operation();
            }
            started.elapsed().as_nanos() as f64 / f64::from(repetitions)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    let (best, median) = (rounds[0], rounds[ROUNDS / 2]);
    println!("{name:<44} {bytes:>10} {best:>12.1} {median:>12.1} {:>9.2}", bytes as f64 / best);
}

fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("chat 1 KB", chat(1_000, "Tell me about tides. ")),
        ("chat 1 KB, escapes", chat(1_000, "She said \\\"tide\\\".\\n")),
        ("chat 1 KB, tools", tools()),
        ("chat 100 KB", chat(100_000, "Tell me about tides. ")),
        ("chat 100 KB, escapes", chat(100_000, "She said \\\"tide\\\".\\n")),
        ("chat 100 KB, prose", chat(100_000, PROSE)),
        ("prompt 1 KB, prose", prompt(1_000)),
        ("prompt 100 KB, prose", prompt(100_000)),
        ("prompt 1 MB, prose", prompt(1_000_000)),
        ("chat 100 KB, German", chat(100_000, "Ebbe fließt ab, Flut läuft auf. ")),
        ("chat 100 KB, Japanese", chat(100_000, "潮の満ち引きについて教えて。")),
        ("chat 10 MB", chat(10_000_000, "Tell me about tides. ")),
        ("embeddings, 1 MB of tokens", tokens(1_000_000)),
        ("object of 1 MB of small keys", small_keys(1_000_000)),
    ]
}

/// Prose as prompts have it: a quotation and a line break now and then.
const PROSE: &str = r#"Whoever keeps it writes down each hour what came in and what went out: \"forty barrels, two letters\", he says.\nA clerk copies the page twice. "#;

/// A chat body of about `bytes` bytes: one turn with a long text.
fn prompt(bytes: usize) -> Vec<u8> {
    let text = PROSE.repeat(bytes / PROSE.len());
    format!(r#"{{"model":"openai/gpt-4o","messages":[{{"role":"system","content":"You are a helpful assistant."}},{{"role":"user","content":"{text}"}}],"temperature":0.7,"max_tokens":256}}"#)
        .into_bytes()
}

/// A chat body of about `bytes` bytes: turns of about 400 bytes, as conversations have.
fn chat(bytes: usize, sentence: &str) -> Vec<u8> {
    let turn = sentence.repeat(400 / sentence.len() + 1);
    let mut messages = String::from(r#"{"role":"system","content":"You are a helpful assistant."}"#);
    while messages.len() + turn.len() / 2 < bytes.saturating_sub(150) {
        messages.push_str(&format!(r#",{{"role":"user","content":"{turn}"}}"#));
    }
    format!(r#"{{"model":"openai/gpt-4o","messages":[{messages}],"temperature":0.7,"max_tokens":256,"stream":true}}"#)
        .into_bytes()
}

fn tools() -> Vec<u8> {
    let tool = |name: &str| {
        format!(
            r#"{{"type": "function", "function": {{"name": "{name}", "description": "What it does", "parameters": {{"type": "object", "properties": {{"place": {{"type": "string"}}, "days": {{"type": "integer"}}}}, "required": ["place"]}}}}}}"#
        )
    };
    format!(
        r#"{{"model": "openai/gpt-4o", "messages": [{{"role": "user", "content": "What is the weather?"}}], "tools": [{}, {}, {}, {}]}}"#,
        tool("weather"),
        tool("tide"),
        tool("moon"),
        tool("ferry"),
    )
    .into_bytes()
}

fn tokens(bytes: usize) -> Vec<u8> {
    let tokens: Vec<String> = (0..bytes / 6).map(|at| (10_000 + at % 50_000).to_string()).collect();
    format!(r#"{{"model":"m","input":[{}]}}"#, tokens.join(",")).into_bytes()
}

fn small_keys(bytes: usize) -> Vec<u8> {
    let keys: Vec<String> = (0..bytes / 12).map(|at| format!(r#""k{}":0"#, at * 7919 % 1_000_003)).collect();
    format!("{{{}}}", keys.join(",")).into_bytes()
}

fn frame(usage: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-4o-2024-08-06\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\" tide\"}},\"finish_reason\":null}}]{usage}}}\n\n"
    )
}

fn reply() -> Vec<u8> {
    let text = "The tide is the rise and fall of the sea. ".repeat(13);
    format!(
        r#"{{"id":"chatcmpl-AbCdEfGh","object":"chat.completion","created":1700000000,"model":"gpt-4o-2024-08-06","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}","refusal":null}},"logprobs":null,"finish_reason":"stop"}}],"usage":{{"prompt_tokens":19,"completion_tokens":100,"total_tokens":119,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}},"service_tier":"default","system_fingerprint":"fp_44709d6fcb"}}"#
    )
    .into_bytes()
}
