//! Calls to a server on loopback, which the operator has named or not.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use super::*;
use crate::config::NamedHost;
use std::collections::BTreeMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use work::workflow::effects::Origin;

fn step(url: &str, body: Option<Value>) -> HttpCall {
    let origin = Origin {
        key: "run-1/fetch".to_owned(),
        tenant: String::new(),
        caller: None,
        run: "run-1".to_owned(),
        workflow: "w".to_owned(),
        step: "fetch".to_owned(),
        timeout: Duration::from_secs(5),
    };
    let method = if body.is_some() { definition::Method::Post } else { definition::Method::Get };
    HttpCall { origin, method, url: url.to_owned(), headers: BTreeMap::new(), body }
}

fn lookups() -> PoolMetrics {
    measure::metrics::Metrics::new("0", 1).shard(0).pool("workflow")
}

fn named(port: Option<u16>) -> Workflows {
    let hosts = vec![NamedHost { host: "127.0.0.1".to_owned(), port }];
    Workflows { hosts, keep: Duration::from_secs(60) }
}

/// A server that answers one request, and gives back what it was sent.
async fn server(answer: &'static str) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        let mut piece = [0; 4096];
        while !request.windows(4).any(|four| four == b"\r\n\r\n") {
            let read = stream.read(&mut piece).await.unwrap();
            request.extend_from_slice(&piece[..read]);
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (port, heard)
}

#[tokio::test]
async fn a_server_hears_the_steps_key_and_its_answer_is_the_output() {
    let answer = "HTTP/1.1 201 Created\r\ncontent-type: application/json; charset=utf-8\r\nset-cookie: a=b\r\n\
                  content-length: 7\r\n\r\n{\"a\":1}";
    let (port, heard) = server(answer).await;
    let mut step = step(&format!("http://127.0.0.1:{port}/x?y=1"), Some(json!({ "q": "z" })));
    step.headers.insert("X-Own".to_owned(), "1".to_owned());
    let output = call(named(None), lookups(), step).await.unwrap();
    assert_eq!((&output["status"], &output["body"]), (&json!(201), &json!({ "a": 1 })));
    assert!(output["headers"]["set-cookie"].is_null() && output["headers"]["content-length"] == "7");
    let heard = heard.await.unwrap();
    for part in ["POST /x?y=1 HTTP/1.1", "idempotency-key: run-1/fetch", "x-own: 1", r#"{"q":"z"}"#] {
        assert!(heard.contains(part), "{part} is not in\n{heard}");
    }
}

#[tokio::test]
async fn a_private_address_is_called_only_where_the_operator_named_the_host() {
    let (port, heard) = server("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("http://127.0.0.1:{port}/");
    let nobody = Workflows { hosts: Vec::new(), ..named(None) };
    for settings in [nobody, named(Some(port ^ 1))] {
        let failure = call(settings, lookups(), step(&url, None)).await.unwrap_err();
        assert_eq!((&*failure.class, failure.may_pass), ("address", false), "{}", failure.message);
    }
    assert_eq!(call(named(Some(port)), lookups(), step(&url, None)).await.unwrap()["body"], Value::Null);
    assert!(heard.await.unwrap().starts_with("GET / HTTP/1.1\r\n"));
}

#[tokio::test]
async fn what_a_server_refuses_is_tried_again_where_that_may_help() {
    let cases = [
        ("HTTP/1.1 302 Found\r\nlocation: http://h/\r\ncontent-length: 0\r\n\r\n", "redirect", false, None),
        ("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nno", "refused", false, None),
        ("HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n", "refused", true, None),
        ("HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", "overloaded", true, Some(7)),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", "unreachable", true, None),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n", "too_large", false, None),
    ];
    for (answer, class, may_pass, after) in cases {
        let (port, _heard) = server(answer).await;
        let failure =
            call(named(None), lookups(), step(&format!("http://127.0.0.1:{port}/"), None)).await.unwrap_err();
        let found = (&*failure.class, failure.may_pass, failure.after.map(|after| after.as_secs()));
        assert_eq!(found, (class, may_pass, after), "{answer}: {}", failure.message);
    }
}

#[test]
fn a_definition_does_not_say_how_a_message_travels() {
    for name in ["Host", "content-length", "Transfer-Encoding", "no header"] {
        let mut step = step("http://h/", None);
        step.headers.insert(name.to_owned(), "x".to_owned());
        assert!(content(&step).is_err(), "{name}");
    }
    let mut own = step("http://h/", Some(json!("text")));
    own.headers.insert("Content-Type".to_owned(), "text/csv".to_owned());
    let (headers, body) = content(&own).unwrap();
    assert_eq!((headers["content-type"].to_str().unwrap(), &body[..]), ("text/csv", &b"text"[..]));
}
