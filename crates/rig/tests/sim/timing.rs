//! When things are said. The clock is paused: every delay is exact.

use crate::support::{call, chat, post, read, sim};
use http_body_util::BodyExt;
use rig::sim::{Outcome, Settings, Sim};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

async fn timed(sim: &Sim, path: &str, body: &Value) -> Duration {
    let start = Instant::now();
    read(call(sim, post(path, body)).await).await;
    start.elapsed()
}

fn settings(first_ms: u64, between_ms: u64) -> Settings {
    let ms = Duration::from_millis;
    Settings { first_token: ms(first_ms), between_tokens: ms(between_ms), ..Settings::default() }
}

#[tokio::test(start_paused = true)]
async fn a_whole_reply_takes_as_long_as_its_tokens() {
    let sim = Sim::new(settings(100, 10));
    for (model, ms) in [
        ("instant", 0),
        ("fast", 20 + 64 * 2),
        ("slow", 800 + 64 * 20),
        ("any", 100 + 640),
        ("sim/fast", 148),
    ] {
        let took = timed(&sim, "/v1/chat/completions", &chat("hello", json!({"model": model}))).await;
        assert_eq!(took, Duration::from_millis(ms), "{model}");
    }
    let short =
        timed(&sim, "/v1/chat/completions", &chat("hello", json!({"model": "any", "max_tokens": 3}))).await;
    assert_eq!(short, Duration::from_millis(130));
    let told = chat("[[sim: first_token=7ms between_tokens=1ms tokens=5]]", json!({"model": "slow"}));
    assert_eq!(timed(&sim, "/v1/chat/completions", &told).await, Duration::from_millis(12));
    let embedded = timed(&sim, "/v1/embeddings", &json!({"model": "any", "input": "text"})).await;
    assert_eq!(embedded, Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn the_frames_of_a_stream_come_when_they_are_due() {
    let sim = Sim::new(settings(100, 10));
    let start = Instant::now();
    let body = chat("[[sim: tokens=4]]", json!({"model": "any", "stream": true, "n": 2}));
    let mut body = call(&sim, post("/v1/chat/completions", &body)).await.into_body();
    assert_eq!(start.elapsed(), Duration::ZERO, "the head comes at once");
    let mut at = Vec::new();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
        at.push(start.elapsed().as_millis());
    }
    // Two roles and two first tokens; a pair every step; two ends, [DONE].
    assert_eq!(at, [100, 100, 100, 100, 110, 110, 120, 120, 130, 130, 130, 130, 130]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_was_late_finds_what_was_due_and_the_rate_stays_true() {
    let sim = Sim::new(settings(100, 10));
    let start = Instant::now();
    let body = chat("[[sim: tokens=10]]", json!({"model": "any", "stream": true}));
    let mut body = call(&sim, post("/v1/chat/completions", &body)).await.into_body();
    body.frame().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(45)).await;
    let mut at = Vec::new();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
        at.push(start.elapsed().as_millis());
    }
    assert_eq!(at, [145, 145, 145, 145, 145, 150, 160, 170, 180, 190, 190, 190]);
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_delays_and_is_the_same_in_every_run() {
    let run = async || {
        let sim = Sim::new(Settings { jitter: 0.4, ..settings(100, 0) });
        let mut took = Vec::new();
        for _ in 0..50 {
            took.push(timed(&sim, "/v1/chat/completions", &chat("hello", json!({"model": "any"}))).await);
        }
        took
    };
    let (one, other) = (run().await, run().await);
    assert_eq!(one, other);
    assert!(one.iter().max().unwrap() > &Duration::from_millis(130));
    assert!(one.iter().min().unwrap() < &Duration::from_millis(80));
}

#[tokio::test(start_paused = true)]
async fn a_drip_is_one_byte_at_a_time() {
    let sim = sim();
    let body = chat("[[sim: drip=5ms tokens=1]]", json!({"stream": true}));
    let start = Instant::now();
    let mut body = call(&sim, post("/v1/chat/completions", &body)).await.into_body();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        assert_eq!(frame.unwrap().into_data().unwrap().len(), 1);
        bytes += 1;
    }
    assert_eq!(start.elapsed(), Duration::from_millis(5) * (bytes - 1));
    let entry = sim.log().pop().unwrap();
    assert_eq!((entry.frames, entry.outcome), (4, Some(Outcome::Done)));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_lets_go_is_recorded_at_that_instant_wherever_the_request_was() {
    let ms = Duration::from_millis;
    let sim = Sim::new(settings(1000, 1000));
    // Asleep before the head.
    let request = post("/v1/chat/completions", &chat("hello", json!({"model": "any"})));
    assert!(tokio::time::timeout(ms(300), sim.call(request)).await.is_err());
    // Hanging before the head.
    let request = post("/v1/chat/completions", &chat("[[sim: hang]]", json!({})));
    assert!(tokio::time::timeout(ms(300), sim.call(request)).await.is_err());
    // Asleep between frames.
    let request = post("/v1/chat/completions", &chat("hello", json!({"model": "any", "stream": true})));
    let body = call(&sim, request).await.into_body();
    assert!(tokio::time::timeout(ms(2500), body.collect()).await.is_err());
    // Hanging between frames.
    let request = post("/v1/chat/completions", &chat("[[sim: hang_after=3]]", json!({"stream": true})));
    let body = call(&sim, request).await.into_body();
    assert!(tokio::time::timeout(ms(400), body.collect()).await.is_err());
    let ended: Vec<_> =
        sim.log().into_iter().map(|e| (e.received_ms, e.ended_ms, e.outcome, e.status, e.frames)).collect();
    let cancelled = Some(Outcome::Cancelled);
    assert_eq!(
        ended,
        [
            (0, Some(300), cancelled, None, 0),
            (300, Some(600), cancelled, None, 0),
            // At 1,000 ms the role and a token, at 2,000 ms a token.
            (600, Some(3100), cancelled, Some(200), 3),
            (3100, Some(3500), cancelled, Some(200), 3),
        ]
    );
}
