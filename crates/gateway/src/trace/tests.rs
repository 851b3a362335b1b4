//! From what is noted of a request to its spans, and what becomes of them where nobody takes them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::collector::Said;
use super::otlp::Partial;
use super::span::{Kind, Span, Value};
use super::*;
use crate::config;
use crate::observe::trail::{Mark, Trail};
use crate::observe::{Account, Role, stage};
use crate::protect::Reason;
use crate::runtimes::Runtimes;
use measure::metrics::{Format, Metrics};
use measure::protobuf::{Field, Fields};
use std::collections::BTreeMap;

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

fn traced(traceparent: Option<&'static str>, queue: &Queue) -> Traced {
    Traced::begin(&tracer(queue), &head(traceparent))
}

/// A request that fell back from one model to another, and what was kept for its trace.
fn told(traceparent: Option<&'static str>, metrics: &Metrics) -> (Traced, Account) {
    let mut account = stage::account("req_1");
    let began = account.trail.began();
    let at = |millis| began + Duration::from_millis(millis);
    let mut traced = traced(traceparent, &Queue::new(&settings(1), metrics));
    (account.route, account.is_alias) = (Some("smart".into()), true);
    traced.stream = true;
    let trail = &mut account.trail;
    for (mark, millis) in [(Mark::Identified, 0), (Mark::Planned, 0), (Mark::Remembered, 1)] {
        trail.passes(mark, at(millis));
    }
    trail.turns(at(1));
    trail.attempt_begins(&stage::label("openai/gpt-4o"), span_id(Some(&traced)), at(2));
    trail.responded(503);
    trail.attempt_ends(AttemptResult::Failed, at(10));
    trail.attempt_begins(&stage::label("openai/gpt-4o-mini"), span_id(Some(&traced)), at(12));
    trail.responded(200);
    traced.names_itself(|| Some("gpt-4o-mini-2024".into()));
    trail.first_token(at(52));
    traced.usage = Some(Usage { input: 7, output: 3, total: 10, cached_input: 2, reasoning: 0 });
    trail.attempt_ends(AttemptResult::Ok, at(100));
    account.ends(Outcome::Ok, Duration::from_millis(100), Duration::from_millis(2));
    (traced, account)
}

fn spans(trace: &Trace) -> Vec<Span<'_>> {
    tree::spans(trace).collect()
}

/// That request's trace.
fn trace_told() -> Trace {
    let (traced, account) = told(Some(PARENT), &Metrics::new("0", 1));
    traced.trace(&account)
}

fn said<'s>(span: &Span<'s>, key: &str) -> Option<Value<'s>> {
    let alike = span.alike.attributes();
    let all = alike.iter().chain(span.attributes.iter());
    let mut values = all.filter(|attribute| attribute.key == key);
    let value = values.next();
    assert!(values.next().is_none(), "{key} is said twice");
    value.map(|attribute| attribute.value.clone())
}

fn text(text: &str) -> Option<Value<'_>> {
    Some(text.into())
}

#[test]
fn a_turn_that_comes_at_once_is_no_wait() {
    for (micros, waits) in [(0, 0), (99, 0), (100, 1), (1_000_000, 1)] {
        let mut account = stage::account("req_1");
        let began = account.trail.began();
        let traced = traced(Some(PARENT), &Queue::new(&settings(1), &Metrics::new("0", 1)));
        account.trail.turns(began + Duration::from_micros(7));
        let asked = began + Duration::from_micros(7 + micros);
        account.trail.attempt_begins(&stage::label("openai/gpt-4o"), 1, asked);
        assert_eq!(traced.trace(&account).steps.len(), waits, "{micros}");
    }
}

