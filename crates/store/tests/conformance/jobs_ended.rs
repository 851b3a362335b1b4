//! Jobs as they run and end.

use super::make::*;
use store::jobs::{
    Beat, Cancel, Claim, End, Filter, Finish, Idempotency, JobId, Lease, NewJob, PastFault, Pulse, State,
    Told,
};
use store::{Store, Time};

async fn beat(store: &Store, lease: Lease, progress: Option<&[u8]>, until: Time) -> Pulse {
    let beat = Beat { lease, progress: progress.map(<[u8]>::to_vec) };
    store.jobs.beat(vec![beat], until).await.unwrap()[0]
}

fn again(lease: Lease, run_at: Time) -> Finish {
    finish(lease, End::Again { run_at, fault: fault("busy") })
}

pub async fn a_heartbeat_renews_a_lease(store: &Store) {
    let lease = run(store, job()).await.lease;
    let until = NOW.after(LEASE * 2);
    assert_eq!(beat(store, lease, Some(b"half"), until).await, Pulse::Held);
    assert_eq!(store.jobs.reap(NOW.after(LEASE + SECOND), 10).await.unwrap(), 0);
    assert_eq!(beat(store, lease, None, until).await, Pulse::Held);
    let job = get(store, lease.id).await;
    assert_eq!((job.lease_until, job.progress.as_deref()), (Some(until), Some(b"half".as_slice())));
    store.jobs.cancel(lease.id, None, NOW).await.unwrap();
    assert_eq!(beat(store, lease, None, until).await, Pulse::Cancelled);
    let gone = Lease { id: JobId(lease.id.0 + 1), ..lease };
    let beats = [gone, lease].map(|lease| Beat { lease, progress: None }).to_vec();
    assert_eq!(store.jobs.beat(beats, until).await.unwrap(), [Pulse::Lost, Pulse::Cancelled]);
}

pub async fn a_stale_token_changes_nothing(store: &Store) {
    let stale = run(store, job()).await.lease;
    let later = NOW.after(LEASE + SECOND);
    let ends = || {
        [
            End::Done { result: b"stale".to_vec() },
            End::Again { run_at: NOW, fault: fault("stale") },
            End::Dead { fault: fault("stale") },
            End::Cancelled,
            End::Released,
        ]
    };
    let check = async |state| {
        let before = get(store, stale.id).await;
        assert_eq!(before.state, state);
        assert_eq!(beat(store, stale, Some(b"stale"), later.after(LEASE)).await, Pulse::Lost);
        for end in ends() {
            let finish = Finish { then: vec![job()], ..finish(stale, end) };
            assert!(!super::make::end(store, finish).await);
        }
        assert_eq!(get(store, stale.id).await, before);
        assert_eq!(store.jobs.list(Filter::default(), None, 9).await.unwrap().len(), 1, "nothing was added");
    };
    assert_eq!(store.jobs.reap(later, 10).await.unwrap(), 1);
    check(State::Ready).await;
    let held = claim_one(store, later).await.unwrap().lease;
    assert_eq!((held.id, held.token.0), (stale.id, stale.token.0 + 1));
    check(State::Running).await;
    let ends = vec![finish(stale, End::Released), done(held)];
    assert_eq!(store.jobs.finish(ends).await.unwrap(), [false, true], "each by itself");
    check(State::Done).await;
}

pub async fn a_job_that_is_done_keeps_its_result_or_goes(store: &Store) {
    let kept = run(store, job()).await.lease;
    assert!(end(store, Finish { at: NOW.after(SECOND), ..done(kept) }).await);
    let job_then = get(store, kept.id).await;
    assert_eq!((job_then.state, job_then.ended), (State::Done, Some(NOW.after(SECOND))));
    assert_eq!(job_then.result.as_deref(), Some(b"42".as_slice()));
    assert_eq!((job_then.owner, job_then.lease_until), (None, None));
    assert!(!end(store, done(kept)).await, "it is over");

    let gone = NewJob { keep: false, ..job() };
    let first = run(store, gone.clone()).await.lease;
    assert!(end(store, again(first, NOW)).await);
    let second = claim_one(store, NOW).await.unwrap().lease;
    assert!(end(store, done(second)).await);
    assert_eq!(store.jobs.get(second.id, None).await.unwrap(), None);
    assert_eq!(store.jobs.faults(second.id).await.unwrap(), []);
    assert!(!end(store, done(second)).await, "it is gone");

    let dead = run(store, gone).await.lease;
    assert!(end(store, finish(dead, End::Dead { fault: fault("bad") })).await);
    assert_eq!(get(store, dead.id).await.state, State::Dead, "stays anyway");
}

