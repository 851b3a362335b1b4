//! The two shapes of load, and what they count.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Instant;

use super::server::{Step, completion, stream, stream_head, word};
use super::*;
use crate::load::call::call;
use crate::load::lane::Lane;
use crate::load::target::Target;

fn open(rate: f64, arrivals: Arrivals, max_in_flight: usize) -> Mode {
    Mode::Open { rate, arrivals, max_in_flight }
}

#[test]
fn a_closed_loop_sends_what_it_was_told_over_connections_it_keeps() {
    for threads in [1, 3] {
        let server = Server::start(|_| completion());
        let mut options = requests(&server, 200);
        options.threads = threads;
        let report = report(&options);
        let side = &report.target;
        assert_eq!((side.requests, side.succeeded, side.failed), (200, 200, 0));
        assert_eq!(server.requests().len(), 200);
        assert_eq!(side.total_us.as_ref().unwrap().count, 200);
        assert_eq!(side.connections, 4);
        assert_eq!(server.accepted.load(Ordering::Relaxed), 4);
        assert_eq!((side.input_tokens, side.output_tokens), (Some(600), Some(1000)));
        assert!(side.first_token_us.is_none() && side.send_lag_us.is_none());
        assert!(side.requests_per_second > 0.0 && side.tokens_per_second.unwrap() > 0.0);
        let sent: usize = server.requests().iter().map(|seen| seen.body.len()).sum();
        assert_eq!(side.bytes_sent, sent as u64);
    }
}

#[test]
fn streams_are_counted_frame_by_frame() {
    let server = Server::start(|_| stream(10));
    let mut options = requests(&server, 20);
    options.stream = true;
    let report = report(&options);
    let side = &report.target;
    assert_eq!((side.succeeded, side.failed), (20, 0), "{:?}", side.errors);
    // A role, ten words, a finish and usage; the role is no content.
    assert_eq!(side.frames, 20 * 13);
    assert_eq!(side.first_token_us.as_ref().unwrap().count, 20);
    assert_eq!(side.between_tokens_us.as_ref().unwrap().count, 20 * 9);
    assert_eq!((side.input_tokens, side.output_tokens), (Some(60), Some(200)));
    assert!(side.frames_per_second > 0.0);
}

#[test]
fn delays_appear_where_they_happen() {
    // One request in ten waits 200 ms for its first word, all wait 30 ms between two words.
    let server = Server::start(|n| {
        let first = if n % 10 == 0 { 200 } else { 0 };
        let mut steps = stream(2);
        steps.insert(3, Step::Wait(Duration::from_millis(30)));
        steps.insert(2, Step::Wait(Duration::from_millis(first)));
        steps
    });
    let mut options = requests(&server, 40);
    options.stream = true;
    let report = report(&options);
    let first = report.target.first_token_us.as_ref().unwrap().points;
    let total = report.target.total_us.as_ref().unwrap().points;
    assert!(first.p95 >= 200_000.0, "{first:?}");
    assert!(total.p50 >= 30_000.0 && total.p95 >= 230_000.0, "{total:?}");
    assert!(first.mean >= 20_000.0 && total.mean >= 50_000.0);
}

#[test]
fn the_warm_up_is_not_counted() {
    let server = Server::start(|_| completion());
    let mut options = requests(&server, 10);
    options.warmup = Duration::from_millis(50);
    let report = report(&options);
    assert_eq!(report.target.requests, 10);
    assert!(server.requests().len() > 10);
    assert_eq!(report.target.connections, 4);
}

#[test]
fn a_duration_ends_the_loop() {
    let server = Server::start(|_| completion());
    let mut options = requests(&server, 1);
    options.requests = None;
    options.duration = Some(Duration::from_millis(150));
    let report = report(&options);
    assert!((report.target.duration_s - 0.15).abs() < 1e-9);
    assert_eq!(report.target.requests, server.requests().len() as u64);
    assert!(!report.interrupted);
}

