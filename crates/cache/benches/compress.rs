//! What compression gains and costs on answers of three sizes, and what the form at rest costs.
//!
//! The answers are OpenAI's, as JSON; their text is this repository's own pages and code, which are as
//! varied as what a model writes.

#![allow(missing_docs, clippy::unwrap_used)]

use bytes::Bytes;
use cache::entry::{Body, Entry, Lifetime, codec};
use cache::epochs::Stamp;
use cache::key::Key;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;

const TEXT: [&str; 7] = [
    include_str!("../../../CONTRIBUTING.md"),
    include_str!("../../../ARCHITECTURE.md"),
    include_str!("../src/epochs.rs"),
    include_str!("../src/key/canonical.rs"),
    include_str!("../../../README.md"),
    include_str!("../src/memory.rs"),
    include_str!("../../wire/src/json.rs"),
];

/// An answer of about `bytes` bytes.
fn answer(bytes: usize) -> Bytes {
    let text = TEXT.concat();
    let of = |length: usize| {
        serde_json::json!({
            "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
            "object": "chat.completion",
            "created": 1_741_569_952,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": text.chars().take(length).collect::<String>(),
                    "refusal": null,
                },
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": { "prompt_tokens": 1117, "completion_tokens": 46, "total_tokens": 1163 },
            "system_fingerprint": "fp_fc9f1d7035",
        })
        .to_string()
    };
    // Escapes lengthen the text: asked for less until it fits.
    let mut length = bytes;
    while of(length).len() > bytes {
        length -= (of(length).len() - bytes).div_ceil(2);
    }
    of(length).into()
}

fn compression(bench: &mut Criterion) {
    let key = Key::from_bytes([7; 32]);
    let lifetime = Lifetime { fresh: Duration::from_secs(60), stale: Duration::ZERO };
    let mut group = bench.benchmark_group("answer");
    for (name, bytes) in [("500 B", 500), ("5 KB", 5000), ("50 KB", 50_000)] {
        let plain = Body::plain(answer(bytes));
        let small = plain.compress(0).into_owned();
        println!(
            "{name}: {} bytes, {} compressed: {:.2} to 1",
            plain.plain_len(),
            small.held().len(),
            plain.plain_len() as f64 / small.held().len() as f64
        );
        let mut entry = Entry::new(Bytes::new(), Bytes::from_static(b"200"), lifetime, Stamp(0), &[]);
        entry.body = small.clone();
        let written = codec::encode(&key, &entry);

        group.throughput(Throughput::Bytes(plain.plain_len() as u64));
        group.bench_function(BenchmarkId::new("compress", name), |b| {
            b.iter(|| black_box(&plain).compress(0).into_owned());
        });
        group.bench_function(BenchmarkId::new("decompress", name), |b| {
            b.iter(|| black_box(&small).to_plain().unwrap());
        });
        group.bench_function(BenchmarkId::new("write", name), |b| {
            b.iter(|| codec::encode(&key, black_box(&entry)));
        });
        group.bench_function(BenchmarkId::new("read", name), |b| {
            b.iter(|| codec::decode(&key, black_box(&written).clone()).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, compression);
criterion_main!(benches);
