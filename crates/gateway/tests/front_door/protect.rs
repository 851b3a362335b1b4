//! What operators see and do of what protects the targets. Whole scenarios are tried under `tests/e2e`.

use crate::client::{Answer, ask, chat, post};
use crate::gateway::Gateway;
use crate::provider::{fixed, judging};
use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const BRISK: &str = "
[guard.retry]
tries = 1
[guard.strategies.brisk]
consecutive = 2
open = '60s'
";

fn provider(name: &str, address: SocketAddr) -> String {
    format!(
        "[providers.{name}]\npreset = 'openai-compatible'\nbase_url = 'http://{address}/v1'\napi_key = 'canary-provider-secret'\nmodels = ['m']\nstrategy = 'brisk'\nconnections = {{ warm = 0 }}\n"
    )
}

async fn answering(status: StatusCode) -> SocketAddr {
    fixed(move || Response::builder().status(status).body(Full::new(Bytes::from_static(b"{}"))).unwrap())
        .await
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, Method::GET, path, None, String::new()).await
}

async fn get_json(address: SocketAddr, path: &str) -> Value {
    serde_json::from_slice(&get(address, path).await.body).unwrap()
}

async fn reset(gateway: &Gateway, body: &str) -> (StatusCode, Value) {
    let answer = ask(gateway.admin, Method::POST, "/admin/breakers/reset", None, body.to_owned()).await;
    (answer.status, serde_json::from_slice(&answer.body).unwrap())
}

async fn metrics(gateway: &Gateway) -> String {
    String::from_utf8(get(gateway.admin, "/metrics").await.body.to_vec()).unwrap()
}

