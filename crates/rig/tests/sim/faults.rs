//! What goes wrong on demand, in process.

use crate::support::{ask, call, chat, post, read, read_broken, sim, stream};
use http_body::Body as _;
use rig::sim::{Outcome, Reset, Settings, Sim};
use serde_json::{Value, json};

fn request(directive: &str, stream: bool) -> http::Request<bytes::Bytes> {
    post("/v1/chat/completions", &chat(&format!("[[sim: {directive}]]"), json!({"stream": stream})))
}

/// The bytes of a reply told so, and how the log says it ended.
async fn told(directive: &str, stream: bool) -> (Vec<u8>, Option<Reset>, Option<Outcome>) {
    let sim = sim();
    let response = call(&sim, request(directive, stream)).await;
    assert_eq!(response.status(), 200);
    let (bytes, reset) = read_broken(response).await;
    (bytes, reset, sim.log().pop().unwrap().outcome)
}

#[tokio::test]
async fn a_status_comes_with_its_headers_as_they_were_written() {
    let sim = sim();
    for (directive, status, header, value) in [
        ("status=503 retry_after=2", 503, "retry-after", "2"),
        ("status=429 retry_after=garbage", 429, "retry-after", "garbage"),
        (
            "status=429 retry_after=\"Wed, 21 Oct 2026 07:28:00 GMT\"",
            429,
            "retry-after",
            "Wed, 21 Oct 2026 07:28:00 GMT",
        ),
        ("status=429 retry_after_ms=150", 429, "retry-after-ms", "150"),
        ("status=302 location=http://127.0.0.1:1/", 302, "location", "http://127.0.0.1:1/"),
        ("status=418", 418, "content-type", "application/json"),
    ] {
        let response = call(&sim, request(directive, true)).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()[header], value);
        let body: Value = serde_json::from_slice(&read(response).await).unwrap();
        assert!(body["error"]["message"].is_string());
        let entry = sim.log().pop().unwrap();
        assert_eq!((entry.status, entry.outcome, entry.stream), (Some(status), Some(Outcome::Failed), true));
    }
}

#[tokio::test]
async fn a_reset_is_an_error_before_or_within_the_body() {
    let sim = sim();
    assert_eq!(sim.call(request("reset", false)).await.err(), Some(Reset));
    assert_eq!(sim.log().pop().unwrap().outcome, Some(Outcome::Reset));
    for stream in [false, true] {
        for bytes in [0, 1, 100, 333] {
            let (got, reset, outcome) = told(&format!("reset_after={bytes}"), stream).await;
            assert_eq!((got.len(), reset, outcome), (bytes, Some(Reset), Some(Outcome::Reset)));
        }
    }
    // Further than the reply is long: nothing happens.
    let (_, reset, _) = told("reset_after=1000000", true).await;
    assert_eq!(reset, None);
}

#[tokio::test]
async fn a_stream_is_spoilt_after_the_frames_it_was_told() {
    for (directive, frames, tail) in [
        ("garbage", 0, b"<html>}{\n\n".as_slice()),
        ("garbage_after=2", 2, b"<html>}{\n\n"),
        ("error_frame_after=2", 2, b"\"code\":null}}\n\n"),
        ("cut_after=0", 0, b""),
        ("cut_after=5", 5, b"\n\n"),
    ] {
        let (bytes, reset, outcome) = told(directive, true).await;
        assert_eq!((reset, outcome), (None, Some(Outcome::Failed)), "{directive}");
        assert!(bytes.ends_with(tail), "{directive}: {}", String::from_utf8_lossy(&bytes));
        assert!(!bytes.ends_with(b"[DONE]\n\n"), "{directive}");
        let sound = bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| {
            line.starts_with(b"data: {\"id\":\"chatcmpl-") && line.ends_with(b"}\n") && !line.contains(&0xff)
        });
        assert_eq!(sound.count(), frames, "{directive}");
    }
}

#[tokio::test]
async fn a_stream_may_leave_out_its_done_and_nothing_else() {
    let (bytes, _, outcome) = told("no_done", true).await;
    let text = String::from_utf8(bytes).unwrap();
    assert_eq!(outcome, Some(Outcome::Failed));
    assert!(!text.contains("[DONE]") && text.contains("\"finish_reason\":\"stop\""));
}

