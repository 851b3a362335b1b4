#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use super::{Answer, Commission, Principal};
use crate::config::Priority;
use crate::keys::KeyHash;
use crate::stand::{Stand, commission};
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use wire::failure::{Kind, Retry};
use wire::operation::Operation;

const KEY: &str = "tg-AAAAAAAAAAAA";

/// A chat of one word, at temperature 0.
fn chat(model: &str, word: &str) -> Commission {
    let body =
        format!(r#"{{"model":"{model}","temperature":0,"messages":[{{"role":"user","content":"{word}"}}]}}"#);
    commission(Operation::ChatCompletions, body)
}

fn on_behalf_of(key: &str, tenant: &str, commission: Commission) -> Commission {
    Commission { principal: Principal { key: Some(key.into()), tenant: tenant.into() }, ..commission }
}

/// The file's entry for [`KEY`].
fn key(more: &str) -> String {
    format!("[[keys]]\nid = '{KEY}'\nhash = '{}'\n{more}\n", KeyHash::of(KEY, b"secret"))
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// The status, and the code of the failure behind it.
fn fate(answer: &Answer) -> (u16, &str) {
    let code = answer.failure.as_ref().and_then(|failure| failure.code());
    (answer.status.as_u16(), code.unwrap_or_default())
}

/// A provider that reads requests and answers none; says when one has come, and when its caller has gone.
async fn silent() -> (String, tokio::sync::mpsc::Receiver<&'static str>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (says, said) = tokio::sync::mpsc::channel(8);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let says = says.clone();
            tokio::spawn(async move {
                let mut seen = [0; 4096];
                if stream.read(&mut seen).await.is_ok_and(|bytes| bytes > 0) {
                    says.send("asked").await.unwrap();
                }
                while stream.read(&mut seen).await.is_ok_and(|bytes| bytes > 0) {}
                says.send("gone").await.unwrap();
            });
        }
    });
    let config = format!(
        "[providers.silent]\npreset = 'openai-compatible'\nbase_url = 'http://{address}/v1'\nmodels = ['m']\nconnections = {{ warm = 0 }}\n"
    );
    (config, said)
}

#[tokio::test]
async fn a_request_of_our_own_goes_through_the_cache_and_is_counted() {
    let stand = Stand::start("");
    let mut states = Vec::new();
    for _ in 0..3 {
        let answer = stand.gateway.desk.ask(chat("sim/instant", "hello")).await;
        assert_eq!(fate(&answer), (200, ""));
        assert!(answer.body.starts_with(b"{"), "{:?}", answer.body);
        assert_eq!(header(&answer, "x-tidegate-target"), "sim/instant");
        assert!(header(&answer, "x-request-id").starts_with("req_"));
        states.push(header(&answer, "x-tidegate-cache").to_owned());
    }
    assert_eq!(states, ["miss", "hit; tier=memory", "hit; tier=memory"]);
    let shown = stand.metrics();
    for line in [
        r#"tidegate_requests_total{operation="chat",model="sim/instant",outcome="ok"} 3"#,
        r#"tidegate_upstream_attempts_total{provider="sim",model="instant",result="ok"} 1"#,
        r#"tidegate_requests_in_flight{operation="chat"} 0"#,
    ] {
        assert!(shown.contains(line), "{line} is not in\n{shown}");
    }
}

#[tokio::test]
async fn headers_mean_what_they_mean_from_a_caller() {
    let stand = Stand::start("");
    let mut head = HeaderMap::new();
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-tidegate-tags", "docs"),
        ("x-tidegate-timeout-ms", "1"),
        ("authorization", "Bearer secret"),
        ("x-request-id", "whole"),
    ] {
        head.insert(name, value.parse().unwrap());
    }
    let asked = chat("sim/instant", "hello").with_headers_of(&head).by_default(Priority::Batch);
    let mut names: Vec<_> = asked.headers.keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["cache-control", "x-tidegate-priority", "x-tidegate-tags"]);
    assert_eq!(asked.headers["x-tidegate-priority"], "batch");
    let answer = stand.gateway.desk.ask(asked).await;
    assert_eq!(header(&answer, "x-tidegate-cache"), "bypass; reason=no-store");

    let mut head = HeaderMap::new();
    head.insert("x-tidegate-priority", "high".parse().unwrap());
    let asked = chat("sim/instant", "hello").with_headers_of(&head).by_default(Priority::Batch);
    assert_eq!(asked.headers["x-tidegate-priority"], "high", "the caller says otherwise");
}