pub async fn what_follows_is_added_with_the_end(store: &Store) {
    let lease = run(store, job()).await.lease;
    let next = NewJob { kind: "next".to_owned(), unique: Some("one".to_owned()), ..job() };
    let later = NewJob { kind: "later".to_owned(), run_at: NOW.after(SECOND), ..job() };
    let then = vec![next.clone(), next, later];
    assert!(end(store, Finish { then, ..done(lease) }).await);
    let all = store.jobs.list(Filter::default(), None, 9).await.unwrap();
    let found: Vec<_> = all.iter().map(|job| (job.new.kind.as_str(), job.state)).collect();
    assert_eq!(found, [("later", State::Scheduled), ("next", State::Ready), ("test", State::Done)]);
}

pub async fn what_failed_is_tried_again_later(store: &Store) {
    let first = run(store, job()).await.lease;
    let at = NOW.after(SECOND * 2);
    assert!(end(store, again(first, at)).await);
    let waiting = get(store, first.id).await;
    assert_eq!((waiting.state, waiting.attempt, waiting.new.run_at), (State::Scheduled, 1, at));
    assert_eq!(waiting.fault, Some(fault("busy")));
    assert_eq!(store.jobs.promote(at, 10).await.unwrap(), 1);
    let second = claim_one(store, at).await.unwrap();
    assert_eq!((second.lease.id, second.attempt), (first.id, 2));
    assert!(end(store, Finish { at, ..again(second.lease, at) }).await);
    let third = claim_one(store, at).await.unwrap();
    assert_eq!(third.attempt, 3, "ready at once");
    let dead = Finish { at, ..finish(third.lease, End::Dead { fault: fault("bad") }) };
    assert!(end(store, dead).await);
    let job = get(store, first.id).await;
    assert_eq!((job.state, job.fault, job.ended), (State::Dead, Some(fault("bad")), Some(at)));
    let past = |attempt, at, class| PastFault { attempt, at, fault: fault(class) };
    let expected = [past(1, NOW, "busy"), past(2, at, "busy"), past(3, at, "bad")];
    assert_eq!(store.jobs.faults(first.id).await.unwrap(), expected);
}

pub async fn a_released_job_is_charged_nothing(store: &Store) {
    let early = NewJob { run_at: NOW.before(SECOND), ..job() };
    let first = run(store, early).await.lease;
    add(store, job()).await;
    assert!(end(store, finish(first, End::Released)).await);
    let job = get(store, first.id).await;
    assert_eq!((job.state, job.attempt, job.owner), (State::Ready, 0, None));
    let second = claim_one(store, NOW).await.unwrap();
    assert_eq!((second.lease.id, second.attempt), (first.id, 1), "it has kept its place");
    assert_ne!(second.lease.token, first.token);
    store.jobs.cancel(first.id, None, NOW).await.unwrap();
    assert!(end(store, finish(second.lease, End::Released)).await);
    assert_eq!(get(store, first.id).await.state, State::Cancelled);
}

pub async fn a_job_that_is_put_off_is_charged_nothing(store: &Store) {
    let first = run(store, job()).await.lease;
    let later = NOW.after(SECOND);
    assert!(end(store, finish(first, End::Later { run_at: later })).await);
    let job = get(store, first.id).await;
    assert_eq!((job.state, job.attempt, job.owner, job.new.run_at), (State::Scheduled, 0, None, later));
    assert!(store.jobs.faults(first.id).await.unwrap().is_empty());
    assert_eq!(store.jobs.promote(later, 10).await.unwrap(), 1);
    let second = claim_one(store, later).await.unwrap();
    assert_eq!((second.lease.id, second.attempt), (first.id, 1));
    store.jobs.cancel(first.id, None, later).await.unwrap();
    assert!(end(store, finish(second.lease, End::Later { run_at: later.after(SECOND) })).await);
    assert_eq!(get(store, first.id).await.state, State::Cancelled);
}