/// Asks again until it is so.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        match look().await {
            Some(found) => return found,
            None => assert!(began.elapsed() < Duration::from_secs(30), "not in time: {what}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn operators_see_whom_the_gateway_leaves_alone_and_may_know_better() {
    let far = answering(StatusCode::INTERNAL_SERVER_ERROR).await;
    let gateway = Gateway::start(&format!("{}{BRISK}", provider("far", far)));
    assert_eq!(get_json(gateway.admin, "/admin/breakers").await, json!({ "breakers": [], "causes": [] }));
    for status in [502, 502, 503] {
        assert_eq!(post(gateway.data, chat("far/m")).await.0, status);
    }

    let said = get_json(gateway.admin, "/admin/breakers").await;
    let row = &said["breakers"][0];
    assert_eq!(said["breakers"].as_array().unwrap().len(), 1);
    for (key, value) in [
        ("scope", json!("target")),
        ("provider", json!("far")),
        ("model", json!("m")),
        ("operation", json!("chat")),
        ("alias", Value::Null),
        ("state", json!("open")),
        ("strategy", json!("brisk")),
        ("reason", json!("consecutive")),
        ("trips", json!(1)),
        ("failures", json!(2)),
    ] {
        assert_eq!(row[key], value, "{key}");
    }
    let left = row["retry_after_seconds"].as_f64().unwrap();
    assert!((1.0..=66.0).contains(&left) && row["since"].is_string(), "{row}");
    let target = &get_json(gateway.admin, "/admin/targets").await["targets"][0];
    assert_eq!((&target["breaker"]["state"], &target["health"]["ok"]), (&json!("open"), &json!(false)));
    assert_eq!(target["health"]["why"], "left alone after failures in a row");
    assert_eq!(target["health"]["last_failure_kind"], "status");
    assert_eq!(target["concurrency"]["in_flight"], 0);
    assert_eq!(
        target["concurrency"]["waiting_by_band"],
        json!({ "high": 0, "normal": 0, "low": 0, "batch": 0 })
    );
    let shown = metrics(&gateway).await;
    let labels = r#"{provider="far",model="m",operation="chat"}"#;
    for line in ["tidegate_circuit_state", "circuit_breaker_state"].map(|name| format!("{name}{labels} 2\n"))
    {
        assert!(shown.contains(&line), "{line} is not in\n{shown}");
    }
    assert!(shown.contains(&format!("tidegate_circuit_trips_total{labels} 1\n")));

    // A provider's outage is the same from everywhere: it is told, and callers still come here.
    let ready = get(gateway.data, "/health/ready").await;
    let unwell = json!([{ "dependency": "providers.far", "words": "1 of 1 targets do not work" }]);
    let said: Value = serde_json::from_slice(&ready.body).unwrap();
    assert_eq!((ready.status, said), (StatusCode::OK, json!({ "status": "ready", "unwell": unwell })));

    assert_eq!(reset(&gateway, r#"{"provider":"far","model":"n"}"#).await.1, json!({ "reset": 0 }));
    assert_eq!(
        reset(&gateway, r#"{"provider":"far","model":"m","operation":"chat"}"#).await.1,
        json!({ "reset": 1 })
    );
    assert_eq!(post(gateway.data, chat("far/m")).await.0, 502, "it is asked again");
    assert!(metrics(&gateway).await.contains(&format!("tidegate_circuit_state{labels} 0\n")));
}

#[tokio::test]
async fn a_reset_that_cannot_be_understood_resets_nothing() {
    let far = answering(StatusCode::INTERNAL_SERVER_ERROR).await;
    let gateway = Gateway::start(&format!("{}{BRISK}", provider("far", far)));
    for _ in 0..2 {
        post(gateway.data, chat("far/m")).await;
    }
    for (body, why) in [
        ("", "The body is not valid JSON: "),
        ("{", "The body is not valid JSON: "),
        (r#"{"providers":"far"}"#, "The body does not say what is asked for: "),
        ("{}", "No breaker was reset: "),
        (r#"{"model":"m"}"#, "No breaker was reset: "),
        (r#"{"everything":true,"provider":"far"}"#, "No breaker was reset: "),
    ] {
        let (status, said) = reset(&gateway, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(said["error"]["message"].as_str().unwrap().starts_with(why), "{said}");
    }
    assert_eq!(get_json(gateway.admin, "/admin/breakers").await["breakers"][0]["state"], "open");
    assert_eq!(reset(&gateway, r#"{"everything":true}"#).await.1, json!({ "reset": 1 }));
}

#[tokio::test]
async fn a_refused_credential_is_a_row_of_its_own_and_no_secret_is_told() {
    let far = answering(StatusCode::UNAUTHORIZED).await;
    let gateway = Gateway::start(&format!("{}{BRISK}", provider("far", far)));
    for _ in 0..3 {
        post(gateway.data, chat("far/m")).await;
    }
    let said = get_json(gateway.admin, "/admin/breakers").await;
    let row = &said["breakers"][0];
    let told = ["scope", "provider", "model", "operation", "state"].map(|key| row[key].as_str().unwrap());
    assert_eq!(told, ["credential", "far", "*", "*", "open"], "before the models that it leads to");
    assert_eq!(said["breakers"][1]["state"], "closed");
    assert_eq!(said["causes"][0]["words"], "the credential of 'far' is refused");
    assert_eq!(said["causes"][0]["scope"], "credential");
    assert_eq!(get_json(gateway.admin, "/admin/targets").await["targets"][0]["health"]["ok"], false);
    assert!(
        metrics(&gateway)
            .await
            .contains(r#"tidegate_circuit_state{provider="far",model="*",operation="*"} 2"#)
    );
    for (address, path) in [
        (gateway.admin, "/admin/breakers"),
        (gateway.admin, "/admin/targets"),
        (gateway.data, "/health/ready"),
    ] {
        let body = get(address, path).await.body;
        assert!(!String::from_utf8_lossy(&body).contains("canary"), "{path}");
    }
    assert_eq!(reset(&gateway, r#"{"provider":"far","model":"*"}"#).await.1, json!({ "reset": 1 }));
}

#[tokio::test]
async fn tries_beyond_the_first_are_counted_by_whom_they_went_to() {
    let far = answering(StatusCode::INTERNAL_SERVER_ERROR).await;
    let near = answering(StatusCode::OK).await;
    let alias =
        "[models.some]\ntargets = [{ model = 'far/m' }]\nfallback = ['near/m']\nretry = { tries = 2 }\n";
    let gateway =
        Gateway::start(&format!("{}{}{BRISK}{alias}", provider("far", far), provider("near", near)));
    // Twice behind a failure, and once more where the first choice is left alone already.
    for _ in 0..3 {
        assert_eq!(post(gateway.data, chat("some")).await.0, 200);
    }
    let shown = metrics(&gateway).await;
    for line in [
        r#"tidegate_retries_total{provider="near",result="ok"} 2"#,
        r#"tidegate_retries_total{provider="far",result="failed"} 0"#,
        r#"tidegate_fallbacks_total{provider="near"} 3"#,
        r#"tidegate_fallbacks_total{provider="far"} 0"#,
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
}

#[tokio::test]
async fn only_those_who_wait_are_measured_waiting() {
    let one = "concurrency = { algorithm = 'fixed', initial = 1, min = 1, max = 1 }";
    let gateway = Gateway::start(&format!("[providers.sim]\npreset = 'sim'\n{one}\n"));
    let ask = || post(gateway.data, chat("sim/fast"));
    assert_eq!(ask().await.0, 200);
    let waits =
        |shown: &str| shown.contains(r#"tidegate_queue_seconds_count{provider="sim",model="fast"} 1"#);
    assert!(!waits(&metrics(&gateway).await));
    let (first, second) = tokio::join!(ask(), ask());
    assert_eq!((first.0, second.0), (StatusCode::OK, StatusCode::OK));
    let shown = metrics(&gateway).await;
    assert!(waits(&shown), "{shown}");
    assert!(shown.contains(r#"tidegate_concurrency_limit{provider="sim",model="fast",operation="chat"} 1"#));
}

#[tokio::test]
async fn where_nobody_can_be_reached_the_fault_is_here() {
    // Nobody listens on a port that was given back.
    let nowhere = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let gateway =
        Gateway::start(&format!("{}{}{BRISK}", provider("far", nowhere), provider("near", nowhere)));
    assert_eq!(get_json(gateway.data, "/health/ready").await, json!({ "status": "ready" }));
    for model in ["far/m", "near/m"] {
        assert_eq!(post(gateway.data, chat(model)).await.0, StatusCode::BAD_GATEWAY);
    }
    for address in [gateway.data, gateway.admin] {
        let ready = get(address, "/health/ready").await;
        let said: Value = serde_json::from_slice(&ready.body).unwrap();
        assert_eq!((ready.status, &said["status"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("local_fault")));
        assert!(
            said["words"].as_str().unwrap().starts_with("no provider can be reached: the fault is here: ")
        );
    }
    assert_eq!(get_json(gateway.admin, "/admin/breakers").await["causes"][0]["scope"], "here");
}

#[tokio::test]
async fn no_label_is_a_callers_word() {
    let far = answering(StatusCode::INTERNAL_SERVER_ERROR).await;
    let gateway = Gateway::start(&format!("{}{BRISK}", provider("far", far)));
    for model in ["far/m", "far/of-a-caller", "far/of-another", "far/of-another"] {
        post(gateway.data, chat(model)).await;
    }
    let shown = metrics(&gateway).await;
    assert!(!shown.contains("of-a"), "{shown}");
    assert!(
        shown.contains(r#"tidegate_circuit_state{provider="far",model="other",operation="chat"} 2"#),
        "{shown}"
    );
    // Nor is what everybody may ask for.
    let ready = get(gateway.data, "/health/ready").await.body;
    assert!(!String::from_utf8_lossy(&ready).contains("of-a"), "{ready:?}");
}

#[tokio::test]
async fn what_is_configured_no_longer_is_forgotten_though_its_breaker_is_open() {
    let far = answering(StatusCode::INTERNAL_SERVER_ERROR).await;
    let alias = |strategy: &str| format!("[models.some]\ntargets = [{{ model = 'near/m' }}]\n{strategy}");
    let near = format!("{}{BRISK}", provider("near", far));
    let both = format!("{}{near}{}", provider("far", far), alias("strategy = 'brisk'\n"));
    let gateway = Gateway::start(&both);
    for model in ["far/m", "near/m", "some"] {
        for _ in 0..2 {
            post(gateway.data, chat(model)).await;
        }
    }
    let open = async || {
        let said = get_json(gateway.admin, "/admin/breakers").await;
        let rows = said["breakers"].as_array().unwrap().iter();
        rows.map(|row| (row["provider"].to_string(), row["alias"].to_string())).collect::<Vec<_>>()
    };
    let row = |provider: &str, alias: &str| (provider.to_owned(), alias.to_owned());
    let near_row = row("\"near\"", "null");
    assert_eq!(open().await, [row("\"far\"", "null"), row("\"near\"", "\"some\""), near_row.clone()]);
    gateway.rewrite(&format!("{near}{}", alias("")));
    until("it is forgotten", async || (open().await == [near_row.clone()]).then_some(())).await;
}

#[tokio::test]
async fn a_provider_that_nobody_asks_is_asked_whether_it_is_there() {
    let (told, mut requests) = mpsc::channel(16);
    let far = judging(move |head| {
        let _ = told.try_send(head.clone());
        Response::new(Full::new(Bytes::from_static(b"{}")))
    })
    .await;
    let broken = answering(StatusCode::INTERNAL_SERVER_ERROR).await;
    let probing = "[guard.health]\nprobe = true\ninterval = '1s'\ntimeout = '1s'\n";
    let both = format!("{}{}", provider("far", far), provider("broken", broken));
    let gateway = Gateway::start(&format!("{both}{BRISK}{probing}"));
    let request = tokio::time::timeout(Duration::from_secs(30), requests.recv()).await.unwrap().unwrap();
    assert_eq!((&request.method, request.uri.path()), (&Method::GET, "/v1/models"));
    assert_eq!(request.headers["authorization"], "Bearer canary-provider-secret");
    assert!(!request.headers.contains_key("content-length"));
    let unwell =
        until("it is told", async || get_json(gateway.data, "/health/ready").await.get("unwell").cloned())
            .await;
    let words = "asked for its models, it fails with 5xx";
    assert_eq!(unwell, json!([{ "dependency": "providers.broken", "words": words }]));
    assert_eq!(
        get_json(gateway.admin, "/admin/breakers").await["breakers"],
        json!([]),
        "no breaker learns of it"
    );
}
