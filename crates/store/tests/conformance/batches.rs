//! Batches and their lines.

use super::make::*;
use std::sync::Arc;
use store::Store;
use store::batches::{Batch, BatchChange, BatchState, LineEnd, ReadTo, Stretch};
use store::jobs::{Cancel, End, Filter, Finish, NewJob};

pub fn batch(id: &str) -> Batch {
    Batch {
        id: id.to_owned(),
        tenant: "acme".to_owned(),
        input_file: "file-1".to_owned(),
        endpoint: "/v1/chat/completions".to_owned(),
        state: BatchState::Validating,
        output_file: None,
        error_file: None,
        errors: None,
        metadata: Some(b"{}".to_vec()),
        read: ReadTo::default(),
        total: 0,
        completed: 0,
        failed: 0,
        created: NOW,
        moments: b"{}".to_vec(),
        expires: NOW.after(SECOND * 86_400),
    }
}

pub fn reader(id: &str) -> NewJob {
    NewJob { unique: Some(format!("{id}/read")), keep: false, ..job() }
}

pub fn line_job(id: &str, line: u64) -> NewJob {
    let payload = format!("ask {line}").into_bytes();
    NewJob {
        unique: Some(format!("{id}/{line}")),
        keep: false,
        payload,
        kind: "batch.line".to_owned(),
        ..job()
    }
}

fn line(id: &str, line: u64, good: bool) -> LineEnd {
    LineEnd { batch: id.to_owned(), line, good, text: format!("answer {line}").into_bytes() }
}

pub async fn found(store: &Store, id: &str) -> Batch {
    store.batches.batch(id, None).await.unwrap().unwrap()
}

/// A batch whose reader is done, with so many lines to be asked.
async fn with_lines(store: &Store, id: &str, lines: u64) {
    store.batches.create(batch(id), reader(id)).await.unwrap();
    let lease = claim_one(store, NOW).await.unwrap().lease;
    assert!(end(store, done(lease)).await);
    let jobs = (0..lines).map(|number| line_job(id, number)).collect();
    let to = ReadTo { byte: 100 * lines, line: lines };
    assert!(store.batches.extend(id, ReadTo::default(), to, jobs, Vec::new(), NOW).await.unwrap());
}

pub async fn a_batch_is_created_with_its_reader(store: &Store) {
    store.batches.create(batch("batch_1"), reader("batch_1")).await.unwrap();
    store.batches.create(batch("batch_1"), reader("batch_1")).await.unwrap();
    assert_eq!(found(store, "batch_1").await, batch("batch_1"));
    assert_eq!(store.batches.batch("batch_1", Some("other")).await.unwrap(), None);
    assert_eq!(store.batches.batch("batch_2", None).await.unwrap(), None);
    assert_eq!(store.jobs.list(Filter::default(), None, 9).await.unwrap().len(), 1, "one reader");
}

pub async fn the_input_is_read_on_once(store: &Store) {
    store.batches.create(batch("batch_1"), reader("batch_1")).await.unwrap();
    let (begin, then) = (ReadTo::default(), ReadTo { byte: 90, line: 3 });
    let jobs = || vec![line_job("batch_1", 0), line_job("batch_1", 2)];
    let extend =
        || store.batches.extend("batch_1", begin, then, jobs(), vec![line("batch_1", 1, false)], NOW);
    assert!(extend().await.unwrap());
    assert!(!extend().await.unwrap(), "somebody has");
    let batch = found(store, "batch_1").await;
    assert_eq!((batch.read, batch.total, batch.completed, batch.failed), (then, 3, 0, 1));
    assert_eq!(store.jobs.list(Filter::default(), None, 9).await.unwrap().len(), 3);
    let cancel = BatchChange { to: Some(BatchState::Cancelling), at: NOW, ..BatchChange::default() };
    store.batches.change("batch_1", cancel).await.unwrap().unwrap();
    let more = store.batches.extend("batch_1", then, then, jobs(), Vec::new(), NOW);
    assert!(!more.await.unwrap(), "it is not read any more");
}

