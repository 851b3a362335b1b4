//! Two sides in one run, what each is sent, and the report of it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use rcgen::CertifiedKey;
use rustls::pki_types::PrivateKeyDer;
use serde_json::Value;

use super::server::{Step, completion, stream};
use super::*;

fn slow(time: Duration) -> Server {
    Server::start(move |_| {
        let mut steps = stream(3);
        steps.insert(0, Step::Wait(time));
        steps
    })
}

#[test]
fn two_sides_get_the_same_load_in_turn_and_are_compared() {
    let (target, against) = (slow(Duration::from_millis(20)), slow(Duration::ZERO));
    let mut options = requests(&target, 40);
    options.stream = true;
    options.against = Some(against.url());
    options.against_model = Some("other".to_owned());
    options.max_tokens = Some(9);
    let report = report(&options);

    assert_eq!(target.requests().len(), 40);
    assert_eq!(against.requests().len(), 40);
    let model = |server: &Server| {
        let body: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
        (body["model"].as_str().unwrap().to_owned(), body["max_tokens"].as_u64())
    };
    assert_eq!(model(&target), ("m".to_owned(), Some(9)));
    assert_eq!(model(&against), ("other".to_owned(), Some(9)));

    let side = report.against.as_ref().unwrap();
    assert_eq!((side.succeeded, side.model.as_str()), (40, "other"));
    let comparison = report.comparison.as_ref().unwrap();
    assert!(comparison.requests_per_second.is_some() && comparison.tokens_per_second.is_some());
    for delta in [comparison.total, comparison.first_token, comparison.between_tokens] {
        assert!(delta.unwrap().ratio.p50 > 0.0);
    }
    let ours = report.target.total_us.as_ref().unwrap().points;
    let theirs = side.total_us.as_ref().unwrap().points;
    assert!((comparison.total.unwrap().added_us.p99 - (ours.p99 - theirs.p99)).abs() < 0.01);

    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let table = report.table();
    for word in ["ratio", "added", "first token", "between tokens", "p99.9"] {
        assert!(table.contains(word), "{word} in {table}");
    }
}

#[test]
fn slices_alternate_and_keep_their_connections() {
    let order = Arc::<Mutex<Vec<char>>>::default();
    let server = |name: char| {
        let order = order.clone();
        Server::start(move |_| {
            order.lock().unwrap().push(name);
            completion()
        })
    };
    let (target, against) = (server('A'), server('B'));
    let mut options = requests(&target, 20);
    options.against = Some(against.url());
    options.rounds = 5;
    let report = report(&options);
    let mut turns = order.lock().unwrap().clone();
    turns.dedup();
    assert_eq!(turns.iter().collect::<String>(), "ABABABABAB");
    assert_eq!(report.target.connections, 4);
    assert_eq!(report.load.rounds, 5);
}

#[test]
fn a_key_goes_to_its_own_side_only_and_into_no_report() {
    let refuse =
        || Server::start(|_| vec![super::server::answer(401, "no such key: sk-target-key or sk-other-key")]);
    let (target, against) = (refuse(), refuse());
    let mut options = requests(&target, 4);
    options.against = Some(against.url());
    options.rounds = 1;
    options.api_key = Some("sk-target-key".to_owned());
    options.against_api_key = Some("sk-other-key".to_owned());
    options.headers = vec![("X-Team".to_owned(), "a-header-value".to_owned())];
    let report = report(&options);
    let heads =
        |server: &Server| -> String { server.requests().iter().map(|seen| seen.head.clone()).collect() };
    assert!(heads(&target).contains("authorization: Bearer sk-target-key"));
    assert!(heads(&against).contains("authorization: Bearer sk-other-key"));
    assert!(!heads(&against).contains("sk-target-key"));
    assert!(!heads(&target).contains("sk-other-key"));
    assert!(heads(&against).contains("x-team: a-header-value"));
    let told = serde_json::to_string(&report).unwrap() + &report.table();
    for secret in ["sk-target-key", "sk-other-key", "a-header-value"] {
        assert!(!told.contains(secret), "{told}");
    }
    assert!(told.contains("no such key: [redacted]"));
}

#[test]
fn a_request_is_one_that_an_openai_server_understands() {
    let server = Server::start(|_| completion());
    let mut options = requests(&server, 1);
    options.prompt = Prompt::Text("hello".to_owned());
    report(&options);
    let seen = &server.requests()[0];
    assert!(seen.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", seen.head);
    assert!(seen.head.contains(&format!("host: 127.0.0.1:{}\r\n", server.url().port())));
    assert!(seen.head.contains("content-type: application/json\r\n"));
    let body: Value = serde_json::from_slice(&seen.body).unwrap();
    let messages = serde_json::json!([{"role": "user", "content": "hello"}]);
    assert_eq!(body, serde_json::json!({"model": "m", "messages": messages, "stream": false}));
}

#[test]
fn unique_prompts_are_unique_over_all_threads() {
    let server = Server::start(|_| completion());
    let mut options = requests(&server, 100);
    options.unique_prompts = true;
    options.threads = 2;
    report(&options);
    let bodies: HashSet<_> = server.requests().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies.len(), 100);
}

#[test]
fn tls_is_spoken_with_a_certificate_that_is_trusted_and_no_other() {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key)
            .unwrap();
    let config = Arc::new(config);
    let server = Server::over(
        move |tcp| {
            let tls = rustls::ServerConnection::new(config.clone()).unwrap();
            rustls::StreamOwned::new(tls, tcp)
        },
        |_| stream(3),
    );
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), cert.pem()).unwrap();

    let mut options = requests(&server, 20);
    options.url = server.url_as("https", "localhost");
    options.stream = true;
    options.ca_file = Some(ca.path().to_owned());
    let trusting = report(&options);
    assert_eq!(trusting.target.succeeded, 20, "{:?}", trusting.target.errors);
    assert_eq!(trusting.target.connections, 4);

    // Trusted, but for another name.
    options.url = server.url_as("https", "127.0.0.1");
    options.requests = Some(2);
    assert_eq!(count_of(&report(&options).target, "connect"), 2);
}

#[test]
fn progress_goes_forward_and_ends() {
    #[derive(Default)]
    struct Record(Mutex<(Vec<Moment>, u32)>);
    impl Progress for Record {
        fn at(&self, moment: &Moment) {
            self.0.lock().unwrap().0.push(*moment);
        }
        fn over(&self) {
            self.0.lock().unwrap().1 += 1;
        }
    }
    let (target, against) = (slow(Duration::ZERO), slow(Duration::ZERO));
    let mut options = requests(&target, 1);
    options.stream = true;
    options.against = Some(against.url());
    options.rounds = 1;
    options.requests = None;
    options.duration = Some(Duration::from_millis(350));
    let record = Record::default();
    run(&options, &record, &CancellationToken::new()).unwrap();
    let (moments, overs) = record.0.into_inner().unwrap();
    assert_eq!(overs, 1);
    assert!(moments.len() >= 2, "{moments:?}");
    assert!(moments.is_sorted_by_key(|moment| moment.done));
    assert!(moments.iter().all(|moment| (0.0..=1.0).contains(&moment.done)));
    assert!(moments.iter().any(|moment| moment.against));
}
