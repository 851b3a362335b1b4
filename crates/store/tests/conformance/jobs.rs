//! Jobs as they are added, listed, counted and forgotten.

use super::make::*;
use store::Store;
use store::jobs::{Added, Band, Depth, End, Filter, Idempotency, Job, JobId, NewJob, State};

fn keyed(key: &str, hash: u8) -> NewJob {
    NewJob { idempotency: Some(Idempotency { key: key.to_owned(), hash: [hash; 32] }), ..job() }
}

fn unique(word: &str) -> NewJob {
    NewJob { unique: Some(word.to_owned()), ..job() }
}

pub async fn a_job_is_read_as_it_was_added(store: &Store) {
    let new = NewJob {
        band: Band::Batch,
        deadline: Some(NOW.after(SECOND)),
        unique: Some("only/1".to_owned()),
        payload: vec![0, 1, 255],
        replay_of: Some(JobId(7)),
        ..keyed("key", 9)
    };
    let id = add(store, new.clone()).await;
    let expected = Job {
        id,
        state: State::Ready,
        new,
        attempt: 0,
        owner: None,
        lease_until: None,
        cancel_requested: false,
        progress: None,
        result: None,
        fault: None,
        created: NOW,
        started: None,
        ended: None,
    };
    assert_eq!(store.jobs.get(id, None).await.unwrap(), Some(expected.clone()));
    assert_eq!(store.jobs.get(id, Some("acme")).await.unwrap(), Some(expected));
    assert_eq!(store.jobs.get(id, Some("other")).await.unwrap(), None);
    assert_eq!(store.jobs.get(JobId(id.0 + 1), None).await.unwrap(), None);
}

pub async fn a_jobs_number_never_comes_again(store: &Store) {
    let first = run(store, NewJob { keep: false, ..job() }).await.lease;
    assert!(end(store, done(first)).await);
    assert_eq!(store.jobs.get(first.id, None).await.unwrap(), None);
    assert!(add(store, job()).await > first.id);
}

pub async fn a_job_waits_for_its_time(store: &Store) {
    assert_eq!(store.jobs.next_due().await.unwrap(), None);
    let mut later = Vec::new();
    for seconds in [3, 1, 2] {
        later.push(add(store, NewJob { run_at: NOW.after(SECOND * seconds), ..job() }).await);
    }
    assert_eq!(get(store, later[0]).await.state, State::Scheduled);
    assert_eq!(claim_one(store, NOW).await, None);
    assert_eq!(store.jobs.next_due().await.unwrap(), Some(NOW.after(SECOND)));
    assert_eq!(store.jobs.promote(NOW, 10).await.unwrap(), 0);
    assert_eq!(store.jobs.promote(NOW.after(SECOND * 2), 1).await.unwrap(), 1, "so many at most");
    assert_eq!(get(store, later[1]).await.state, State::Ready, "the first that is due");
    assert_eq!(store.jobs.promote(NOW.after(SECOND * 2), 10).await.unwrap(), 1);
    assert_eq!(store.jobs.next_due().await.unwrap(), Some(NOW.after(SECOND * 3)));
    assert_eq!(claim_one(store, NOW.after(SECOND * 2)).await.unwrap().lease.id, later[1]);
}

pub async fn an_idempotency_key_adds_one_job(store: &Store) {
    let id = add(store, keyed("a", 1)).await;
    let others = vec![
        keyed("a", 1),
        keyed("a", 2),
        NewJob { tenant: "other".to_owned(), ..keyed("a", 1) },
        NewJob { kind: "other".to_owned(), ..keyed("a", 1) },
        keyed("b", 1),
        keyed("b", 1),
    ];
    let mut found = Vec::new();
    for other in &others {
        found.push(store.jobs.find(other.clone()).await.unwrap());
    }
    let added = store.jobs.add(others, NOW).await.unwrap();
    assert_eq!(added[..2], [Added::Same(id), Added::Mismatch(id)]);
    assert_eq!(found[..2], [Some(added[0]), Some(added[1])], "what adding it would find is found without");
    assert_eq!(found[2..], [None; 4]);
    assert!(matches!(added[2..5], [Added::New(_), Added::New(_), Added::New(_)]), "{added:?}");
    assert!(matches!((added[4], added[5]), (Added::New(one), Added::Same(same)) if one == same), "{added:?}");

    let lease = claim_one(store, NOW).await.unwrap().lease;
    assert!(lease.id == id && end(store, done(lease)).await);
    assert_eq!(store.jobs.add(vec![keyed("a", 1)], NOW).await.unwrap(), [Added::Same(id)], "over, but kept");
}

