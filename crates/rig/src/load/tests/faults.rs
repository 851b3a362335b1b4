//! Every way to fail is told apart and counted, and the run goes on.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use socket2::{Domain, Socket, Type};

use super::server::{Step, answer, body_end, chunk, completion, frame, stream, stream_head, word};
use super::*;
use crate::load::closed;
use crate::load::lane::Lane;
use crate::load::phase::{Phase, Plan};
use crate::load::target::Target;

/// Every third of 12 requests is answered by the script; the others well.
fn check(kind: &str, streams: bool, script: impl Fn() -> Vec<Step> + Send + Sync + 'static) {
    let server = Server::start(move |n| match (n % 3, streams) {
        (2, _) => script(),
        (_, true) => stream(2),
        (_, false) => completion(),
    });
    let mut options = requests(&server, 12);
    options.stream = streams;
    options.timeout = Duration::from_secs(20);
    let report = report(&options);
    let side = &report.target;
    assert_eq!(count_of(side, kind), 4, "{kind}: {:?}", side.errors);
    assert_eq!((side.requests, side.succeeded, side.failed), (12, 8, 4), "{kind}");
    assert_eq!(side.total_us.as_ref().unwrap().count, 8, "{kind}");
    assert!(!side.errors[kind].example.is_empty(), "{kind}");
}

#[test]
fn a_status_that_is_no_success_is_counted_by_its_code() {
    let body = r#"{"error":{"message":"overloaded"}}"#;
    check("status_503", false, move || vec![answer(503, body)]);
    check("status_503", true, move || vec![answer(503, body)]);
    check("status_429", false, || vec![answer(429, "")]);
    check("status_301", false, || vec![answer(301, "moved")]);
    // The refusal's own body is cut short: it is still that refusal.
    check("status_500", false, || {
        let head = b"HTTP/1.1 500 X\r\ncontent-length: 100\r\n\r\nshort".to_vec();
        vec![Step::Send(head), Step::Close]
    });
}

#[test]
fn a_stream_that_ends_without_done_is_truncated() {
    check("truncated", true, || vec![stream_head(), word(), body_end()]);
    check("truncated", true, || vec![stream_head(), word(), Step::Close]);
    check("truncated", true, || {
        let half = Step::Send(b"30\r\ndata: {\"choices\":".to_vec());
        vec![stream_head(), word(), half, Step::Close]
    });
    // [DONE] came, the end of the body did not.
    check("truncated", true, || vec![stream_head(), word(), chunk("data: [DONE]\n\n"), Step::Close]);
    check("truncated", false, || {
        let head = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec();
        vec![Step::Send(head), Step::Close]
    });
}

#[test]
fn a_broken_connection_is_a_reset() {
    check("reset", false, || vec![Step::Reset]);
    check("reset", false, || vec![Step::Close]);
    check("reset", true, || vec![Step::Reset]);
    check("reset", true, || {
        // The pause lets the frames be read first; either way it is a reset.
        vec![stream_head(), word(), Step::Wait(Duration::from_millis(20)), Step::Reset]
    });
}

#[test]
fn an_error_in_a_good_answer_is_an_error_event() {
    let error = r#"{"error":{"message":"the provider failed"}}"#;
    check("error_event", true, move || vec![stream_head(), word(), frame(error), body_end()]);
    check("error_event", true, move || {
        let done = chunk("data: [DONE]\n\n");
        vec![stream_head(), frame(error), done, body_end()]
    });
    check("error_event", false, move || vec![answer(200, error)]);
}

#[test]
fn what_should_be_json_and_is_not_is_told() {
    check("bad_json", true, || vec![stream_head(), frame("<html>"), body_end()]);
    check("bad_json", true, || vec![stream_head(), frame(r#"{"choices":[}"#), body_end()]);
    check("bad_json", false, || vec![answer(200, "<html>")]);
    check("bad_json", false, || vec![answer(200, "")]);
}

#[test]
fn what_is_not_http_is_told() {
    check("bad_http", false, || vec![Step::Send(b"SMTP ready\r\n\r\n".to_vec()), Step::Close]);
    check("bad_http", true, || {
        let chunk = Step::Send(b"not a size\r\n".to_vec());
        vec![stream_head(), chunk, Step::Close]
    });
}

#[test]
fn an_answer_that_does_not_end_is_a_timeout() {
    for streams in [false, true] {
        let server = Server::start(move |_| match streams {
            true => vec![stream_head(), word(), Step::Hang],
            false => vec![Step::Hang],
        });
        let mut options = requests(&server, 4);
        options.stream = streams;
        options.timeout = Duration::from_millis(200);
        let report = report(&options);
        assert_eq!(count_of(&report.target, "timeout"), 4);
        assert!(report.target.total_us.is_none());
        let begun = report.target.first_token_us.as_ref();
        assert_eq!(begun.map_or(0, |series| series.count), if streams { 4 } else { 0 });
    }
}

#[test]
fn a_frame_or_an_answer_without_end_is_refused() {
    let server = Server::start(|_| {
        let mut steps = vec![stream_head(), chunk("data: ")];
        steps.extend((0..40).map(|_| chunk(&"x".repeat(1 << 16))));
        steps
    });
    let mut options = requests(&server, 2);
    options.stream = true;
    assert_eq!(count_of(&report(&options).target, "oversize"), 2);
}

/// A port that refuses connections for as long as the socket is held: bound, not listening.
fn refusing() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

#[test]
fn nobody_listening_is_said_before_any_load() {
    let (_held, address) = refusing();
    let url = format!("http://{address}/v1").parse().unwrap();
    let refused = run(&Options::new(url, "m"), &Silent, &CancellationToken::new());
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("is the server running there?"), "{told}");
}

#[tokio::test(flavor = "current_thread", start_paused = true)]
async fn a_connection_refused_during_the_load_is_counted_and_not_hammered() {
    let server = Server::start(|_| completion());
    let mut target = Target::all(&requests(&server, 8)).unwrap().remove(0);
    let (_held, address) = refusing();
    target.address = address;
    let plan = Plan { side: 0, stage: Stage::Round { number: 1, of: 1 }, lasts: None, requests: Some(8) };
    let phase = Arc::new(Phase::new(&plan, Instant::now(), 1));
    let lane = Rc::new(Lane::new(Arc::new(target)));
    let tally = Rc::new(RefCell::new(tally()));
    let began = tokio::time::Instant::now();
    let never = CancellationToken::new();
    let run = closed::run(2, &phase, &lane, &tally, &never);
    tokio::task::LocalSet::new().run_until(run).await;
    assert_eq!(tally.borrow().faults[&Fault::Connect].count, 8);
    // Four refusals each, and a pause after every one.
    assert!(began.elapsed() >= 4 * Duration::from_millis(20));
}

#[test]
fn headers_that_cannot_be_sent_are_refused_without_their_value() {
    let server = Server::start(|_| completion());
    for (name, value) in [("bad name", "v"), ("x", "secret\nvalue")] {
        let mut options = requests(&server, 1);
        options.headers = vec![(name.to_owned(), value.to_owned())];
        let refused = run(&options, &Silent, &CancellationToken::new());
        let told = refused.unwrap_err();
        assert!(matches!(told, Error::Option(_)), "{told}");
        assert!(!told.to_string().contains("secret"), "{told}");
    }
    assert!(server.requests().is_empty());
}
