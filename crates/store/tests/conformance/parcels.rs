//! Parcels and the lines that they hold.

use super::batches::{batch, found, line_job, reader};
use super::make::*;
use std::sync::Arc;
use store::batches::{BatchChange, BatchState, ReadTo, Stretch};
use store::jobs::{Claim, Filter, Lease, NewJob};
use store::parcels::{Ending, Parcel, ParcelState, Ready, Settled, Shelf};
use store::{Store, Time};

/// Where lines are held.
const HELD: &str = "held";
fn parcel(model: &str) -> Parcel {
    let (batch, model) = ("batch_1".to_owned(), model.to_owned());
    Parcel { batch, model, state: ParcelState::Open, notes: b"{}".to_vec() }
}

fn courier(model: &str) -> NewJob {
    NewJob { unique: Some(format!("batch_1/parcel/{model}")), queue: "courier".to_owned(), ..job() }
}

fn shelf(batch: &str) -> Shelf {
    Shelf { batch: batch.to_owned(), queue: HELD.to_owned() }
}

fn ready() -> Ready {
    Ready { queue: "default".to_owned(), at: NOW }
}

fn text(line: u64, payload: &[u8]) -> Vec<u8> {
    format!("{line}: {}", String::from_utf8_lossy(payload)).into_bytes()
}

/// What is written of every line but of the third, which is not meant.
fn endings() -> Ending {
    Arc::new(|line, payload| (payload != b"ask 3").then(|| text(line, payload)))
}

/// A batch with so many lines that are held and one that is not, its parcel, and the lease of whoever brings that on.
async fn with_parcel(store: &Store, lines: u64) -> Lease {
    store.batches.create(batch("batch_1"), reader("batch_1")).await.unwrap();
    let lease = claim_one(store, NOW).await.unwrap().lease;
    assert!(end(store, done(lease)).await);
    let held = |line| NewJob {
        queue: HELD.to_owned(),
        run_at: NOW.after(SECOND * 3600),
        ..line_job("batch_1", line)
    };
    let jobs = (0..lines).map(held).chain([line_job("batch_1", lines)]).collect();
    let to = ReadTo { byte: 100, line: lines + 1 };
    assert!(store.batches.extend("batch_1", ReadTo::default(), to, jobs, Vec::new(), NOW).await.unwrap());
    store.parcels.open(parcel("m"), courier("m"), NOW).await.unwrap();
    courier_of(store, NOW).await
}

async fn courier_of(store: &Store, now: Time) -> Lease {
    let claim = Claim { queue: "courier".to_owned(), now, ..claim(1) };
    store.jobs.claim(claim).await.unwrap().jobs[0].lease
}

/// The lease of the next who brings the parcel on, as the one before has let his run out.
async fn overtaken(store: &Store) -> Lease {
    let later = NOW.after(LEASE + SECOND);
    assert_eq!(store.jobs.reap(later, 10).await.unwrap(), 1);
    courier_of(store, later).await
}

pub async fn a_parcel_is_opened_once_with_its_job(store: &Store) {
    let stranger = store.parcels.open(parcel("m"), courier("m"), NOW);
    stranger.await.unwrap();
    assert_eq!(store.parcels.parcels(&["batch_1"]).await.unwrap(), [], "there is no such batch");
    store.batches.create(batch("batch_1"), reader("batch_1")).await.unwrap();
    for model in ["n", "m", "n"] {
        store.parcels.open(parcel(model), courier(model), NOW).await.unwrap();
    }
    assert_eq!(store.parcels.parcels(&["batch_1"]).await.unwrap(), [parcel("m"), parcel("n")]);
    let jobs = store.jobs.list(Filter { queue: Some("courier".to_owned()), ..Filter::default() }, None, 9);
    assert_eq!(jobs.await.unwrap().len(), 2);
}

pub async fn parcels_of_several_batches_are_read_at_once(store: &Store) {
    for id in ["batch_1", "batch_2", "batch_3", "batch_4"] {
        store.batches.create(batch(id), reader(id)).await.unwrap();
    }
    for (id, model) in [("batch_2", "n"), ("batch_3", "m"), ("batch_1", "m"), ("batch_2", "m")] {
        let job = NewJob { unique: Some(format!("{id}/parcel/{model}")), ..courier(model) };
        store.parcels.open(Parcel { batch: id.to_owned(), ..parcel(model) }, job, NOW).await.unwrap();
    }
    // (batches that are asked for, each of their parcels' batch and model)
    for (asked, expected) in [
        (vec![], vec![]),
        (vec!["batch_4", "batch_5"], vec![]),
        (vec!["batch_2"], vec![("batch_2", "m"), ("batch_2", "n")]),
        (vec!["batch_4", "batch_1", "batch_2"], vec![("batch_1", "m"), ("batch_2", "m"), ("batch_2", "n")]),
    ] {
        let mut found = store.parcels.parcels(&asked).await.unwrap();
        // Those of each batch are by model, and of several in any order.
        found.sort_by(|one, other| one.batch.cmp(&other.batch));
        let found: Vec<_> = found.iter().map(|parcel| (&*parcel.batch, &*parcel.model)).collect();
        assert_eq!(found, expected, "{asked:?}");
    }
}