#[tokio::test]
async fn the_callers_own_limits_count() {
    let stand = Stand::start(&key("tenant = 'search'\nrequests_per_minute = 1"));
    let ask = async || {
        let mut asked = on_behalf_of(KEY, "search", chat("sim/instant", "hello"));
        asked.headers.insert("cache-control", "no-store".parse().unwrap());
        stand.gateway.desk.ask(asked).await
    };
    let first = ask().await;
    assert_eq!((fate(&first), header(&first, "x-ratelimit-remaining-requests")), ((200, ""), "0"));
    let denied = ask().await;
    assert_eq!(fate(&denied), (429, "requests_limit_exceeded"));
    assert!(matches!(denied.failure.unwrap().retry(), Retry::After(wait) if !wait.is_zero()));
}

#[tokio::test]
async fn the_caller_is_looked_up_as_it_is_now() {
    let stand = Stand::start(&key("tenant = 'search'\nmodels = ['sim/instant']"));
    let check = async |principal: Option<(&str, &str)>, model: &str, expected: (u16, &str)| {
        let mut asked = chat(model, "hello");
        if let Some((key, tenant)) = principal {
            asked = on_behalf_of(key, tenant, asked);
        }
        let answer = stand.gateway.desk.ask(asked).await;
        assert_eq!(fate(&answer), expected, "{principal:?} {model}");
    };
    let known = Some((KEY, "search"));
    check(known, "sim/instant", (200, "")).await;
    check(known, "sim/fast", (403, "model_not_allowed")).await;
    check(None, "sim/instant", (401, "invalid_api_key")).await;
    check(Some(("tg-BBBBBBBBBBBB", "search")), "sim/instant", (401, "invalid_api_key")).await;

    stand.reload(&key("tenant = 'sales'"));
    check(known, "sim/instant", (403, "tenant_changed")).await;
    stand.reload(&key("").replace(KEY, "tg-CCCCCCCCCCCC"));
    check(known, "sim/instant", (401, "invalid_api_key")).await;
    stand.reload("");
    check(known, "sim/instant", (401, "invalid_api_key")).await;
    check(None, "sim/instant", (200, "")).await;
}