#[test]
fn an_open_loop_charges_a_stall_to_every_request_that_was_due_in_it() {
    // From its 50th request on, the server answers nobody for 400 ms.
    let stall = Duration::from_millis(400);
    let until = Arc::new(std::sync::OnceLock::new());
    let server = Server::start(move |n| {
        if n < 50 {
            return completion();
        }
        let until = *until.get_or_init(|| Instant::now() + stall);
        let mut steps = completion();
        steps.insert(0, Step::Wait(until.saturating_duration_since(Instant::now())));
        steps
    });
    for threads in [1, 2] {
        let mut options = requests(&server, 200);
        options.mode = open(200.0, Arrivals::Constant, 1000);
        options.threads = threads;
        if threads == 2 {
            // The stall is over by then: only the counts are looked at.
            options.mode = open(1000.0, Arrivals::Poisson, 1000);
        }
        let report = report(&options);
        let side = &report.target;
        assert_eq!((side.requests, side.succeeded), (200, 200), "{:?}", side.errors);
        assert_eq!(side.send_lag_us.as_ref().unwrap().count, 200);
        let total = side.total_us.as_ref().unwrap().points;
        if threads == 1 {
            // 80 of 200 requests fell due in the stall, at every point of it.
            assert!(total.max >= 395_000.0, "{total:?}");
            assert!(total.p90 >= 250_000.0, "{total:?}");
        }
    }
}

#[test]
fn an_open_loop_sends_as_many_as_fall_due() {
    let server = Server::start(|_| completion());
    let mut options = requests(&server, 1);
    options.requests = None;
    options.duration = Some(Duration::from_millis(250));
    options.mode = open(400.0, Arrivals::Constant, 1000);
    let report = report(&options);
    assert_eq!((report.target.requests, report.target.succeeded), (100, 100));
}

#[test]
fn what_is_due_beyond_the_bound_is_counted_and_not_sent() {
    let server = Server::start(|_| vec![Step::Hang]);
    let mut options = requests(&server, 10);
    options.mode = open(1000.0, Arrivals::Constant, 2);
    options.timeout = Duration::from_millis(1500);
    let report = report(&options);
    assert_eq!(count_of(&report.target, "client_overflow"), 8);
    assert_eq!(count_of(&report.target, "timeout"), 2);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_stopped_run_reports_what_was_measured_until_then() {
    for open_loop in [false, true] {
        let (tell, told) = mpsc::sync_channel(1000);
        let server = Server::start(move |n| {
            tell.send(n).unwrap();
            match n {
                0..6 => stream(1),
                _ => vec![stream_head(), word(), Step::Hang],
            }
        });
        let mut options = requests(&server, 10);
        options.stream = true;
        options.requests = None;
        options.duration = Some(Duration::from_secs(3600));
        if open_loop {
            options.mode = open(100.0, Arrivals::Constant, 4);
        }
        let stop = CancellationToken::new();
        let stopper = stop.clone();
        std::thread::spawn(move || {
            while told.recv().unwrap() < 9 {}
            stopper.cancel();
        });
        let report = run(&options, &Silent, &stop).unwrap();
        assert!(report.interrupted);
        assert_eq!((report.target.succeeded, report.target.unfinished), (6, 4));
        assert_eq!(report.target.failed, count_of(&report.target, "client_overflow"));
        assert!(report.table().contains("Stopped early"));
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_connection_that_the_server_closed_while_idle_is_not_used_again() {
    let server = Server::start(|_| {
        let mut steps = completion();
        steps.push(Step::Close);
        steps
    });
    let mut options = Options::new(server.url(), "m");
    options.timeout = Duration::from_secs(20);
    let target = Target::all(&options).unwrap().remove(0);
    let lane = Lane::new(Arc::new(target));
    let tally = Rc::new(RefCell::new(tally()));
    for n in 0..20 {
        assert_eq!(call(&lane, &tally, Instant::now()).await, None);
        // Until the server has closed it; one turn more, and the runtime has heard of it.
        while server.closed.load(Ordering::Acquire) < n + 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(lane.take_opened(), 20);
    assert_eq!(tally.borrow().succeeded, 20);
}

#[test]
fn an_answer_that_says_it_closes_costs_no_request() {
    let server = Server::start(|_| {
        let body = r#"{"choices":[]}"#;
        let head =
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        vec![Step::Send(head.into_bytes()), Step::Close]
    });
    let report = report(&requests(&server, 50));
    assert_eq!((report.target.succeeded, report.target.failed), (50, 0));
    assert_eq!(report.target.connections, 50);
}