#[test]
fn a_requests_spans_hang_beneath_its_own_and_that_beneath_its_callers() {
    let trace = trace_told();
    let spans = spans(&trace);
    let shape: Vec<_> = spans.iter().map(|span| (span.alike.name(), span.alike.kind())).collect();
    let expected = [
        ("POST /v1/chat/completions", Kind::Server),
        ("cache", Kind::Internal),
        ("queue", Kind::Internal),
        ("chat gpt-4o", Kind::Client),
        ("chat gpt-4o-mini", Kind::Client),
    ];
    assert_eq!(shape, expected.map(|(name, kind)| (name.into(), kind)));
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
    let trace = trace_told();
    let spans = spans(&trace);
    let [root, .., failed, answered] = spans.as_slice() else { panic!("{spans:?}") };
    for (span, key, expected) in [
        (root, "gen_ai.operation.name", text("chat")),
        (root, "gen_ai.request.model", text("smart")),
        (root, "http.route", text("/v1/chat/completions")),
        (root, "tidegate.outcome", text("ok")),
        (root, "tidegate.attempts", Some(2_u64.into())),
        (root, "tidegate.request.id", text("req_1")),
        (root, "http.response.status_code", Some(200_u64.into())),
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
        (answered, "server.address", text("api.example.com")),
        (answered, "server.port", Some(443_u64.into())),
        (answered, "tidegate.target", text("openai/gpt-4o-mini")),
    ] {
        assert_eq!(said(span, key), expected, "{} of {}", key, span.alike.name());
    }
    assert!(failed.failed && !answered.failed && !root.failed);
}

/// The spans of an export, as they are written.
fn written(traces: &[&Trace]) -> Vec<Vec<u8>> {
    let spans = traces.iter().flat_map(|trace| tree::spans(trace));
    let request = otlp::request(&otlp::Resource::new([("service.name", "tested")]), spans, 0);
    let field = |message: &[u8], number| match Fields(message).last(number) {
        Some(Field::Bytes(field)) => field.to_vec(),
        other => panic!("{other:?}"),
    };
    let scope_spans = field(&field(&request, 1), 2);
    let spans = Fields(&scope_spans).filter(|(number, _)| *number == 2);
    spans
        .map(|(_, span)| if let Field::Bytes(span) = span { span.to_vec() } else { panic!("{span:?}") })
        .collect()
}

#[test]
fn what_spans_say_alike_is_written_as_if_each_were_alone() {
    let of_trace = |change: &dyn Fn(&mut Account)| {
        let (traced, mut account) = told(Some(PARENT), &Metrics::new("0", 1));
        change(&mut account);
        let mut trace = traced.trace(&account);
        // Spans of steps have ids of their own each time that they are made.
        trace.steps.clear();
        trace
    };
    let plain = || of_trace(&|_| {});
    let failed = of_trace(&|account| account.outcome = Outcome::ProviderError);
    let elsewhere = of_trace(&|account| account.route = Some("other".into()));
    // More kinds than are held, and those again.
    let named = |number: usize| of_trace(&|account| account.route = Some(format!("r{}", number % 20).into()));
    let many: Vec<_> = (0..40).map(named).collect();
    let (first, last) = (plain(), plain());
    let mut all = vec![&first, &failed, &elsewhere, &failed];
    all.extend(&many);
    all.push(&last);
    let alone: Vec<_> = all.iter().flat_map(|trace| written(&[trace])).collect();
    assert_eq!(alone.len(), 3 * all.len());
    assert_eq!(written(&all), alone);
    assert!(written(&[all[1]])[0] != written(&[all[0]])[0]);
}

#[test]
fn how_a_request_failed_is_said_and_only_our_faults_and_providers_mark_it() {
    let (traced, mut account) = told(None, &Metrics::new("0", 1));
    for (outcome, kind, failed) in [
        (Outcome::CallerError, "caller_error", false),
        (Outcome::CallerLeft, "caller_left", false),
        (Outcome::ProviderError, "provider_error", true),
        (Outcome::GatewayError, "gateway_error", true),
    ] {
        account.outcome = outcome;
        let trace = traced.trace(&account);
        let root = &spans(&trace)[0];
        assert_eq!((said(root, "error.type"), root.failed), (text(kind), failed));
    }
}

#[test]
fn a_provider_is_told_of_the_try_that_asks_it_where_the_request_is_recorded() {
    let metrics = Metrics::new("0", 1);
    let queue = Queue::new(&settings(1), &metrics);
    let told = Parent::parse(traced(Some(PARENT), &queue).traceparent(5).unwrap().as_bytes()).unwrap();
    assert_eq!((told.trace_id, told.span_id, told.flags), (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 5, 1));
    for traceparent in [Some(UNSAMPLED), None] {
        assert_eq!(traced(traceparent, &queue).traceparent(5), None);
    }
}

#[test]
fn of_a_head_that_names_no_trace_nothing_is_carried_on() {
    let queue = Queue::new(&settings(1), &Metrics::new("0", 1));
    for (traceparent, begins_here) in
        [(Some(PARENT), false), (Some(UNSAMPLED), false), (Some("00-not-a-trace"), true), (None, true)]
    {
        assert_eq!(traced(traceparent, &queue).begins_here(), begins_here, "{traceparent:?}");
        // Whoever knows the one need not look for the other.
        assert_eq!(Carried::of(&head(traceparent)) == Carried::default(), begins_here, "{traceparent:?}");
    }
}

