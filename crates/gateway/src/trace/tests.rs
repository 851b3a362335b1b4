//! From what is noted of a request to its spans, and what becomes of them where nobody takes them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::span::{Kind, Span, Value};
use super::*;
use crate::auth::Caller;
use crate::config;
use measure::metrics::Metrics;
use std::collections::BTreeMap;
use std::time::Instant;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// Traces that go to a port, of which `ratio` are recorded.
fn settings(port: u16) -> config::Traces {
    let url = config::BaseUrl {
        https: false,
        host: "127.0.0.1".to_owned(),
        port,
        path: "/v1/traces".to_owned(),
        named_by_operator: true,
    };
    config::Traces {
        collector: Some(config::Collector {
            url,
            protocol: config::TraceProtocol::Http,
            headers: BTreeMap::new(),
            ca_file: None,
            timeout: Duration::from_secs(30),
            gzip: true,
        }),
        ratio: 0.0,
        slow: Duration::from_secs(5),
        service_name: "tested".to_owned(),
        attributes: BTreeMap::new(),
    }
}

fn tracer(queue: &Queue) -> Arc<Tracer> {
    Arc::new(Tracer::new(Sampler::new(0.0, Duration::from_secs(5)), queue.inlet().unwrap(), false))
}

fn head(traceparent: Option<&'static str>) -> HeaderMap {
    let value = |text| (TRACEPARENT, http::HeaderValue::from_static(text));
    traceparent.map(value).into_iter().collect()
}

fn peer(model: &str) -> Arc<Peer> {
    Arc::new(Peer {
        target: format!("openai/{model}").into(),
        provider: "openai".into(),
        model: model.into(),
        server: Some(("api.openai.com".into(), 443)),
    })
}

/// Notes of a request that fell back from one model to another.
fn notes(traceparent: Option<&'static str>, metrics: &Metrics) -> (Notes, Instant) {
    let began = Instant::now();
    let at = |millis| began + Duration::from_millis(millis);
    let queue = Queue::new(&settings(1), metrics);
    let mut notes = Notes::begin(&tracer(&queue), &head(traceparent), began);
    notes.planned(&"smart".into(), true);
    notes.step(StepKind::Cache, at(0), at(1));
    notes.step(StepKind::Queue, at(1), at(2));
    notes.attempt_begins(&peer("gpt-4o"), at(2));
    notes.responded(503);
    notes.attempt_ends(AttemptResult::Failed, at(10));
    notes.attempt_begins(&peer("gpt-4o-mini"), at(12));
    notes.responded(200);
    notes.names_itself(|| Some("gpt-4o-mini-2024".into()));
    notes.first_token(Duration::from_millis(40));
    notes.used(&Usage { input: 7, output: 3, total: 10, cached_input: 2, reasoning: 0 });
    notes.attempt_ends(AttemptResult::Ok, at(100));
    (notes, began)
}

fn spans_of(notes: &Notes, outcome: Outcome) -> Vec<Span> {
    let request = Request { total: Duration::from_millis(100), attempts: 2, ..notes.request(outcome) };
    tree::spans(&of(notes, Some(request), Operation::ChatCompletions))
}

fn said<'s>(span: &'s Span, key: &str) -> Option<&'s Value> {
    let mut values = span.attributes.iter().filter(|attribute| attribute.key == key);
    let value = values.next();
    assert!(values.next().is_none(), "{key} is said twice");
    value.map(|attribute| &attribute.value)
}

fn text(text: &str) -> Option<Value> {
    Some(text.to_owned().into())
}

#[test]
fn a_requests_spans_hang_beneath_its_own_and_that_beneath_its_callers() {
    let (notes, _) = notes(Some(PARENT), &Metrics::new("0", 1));
    let spans = spans_of(&notes, Outcome::Ok);
    let shape: Vec<_> = spans.iter().map(|span| (span.name.as_str(), span.kind)).collect();
    let expected = [
        ("POST /v1/chat/completions", Kind::Server),
        ("cache", Kind::Internal),
        ("queue", Kind::Internal),
        ("chat gpt-4o", Kind::Client),
        ("chat gpt-4o-mini", Kind::Client),
    ];
    assert_eq!(shape, expected);
    let (root, children) = spans.split_first().unwrap();
    assert_eq!((root.parent, root.parent_is_remote), (0xb7ad_6b71_6920_3331, true));
    assert!(spans.iter().all(|span| span.trace_id == 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c));
    assert!(children.iter().all(|span| span.parent == root.span_id && !span.parent_is_remote));
    assert!(spans.iter().all(|span| span.began >= root.began && span.ended <= root.ended));
    let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.span_id).collect();
    assert!(ids.len() == spans.len() && !ids.contains(&0));
}

