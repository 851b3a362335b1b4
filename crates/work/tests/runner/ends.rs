//! How jobs end.

use crate::stage::*;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Time;
use store::jobs::{Added, End, Fault, JobId, State};
use work::handler::Extra;
use work::stats::Report;
use work::{Context, Failed, Handlers, Outcome, Queue};

#[tokio::test]
async fn a_job_is_done_and_its_result_kept() {
    let stage = Stage::new().await;
    let handlers = Handlers::new()
        .on("echo", async |context: Context| Ok(context.payload().to_vec()))
        .on_json("add", async |_, (a, b): (u32, u32)| Ok(a + b))
        .on("nothing", async |_| Ok(()));
    let act = stage.run(handlers, options());
    let cases = [("echo", "hello", "hello"), ("add", "[2,3]", "5"), ("nothing", "", "")];
    for (kind, payload, result) in cases {
        let id = add(&act.client, draft(kind).payload(payload)).await;
        let job = stage.over(id).await;
        assert_eq!((job.state, job.attempt, job.result), (State::Done, 1, Some(result.into())), "{kind}");
    }
    act.drain().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_and_at_last_a_dead_letter_with_all_its_faults() {
    let stage = Stage::new().await;
    let handlers = Handlers::new().on("fails", async |context: Context| match context.attempt() {
        1 => Err(Failed::passing("slow", "too slow")),
        2 => panic!("out of {}", "luck"),
        _ => Err::<(), _>(Failed::passing("gone", format!("last: {}", context.is_last_attempt()))),
    });
    let act = stage.run(handlers, options());
    let id = add(&act.client, draft("fails").attempts(3).payload("p")).await;
    let job = stage.over(id).await;
    let fault = |class: &str, message: &str| Fault { class: class.into(), message: message.into() };
    let expected = [fault("slow", "too slow"), fault("panic", "out of luck"), fault("gone", "last: true")];
    assert_eq!((job.state, job.attempt, job.fault.as_ref()), (State::Dead, 3, expected.last()));
    let faults = act.client.faults(id).await.unwrap();
    assert_eq!(faults.iter().map(|past| past.attempt).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(faults.into_iter().map(|past| past.fault).collect::<Vec<_>>(), expected);

    let replay = act.client.replay(id).await.unwrap().unwrap();
    let again = stage.over(replay).await;
    assert_eq!((again.new.replay_of, again.attempt, again.new.payload), (Some(id), 3, b"p".to_vec()));
    let report = act.rests().await;
    assert_eq!((report.retried, report.dead, report.failed["panic"]), (4, 2, 2));
    act.drain().await;
}

#[tokio::test]
async fn what_cannot_be_helped_is_given_up_at_once() {
    let stage = Stage::new().await;
    let handlers = Handlers::new()
        .on("bad", async |_| Err::<(), _>(Failed::lasting("bad", "")))
        .on_json("typed", async |_, (): ()| Ok(()));
    let act = stage.run(handlers, options());
    for (kind, class) in [("bad", "bad"), ("typed", "payload")] {
        let id = add(&act.client, draft(kind).payload("{")).await;
        let job = stage.over(id).await;
        assert_eq!((job.state, job.attempt, job.fault.unwrap().class.as_str()), (State::Dead, 1, class));
    }
    act.drain().await;
}

#[tokio::test]
async fn a_kind_that_nobody_does_fails() {
    let stage = Stage::new().await;
    let act = stage.run(Handlers::new(), options());
    let id = add(&act.client, draft("mystery").attempts(2)).await;
    let job = stage.over(id).await;
    assert_eq!((job.state, job.attempt), (State::Dead, 2));
    assert_eq!(job.fault.unwrap().class, work::verdict::UNKNOWN_KIND);
    act.drain().await;
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_is_stopped() {
    let stage = Stage::new().await;
    let handlers = Handlers::new().on("hangs", hang).on("heeds", async |context: Context| {
        let why = context.cancelled().await;
        Err::<(), _>(Failed::lasting("heeded", format!("{why:?}")))
    });
    let act = stage.run(handlers, with_queue(Queue { attempt_max: ms(30), ..Queue::new("default") }));
    let deadline = Time::now().after(ms(500));
    for (kind, attempts, deadline, class, charged) in [
        ("hangs", 2, None, "timeout", 2),
        ("heeds", 2, None, "timeout", 2),
        ("hangs", 1000, Some(deadline), "deadline", 0),
    ] {
        let mut draft = draft(kind).attempts(attempts);
        if let Some(deadline) = deadline {
            draft = draft.deadline(deadline);
        }
        let job = stage.over(add(&act.client, draft).await).await;
        let class_is = job.fault.unwrap().class;
        // Where the deadline falls into a pause, the last fault is the time-out before it.
        let is_late = deadline.is_some() && class_is == "timeout";
        assert_eq!(job.state, State::Dead);
        assert!(class_is == class || is_late, "{kind}: {class_is}");
        assert!(charged == 0 || job.attempt == charged);
    }
    act.drain().await;
}

#[tokio::test]
async fn a_handler_past_the_deadline_is_stopped() {
    let stage = Stage::new().await;
    let diary = Diary::default();
    let notes = diary.clone();
    let handlers = Handlers::new().on("hangs", move |context: Context| {
        let notes = notes.clone();
        async move {
            notes.note(format!("{:?}", context.cancelled().await));
            hang(context).await
        }
    });
    let act = stage.run(handlers, options());
    let id = add(&act.client, draft("hangs").deadline(Time::now().after(ms(300)))).await;
    let job = stage.over(id).await;
    assert_eq!((job.state, job.fault.unwrap().class.as_str()), (State::Dead, "deadline"));
    assert_eq!(diary.all(), ["Deadline"]);
    act.drain().await;
}

#[tokio::test]
async fn what_follows_a_job_is_added_with_its_end_and_only_then() {
    let stage = Stage::new().await;
    let done = |then| Ok(Outcome::Done { result: Vec::new(), extra: Extra { then, line: None } });
    let handlers = Handlers::new()
        .on("first", move |context: Context| async move {
            match context.attempt() {
                1 => Err(Failed::passing("slow", "")),
                _ => done(vec![draft("second").payload("from the first").into()]),
            }
        })
        .on("second", async |_| Ok(()))
        .on("dies", async |_| Err::<(), _>(Failed::lasting("bad", "")))
        .on("tell", async |_| Ok(()))
        .at_end(|job, end, _| {
            let word = match end {
                End::Done { .. } => "done",
                End::Dead { .. } => "dead",
                _ => "other",
            };
            let told = format!("{} {word}", job.kind);
            let is_told = job.kind == "tell";
            Extra {
                then: (!is_told).then(|| draft("tell").payload(told).into()).into_iter().collect(),
                line: None,
            }
        });
    let act = stage.run(handlers, options());
    add(&act.client, draft("first")).await;
    add(&act.client, draft("dies")).await;
    let of = async |kind: &str, count| {
        eventually(async || {
            let filter = store::jobs::Filter { kind: Some(kind.into()), ..Default::default() };
            let jobs = act.client.list(filter, None, 100).await.unwrap();
            (jobs.len() == count && jobs.iter().all(|job| job.state == State::Done)).then_some(jobs)
        })
        .await
    };
    assert_eq!(of("second", 1).await[0].new.payload, b"from the first");
    let mut told: Vec<_> = of("tell", 3).await.into_iter().map(|job| job.new.payload).collect();
    told.sort();
    assert_eq!(told, [b"dies dead".to_vec(), b"first done".to_vec(), b"second done".to_vec()]);
    act.drain().await;
}

/// Cancelled before it began, dead at its deadline, dead with its last lease.
#[tokio::test]
async fn what_follows_a_job_that_nobody_held_is_added_once_too() {
    let stage = Stage::new().await;
    let hangs = Handlers::new().on("work", |_| std::future::pending::<Result<(), Failed>>());
    let killed = stage.run(hangs, short_leases());
    let lost = add(&killed.client, draft("work").attempts(1)).await;
    eventually(async || (stage.job(lost).await.state == State::Running).then_some(())).await;
    killed.kill().await;
    let cancelled = add(&stage.client(), draft("work").run_at(Time::now().after(ms(60_000)))).await;
    stage.client().cancel(cancelled, None).await.unwrap();
    let late = add(&stage.client(), draft("work").deadline(Time::now().after(ms(1)))).await;
    tokio::time::sleep(ms(5)).await;

    let handlers = || {
        Handlers::new().on("tell", async |_| Ok(())).at_end(|job, end, at| {
            assert!(at <= Time::now() && at >= job.created);
            let word = match end {
                End::Dead { fault } => fault.class.clone(),
                End::Cancelled => "cancelled".to_owned(),
                _ => "other".to_owned(),
            };
            let told = draft("tell").payload(format!("{} {word}", job.lease.id.0));
            let is_told = job.kind == "tell";
            Extra { then: (!is_told).then(|| told.into()).into_iter().collect(), line: None }
        })
    };
    let acts = [(); 2].map(|()| stage.run(handlers(), options()));
    let told = eventually(async || {
        let filter = store::jobs::Filter { kind: Some("tell".into()), ..Default::default() };
        let jobs = acts[0].client.list(filter, None, 100).await.unwrap();
        (jobs.len() >= 3 && jobs.iter().all(|job| job.state == State::Done)).then_some(jobs)
    });
    let mut told: Vec<_> =
        told.await.into_iter().map(|job| String::from_utf8(job.new.payload).unwrap()).collect();
    told.sort();
    let mut expected =
        [format!("{} lease", lost.0), format!("{} cancelled", cancelled.0), format!("{} deadline", late.0)];
    expected.sort();
    assert_eq!(told, expected);
    for act in acts {
        act.drain().await;
    }
    assert!(stage.store.jobs.untold(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_panic_in_what_follows_costs_only_that() {
    let stage = Stage::new().await;
    let handlers = Handlers::new().on("work", async |_| Ok(())).at_end(|_, _, _| panic!("no end"));
    let act = stage.run(handlers, options());
    for _ in 0..2 {
        let id = add(&act.client, draft("work")).await;
        assert_eq!(stage.over(id).await.state, State::Done);
    }
    act.drain().await;
}

#[tokio::test]
async fn an_end_that_the_handler_has_recorded_is_left_alone() {
    let stage = Stage::new().await;
    let jobs = stage.jobs();
    let handlers = Handlers::new().on("own", move |context: Context| {
        let jobs = Arc::clone(&jobs);
        async move {
            let (lease, end) = (context.lease(), End::Done { result: b"mine".to_vec() });
            let finish = store::jobs::Finish { lease, at: Time::now(), end, then: Vec::new(), line: None };
            assert_eq!(jobs.finish(vec![finish]).await.unwrap(), [true]);
            Ok(Outcome::Recorded)
        }
    });
    let act = stage.run(handlers, options());
    let job = stage.over(add(&act.client, draft("own")).await).await;
    assert_eq!((job.state, job.result), (State::Done, Some(b"mine".to_vec())));
    let report = act.rests().await;
    assert_eq!((report.recorded, report.done, report.lost), (1, 0, 0));
    act.drain().await;
}

#[tokio::test]
async fn the_same_key_adds_one_job_and_a_unique_word_one_at_a_time() {
    let stage = Stage::new().await;
    let client = stage.client();
    let keyed = |hash| draft("k").idempotency("order-7", [hash; 32]);
    let first = add(&client, keyed(1)).await;
    assert_eq!(client.add(keyed(1)).await.unwrap(), Added::Same(first));
    assert_eq!(client.add(keyed(2)).await.unwrap(), Added::Mismatch(first));
    let only = add(&client, draft("k").unique("nightly")).await;
    assert_eq!(client.add(draft("k").unique("nightly")).await.unwrap(), Added::Unique(only));
    let act = stage.run(Handlers::new().on("k", async |_| Ok(())), options());
    stage.all_over(&[first, only]).await;
    // The key outlives its job, the word does not.
    assert_eq!(client.add(keyed(1)).await.unwrap(), Added::Same(first));
    add(&client, draft("k").unique("nightly")).await;
    act.drain().await;
}

/// What a handler does in an attempt, from a seed.
fn fate(seed: u64, id: JobId, attempt: u32) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, id, attempt).hash(&mut hasher);
    hasher.finish() % 10
}

/// Two runners, and handlers that fail in every way there is: each job has one end, the ledger
/// outside knows of it, and no job was done more often than it has attempts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_failures_leave_exactly_one_recorded_outcome() {
    const JOBS: usize = 300;
    const ATTEMPTS: u32 = 4;
    let stage = Stage::new().await;
    let ledger: Arc<Mutex<BTreeMap<JobId, Vec<String>>>> = Arc::default();
    let begun = Arc::new(AtomicUsize::new(0));
    let handlers = {
        let (ledger, begun) = (Arc::clone(&ledger), Arc::clone(&begun));
        Handlers::new().on("fickle", move |context: Context| {
            let (ledger, begun) = (Arc::clone(&ledger), Arc::clone(&begun));
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                let fate = fate(5, context.id(), context.attempt());
                tokio::time::sleep(Duration::from_millis(fate)).await;
                match fate {
                    0..=4 => {
                        ledger.lock().unwrap().entry(context.id()).or_default().push(context.key());
                        Ok(context.key().into_bytes())
                    }
                    5 => Err(Failed::passing("slow", "")),
                    6 => Err(Failed::passing("busy", "").after(ms(10))),
                    7 => Err(Failed::lasting("bad", "")),
                    8 => panic!("fate"),
                    _ => std::future::pending().await,
                }
            }
        })
    };
    let queue = Queue { attempt_max: ms(40), ..Queue::new("default") };
    let options = || work::Options { queues: vec![queue.clone()], ..fair_leases() };
    let acts = [stage.run(handlers.clone(), options()), stage.run(handlers, options())];
    let jobs = (0..JOBS).map(|_| draft("fickle").attempts(ATTEMPTS).into()).collect();
    let ids = add_all(&acts[0].client, jobs).await;
    let jobs = stage.all_over(&ids).await;
    let mut faults = 0;
    for job in &jobs {
        let history = stage.store.jobs.faults(job.id).await.unwrap();
        let is_done = job.state == State::Done;
        assert!(is_done || job.state == State::Dead, "{job:?}");
        assert_eq!(history.len() as u32, job.attempt - u32::from(is_done), "{job:?}");
        assert!(job.attempt <= ATTEMPTS);
        let key = format!("job-{}", job.id.0);
        let effects = ledger.lock().unwrap().get(&job.id).cloned().unwrap_or_default();
        assert!(effects.iter().all(|effect| *effect == key));
        assert_eq!(is_done, !effects.is_empty(), "{job:?}");
        assert_eq!(job.result, is_done.then(|| key.into_bytes()));
        faults += history.len();
    }
    let reports = [acts[0].rests().await, acts[1].rests().await];
    let sum = |count: fn(&Report) -> u64| reports.iter().map(count).sum::<u64>();
    assert_eq!(sum(|report| report.done + report.dead), JOBS as u64);
    assert_eq!(sum(|report| report.failed.values().sum()), faults as u64);
    assert_eq!(sum(|report| report.claimed), begun.load(Ordering::Relaxed) as u64);
    assert_eq!(sum(|report| report.lost), 0);
    for act in acts {
        act.drain().await;
    }
}
