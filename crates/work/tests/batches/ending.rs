//! How a batch ends before it is done: cancelled, or too late.

use crate::scene::{Asked, Scene, answers, counts, echo, lines, status};
use crate::stage::{eventually, ms};
use std::sync::Arc;
use store::batches::BatchState;
use store::jobs::{Filter, State};
use tokio::sync::Semaphore;
use work::batches::{Ask, Cancelling, FileKind, LINE, Notes, Reply, file_kind};

/// Answers as many as there are places in `gate`, and more when there are more.
fn gated(asked: &Asked, gate: &Arc<Semaphore>) -> Ask {
    let (asked, gate) = (asked.clone(), Arc::clone(gate));
    Arc::new(move |question| {
        let (asked, gate) = (asked.clone(), Arc::clone(&gate));
        Box::pin(async move {
            asked.note(&question);
            gate.acquire().await.unwrap().forget();
            status(&question, 200)
        })
    })
}

#[tokio::test]
async fn a_cancelled_batch_lets_what_runs_end_and_begins_no_more() {
    let scene = Scene::new().await;
    let (asked, gate) = (Asked::default(), Arc::new(Semaphore::new(10)));
    let act = scene.run(gated(&asked, &gate));
    let batch = scene.batch(&lines(1100)).await;
    let reached = async || {
        let batch = scene.get(&batch.id).await;
        (batch.completed == 10 && batch.state == BatchState::InProgress && asked.len() >= 14).then_some(())
    };
    eventually(reached).await;
    let Cancelling::Batch(cancelling) = scene.cancel(&batch.id).await else { panic!("not cancelled") };
    assert_eq!(cancelling.state, BatchState::Cancelling);
    assert!(matches!(scene.cancel(&batch.id).await, Cancelling::Batch(_)), "twice is once");
    eventually(async || (scene.get(&batch.id).await.failed >= 1000).then_some(())).await;
    assert!(!scene.get(&batch.id).await.state.is_final(), "some run");
    gate.add_permits(2000);
    let batch = scene.over(&batch.id).await;
    let good = asked.len() as u64;
    assert_eq!(counts(&batch), (BatchState::Cancelled, 1100, good, 1100 - good));
    let bad = scene.lines(&batch.id, false).await;
    assert!(bad.values().all(|line| line["error"]["code"] == "batch_cancelled"));
    assert_eq!(bad.len() as u64 + good, 1100);
    assert!(matches!(scene.cancel(&batch.id).await, Cancelling::Batch(_)));
    assert_eq!(scene.batches.cancel(&batch.id, Some("other")).await.unwrap(), Cancelling::Unknown);
    let notes = Notes::of(&batch);
    assert!(notes.cancelled_at >= notes.cancelling_at && notes.cancelling_at >= notes.in_progress_at);
    act.drain().await;
}

#[tokio::test]
async fn a_batch_that_is_cancelled_before_it_is_read_is_cancelled_at_once() {
    let scene = Scene::new().await;
    let batch = scene.batch(&lines(5)).await;
    scene.cancel(&batch.id).await;
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Cancelled, 0, 0, 0));
    let asked = Asked::default();
    let act = scene.run(echo(&asked));
    let other = scene.batch(&lines(1)).await;
    scene.over(&other.id).await;
    act.rests().await;
    assert_eq!(asked.len(), 1, "its reader finds nothing to do");
    act.drain().await;
}

#[tokio::test]
async fn what_waits_until_it_may_be_asked_is_cancelled_too() {
    let scene = Scene::new().await;
    let asked = Asked::default();
    let act = scene.run(answers(&asked, |_, _| Reply::Busy { after: Some(ms(3_600_000)) }));
    let batch = scene.batch(&lines(30)).await;
    // Each waits for a while where it is, and is put off then, at no cost.
    let lines = Filter { kind: Some(LINE.to_owned()), state: Some(State::Scheduled), ..Filter::default() };
    let put_off = eventually(async || {
        let jobs = act.client.list(lines.clone(), None, 100).await.unwrap();
        Some(jobs).filter(|jobs| jobs.len() >= 4)
    });
    assert!(put_off.await.iter().all(|job| job.attempt == 0));
    scene.cancel(&batch.id).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Cancelled, 30, 0, 30));
    assert!(asked.all().into_values().all(|times| times == 1));
    act.drain().await;
}

#[tokio::test]
async fn what_is_late_expires_and_what_was_done_stays() {
    let scene = Scene::new().await;
    let (asked, gate) = (Asked::default(), Arc::new(Semaphore::new(10)));
    let act = scene.run(gated(&asked, &gate));
    let file = scene.bring(lines(300).join("\n").as_bytes(), 4096).await;
    let batch = scene.create(&file, ms(2000)).await;
    let batch = scene.over(&batch.id).await;
    let good = batch.completed;
    assert_eq!(counts(&batch), (BatchState::Expired, 300, good, 300 - good));
    let bad = scene.lines(&batch.id, false).await;
    assert!(bad.values().all(|line| line["error"]["code"] == "batch_expired"));
    assert_eq!(bad.len() as u64 + good, 300);
    assert!(matches!(scene.cancel(&batch.id).await, Cancelling::Late(_)));
    let notes = Notes::of(&batch);
    assert!(notes.expired_at.is_some() && notes.is_late);
    act.drain().await;
}

#[tokio::test]
async fn outputs_are_found_as_files() {
    let scene = Scene::new().await;
    let act = scene.run(echo(&Asked::default()));
    let mut input = lines(3);
    input.push("no json".to_owned());
    let batch = scene.batch(&input).await;
    let batch = scene.over(&batch.id).await;
    for (id, good) in [(batch.output_file.unwrap(), true), (batch.error_file.unwrap(), false)] {
        let file = scene.stage.store.files.file(&id, Some("acme")).await.unwrap().unwrap();
        assert_eq!(file_kind(&id), FileKind::Lines { batch: batch.id.clone(), good });
        let (mut lines, mut bytes) = (scene.batches.lines(&batch.id, good), 0);
        while let Some(piece) = lines.piece().await.unwrap() {
            bytes += piece.len() as u64;
        }
        assert_eq!((file.bytes, file.purpose.as_str()), (bytes, "batch_output"));
    }
    act.drain().await;
}