pub async fn a_line_ends_once_with_its_job(store: &Store) {
    with_lines(store, "batch_1", 5).await;
    let claimed = store.jobs.claim(claim(4)).await.unwrap().jobs;
    let ends = claimed.iter().map(|job| {
        let number = job.lease.id.0 - claimed[0].lease.id.0;
        let line = line("batch_1", u64::try_from(number).unwrap(), number != 2);
        Finish { line: Some(line), ..done(job.lease) }
    });
    let ends: Vec<Finish> = ends.collect();
    assert_eq!(store.jobs.finish(ends.clone()).await.unwrap(), [true; 4]);
    assert_eq!(store.jobs.finish(ends).await.unwrap(), [false; 4], "a stale token writes no line");
    let batch = found(store, "batch_1").await;
    assert_eq!((batch.total, batch.completed, batch.failed), (5, 3, 1));

    let numbers = async |good, stretch| {
        let lines = store.batches.lines("batch_1", good, stretch).await.unwrap();
        lines.into_iter().map(|line| line.line).collect::<Vec<_>>()
    };
    assert_eq!(numbers(true, first(9)).await, [0, 1, 3]);
    assert_eq!(numbers(true, Stretch { after: Some(0), ..first(1) }).await, [1]);
    assert_eq!(numbers(true, Stretch { after: Some(3), ..first(9) }).await, [0; 0]);
    assert_eq!(numbers(true, Stretch { bytes: 16, ..first(9) }).await, [0, 1], "answers of eight bytes");
    assert_eq!(numbers(true, Stretch { bytes: 1, ..first(9) }).await, [0], "one at least");
    assert_eq!(numbers(false, first(9)).await, [2]);
    let bad = store.batches.lines("batch_1", false, first(9)).await.unwrap();
    assert_eq!(bad, [line("batch_1", 2, false)]);
}

pub async fn a_change_is_made_from_the_states_it_names(store: &Store) {
    store.batches.create(batch("batch_1"), reader("batch_1")).await.unwrap();
    let change = |from: &[BatchState], to| BatchChange {
        at: NOW.after(SECOND),
        from: from.to_vec(),
        to: Some(to),
        output_file: Some("file-out".to_owned()),
        ..BatchChange::default()
    };
    let wrong = change(&[BatchState::Finalizing], BatchState::Completed);
    assert_eq!(store.batches.change("batch_1", wrong.clone()).await.unwrap(), None);
    assert_eq!(store.batches.change("batch_2", wrong).await.unwrap(), None);
    let right = change(&[BatchState::Finalizing, BatchState::Validating], BatchState::InProgress);
    let then = store.batches.change("batch_1", right).await.unwrap().unwrap();
    let output_file = Some("file-out".to_owned());
    let expected = Batch { state: BatchState::InProgress, output_file, ..batch("batch_1") };
    assert_eq!(then, expected);
    assert_eq!(found(store, "batch_1").await, expected);
}

pub async fn open_batches_are_those_not_over(store: &Store) {
    for number in 0..4 {
        let tenant = ["acme", "other"][number % 2].to_owned();
        let id = format!("batch_{number}");
        store.batches.create(Batch { tenant, ..batch(&id) }, reader(&id)).await.unwrap();
    }
    let over = BatchChange { at: NOW, to: Some(BatchState::Expired), ..BatchChange::default() };
    store.batches.change("batch_1", over).await.unwrap().unwrap();
    let ids = |batches: Vec<Batch>| batches.into_iter().map(|batch| batch.id).collect::<Vec<_>>();
    assert_eq!(ids(store.batches.open(9).await.unwrap()), ["batch_0", "batch_2", "batch_3"]);
    assert_eq!(ids(store.batches.open(1).await.unwrap()), ["batch_0"]);
    let list = async |tenant, before, limit| ids(store.batches.list(tenant, before, limit).await.unwrap());
    assert_eq!(list(None, None, 9).await, ["batch_3", "batch_2", "batch_1", "batch_0"]);
    assert_eq!(list(None, Some("batch_3"), 2).await, ["batch_2", "batch_1"]);
    assert_eq!(list(Some("other"), None, 9).await, ["batch_3", "batch_1"]);
}