#[test]
fn what_others_did_for_a_request_is_told_by_their_own_traces() {
    let (traced, mut account) = told(Some(PARENT), &Metrics::new("0", 1));
    let (beside, mut errand) = (traced.beside(), stage::account("req_1"));
    errand.role = Role::Errand;
    let began = errand.trail.began();
    errand.trail.passes(Mark::Looked, began + Duration::from_millis(3));
    errand.trail.attempt_begins(&stage::label("p/m"), span_id(Some(&beside)), began);
    errand.trail.attempt_ends(AttemptResult::Ok, began);
    let before = traced.trace(&account).attempts.len();
    account.trail.borrows(&errand.trail);
    assert_eq!(traced.trace(&account).attempts.len(), before);
    let trace = beside.trace(&errand);
    let spans = spans(&trace);
    let names: Vec<_> = spans.iter().map(|span| span.alike.name()).collect();
    assert_eq!(names, ["cache tiers", "chat m"]);
    assert!(spans.iter().all(|span| span.parent == traced.trace(&account).context.span_id));
}

#[test]
fn what_was_done_beside_a_request_and_answered_it_is_told_as_its_own() {
    let queue = Queue::new(&settings(1), &Metrics::new("0", 1));
    let mut own = traced(Some(PARENT), &queue);
    own.usage = Some(Usage { input: 1, ..Usage::default() });
    let mut beside = own.beside();
    beside.usage = Some(Usage { input: 2, ..Usage::default() });
    beside.names_itself(|| Some("m-2026".into()));
    own.goes_on_as(&mut beside);
    let mut account = stage::account("r");
    account.trail.attempt_begins(&stage::label("p/m"), 1, account.trail.began());
    let trace = own.trace(&account);
    let [attempt] = trace.attempts.as_slice() else { panic!("{trace:?}") };
    assert_eq!(
        (attempt.usage.map(|usage| usage.input), attempt.response_model.as_ref().map(Id::as_str)),
        (Some(2), Some("m-2026"))
    );
}

#[test]
fn a_name_of_any_length_is_told_in_short() {
    assert_eq!(short(&"ä".repeat(10_000)), "ä".repeat(128));
    assert_eq!(short("gpt-4o"), "gpt-4o");
}

#[test]
fn what_was_used_is_told_of_the_try_that_answered() {
    for (adopted, result) in [
        (true, AttemptResult::Ok),
        (true, AttemptResult::Cut),
        (false, AttemptResult::Ok),
        (false, AttemptResult::Cut),
    ] {
        let (mut traced, mut account) = (told(Some(PARENT), &Metrics::new("0", 1)).0, stage::account("r"));
        let (began, trail) = (account.trail.began(), &mut account.trail);
        trail.attempt_begins(&stage::label("p/own"), 1, began);
        let mut aside = Trail::new(began + Duration::from_millis(5));
        aside.attempt_begins(&stage::label("p/aside"), 2, began + Duration::from_millis(6));
        if adopted {
            trail.attempt_ends(AttemptResult::Cancelled, began);
            trail.goes_on_as(&mut aside);
        } else {
            aside.attempt_ends(AttemptResult::Cancelled, began);
            trail.calls_off(&mut aside);
        }
        trail.attempt_ends(result, began + Duration::from_millis(9));
        traced.usage = Some(Usage { input: 1, ..Usage::default() });
        let trace = traced.trace(&account);
        let [own, other] = trace.attempts.as_slice() else { panic!("{trace:?}") };
        assert_eq!((own.usage.is_some(), other.usage.is_some()), (!adopted, adopted));
        assert_eq!((other.span_id, other.began), (2, Duration::from_millis(6)));
    }
}

