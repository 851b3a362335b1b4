//! Jobs of every kind, done by a gateway in this process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use super::payload::{Call, Notice};
use super::{Open, id, model, webhook};
use crate::stand::Stand;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use store::jobs::{Job, JobId, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use wire::failure::Kind;
use work::Draft;

/// Webhooks to loopback, signed.
const WEBHOOKS: &str = "[jobs.webhook]\nprivate = true\nsecret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\n";

fn call(model: &str, hook: Option<&str>) -> Draft {
    let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
    let body: Box<RawValue> = serde_json::from_str(&body).unwrap();
    let call = Call {
        key: None,
        path: "/v1/chat/completions".into(),
        headers: Vec::new(),
        body: &body,
        webhook: hook.map(Into::into),
        metadata: None,
    };
    Draft::new(model::KIND, "").json(&call).unwrap()
}

/// The job, once nothing more will happen to it.
async fn over(open: &Open, id: JobId) -> Job {
    let mut watch = open.jobs.watch(id, None);
    loop {
        let job = watch.next().await.unwrap().expect("it is not over");
        if job.state.is_final() {
            return job;
        }
    }
}

/// A server that gives each request the next of these answers' heads, and tells of the request.
async fn server(answers: &'static [&'static str]) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (says, said) = mpsc::channel(64);
    tokio::spawn(async move {
        let mut answers = answers.iter().cycle();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = Vec::new();
            let mut piece = [0; 4096];
            let whole = |request: &[u8]| {
                let text = String::from_utf8_lossy(request);
                let (head, body) = text.split_once("\r\n\r\n")?;
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
                (body.len() >= length.parse().ok()?).then_some(())
            };
            while whole(&request).is_none() {
                let count = stream.read(&mut piece).await.unwrap();
                assert!(count > 0, "the request ends within");
                request.extend_from_slice(&piece[..count]);
            }
            says.send(String::from_utf8(request).unwrap()).await.unwrap();
            let answer = answers.next().unwrap();
            stream.write_all(format!("HTTP/1.1 {answer}\r\n\r\n").as_bytes()).await.unwrap();
        }
    });
    (url, said)
}

fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("{name} is not in\n{request}"))
}

#[tokio::test]
async fn a_model_is_asked_and_its_answer_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    let open = stand.open().await;
    let id = open.jobs.add(call("sim/instant", None)).await.unwrap().id();
    let job = over(&open, id).await;
    assert_eq!((job.state, job.attempt), (State::Done, 1));
    let result: Value = serde_json::from_slice(&job.result.unwrap()).unwrap();
    assert_eq!(result["status_code"], 200);
    assert_eq!(result["request_id"], json!(id::show(id)), "the same in every attempt");
    assert!(result["body"]["choices"][0]["message"]["content"].is_string());
}

#[tokio::test]
async fn a_request_that_cannot_succeed_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    let open = stand.open().await;
    let id = open.jobs.add(call("nobody/nothing", None)).await.unwrap().id();
    let job = over(&open, id).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 1));
    assert_eq!(job.fault.unwrap().class, "request");
}

#[tokio::test]
async fn what_was_not_begun_when_the_process_left_is_put_back_and_done_by_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "[server.timeouts]\ndrain = '100ms'\n");
    let open = stand.open().await;
    // Slower than the drain waits.
    let id = open.jobs.add(call("sim/slow", None)).await.unwrap().id();
    let mut watch = open.jobs.watch(id, None);
    while watch.next().await.unwrap().unwrap().state != State::Running {}
    drop((watch, open));
    stand.drain();

    let stand = Stand::lasting(folder.path(), "");
    let open = stand.open().await;
    let job = over(&open, id).await;
    assert_eq!((job.state, job.attempt), (State::Done, 1), "no attempt is charged");
}

#[tokio::test]
async fn the_end_of_a_job_is_told_signed_until_somebody_takes_it() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), WEBHOOKS);
    let open = stand.open().await;
    let (url, mut said) = server(&["503 Busy\r\nretry-after-ms: 1", "204 Taken"]).await;
    let id = open.jobs.add(call("sim/instant", Some(&format!("{url}/end?a=b")))).await.unwrap().id();
    let (first, second) = (said.recv().await.unwrap(), said.recv().await.unwrap());
    assert!(first.starts_with("POST /end?a=b HTTP/1.1\r\n"), "{first}");
    assert_eq!(header(&first, "webhook-id"), header(&second, "webhook-id"), "both are one call");
    assert!(header(&second, "webhook-signature").starts_with("v1,"));
    let event: Value = serde_json::from_str(second.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!((&event["type"], &event["data"]["id"]), (&json!("job.done"), &json!(id::show(id))));
}