pub async fn a_stale_lease_says_nothing_of_a_parcel(store: &Store) {
    let stale = with_parcel(store, 3).await;
    let noted = |notes: &str| Parcel { notes: notes.as_bytes().to_vec(), ..parcel("m") };
    assert!(store.parcels.note(stale, noted("sent")).await.unwrap());
    let lease = overtaken(store).await;
    assert!(!store.parcels.note(stale, noted("late")).await.unwrap());
    let line = vec![Settled { line: 0, good: true }];
    assert_eq!(store.parcels.settle(stale, shelf("batch_1"), line, endings()).await.unwrap(), None);
    assert_eq!(store.parcels.give_back(stale, shelf("batch_1"), vec![0], ready()).await.unwrap(), None);
    assert_eq!(store.parcels.parcels(&["batch_1"]).await.unwrap(), [noted("sent")]);
    assert_eq!(store.parcels.held(shelf("batch_1"), first(9)).await.unwrap().len(), 3);
    let fetched = Parcel { state: ParcelState::Fetched, ..noted("sent") };
    assert!(store.parcels.note(lease, fetched.clone()).await.unwrap());
    assert_eq!(store.parcels.parcels(&["batch_1"]).await.unwrap(), [fetched]);
}

pub async fn held_lines_are_read_in_pieces(store: &Store) {
    with_parcel(store, 12).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let lines = store.parcels.held(shelf("batch_1"), Stretch { after, ..first(5) }).await.unwrap();
        let Some((last, _)) = lines.last() else { break };
        after = Some(*last);
        assert!(lines.iter().all(|(line, told)| *told == format!("ask {line}").into_bytes()));
        seen.extend(lines.iter().map(|(line, _)| *line));
    }
    assert_eq!(seen.len(), 12);
    seen.sort_unstable();
    assert_eq!(seen, (0..12).collect::<Vec<_>>(), "and none of those that are not held");
    assert_eq!(
        store.parcels.held(shelf("batch_1"), Stretch { bytes: 10, ..first(9) }).await.unwrap().len(),
        2,
        "payloads of five bytes"
    );
    assert_eq!(
        store.parcels.held(shelf("batch_1"), Stretch { bytes: 1, ..first(9) }).await.unwrap().len(),
        1,
        "one at least"
    );
    assert_eq!(store.parcels.held(shelf("batch_2"), first(9)).await.unwrap(), []);
}

pub async fn a_held_line_ends_once(store: &Store) {
    let lease = with_parcel(store, 4).await;
    let settle = async |lines: &[(u64, bool)]| {
        let lines = lines.iter().map(|&(line, good)| Settled { line, good }).collect();
        let told = store.parcels.settle(lease, shelf("batch_1"), lines, endings()).await.unwrap().unwrap();
        let mut numbers: Vec<_> = told.iter().map(|(line, _)| *line).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(
        settle(&[(2, true), (3, true), (0, false), (4, true), (9, true)]).await,
        [0, 2],
        "held, and meant"
    );
    assert_eq!(settle(&[(2, false), (1, true), (0, true)]).await, [1]);
    let batch = found(store, "batch_1").await;
    assert_eq!((batch.total, batch.completed, batch.failed), (5, 2, 1));
    let good = store.batches.lines("batch_1", true, first(9)).await.unwrap();
    let good: Vec<_> = good.iter().map(|line| String::from_utf8_lossy(&line.text)).collect();
    assert_eq!(good, ["1: ask 1", "2: ask 2"]);
    let held = store.parcels.held(shelf("batch_1"), first(9)).await.unwrap();
    assert_eq!(held, [(3, b"ask 3".to_vec())]);
}

pub async fn held_lines_are_given_back(store: &Store) {
    let lease = with_parcel(store, 3).await;
    let give = |lines| store.parcels.give_back(lease, shelf("batch_1"), lines, ready());
    assert_eq!(give(vec![0, 2, 7]).await.unwrap(), Some(2));
    assert_eq!(give(vec![0, 2]).await.unwrap(), Some(0));
    let ready = store.jobs.claim(claim(9)).await.unwrap().jobs;
    let mut payloads: Vec<_> = ready.iter().map(|job| String::from_utf8_lossy(&job.payload)).collect();
    payloads.sort_unstable();
    assert_eq!(payloads, ["ask 0", "ask 2", "ask 3"], "and the one that was never held");
}

pub async fn held_lines_are_spared(store: &Store) {
    with_parcel(store, 3).await;
    let take = |but| store.batches.take_back("batch_1", but, 9, Arc::new(text), NOW);
    assert_eq!(take(Some(HELD)).await.unwrap(), 1);
    assert_eq!(take(Some(HELD)).await.unwrap(), 0);
    assert_eq!(take(None).await.unwrap(), 3);
    assert_eq!(found(store, "batch_1").await.failed, 4);
}

pub async fn parcels_go_with_their_batch(store: &Store) {
    with_parcel(store, 1).await;
    let change = BatchChange { to: Some(BatchState::Completed), at: NOW, ..BatchChange::default() };
    store.batches.change("batch_1", change).await.unwrap().unwrap();
    assert_eq!(store.batches.purge(NOW.after(SECOND), 9).await.unwrap(), 1);
    assert_eq!(store.parcels.parcels(&["batch_1"]).await.unwrap(), []);
}
