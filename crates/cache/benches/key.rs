//! The key of a chat body, beside what the usual recipe costs: canonical JSON (RFC 8785), then SHA-256.

#![allow(missing_docs, clippy::unwrap_used)]

use cache::key::{Key, Parts, Place, PlaceParts, Secret};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sha2::{Digest, Sha256};
use std::hint::black_box;

/// A chat body of about `bytes` bytes: a long text for its system prompt, a few short turns after it.
///
/// The text has what prompts have: a line break every 80 characters or so, a quotation now and then.
fn chat(bytes: usize) -> String {
    const LINE: &str = "Answer from the documents below and from nothing else, and name each that you used.";
    let mut text = String::new();
    let tail = r#""},{"role":"user","content":"How do I return a pair of shoes?"},{"role":"assistant","content":"Within 30 days, with the receipt.\nShall I open a return?"},{"role":"user","content":[{"type":"text","text":"Yes, please. The order is 4711."}]}],"temperature":0,"top_p":1,"max_tokens":512,"stream":true,"stream_options":{"include_usage":true},"response_format":{"type":"text"},"user":"7f3c"}"#;
    let head = r#"{"model":"gpt-4o-mini","messages":[{"role":"system","content":""#;
    let mut line = 0;
    while head.len() + text.len() + tail.len() < bytes {
        line += 1;
        text.push_str(LINE);
        text.push_str(if line % 5 == 0 { r#" \"As is.\"\n"# } else { r"\n" });
    }
    format!("{head}{text}{tail}")
}

fn keys(bench: &mut Criterion) {
    let secret = Secret::new("bench");
    let place = Place::new(&PlaceParts {
        operation: "chat",
        policy: 1,
        provider: "openai",
        base_url: "https://api.openai.com/v1",
        credential: &[7; 32],
        model: "gpt-4o-mini-2024-07-18",
    });
    let mut group = bench.benchmark_group("key");
    for (name, bytes) in [("1 KB", 950), ("100 KB", 100_000), ("1 MB", 1_000_000)] {
        let body = chat(bytes);
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new("tidegate", name), |b| {
            b.iter(|| {
                let body = black_box(body.as_str());
                let leave_out = &["user", "stream", "stream_options"];
                let parts =
                    Parts { place: &place, tenant: "acme", scope: "", form: 1, body, leave_out, hole: None };
                Key::new(&secret, &parts).unwrap()
            });
        });
        group.bench_function(BenchmarkId::new("bare BLAKE3", name), |b| {
            b.iter(|| blake3::keyed_hash(&[7; 32], black_box(body.as_bytes())));
        });
        group.bench_function(BenchmarkId::new("canonical JSON + SHA-256", name), |b| {
            b.iter(|| {
                let value: serde_json::Value = serde_json::from_str(black_box(&body)).unwrap();
                Sha256::digest(serde_json_canonicalizer::to_vec(&value).unwrap())
            });
        });
    }
    group.finish();
}

criterion_group!(benches, keys);
criterion_main!(benches);
