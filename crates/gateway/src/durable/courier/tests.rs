//! What becomes of lines whose answers a provider has given, or that are remembered; and what providers' words mean.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{ANSWER_MAX, FILE_MAX, Longest, broken, courier, escaped, fault, passing};
use crate::desk::{Commission, Principal};
use crate::keys::KeyHash;
use crate::stand::Stand;
use crate::upstream::Error;
use crate::upstream::office::Reply;
use ::http::StatusCode;
use serde_json::json;
use std::time::Duration;
use store::Time;
use wire::operation::Operation;
use work::batches::{Answer, Fault, Looked, Question};

const KEY: &str = "tg-AAAAAAAAAAAA";
const BODY: &str = r#"{"model":"smart","temperature":0,"messages":[{"role":"user","content":"hello"}]}"#;
/// Tokens that the provider's answer says it has read.
const READ: f64 = 100.0;

/// Providers at which nobody listens, and an alias of these targets.
fn config(targets: &[&str], more: &str) -> String {
    let provider = |name: &str| {
        format!(
            "[providers.{name}]\npreset = 'openai-compatible'\nbase_url = 'http://127.0.0.1:1/v1'\nmodels = ['m']\n\
             batches = true\nconnections = {{ warm = 0 }}\n\
             prices = {{ m = {{ input = 1000.0, output = 2000.0, batch = 0.5 }} }}\n"
        )
    };
    let targets: Vec<_> = targets.iter().map(|target| format!("{{ model = '{target}' }}")).collect();
    let alias = format!("[models.smart]\ntargets = [{}]\nbatch = 'provider'\n", targets.join(", "));
    [provider("far"), provider("near"), alias, more.to_owned()].concat()
}

/// The file's entry for [`KEY`].
fn key(more: &str) -> String {
    format!("[[keys]]\nid = '{KEY}'\nhash = '{}'\n{more}\n", KeyHash::of(KEY, b"secret"))
}

fn question(key: Option<&str>) -> Question {
    Question {
        tenant: key.map_or("", |_| "search").to_owned(),
        key: key.map(str::to_owned),
        endpoint: "/v1/chat/completions".to_owned(),
        custom_id: "line".to_owned(),
        id: "batch_req_1".to_owned(),
        body: BODY.into(),
        deadline: Time::now().after(Duration::from_secs(60)),
    }
}

/// What the provider has said to it.
fn answer() -> Answer {
    let body = json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{
            "index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop",
        }],
        "usage": {"prompt_tokens": READ, "completion_tokens": 10, "total_tokens": 110},
    });
    Answer { status: 200, request_id: "far".to_owned(), body: body.to_string().into_bytes(), after: None }
}