#[test]
fn each_of_several_traces_stands_behind_its_own_requests() {
    let metrics = Metrics::new("0", 1);
    let kinds = [
        (Operation::ChatCompletions, Some("smart"), "smart"),
        (Operation::ChatCompletions, Some("quick"), "quick"),
        (Operation::ChatCompletions, None, "other"),
        (Operation::Embeddings, Some("smart"), "smart"),
    ];
    let names = kinds.map(|(_, route, _)| route.map(Arc::<str>::from));
    // The last of a kind is the one that is shown.
    let traces: Vec<_> = (0..2 * kinds.len())
        .map(|number| {
            let (operation, _, model) = kinds[number % kinds.len()];
            let (traced, mut account) = told(None, &metrics);
            (account.operation, account.route) = (operation, names[number % kinds.len()].clone());
            metrics.shard(0).route(operation.name(), model).ends(
                Outcome::Ok,
                account.total.after(),
                Duration::ZERO,
            );
            traced.trace(&account)
        })
        .collect();
    examples::tell(&traces, &metrics.examples());
    let open = String::from_utf8(metrics.told(Format::Open).unwrap()).unwrap();
    for ((operation, _, model), trace) in kinds.iter().zip(&traces[kinds.len()..]) {
        let series = format!(
            r#"http_request_duration_seconds_bucket{{le="0.16",operation="{}",model="{model}"}}"#,
            operation.name()
        );
        let line = open.lines().find(|line| line.starts_with(&series)).unwrap();
        let id = format!("{:032x}", trace.context.trace_id);
        assert!(line.contains(&id), "{line} is not of {id}");
    }
}

