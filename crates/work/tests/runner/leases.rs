//! Leases that are lost, kept and taken over.

use crate::outages::{Mood, Weather};
use crate::stage::*;
use std::sync::atomic::{AtomicBool, Ordering};
use store::jobs::State;
use work::{Context, Handlers, Options};

/// Handlers that say who they are: at their beginning in the diary, at their end in the result.
fn named(
    name: &'static str,
    diary: &Diary,
    go_on: impl Fn() -> bool + Clone + Send + Sync + 'static,
) -> Handlers {
    let diary = diary.clone();
    Handlers::new().on("long", move |context: Context| {
        let (diary, go_on) = (diary.clone(), go_on.clone());
        async move {
            diary.note(format!("{name} begins attempt {}", context.attempt()));
            while !go_on() {
                tokio::time::sleep(ms(5)).await;
                if let Some(why) = context.stopped() {
                    diary.note(format!("{name} hears {why:?}"));
                    break;
                }
            }
            Ok(name.as_bytes().to_vec())
        }
    })
}

#[tokio::test]
async fn who_is_cut_off_stops_and_can_change_nothing_any_more() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    for mood in [Mood::Frozen, Mood::Away] {
        let weather = Weather::over(stage.jobs());
        let cut_off = act(weather.jobs(), named("first", &diary, || false), short_leases());
        let id = add(&stage.client(), draft("long")).await;
        let begun = diary.len() + 1;
        diary.reaches(begun).await;
        weather.turns(mood);
        // It hears that it has lost the job before anybody else begins it.
        diary.reaches(begun + 1).await;
        let other = stage.run(named("second", &diary, || true), short_leases());
        let job = stage.over(id).await;
        assert_eq!((job.state, job.attempt, job.result.as_deref()), (State::Done, 2, Some(&b"second"[..])));
        assert_eq!(stage.store.jobs.faults(id).await.unwrap()[0].fault.class, "lease");
        weather.turns(Mood::Fair);
        eventually(async || (cut_off.handle.report().lost == 1).then_some(())).await;
        assert_eq!(stage.job(id).await, job);
        other.drain().await;
        cut_off.drain().await;
    }
    let once = ["first begins attempt 1", "first hears Lost", "second begins attempt 2"];
    assert_eq!(diary.all(), [once, once].concat());
}

/// A claim that is answered when its leases are over is put back, and charged nothing.
#[tokio::test]
async fn what_was_claimed_too_late_is_not_begun() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let weather = Weather::over(stage.jobs());
    let nobody_reaps = Options { reap: ms(600_000), ..short_leases() };
    let act = act(weather.jobs(), named("first", &diary, || true), nobody_reaps);
    weather.turns(Mood::Frozen);
    let id = add(&stage.client(), draft("long")).await;
    // Until it has asked, and a lease longer.
    tokio::time::sleep(ms(1500)).await;
    weather.turns(Mood::Fair);
    let job = stage.over(id).await;
    assert_eq!((job.state, job.attempt, job.fault), (State::Done, 1, None));
    // More than once where a slow disk made the next claim late as well.
    let released = act.rests().await.released;
    assert!(released >= 1, "{released}");
    assert_eq!(diary.len(), 1);
    act.drain().await;
}

#[tokio::test]
async fn who_is_killed_is_succeeded() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let killed = stage.run(named("first", &diary, || false), short_leases());
    let ids = add_all(&killed.client, drafts("long", 10)).await;
    diary.reaches(10).await;
    killed.kill().await;
    let other = stage.run(named("second", &diary, || true), short_leases());
    for job in stage.all_over(&ids).await {
        assert_eq!((job.state, job.attempt, job.result), (State::Done, 2, Some(b"second".to_vec())));
    }
    other.drain().await;
}

/// Killed again and again within the pause between two looks for what nobody holds.
#[tokio::test]
async fn who_never_lives_long_takes_over_nevertheless() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let killed = stage.run(named("first", &diary, || false), short_leases());
    let ids = add_all(&killed.client, drafts("long", 10)).await;
    diary.reaches(10).await;
    killed.kill().await;
    tokio::time::sleep(ms(700)).await;
    let other = stage.run(named("second", &diary, || true), Options { reap: ms(600_000), ..short_leases() });
    for job in stage.all_over(&ids).await {
        assert_eq!((job.state, job.attempt), (State::Done, 2));
    }
    other.drain().await;
}