#[tokio::test]
async fn a_whole_reply_is_spoilt_in_the_middle() {
    let sim = sim();
    let sound = read(call(&sim, request("tokens=64", false)).await).await;
    let (cut, _, outcome) = told("cut_after=1", false).await;
    assert_eq!((cut.len(), outcome), (sound.len() / 2 + cut.len() - sound.len() / 2, Some(Outcome::Failed)));
    assert!(serde_json::from_slice::<Value>(&cut).is_err());
    // The head has declared more than comes.
    let response = call(&sim, request("cut_after=1", false)).await;
    assert!(response.body().size_hint().exact().unwrap() > cut.len() as u64);
    let (garbage, _, _) = told("garbage", false).await;
    assert!(std::str::from_utf8(&garbage).is_err());
    let (error, _, _) = told("error_frame_after=1", false).await;
    assert!(serde_json::from_slice::<Value>(&error).unwrap()["error"].is_object());
}

#[tokio::test]
async fn the_script_is_followed_request_by_request_and_messages_lie_over_it() {
    let sim = sim();
    sim.load_script(r#"[{"status": 503, "retry_after": 7}, {}, {"tokens": 3}, {"tokens": 3}]"#).unwrap();
    let first = call(&sim, post("/v1/chat/completions", &chat("a", json!({})))).await;
    assert_eq!((first.status().as_u16(), &first.headers()["retry-after"]), (503, &"7".parse().unwrap()));
    let tokens =
        async |message: &str| ask(&sim, message, json!({})).await["usage"]["completion_tokens"].clone();
    assert_eq!(tokens("a").await, 64);
    assert_eq!(tokens("a").await, 3);
    assert_eq!(tokens("a [[sim: tokens=4]]").await, 4);
    assert_eq!(tokens("a").await, 64);
}

#[tokio::test]
async fn a_directive_counts_only_in_the_last_user_message() {
    let sim = sim();
    let messages = json!([{"role": "user", "content": "[[sim: status=500]]"}, {"role": "assistant", "content": "[[sim: hang]]"},
                          {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "[[sim: tokens=2]]"}]}]);
    assert_eq!(ask(&sim, "", json!({"messages": messages})).await["usage"]["completion_tokens"], 2);
    let embedding = post("/v1/embeddings", &json!({"model": "embed", "input": ["a", "[[sim: status=429]]"]}));
    assert_eq!(call(&sim, embedding).await.status(), 429);
    let completion = post("/v1/completions", &json!({"model": "instant", "prompt": "[[sim: status=501]]"}));
    assert_eq!(call(&sim, completion).await.status(), 501);
}

#[tokio::test]
async fn flaky_fails_at_its_rate_and_settings_make_any_model_fail() {
    let count = async |settings: Settings, model: &str| {
        let sim = Sim::new(Settings {
            first_token: Default::default(),
            between_tokens: Default::default(),
            ..settings
        });
        let mut failed = 0;
        for _ in 0..500 {
            let request = post("/v1/chat/completions", &chat("hello", json!({"model": model})));
            failed += u32::from(!matches!(sim.call(request).await, Ok(response) if response.status() == 200));
        }
        failed
    };
    assert!((110..190).contains(&count(Settings::default(), "flaky").await));
    assert!((25..80).contains(&count(Settings { errors: 0.1, ..Settings::default() }, "instant").await));
    assert_eq!(count(Settings::default(), "instant").await, 0);
}

#[tokio::test]
async fn the_log_keeps_names_and_never_values() {
    let sim = sim();
    let mut request = post("/v1/chat/completions", &chat("hello", json!({"model": "sim/instant"})));
    request.headers_mut().insert("authorization", "Bearer canary-secret".parse().unwrap());
    request.headers_mut().insert("x-request-id", "abc".parse().unwrap());
    let response = call(&sim, request).await;
    assert_eq!(response.headers()["x-request-id"], "abc");
    read(response).await;
    stream(&sim, "hello", json!({})).await;
    let log = serde_json::to_value(sim.log()).unwrap();
    assert!(!log.to_string().contains("canary"));
    let entry = &log[0];
    assert_eq!(entry["authorization"], true);
    assert_eq!(entry["headers"], json!(["authorization", "x-request-id"]));
    assert_eq!(entry["x_request_id"], "abc");
    assert_eq!(
        (&entry["model"], &entry["outcome"], &entry["frames"]),
        (&json!("sim/instant"), &json!("done"), &json!(1))
    );
    assert_eq!(
        (&log[1]["authorization"], &log[1]["stream"], &log[1]["frames"]),
        (&json!(false), &json!(true), &json!(64 + 3))
    );
    sim.clear_log();
    assert!(sim.log().is_empty());
}