#[test]
fn a_trace_stands_behind_whatever_its_request_was_counted_in() {
    let metrics = Metrics::new("0", 1);
    let (traced, account) = told(Some(PARENT), &metrics);
    metrics.shard(0).route("chat", "smart").ends(Outcome::Ok, account.total.after(), Duration::ZERO);
    for model in ["gpt-4o", "gpt-4o-mini", "other"] {
        metrics.shard(0).target("openai", model).attempted(AttemptResult::Ok, Duration::ZERO);
    }
    examples::tell(&[traced.trace(&account)], &metrics.examples());
    let open = String::from_utf8(metrics.told(Format::Open).unwrap()).unwrap();
    let behind = open.lines().filter_map(|line| {
        let (series, exemplar) = line.split_once(" # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} ")?;
        Some((series.split_once('}')?.0, exemplar.split(' ').next()?))
    });
    let attempt = |bound, model| {
        let labels = r#"gen_ai_provider_name="openai",gen_ai_request_model"#;
        format!(r#"gen_ai_client_operation_duration_seconds_bucket{{le="{bound}",{labels}="{model}""#)
    };
    let (failed, answered) = (attempt("0.01", "gpt-4o"), attempt("0.16", "gpt-4o-mini"));
    let request = r#"http_request_duration_seconds_bucket{le="0.16",operation="chat",model="smart""#;
    let same = r#"gen_ai_server_request_duration_seconds_bucket{le="0.16",gen_ai_operation_name="chat",gen_ai_request_model="smart""#;
    let overhead = r#"tidegate_overhead_seconds_bucket{le="0.0025",operation="chat""#;
    let first = r#"gen_ai_server_time_to_first_token_seconds_bucket{le="0.04",gen_ai_provider_name="openai",gen_ai_request_model="gpt-4o-mini""#;
    let expected = [
        (request, "0.1"),
        (same, "0.1"),
        (overhead, "0.002"),
        (&failed, "0.008"),
        (&answered, "0.088"),
        (first, "0.04"),
    ];
    assert_eq!(behind.collect::<BTreeMap<_, _>>(), expected.into(), "{open}");
}

#[test]
fn no_figure_leads_to_a_trace_that_the_collector_may_not_have() {
    let partial = |rejected| Said::Taken(Some(Partial { rejected, message: "in short".to_owned() }));
    for (said, expected) in [
        (Said::Taken(None), true),
        (partial(0), true),
        (partial(1), false),
        (Said::Again(None, "away".to_owned()), false),
        (Said::Refused("never".to_owned()), false),
    ] {
        let metrics = Metrics::new("0", 1);
        let (traced, account) = told(Some(PARENT), &metrics);
        metrics.shard(0).route("chat", "smart").ends(Outcome::Ok, account.total.after(), Duration::ZERO);
        let mut courier = Queue::new(&settings(1), &metrics).courier().unwrap();
        let case = format!("{said:?}");
        courier.settle(said, &[traced.trace(&account)]);
        let open = String::from_utf8(metrics.told(Format::Open).unwrap()).unwrap();
        assert_eq!(open.contains(" # {trace_id="), expected, "{case}");
    }
}

/// The value of a metric.
fn counted(metrics: &Metrics, name: &str) -> u64 {
    let text = metrics.encode().unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

/// A request that is over.
fn over(identified: bool, outcome: Outcome, total: Duration) -> Account {
    let mut account = stage::account("r");
    if identified {
        account.trail.passes(Mark::Identified, account.trail.began());
    }
    account.ends(outcome, total, Duration::ZERO);
    account
}

#[test]
fn what_is_not_recorded_is_not_handed_over_and_what_is_too_much_is_dropped() {
    let metrics = Metrics::new("0", 1);
    let queue = Queue::new(&settings(1), &metrics);
    let slow = Duration::from_secs(5);
    let mut handed = 0;
    for (identified, traceparent, outcome, total, expected) in [
        (true, Some(PARENT), Outcome::CallerError, Duration::ZERO, true),
        (false, Some(PARENT), Outcome::CallerError, Duration::ZERO, false),
        (true, Some(UNSAMPLED), Outcome::Ok, Duration::ZERO, false),
        (true, None, Outcome::CallerError, Duration::ZERO, false),
        (true, Some(PARENT), Outcome::Ok, Duration::ZERO, true),
        (true, None, Outcome::ProviderError, Duration::ZERO, true),
        (true, Some(UNSAMPLED), Outcome::Ok, slow, true),
    ] {
        traced(traceparent, &queue).end(&over(identified, outcome, total));
        handed += usize::from(expected);
        assert_eq!(queue.waiting(), handed, "{identified} {traceparent:?} {outcome:?} {total:?}");
    }
    // Nothing takes them: the queue is full in the end.
    for _ in 0..5_000 {
        traced(Some(PARENT), &queue).end(&over(true, Outcome::Ok, Duration::ZERO));
    }
    assert_eq!(counted(&metrics, r#"tidegate_traces_dropped_total{reason="full"}"#), 5_004 - 4_096);
}

#[test]
fn work_that_failed_is_recorded_whatever_stands_beside_the_try_that_failed() {
    let metrics = Metrics::new("0", 1);
    let queue = Queue::new(&settings(1), &metrics);
    let mut handed = 0;
    for (result, called_off, turned_away, expected) in [
        (AttemptResult::Ok, false, false, false),
        (AttemptResult::Cancelled, false, true, false),
        (AttemptResult::Cut, false, false, true),
        (AttemptResult::Cut, true, false, true),
        (AttemptResult::Failed, false, true, true),
    ] {
        let mut errand = stage::account("r");
        errand.role = Role::Errand;
        let (began, trail) = (errand.trail.began(), &mut errand.trail);
        trail.attempt_begins(&stage::label("p/m"), 1, began);
        if called_off {
            let mut aside = Trail::new(began);
            aside.attempt_begins(&stage::label("p/late"), 2, began);
            aside.attempt_ends(AttemptResult::Cancelled, began);
            trail.calls_off(&mut aside);
        }
        trail.attempt_ends(result, began);
        if turned_away {
            trail.turned_away(&stage::label("p/other"), Reason::Breaker, began);
        }
        traced(None, &queue).end(&errand);
        handed += usize::from(expected);
        assert_eq!(queue.waiting(), handed, "{result:?} {called_off} {turned_away}");
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_holds_up_nobody_who_leaves() {
    // It takes connections, as the system does for it, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = Metrics::new("0", 1);
    let queue = Queue::new(&settings(silent.local_addr().unwrap().port()), &metrics);
    let runtimes = Runtimes::default();
    let exporter = queue.start(&runtimes).unwrap();
    assert_eq!(runtimes.stands().len(), 1, "its thread is known");
    for _ in 0..600 {
        traced(Some(PARENT), &queue).end(&over(true, Outcome::Ok, Duration::ZERO));
    }
    exporter.finish().await;
    let dropped = || counted(&metrics, r#"tidegate_traces_dropped_total{reason="leaving"}"#);
    // Nobody is held up longer than that, so that on a busy machine the last are counted behind our back.
    for _ in 0..200 {
        if dropped() == 600 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(counted(&metrics, "tidegate_traces_exported_total"), 0);
    assert_eq!(dropped(), 600);
}

#[tokio::test]
async fn without_a_collector_there_is_nothing() {
    let metrics = Metrics::new("0", 1);
    let queue = Queue::new(&config::Traces { collector: None, ..settings(1) }, &metrics);
    assert!(queue.inlet().is_none());
    let runtimes = Runtimes::default();
    queue.start(&runtimes).unwrap().finish().await;
    assert!(runtimes.stands().is_empty());
}