#[tokio::test]
async fn what_cannot_be_answered_whole_in_time_is_refused() {
    let (config, _said) = silent().await;
    let stand = Stand::start(&config);
    let desk = &stand.gateway.desk;

    let body = r#"{"model":"sim/instant","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let streamed = desk.ask(commission(Operation::ChatCompletions, body)).await;
    assert_eq!(fate(&streamed), (400, "stream_not_supported"));
    assert!(streamed.body.starts_with(br#"{"error":{"#));

    let large = desk.ask(Commission { answer_bytes_max: 10, ..chat("sim/instant", "hello") }).await;
    assert_eq!(fate(&large), (502, "answer_too_large"));

    let past = Some(Instant::now());
    let late = desk.ask(Commission { deadline: past, ..chat("sim/instant", "hello") }).await;
    assert_eq!(fate(&late), (504, "deadline_passed"));

    let soon = Some(Instant::now() + Duration::from_millis(50));
    let late = desk.ask(Commission { deadline: soon, ..chat("silent/m", "hello") }).await;
    assert_eq!(late.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(late.failure.unwrap().kind(), Kind::ProviderTimeout);
}

#[tokio::test]
async fn who_stops_waiting_ends_the_providers_call() {
    let (config, mut said) = silent().await;
    let stand = Stand::start(&config);
    for cache_control in ["max-age=60", "no-store"] {
        let mut asked = chat("silent/m", "hello");
        asked.headers.insert("cache-control", cache_control.parse().unwrap());
        {
            let asking = std::pin::pin!(stand.gateway.desk.ask(asked));
            tokio::select! {
                answer = asking => panic!("{answer:?}"),
                word = said.recv() => assert_eq!(word, Some("asked"), "{cache_control}"),
            }
        }
        assert_eq!(said.recv().await, Some("gone"), "{cache_control}");
    }
}

#[tokio::test]
async fn an_answer_may_come_as_it_is_made() {
    let stand = Stand::start("");
    let body = r#"{"model":"sim/instant","stream":true,"messages":[{"role":"user","content":"hello"}]}"#;
    let mut begun = stand.gateway.desk.begin(commission(Operation::ChatCompletions, body)).await;
    assert_eq!(
        (begun.status, &begun.headers["content-type"]),
        (StatusCode::OK, &"text/event-stream".parse().unwrap())
    );
    let mut said = Vec::new();
    while let Some(bytes) = begun.body.recv().await {
        said.extend_from_slice(&bytes);
    }
    assert!(
        said.starts_with(b"data: {") && said.ends_with(b"data: [DONE]\n\n"),
        "{}",
        String::from_utf8_lossy(&said)
    );

    let mut whole = stand.gateway.desk.begin(chat("sim/instant", "hello")).await;
    assert!(whole.body.recv().await.unwrap().starts_with(b"{"));
    assert!(whole.body.recv().await.is_none());

    let mut refused = stand.gateway.desk.begin(chat("nope", "hello")).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert!(refused.body.recv().await.unwrap().starts_with(br#"{"error":"#));

    stand.leave();
    let left = loop {
        let answer = stand.gateway.desk.begin(chat("sim/instant", "hello")).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
    };
    assert_eq!(left.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn who_stops_waiting_for_a_beginning_ends_the_providers_call() {
    let (config, mut said) = silent().await;
    let stand = Stand::start(&config);
    {
        let asking = std::pin::pin!(stand.gateway.desk.begin(chat("silent/m", "hello")));
        tokio::select! {
            begun = asking => panic!("{begun:?}"),
            word = said.recv() => assert_eq!(word, Some("asked")),
        }
    }
    assert_eq!(said.recv().await, Some("gone"));
}

#[tokio::test]
async fn more_than_the_trays_hold_is_answered_all_the_same() {
    let stand = Arc::new(Stand::start(""));
    let asked: Vec<_> = (0..600)
        .map(|number| {
            let stand = Arc::clone(&stand);
            tokio::spawn(
                async move { stand.gateway.desk.ask(chat("sim/instant", &number.to_string())).await },
            )
        })
        .collect();
    for answer in asked {
        assert_eq!(fate(&answer.await.unwrap()), (200, ""));
    }
}

#[tokio::test]
async fn who_leaves_says_so() {
    let (config, mut said) = silent().await;
    let stand = Arc::new(Stand::start(&config));
    let under_way = tokio::spawn({
        let stand = Arc::clone(&stand);
        async move { stand.gateway.desk.ask(chat("silent/m", "hello")).await }
    });
    assert_eq!(said.recv().await, Some("asked"));

    stand.leave();
    // Until both workers have heard of it.
    let left = loop {
        let answer = stand.gateway.desk.ask(chat("sim/instant", "hello")).await;
        if !answer.is_good() {
            break answer;
        }
    };
    assert_eq!(fate(&left), (503, "gateway_leaving"));
    assert_eq!(left.failure.as_ref().unwrap().retry(), Retry::Soon);
    assert!(!under_way.is_finished(), "what was begun goes on");

    stand.abort();
    let lost = under_way.await.unwrap();
    assert_eq!(fate(&lost), (500, "answer_lost"));
}

#[tokio::test]
async fn who_leaves_takes_what_is_to_be_counted_until_nobody_has_any_in_hand() {
    let stand = Stand::start("");
    let desk = &stand.gateway.desk;
    let given = || chat("sim/instant", "hello").answered_in_batch("sim/instant", r#"{"choices":[]}"#.into());
    let books = desk.open_books().unwrap();
    stand.leave();
    // Until both workers have heard of it.
    while fate(&desk.ask(chat("sim/instant", "hello")).await) != (503, "gateway_leaving") {}
    while desk.open_books().is_some() {}
    for _ in 0..8 {
        assert_eq!(fate(&desk.ask(given()).await), (200, ""));
    }
    drop(books);
    while fate(&desk.ask(given()).await) != (503, "gateway_leaving") {}
}