pub async fn what_nobody_renews_is_taken_back(store: &Store) {
    let jobs = vec![NewJob { attempts_max: 2, ..job() }, NewJob { attempts_max: 1, ..job() }, job()];
    let ids = add_all(store, jobs).await;
    let claimed = store.jobs.claim(claim(3)).await.unwrap();
    assert_eq!(claimed.jobs.len(), 3);
    store.jobs.cancel(ids[2], None, NOW).await.unwrap();
    assert_eq!(store.jobs.reap(NOW.after(SECOND), 10).await.unwrap(), 0);
    let later = NOW.after(LEASE + SECOND);
    assert_eq!(store.jobs.reap(later, 2).await.unwrap(), 2, "so many at most");
    assert_eq!(store.jobs.reap(later, 2).await.unwrap(), 1);
    assert_eq!(store.jobs.reap(later, 2).await.unwrap(), 0);

    for (id, state) in ids.iter().zip([State::Ready, State::Dead, State::Cancelled]) {
        let job = get(store, *id).await;
        assert_eq!((job.state, job.attempt, job.owner), (state, 1, None));
        assert_eq!(job.ended, state.is_final().then_some(later));
        assert_eq!(job.fault.unwrap().class, "lease");
    }
    let last = claim_one(store, later).await.unwrap();
    assert_eq!((last.lease.id, last.attempt), (ids[0], 2));
    assert_eq!(store.jobs.reap(later.after(LEASE + SECOND), 10).await.unwrap(), 1);
    assert_eq!(get(store, ids[0]).await.state, State::Dead, "no attempt is left");
    assert_eq!(store.jobs.faults(ids[0]).await.unwrap().len(), 2);
}

pub async fn a_cancellation_reaches_a_job_in_every_state(store: &Store) {
    let cancel = async |id, tenant| store.jobs.cancel(id, tenant, NOW).await.unwrap();
    let running = run(store, job()).await.lease;
    let ready = add(store, job()).await;
    let scheduled = add(store, NewJob { run_at: NOW.after(SECOND), ..job() }).await;
    for id in [ready, scheduled] {
        assert_eq!(cancel(id, Some("other")).await, Cancel::Unknown);
        assert_eq!(cancel(id, Some("acme")).await, Cancel::Done);
        assert_eq!(cancel(id, None).await, Cancel::Over(State::Cancelled));
        assert_eq!(get(store, id).await.ended, Some(NOW));
    }
    assert_eq!(store.jobs.promote(NOW.after(SECOND), 9).await.unwrap(), 0);
    assert_eq!(store.jobs.claim(claim(9)).await.unwrap().jobs, []);
    assert_eq!(cancel(JobId(scheduled.0 + 1), None).await, Cancel::Unknown);

    assert_eq!(cancel(running.id, None).await, Cancel::Asked);
    assert!(get(store, running.id).await.cancel_requested);
    assert!(end(store, again(running, NOW)).await);
    assert_eq!(get(store, running.id).await.state, State::Cancelled, "not tried again");
    assert_eq!(store.jobs.faults(running.id).await.unwrap().len(), 1);

    let obedient = run(store, job()).await.lease;
    assert_eq!(cancel(obedient.id, None).await, Cancel::Asked);
    assert!(end(store, finish(obedient, End::Cancelled)).await);
    assert_eq!(get(store, obedient.id).await.state, State::Cancelled);

    let quicker = run(store, job()).await.lease;
    assert_eq!(cancel(quicker.id, None).await, Cancel::Asked);
    assert!(end(store, done(quicker)).await);
    assert_eq!(cancel(quicker.id, None).await, Cancel::Over(State::Done), "done before it heard");
}

pub async fn a_dead_letter_is_replayed(store: &Store) {
    let key = Idempotency { key: "key".to_owned(), hash: [1; 32] };
    let new = NewJob {
        idempotency: Some(key),
        unique: Some("word".to_owned()),
        deadline: Some(NOW.after(SECOND * 9)),
        attempts_max: 1,
        ..job()
    };
    let lease = run(store, new.clone()).await.lease;
    let later = NOW.after(SECOND * 100);
    assert_eq!(store.jobs.replay(lease.id, later).await.unwrap(), None, "it runs");
    assert!(end(store, finish(lease, End::Dead { fault: fault("bad") })).await);
    let id = store.jobs.replay(lease.id, later).await.unwrap().unwrap();
    assert!(id > lease.id);
    let anew = get(store, id).await;
    let expected = NewJob {
        run_at: later,
        deadline: Some(later.after(SECOND * 9)),
        idempotency: None,
        replay_of: Some(lease.id),
        ..new
    };
    assert_eq!((anew.new, anew.state, anew.attempt), (expected, State::Ready, 0));
    assert_eq!(store.jobs.replay(lease.id, later).await.unwrap(), Some(id), "its word is taken");

    let again = store.jobs.claim(Claim { now: later, ..claim(1) }).await.unwrap().jobs[0].lease;
    assert!(end(store, done(again)).await);
    assert_eq!(store.jobs.replay(id, later).await.unwrap(), None, "it went well");
    assert_eq!(store.jobs.replay(JobId(id.0 + 1), later).await.unwrap(), None);
    assert_eq!(get(store, lease.id).await.state, State::Dead, "the old one stays as it was");
}