#[tokio::test]
async fn a_webhook_fails_for_good_only_where_another_try_cannot_help() {
    let check = async |config: &str, url: &str, expected: (State, Option<&str>)| {
        let folder = tempfile::tempdir().unwrap();
        let stand = Stand::lasting(folder.path(), config);
        let open = stand.open().await;
        let body: Box<RawValue> = serde_json::from_str(r#"{"a": 1.0}"#).unwrap();
        let notice = Notice { url: url.into(), body: &body, metadata: None };
        let draft = Draft::new(webhook::KIND, "").queue(webhook::QUEUE).attempts(1);
        let id = open.jobs.add(draft.json(&notice).unwrap()).await.unwrap().id();
        let job = over(&open, id).await;
        let class = job.fault.map(|fault| fault.class);
        assert_eq!((job.state, class.as_deref()), expected, "{url}");
    };
    let (good, mut said) = server(&["200 OK"]).await;
    check(WEBHOOKS, &good, (State::Done, None)).await;
    assert!(said.recv().await.unwrap().ends_with("\r\n\r\n{\"a\": 1.0}"), "the body as it was written");
    let (gone, _said) = server(&["410 Gone"]).await;
    check(WEBHOOKS, &gone, (State::Dead, Some("refused"))).await;
    let (moved, _said) = server(&["302 Found\r\nlocation: http://127.0.0.1:1/"]).await;
    check(WEBHOOKS, &moved, (State::Dead, Some("redirect"))).await;
    let public_only = WEBHOOKS.replace("private = true", "private = false");
    check(&public_only, &good, (State::Dead, Some("address"))).await;
    check(WEBHOOKS, "http://127.0.0.1:1/", (State::Dead, Some("unreachable"))).await;
    check("", &good, (State::Dead, Some("unsigned"))).await;
}

#[tokio::test]
async fn while_the_store_is_away_whoever_asks_is_told_to_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("tidegate.db");
    // A folder where the file should be.
    std::fs::create_dir(&place).unwrap();
    let stand = Stand::lasting(folder.path(), "");
    let ask = async || stand.gateway.durable.ask(|open| async move { Ok(open.jobs.depths().await?) }).await;
    let away = ask().await.unwrap_err();
    assert_eq!((away.kind(), away.code()), (Kind::Overloaded, Some("store_away")));
    std::fs::remove_dir(&place).unwrap();
    stand.open().await;
    assert!(ask().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_configured_database_is_away_until_it_has_answered() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("other.db");
    std::fs::write(&place, "").unwrap();
    let config = format!("data = '{}'\nstore.url = 'sqlite:{}'\n", folder.path().display(), place.display());
    let is_up = |stand: &Stand| {
        crate::admin::jobs::measure(&stand.gateway);
        stand.metrics().contains("tidegate_store_up 1\n")
    };
    // The durable thread does not run: it has not answered.
    assert!(!is_up(&Stand::start(&config)));
    let stand = Stand::lasting(folder.path(), &format!("store.url = 'sqlite:{}'\n", place.display()));
    stand.open().await;
    assert!(is_up(&stand));
    assert!(is_up(&Stand::start("")), "there is none, and none is wanted");
}

#[tokio::test]
async fn a_database_is_made_for_the_first_who_asks_and_found_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidegate.db");
    let stand = Stand::lasting(folder.path(), "");
    // Longer than a start takes.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let durable = &stand.gateway.durable;
    assert!(durable.open().is_none() && !durable.is_away() && !file.exists());
    durable.ask(async |open: Arc<Open>| Ok(open.jobs.add(call("sim/instant", None)).await?)).await.unwrap();
    assert!(file.exists());
    stand.drain();

    let stand = Stand::lasting(folder.path(), "");
    while stand.gateway.durable.open().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn who_asks_while_the_process_leaves_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    stand.leave();
    let away = stand.gateway.durable.ask(async |_| Ok(())).await.unwrap_err();
    assert_eq!(away.code(), Some("store_away"));
    assert!(!folder.path().join("tidegate.db").exists());
}

#[tokio::test]
async fn what_was_asked_is_done_though_nobody_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let stand = Stand::lasting(folder.path(), "");
    let open = stand.open().await;
    let adding = stand.gateway.durable.ask(move |open: Arc<Open>| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        open.jobs.add(call("sim/instant", None)).await?;
        Ok(())
    });
    assert!(tokio::time::timeout(Duration::from_millis(1), adding).await.is_err(), "it is left");
    while open.jobs.get(JobId(1), None).await.unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(over(&open, JobId(1)).await.state, State::Done);
}