/// What a metric says of all that has these labels.
fn metric(stand: &Stand, name: &str, labels: &[&str]) -> f64 {
    let shown = stand.metrics();
    let found = shown.lines().filter(|line| line.starts_with(&format!("{name}{{")));
    let found = found.filter(|line| labels.iter().all(|label| line.contains(label)));
    found.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

fn read_at(stand: &Stand, provider: &str) -> f64 {
    let provider = format!("provider=\"{provider}\"");
    metric(stand, "tidegate_tokens_total", &[&provider, r#"type="input""#])
}

#[tokio::test]
async fn of_several_targets_a_line_is_asked_for_at_whose_place_it_is_remembered() {
    let stand = Stand::start(&config(&["far/m", "near/m"], ""));
    let courier = courier(&stand.gateway);
    courier.note("far/m", question(None), answer()).await.unwrap();
    for _ in 0..16 {
        let Looked::Answered(said) = courier.look("far/m", question(None)).await else {
            panic!("another target was asked")
        };
        assert_eq!((said.status, said.body), (200, answer().body));
    }
    assert_eq!(metric(&stand, "tidegate_upstream_attempts_total", &[]), 0.0);
}

#[tokio::test]
async fn what_is_for_another_place_by_now_is_not_sent() {
    let stand = Stand::start(&config(&["far/m"], ""));
    let courier = courier(&stand.gateway);
    assert!(matches!(courier.look("far/m", question(None)).await, Looked::Send(_)));
    assert_eq!(courier.look("near/m", question(None)).await, Looked::Later);
}

#[tokio::test]
async fn an_answer_is_its_providers_whatever_the_alias_leads_to_by_now() {
    let check = async |targets: &[&str], is_kept: bool| {
        let stand = Stand::start(&config(targets, ""));
        let nobody = Principal { key: None, tenant: "".into() };
        let asked = Commission::new(Operation::ChatCompletions, BODY.into(), nobody);
        let counted = stand.gateway.desk.ask(asked.answered_in_batch("far/m", answer().body.into())).await;
        assert!(counted.is_good(), "{targets:?}: {:?}", counted.failure);
        assert_eq!(counted.headers["x-tidegate-target"], "far/m", "{targets:?}");
        let cost: f64 = counted.headers["x-tidegate-cost-usd"].to_str().unwrap().parse().unwrap();
        assert!((cost - 0.06).abs() < 1e-9, "{targets:?}: {cost}, and half of 0.12 is asked in batches");
        assert_eq!((read_at(&stand, "far"), read_at(&stand, "near")), (READ, 0.0), "{targets:?}");
        let place = targets[0];
        let looked = courier(&stand.gateway).look(place, question(None)).await;
        assert_eq!(matches!(looked, Looked::Answered(_)), is_kept, "{targets:?}: {looked:?}");
    };
    check(&["far/m"], true).await;
    check(&["near/m", "far/m"], false).await;
    check(&["near/m"], false).await;

    let stand = Stand::start(&config(&["near/m"], ""));
    let fault = courier(&stand.gateway).note("gone/m", question(None), answer()).await.unwrap_err();
    assert!(fault.contains("gone/m"), "{fault}");
}

#[tokio::test]
async fn an_answer_is_counted_whatever_its_caller_may_do_by_now() {
    let check = async |keys: &str, bytes_max: Option<u64>| {
        let stand = Stand::start_with(&config(&["far/m"], keys), |config| {
            let known = config.guard.pressure.buffered_bytes;
            config.guard.pressure.buffered_bytes = bytes_max.unwrap_or(known);
        });
        let noted = courier(&stand.gateway).note("far/m", question(Some(KEY)), answer()).await;
        assert_eq!((noted, read_at(&stand, "far")), (Ok(()), READ), "{keys} {bytes_max:?}");
        assert!(stand.gateway.durable.books.is_owed(), "{keys}: its tenant is told");
    };
    check(&key("tenant = 'search'"), None).await;
    check(&key("tenant = 'search'"), Some(10)).await;
    check(&key("tenant = 'search'\nmodels = ['far/m']"), None).await;
    check(&key("tenant = 'sales'"), None).await;
    check(&key("").replace(KEY, "tg-CCCCCCCCCCCC"), None).await;
}

#[tokio::test]
async fn an_answer_that_came_in_a_batch_says_nothing_of_time() {
    let stand = Stand::start(&config(&["far/m"], ""));
    courier(&stand.gateway).note("far/m", question(None), answer()).await.unwrap();
    assert_eq!(metric(&stand, "tidegate_requests_total", &[r#"model="smart""#, r#"outcome="ok""#]), 1.0);
    assert_eq!(metric(&stand, "tidegate_requests_in_flight", &[]), 0.0);
    for name in [
        "http_request_duration_seconds_count",
        "gen_ai_client_operation_duration_seconds_count",
        "tidegate_overhead_seconds_count",
        "tidegate_upstream_attempts_total",
    ] {
        assert_eq!(metric(&stand, name, &[]), 0.0, "{name}");
    }
}

#[test]
fn a_provider_that_is_silent_is_waited_for_no_longer_than_its_words_may_take() {
    let (short, usual, long) = (Duration::from_secs(5), Duration::from_secs(600), Duration::from_secs(3600));
    for (total, words, file) in
        [(short, short, FILE_MAX), (usual, ANSWER_MAX, FILE_MAX), (long, ANSWER_MAX, long)]
    {
        assert_eq!((Longest::Words.within(total), Longest::File.within(total)), (words, file), "{total:?}");
    }
}

#[test]
fn a_refusal_passes_or_stays() {
    let check = |status: u16, expected: &str| {
        let (status, after) = (StatusCode::from_u16(status).unwrap(), Some(Duration::from_secs(3)));
        let body = r#"{"error":{"message":"no"}}"#.into();
        let found = match fault(&Reply { status, after, body }) {
            Fault::Refused(why) => format!("refused {why}"),
            Fault::Unknown => "unknown".to_owned(),
            Fault::Passing { why, after } => {
                format!("passing {why} {}", after.unwrap_or_default().as_secs())
            }
            Fault::Undone { why, after } => format!("undone {why} {}", after.unwrap_or_default().as_secs()),
        };
        assert_eq!(found, expected);
    };
    check(400, "refused 400: no");
    check(401, "refused 401: no");
    check(404, "unknown");
    check(405, "refused 405: no");
    check(408, "passing 408: no 3");
    check(413, "refused 413: no");
    check(425, "undone 425: no 3");
    check(429, "undone 429: no 3");
    check(500, "passing 500: no 3");
    check(501, "refused 501: no");
    check(503, "passing 503: no 3");
}

#[test]
fn a_call_that_nobody_heard_has_done_nothing() {
    let check = |error, expected| assert_eq!(broken(&error), expected, "{error}");
    let undone = |why: &str| Fault::Undone { why: why.to_owned(), after: None };
    check(Error::Unreachable("refused".to_owned()), undone("cannot connect: refused"));
    check(Error::ConnectTimeout, undone("no connection in time"));
    check(Error::Cut("reset".to_owned()), passing("the connection broke: reset".to_owned()));
}

#[test]
fn a_strange_name_stays_in_its_place() {
    assert_eq!(escaped("file-A_1.b~"), "file-A_1.b~");
    assert_eq!(escaped("../x?y#z"), "..%2Fx%3Fy%23z");
}