/// More than are taken back in one step.
#[tokio::test]
async fn many_leases_that_are_over_are_taken_back_in_one_go() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let ids = add_all(&stage.client(), drafts("long", 1200)).await;
    let lease = ms(1);
    let claim = store::jobs::Claim {
        queue: "default".to_owned(),
        owner: "who died".to_owned(),
        limit: 1200,
        lease,
        now: store::Time::now(),
        turn: store::jobs::Turn::default(),
        rate: None,
    };
    assert_eq!(stage.jobs().claim(claim).await.unwrap().jobs.len(), ids.len());
    tokio::time::sleep(ms(10)).await;
    let other = stage.run(named("second", &diary, || true), Options { reap: ms(600_000), ..options() });
    for job in stage.all_over(&ids).await {
        assert_eq!((job.state, job.attempt), (State::Done, 2));
    }
    other.drain().await;
}

#[tokio::test]
async fn a_job_that_outlasts_many_leases_is_done_once() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let start = std::time::Instant::now();
    let long = move || start.elapsed() > ms(7000);
    let acts = [(); 2].map(|()| stage.run(named("one", &diary, long), fair_leases()));
    let ids = add_all(&acts[0].client, drafts("long", 5)).await;
    for job in stage.all_over(&ids).await {
        assert_eq!((job.state, job.attempt), (State::Done, 1));
    }
    assert_eq!(diary.len(), 5);
    for act in acts {
        let report = act.rests().await;
        assert_eq!((report.lost, report.reaped), (0, 0));
        act.drain().await;
    }
}

/// Three replicas, each cut off and let in again all the time: jobs are begun more than once, and each has one
/// recorded end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_that_come_and_go_record_each_job_once() {
    const JOBS: usize = 600;
    let (stage, diary) = (Stage::new().await, Diary::default());
    let doors = [(); 3].map(|()| Weather::over(stage.jobs()));
    let acts = doors.each_ref().map(|door| {
        let diary = diary.clone();
        let handlers = Handlers::new().on("work", move |context: Context| {
            let diary = diary.clone();
            async move {
                diary.note(context.key());
                tokio::time::sleep(ms(20 + fastrand::u64(0..100))).await;
                Ok(format!("{}", context.lease().token.0).into_bytes())
            }
        });
        act(door.jobs(), handlers, Options { workers: 8, ..short_leases() })
    });
    let jobs = (0..JOBS).map(|_| draft("work").attempts(1000).into()).collect();
    let ids = add_all(&stage.client(), jobs).await;
    let over = AtomicBool::new(false);
    let (jobs, ()) = tokio::join!(
        async {
            let jobs = stage.all_over(&ids).await;
            over.store(true, Ordering::SeqCst);
            jobs
        },
        async {
            // Whatever chance does later, one of them loses what it has begun.
            diary.reaches(100).await;
            doors[0].turns(Mood::Frozen);
            tokio::time::sleep(ms(1200)).await;
            while !over.load(Ordering::SeqCst) {
                let mood = [Mood::Fair, Mood::Fair, Mood::Away, Mood::Frozen][fastrand::usize(0..4)];
                doors[fastrand::usize(0..3)].turns(mood);
                // Now and then for longer than a lease.
                tokio::time::sleep(ms(fastrand::u64(0..900))).await;
            }
            doors.iter().for_each(|door| door.turns(Mood::Fair));
        },
    );
    let (mut done, mut lost, mut unbegun, mut claimed) = (0, 0, 0, 0);
    for act in acts {
        let handle = act.handle.clone();
        act.drain().await;
        let report = handle.report();
        (done, lost) = (done + report.done, lost + report.lost);
        (unbegun, claimed) = (unbegun + report.released, claimed + report.claimed);
    }
    // What was claimed is done, lost, or was put back as its claim was answered too late. Nothing is done twice.
    assert_eq!((done, claimed), (JOBS as u64, done + lost + unbegun));
    assert!(lost > 0 && diary.len() > JOBS);
    for job in jobs {
        assert_eq!((job.state, stage.job(job.id).await == job), (State::Done, true));
        assert_eq!(stage.store.jobs.faults(job.id).await.unwrap().len() as u32, job.attempt - 1);
    }
}