#[test]
fn attributes_are_those_of_the_conventions() {
    let (notes, _) = notes(Some(PARENT), &Metrics::new("0", 1));
    let spans = spans_of(&notes, Outcome::Ok);
    let [root, .., failed, answered] = spans.as_slice() else { panic!("{spans:?}") };
    for (span, key, expected) in [
        (root, "gen_ai.operation.name", text("chat")),
        (root, "gen_ai.request.model", text("smart")),
        (root, "http.route", text("/v1/chat/completions")),
        (root, "tidegate.outcome", text("ok")),
        (root, "tidegate.attempts", Some(2_u64.into())),
        (root, "gen_ai.usage.input_tokens", Some(7_u64.into())),
        (root, "error.type", None),
        (failed, "error.type", text("503")),
        (failed, "http.response.status_code", Some(503_u64.into())),
        (failed, "http.request.resend_count", None),
        (failed, "gen_ai.usage.input_tokens", None),
        (answered, "error.type", None),
        (answered, "http.request.resend_count", Some(1_u64.into())),
        (answered, "gen_ai.provider.name", text("openai")),
        (answered, "gen_ai.request.model", text("gpt-4o-mini")),
        (answered, "gen_ai.request.stream", Some(true.into())),
        (answered, "gen_ai.response.model", text("gpt-4o-mini-2024")),
        (answered, "gen_ai.response.time_to_first_chunk", Some(0.04.into())),
        (answered, "gen_ai.usage.output_tokens", Some(3_u64.into())),
        (answered, "gen_ai.usage.cache_read.input_tokens", Some(2_u64.into())),
        (answered, "gen_ai.usage.reasoning.output_tokens", None),
        (answered, "server.address", text("api.openai.com")),
        (answered, "server.port", Some(443_u64.into())),
        (answered, "tidegate.target", text("openai/gpt-4o-mini")),
    ] {
        assert_eq!(said(span, key), expected.as_ref(), "{} of {}", key, span.name);
    }
    assert!(failed.failed && !answered.failed && !root.failed);
}

#[test]
fn how_a_request_failed_is_said_and_only_our_faults_and_providers_mark_it() {
    let (notes, _) = notes(None, &Metrics::new("0", 1));
    for (outcome, kind, failed) in [
        (Outcome::CallerError, "caller_error", false),
        (Outcome::CallerLeft, "caller_left", false),
        (Outcome::ProviderError, "provider_error", true),
        (Outcome::GatewayError, "gateway_error", true),
    ] {
        let root = &spans_of(&notes, outcome)[0];
        assert_eq!((said(root, "error.type"), root.failed), (text(kind).as_ref(), failed));
    }
}

#[test]
fn a_provider_is_told_of_the_try_that_asks_it_where_the_request_is_recorded() {
    let metrics = Metrics::new("0", 1);
    let (sampled, _) = notes(Some(PARENT), &metrics);
    let last = spans_of(&sampled, Outcome::Ok).pop().unwrap();
    let told = Parent::parse(sampled.traceparent().unwrap().as_bytes()).unwrap();
    assert_eq!((told.trace_id, told.span_id, told.flags), (last.trace_id, last.span_id, 1));
    for traceparent in [Some(UNSAMPLED), None] {
        assert_eq!(notes(traceparent, &metrics).0.traceparent(), None);
    }
}

#[test]
fn two_tries_and_two_steps_are_noted_without_an_allocation_and_more_are_bounded() {
    let (mut notes, began) = notes(None, &Metrics::new("0", 1));
    assert_eq!(notes.spilled(), (false, false));
    for _ in 0..100 {
        notes.step(StepKind::Queue, began, began);
        notes.attempt_begins(&peer("m"), began);
        notes.attempt_ends(AttemptResult::Failed, began);
    }
    let trace = of(&notes, None, Operation::Embeddings);
    assert_eq!((trace.steps.len(), trace.attempts.len()), (STEPS_MAX, ATTEMPTS_MAX));
}