/// The jobs that ended in the store, with nobody to say what follows.
async fn untold(store: &Store) -> Vec<JobId> {
    store.jobs.untold(100).await.unwrap().iter().map(|job| job.id).collect()
}

pub async fn ends_that_nobody_spoke_for_are_told_of_once(store: &Store) {
    let later = NOW.after(LEASE + SECOND);
    let cancelled = add(store, job()).await;
    store.jobs.cancel(cancelled, None, NOW).await.unwrap();
    let late = add(store, NewJob { deadline: Some(NOW.after(SECOND)), ..job() }).await;
    assert!(claim_one(store, NOW.after(SECOND)).await.is_none());
    let mut expected = vec![cancelled, late];
    for how in [End::Again { run_at: NOW, fault: fault("bad") }, End::Released, End::Later { run_at: later }]
    {
        let lease = run(store, job()).await.lease;
        store.jobs.cancel(lease.id, None, NOW).await.unwrap();
        assert!(end(store, finish(lease, how)).await);
        expected.push(lease.id);
    }
    for (attempts_max, is_cancelled) in [(1, false), (3, true)] {
        let lease = run(store, NewJob { attempts_max, ..job() }).await.lease;
        if is_cancelled {
            store.jobs.cancel(lease.id, None, NOW).await.unwrap();
        }
        expected.push(lease.id);
    }
    assert_eq!(store.jobs.reap(later, 9).await.unwrap(), 2);
    assert_eq!(untold(store).await, expected);
    assert_eq!(store.jobs.untold(2).await.unwrap().len(), 2, "so many at most");
    let purged = store.jobs.purge(Filter::default(), later.after(SECOND), 100).await.unwrap();
    assert_eq!((purged, untold(store).await), (0, expected.clone()), "they are not forgotten before");

    let told = |id| Told { id, then: vec![job_of("told")] };
    let strange = JobId(expected[0].0 + 1000);
    let answer =
        store.jobs.tell(vec![told(late), told(strange), told(cancelled), told(late)], NOW).await.unwrap();
    assert_eq!(answer, [true, false, true, false], "each once");
    let rest = expected[2..].iter().map(|id| Told { id: *id, then: Vec::new() }).collect();
    assert!(store.jobs.tell(rest, NOW).await.unwrap().iter().all(|is_ours| *is_ours));
    assert_eq!(untold(store).await, []);
    let added = store.jobs.claim(claim(9)).await.unwrap();
    assert_eq!(tenants(&added), ["told", "told"]);
    assert_eq!(store.jobs.purge(Filter::default(), later.after(SECOND), 100).await.unwrap(), 7);
}

pub async fn ends_that_somebody_spoke_for_are_not_told_of_again(store: &Store) {
    let ends = [
        End::Done { result: Vec::new() },
        End::Dead { fault: fault("bad") },
        End::Cancelled,
        End::Again { run_at: NOW.after(SECOND), fault: fault("bad") },
    ];
    for how in ends {
        for is_cancelled in [false, true] {
            if is_cancelled && matches!(how, End::Again { .. }) {
                continue;
            }
            let lease = run(store, job()).await.lease;
            if is_cancelled {
                store.jobs.cancel(lease.id, None, NOW).await.unwrap();
            }
            assert!(end(store, finish(lease, how.clone())).await);
            assert_eq!(untold(store).await, [], "{how:?}");
        }
    }
    let lease = run(store, job()).await.lease;
    assert_eq!(store.jobs.reap(NOW.after(LEASE + SECOND), 9).await.unwrap(), 1);
    assert_eq!((get(store, lease.id).await.state, untold(store).await), (State::Ready, vec![]));
}