pub async fn a_unique_word_adds_one_job_at_a_time(store: &Store) {
    let id = add(store, unique("run-1/step")).await;
    let others = vec![
        unique("run-1/step"),
        unique("run-1/other"),
        NewJob { tenant: "other".to_owned(), ..unique("run-1/step") },
        NewJob { kind: "other".to_owned(), ..unique("run-1/step") },
    ];
    assert_eq!(store.jobs.find(others[0].clone()).await.unwrap(), Some(Added::Unique(id)));
    assert_eq!(store.jobs.find(others[1].clone()).await.unwrap(), None);
    let added = store.jobs.add(others, NOW).await.unwrap();
    assert_eq!(added[0], Added::Unique(id));
    assert!(added[1..].iter().all(|added| matches!(added, Added::New(_))), "{added:?}");

    let lease = claim_one(store, NOW).await.unwrap().lease;
    assert_eq!(lease.id, id);
    assert_eq!(store.jobs.add(vec![unique("run-1/step")], NOW).await.unwrap(), [Added::Unique(id)]);
    assert!(end(store, finish(lease, End::Dead { fault: fault("bad") })).await);
    assert!(add(store, unique("run-1/step")).await > id, "the first is over");
}

pub async fn many_are_added_in_one_step(store: &Store) {
    assert_eq!(store.jobs.add(Vec::new(), NOW).await.unwrap(), []);
    let added = add_all(store, (0..500).map(|_| job()).collect()).await;
    assert!(added.is_sorted() && added.len() == 500);
}

pub async fn lists_go_from_the_newest_on(store: &Store) {
    let mut jobs = Vec::new();
    for number in 0..12 {
        jobs.push(NewJob {
            tenant: ["acme", "other"][number % 2].to_owned(),
            queue: ["default", "second", "third"][number % 3].to_owned(),
            kind: ["test", "webhook"][usize::from(number >= 6)].to_owned(),
            run_at: if number < 2 { NOW.after(SECOND) } else { NOW },
            ..job()
        });
    }
    let all = add_all(store, jobs).await;
    for number in [10, 11] {
        store.jobs.cancel(all[number], None, NOW).await.unwrap();
    }
    let ended = claim_one(store, NOW).await.unwrap().lease;
    assert!(ended.id == all[6] && end(store, done(ended)).await, "acme's first in this queue");
    let running = claim_one(store, NOW).await.unwrap().lease.id;
    assert_eq!(running, all[3]);

    let all_of = Filter::default();
    let tenant = Filter { tenant: Some("acme".to_owned()), ..all_of.clone() };
    let in_state = |state| Filter { state: Some(state), ..Filter::default() };
    let cases: &[(Filter, Option<usize>, u32, &[usize])] = &[
        (all_of.clone(), None, 3, &[11, 10, 9]),
        (all_of.clone(), Some(9), 3, &[8, 7, 6]),
        (all_of.clone(), Some(0), 3, &[]),
        (tenant.clone(), None, 9, &[10, 8, 6, 4, 2, 0]),
        (tenant.clone(), Some(6), 2, &[4, 2]),
        (Filter { queue: Some("second".to_owned()), ..all_of.clone() }, None, 9, &[10, 7, 4, 1]),
        (Filter { kind: Some("webhook".to_owned()), ..tenant.clone() }, None, 9, &[10, 8, 6]),
        (in_state(State::Scheduled), None, 9, &[1, 0]),
        (in_state(State::Ready), None, 9, &[9, 8, 7, 5, 4, 2]),
        (in_state(State::Running), None, 9, &[3]),
        (in_state(State::Done), None, 9, &[6]),
        (in_state(State::Cancelled), None, 9, &[11, 10]),
        (in_state(State::Dead), None, 9, &[]),
        (Filter { state: Some(State::Ready), ..tenant }, None, 9, &[8, 4, 2]),
    ];
    for (filter, before, limit, expected) in cases {
        let found = store.jobs.list(filter.clone(), before.map(|number| all[number]), *limit).await.unwrap();
        let found: Vec<JobId> = found.iter().map(|job| job.id).collect();
        let expected: Vec<JobId> = expected.iter().map(|&number| all[number]).collect();
        assert_eq!(found, expected, "{filter:?} before {before:?}");
    }
}