pub async fn lines_that_have_not_begun_are_taken_back(store: &Store) {
    with_lines(store, "batch_1", 12).await;
    store.jobs.add(vec![reader("batch_1"), line_job("batch_10", 0)], NOW).await.unwrap();
    let running = claim_one(store, NOW).await.unwrap();
    assert_eq!(running.payload, b"ask 0");
    let text: store::batches::LineText =
        Arc::new(|line, payload| format!("{line}: {}", String::from_utf8_lossy(payload)).into_bytes());
    let mut taken = Vec::new();
    loop {
        let some = store.batches.take_back("batch_1", None, 5, Arc::clone(&text), NOW).await.unwrap();
        if some == 0 {
            break;
        }
        taken.push(some);
    }
    assert_eq!(taken.iter().sum::<u64>(), 11, "all but the one that runs: {taken:?}");
    let lines = store.batches.lines("batch_1", false, first(99)).await.unwrap();
    let texts: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect();
    let expected: Vec<String> = (1..12).map(|line| format!("{line}: ask {line}")).collect();
    assert_eq!(texts, expected);
    assert_eq!(found(store, "batch_1").await.failed, 11);
    let left = store.jobs.list(Filter::default(), None, 99).await.unwrap();
    let left: Vec<_> = left.into_iter().filter_map(|job| job.new.unique).collect();
    assert_eq!(left, ["batch_10/0", "batch_1/read", "batch_1/0"], "others' jobs stay");
}

pub async fn lines_that_nothing_will_end_are_mended(store: &Store) {
    let text: store::batches::LineText =
        Arc::new(|line, payload| format!("{line}: {}", String::from_utf8_lossy(payload)).into_bytes());
    let mend = async |limit| store.batches.mend("batch_1", limit, Arc::clone(&text)).await.unwrap();
    assert_eq!(mend(9).await, 0, "there is no such batch");
    with_lines(store, "batch_1", 8).await;
    store.jobs.add(vec![line_job("batch_10", 0)], NOW).await.unwrap();
    assert_eq!(mend(9).await, 0, "all are yet to be done");
    let claimed = store.jobs.claim(claim(4)).await.unwrap().jobs;
    let dead = |lease| finish(lease, End::Dead { fault: fault("broken") });
    assert!(end(store, dead(claimed[0].lease)).await);
    assert!(end(store, Finish { line: Some(line("batch_1", 1, true)), ..done(claimed[1].lease) }).await);
    assert!(end(store, done(claimed[2].lease)).await);
    let again = End::Again { run_at: NOW.after(SECOND), fault: fault("slow") };
    assert!(end(store, finish(claimed[3].lease, again)).await);
    let waiting = store.jobs.list(Filter::default(), None, 99).await.unwrap();
    let last = waiting.iter().find(|job| job.new.unique.as_deref() == Some("batch_1/7")).unwrap();
    assert_eq!(store.jobs.cancel(last.id, None, NOW).await.unwrap(), Cancel::Done);
    assert_eq!(mend(2).await, 2);
    assert_eq!(mend(2).await, 1);
    assert_eq!(mend(2).await, 0);
    let bad = store.batches.lines("batch_1", false, first(99)).await.unwrap();
    let bad: Vec<_> = bad.iter().map(|line| String::from_utf8_lossy(&line.text).into_owned()).collect();
    assert_eq!(bad, ["0: ask 0", "2: ", "7: ask 7"], "what the job was told, while that is known");
    let batch = found(store, "batch_1").await;
    assert_eq!((batch.completed, batch.failed), (1, 3));
}

pub async fn old_batches_are_purged_with_their_lines(store: &Store) {
    with_lines(store, "batch_1", 1).await;
    let lease = claim_one(store, NOW).await.unwrap().lease;
    assert!(end(store, Finish { line: Some(line("batch_1", 0, true)), ..done(lease) }).await);
    let over =
        BatchChange { at: NOW.after(SECOND), to: Some(BatchState::Completed), ..BatchChange::default() };
    assert_eq!(store.batches.purge(NOW.after(SECOND * 9), 9).await.unwrap(), 0, "it is not over");
    store.batches.change("batch_1", over).await.unwrap().unwrap();
    assert_eq!(store.batches.purge(NOW.after(SECOND), 9).await.unwrap(), 0, "not before");
    assert_eq!(store.batches.purge(NOW.after(SECOND * 2), 9).await.unwrap(), 1);
    assert_eq!(store.batches.batch("batch_1", None).await.unwrap(), None);
    assert_eq!(store.batches.lines("batch_1", true, first(9)).await.unwrap(), []);
    store.batches.create(batch("batch_1"), reader("batch_1")).await.unwrap();
    assert_eq!(store.batches.lines("batch_1", true, first(9)).await.unwrap(), [], "they do not come back");
}
