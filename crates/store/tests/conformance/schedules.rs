//! Schedules.

use super::make::*;
use store::jobs::{Idempotency, NewJob};
use store::schedules::Schedule;
use store::{Store, Time};

fn schedule(name: &str) -> Schedule {
    Schedule {
        name: name.to_owned(),
        tenant: "acme".to_owned(),
        cron: "*/5 * * * *".to_owned(),
        zone: "Europe/Berlin".to_owned(),
        job: NewJob { payload: vec![1, 0], unique: Some(name.to_owned()), ..job() },
        paused: false,
        next: Some(NOW),
        last: None,
        version: 0,
    }
}

async fn put(store: &Store, schedule: Schedule) {
    assert!(store.schedules.put(schedule).await.unwrap());
}

async fn due(store: &Store, now: Time) -> Vec<String> {
    let due = store.schedules.due(now, 9).await.unwrap();
    due.into_iter().map(|schedule| schedule.name).collect()
}

pub async fn a_schedule_is_written_by_whoever_read_it_last(store: &Store) {
    let keyed = Idempotency { key: "k".to_owned(), hash: [3; 32] };
    let mut nightly = schedule("nightly");
    nightly.job.idempotency = Some(keyed);
    put(store, nightly.clone()).await;
    assert!(!store.schedules.put(nightly.clone()).await.unwrap(), "there is one already");
    nightly.version = 1;
    assert_eq!(store.schedules.list(None).await.unwrap(), [nightly.clone()]);
    let changed = Schedule { cron: "0 1 * * *".to_owned(), next: None, paused: true, ..nightly.clone() };
    put(store, changed.clone()).await;
    assert!(!store.schedules.put(nightly).await.unwrap(), "another was quicker");
    assert_eq!(store.schedules.list(Some("acme")).await.unwrap(), [Schedule { version: 2, ..changed }]);
    assert_eq!(store.schedules.list(Some("other")).await.unwrap(), []);
    assert!(!store.schedules.remove("other", "nightly").await.unwrap());
    assert!(store.schedules.remove("acme", "nightly").await.unwrap());
    assert!(!store.schedules.remove("acme", "nightly").await.unwrap());
}

pub async fn a_schedule_is_due_from_its_time_on(store: &Store) {
    put(store, Schedule { next: Some(NOW.after(SECOND)), ..schedule("b") }).await;
    put(store, schedule("c")).await;
    put(store, Schedule { next: None, ..schedule("never") }).await;
    put(store, Schedule { paused: true, ..schedule("paused") }).await;
    assert_eq!(due(store, NOW.before(SECOND)).await, [""; 0]);
    assert_eq!(due(store, NOW).await, ["c"]);
    assert_eq!(due(store, NOW.after(SECOND)).await, ["c", "b"]);
    assert_eq!(store.schedules.due(NOW.after(SECOND), 1).await.unwrap().len(), 1);
}

pub async fn a_schedule_that_two_see_due_fires_once(store: &Store) {
    put(store, schedule("often")).await;
    let seen = store.schedules.due(NOW, 9).await.unwrap().remove(0);
    let next = Schedule { next: Some(NOW.after(SECOND * 300)), ..seen.clone() };
    let fire = || store.schedules.fire(next.clone(), seen.job.clone(), NOW);
    let (one, other) = tokio::join!(fire(), fire());
    let fired: Vec<_> = [one.unwrap(), other.unwrap()].into_iter().flatten().collect();
    assert_eq!(fired.len(), 1);
    assert_eq!(get(store, fired[0]).await.new, seen.job);
    assert_eq!(due(store, NOW).await, [""; 0]);
    let then = store.schedules.list(None).await.unwrap().remove(0);
    assert_eq!((then.last, then.next), (Some((NOW, fired[0])), next.next));

    let again = Schedule { next: None, ..then };
    let same = store.schedules.fire(again, seen.job.clone(), NOW.after(SECOND * 300)).await.unwrap();
    assert_eq!(same, Some(fired[0]), "the first is not over, and its word is taken");
}