pub async fn depths_count_what_is_not_over(store: &Store) {
    assert_eq!(store.jobs.depths().await.unwrap(), []);
    let second = || NewJob { queue: "second".to_owned(), ..job() };
    let old = NewJob { run_at: NOW.before(SECOND * 5), ..job_of("zoe") };
    let later = |seconds| NewJob { run_at: NOW.after(SECOND * seconds), ..second() };
    add_all(store, vec![job(), job_of("bob"), old, job(), later(9), later(8), second()]).await;
    run(store, NewJob { band: Band::High, run_at: NOW.before(SECOND), ..job() }).await;
    let over = add(store, job()).await;
    store.jobs.cancel(over, None, NOW).await.unwrap();

    let depth = |queue: &str, state, count, oldest| Depth {
        queue: queue.to_owned(),
        state,
        count,
        oldest: Some(oldest),
    };
    let mut found = store.jobs.depths().await.unwrap();
    found.sort_by_key(|depth| (depth.queue.clone(), depth.state as u8));
    let expected = [
        depth("default", State::Ready, 4, NOW.before(SECOND * 5)),
        depth("default", State::Running, 1, NOW.before(SECOND)),
        depth("second", State::Scheduled, 2, NOW.after(SECOND * 8)),
        depth("second", State::Ready, 1, NOW),
    ];
    assert_eq!(found, expected);
}

pub async fn a_backlog_is_one_tenants_and_counted_up_to_a_bound(store: &Store) {
    let backlog = async |tenant, most| store.jobs.backlog(tenant, most).await.unwrap();
    assert_eq!(backlog("acme", 9).await, 0);
    let second = || NewJob { queue: "second".to_owned(), band: Band::Low, ..job() };
    let later = NewJob { run_at: NOW.after(SECOND), ..job() };
    let bobs = [job_of("bob"), NewJob { run_at: NOW.after(SECOND), ..job_of("bob") }];
    add_all(store, vec![job(), second(), second(), later.clone(), later, job()]).await;
    add_all(store, bobs.into()).await;
    run(store, NewJob { run_at: NOW.before(SECOND), ..job() }).await;
    let over = add(store, job()).await;
    store.jobs.cancel(over, None, NOW).await.unwrap();
    assert_eq!((backlog("acme", 100).await, backlog("bob", 100).await, backlog("zoe", 100).await), (6, 2, 0));
    assert_eq!((backlog("acme", 6).await, backlog("acme", 3).await, backlog("acme", 1).await), (6, 3, 1));
}

pub async fn what_is_over_is_purged(store: &Store) {
    let ready = add(store, NewJob { queue: "never".to_owned(), ..job() }).await;
    let mut over = Vec::new();
    for seconds in 0..4 {
        let lease = run(store, job_of(["acme", "other"][seconds % 2])).await.lease;
        let at = NOW.after(SECOND * u32::try_from(seconds).unwrap());
        let fault = fault("bad");
        let how = if seconds < 2 { End::Done { result: Vec::new() } } else { End::Dead { fault } };
        assert!(end(store, store::jobs::Finish { at, ..finish(lease, how) }).await);
        over.push(lease.id);
    }
    let later = NOW.after(SECOND * 60);
    let purge = |filter: Filter, before, limit| store.jobs.purge(filter, before, limit);
    let dead = Filter { state: Some(State::Dead), ..Filter::default() };
    let ready_only = Filter { state: Some(State::Ready), ..Filter::default() };
    let other = Filter { tenant: Some("other".to_owned()), ..Filter::default() };

    assert_eq!(purge(Filter::default(), NOW, 10).await.unwrap(), 0, "none was over before");
    assert_eq!(purge(ready_only, later, 10).await.unwrap(), 0, "what is not over stays");
    assert_eq!(purge(dead, NOW.after(SECOND * 3), 10).await.unwrap(), 1);
    assert_eq!(store.jobs.get(over[2], None).await.unwrap(), None);
    assert_eq!(store.jobs.faults(over[2]).await.unwrap(), []);
    assert_eq!(purge(other, later, 10).await.unwrap(), 2);
    assert_eq!(purge(Filter::default(), later, 0).await.unwrap(), 0);
    assert_eq!(purge(Filter::default(), later, 10).await.unwrap(), 1);
    let left = store.jobs.list(Filter::default(), None, 10).await.unwrap();
    assert_eq!(left.iter().map(|job| job.id).collect::<Vec<_>>(), [ready]);
}