#[test]
fn a_name_of_any_length_is_told_in_short() {
    assert_eq!(notes::short(&"ä".repeat(10_000)), "ä".repeat(128));
    assert_eq!(notes::short("gpt-4o"), "gpt-4o");
}

#[test]
fn the_try_that_was_taken_is_the_last_one_told_of() {
    let metrics = Metrics::new("0", 1);
    let models = |notes: &Notes| {
        let trace = of(notes, None, Operation::ChatCompletions);
        trace.attempts.iter().map(|attempt| attempt.peer.model.to_string()).collect::<Vec<_>>()
    };
    for adopted in [true, false] {
        let now = Instant::now();
        let mut own = Notes::begin(&tracer(&Queue::new(&settings(1), &metrics)), &head(None), now);
        own.attempt_begins(&peer("own"), now);
        let mut aside = own.beside(now + Duration::from_millis(5));
        aside.attempt_begins(&peer("aside"), now + Duration::from_millis(6));
        if adopted {
            own.adopt(aside);
        } else {
            own.dismiss(aside);
        }
        own.responded(200);
        let expected = if adopted { ["own", "aside"] } else { ["aside", "own"] };
        assert_eq!(models(&own), expected);
        let trace = of(&own, None, Operation::ChatCompletions);
        let [first, last] = trace.attempts.as_slice() else { panic!("{trace:?}") };
        assert_eq!((first.status, last.status), (None, Some(200)));
        let begun = trace.attempts.iter().find(|attempt| &*attempt.peer.model == "aside").unwrap().began;
        assert_eq!(begun, Duration::from_millis(6));
    }
}

/// The value of a metric.
fn counted(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.encode().unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn what_is_not_recorded_is_not_handed_over_and_what_is_too_much_is_dropped() {
    let metrics = Metrics::new("0", 1);
    let queue = Queue::new(&settings(1), &metrics);
    let (tracer, now) = (tracer(&queue), Instant::now());
    let end_of = |caller, traceparent, outcome, at: Instant| {
        let mut notes = Notes::begin(&tracer, &head(traceparent), now);
        notes.caller = caller;
        let mut asked = false;
        notes.end(Some(outcome), Operation::Embeddings, at, || {
            asked = true;
            None
        });
        asked
    };
    let end = |traceparent, outcome, at| end_of(Some(Caller::Anyone(None)), traceparent, outcome, at);
    assert!(end(Some(PARENT), Outcome::CallerError, now));
    assert!(!end_of(None, Some(PARENT), Outcome::CallerError, now));
    assert!(!end(Some(UNSAMPLED), Outcome::Ok, now));
    assert!(!end(None, Outcome::CallerError, now));
    assert!(end(Some(PARENT), Outcome::Ok, now));
    assert!(end(None, Outcome::ProviderError, now));
    assert!(end(Some(UNSAMPLED), Outcome::Ok, now + Duration::from_secs(5)));
    // Nothing takes them: the queue is full in the end.
    for _ in 0..5_000 {
        end(Some(PARENT), Outcome::Ok, now);
    }
    assert_eq!(counted(&metrics, r#"tidegate_traces_dropped_total{reason="full"}"#), 5_004 - 4_096);
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_nobody_who_leaves() {
    // It takes connections, as the system does for it, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = Metrics::new("0", 1);
    let queue = Queue::new(&settings(silent.local_addr().unwrap().port()), &metrics);
    let exporter = queue.start().unwrap();
    let (tracer, now) = (tracer(&queue), Instant::now());
    for _ in 0..600 {
        let notes = Notes::begin(&tracer, &head(Some(PARENT)), now);
        notes.end(Some(Outcome::Ok), Operation::Embeddings, now, || None);
    }
    exporter.finish().await;
    assert_eq!(counted(&metrics, "tidegate_traces_exported_total"), 0);
    assert_eq!(counted(&metrics, r#"tidegate_traces_dropped_total{reason="leaving"}"#), 600);
}

#[tokio::test]
async fn without_a_collector_there_is_nothing() {
    let metrics = Metrics::new("0", 1);
    let queue = Queue::new(&config::Traces { collector: None, ..settings(1) }, &metrics);
    assert!(queue.inlet().is_none());
    queue.start().unwrap().finish().await;
}
