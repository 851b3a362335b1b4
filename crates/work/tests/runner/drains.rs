//! Processes that are told to end.

use crate::stage::*;
use std::collections::BTreeSet;
use store::jobs::State;
use work::{Context, Handlers, Options};

#[tokio::test]
async fn a_drain_claims_no_more_and_waits_for_what_is_under_way() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let notes = diary.clone();
    let handlers = Handlers::new().on("work", move |_: Context| {
        let notes = notes.clone();
        async move {
            notes.note("begun");
            tokio::time::sleep(ms(100)).await;
            Ok(())
        }
    });
    let act = stage.run(handlers, one_at_a_time());
    let ids = add_all(&act.client, drafts("work", 50)).await;
    diary.reaches(2).await;
    act.drain().await;
    let (mut done, mut ready) = (0, 0);
    for id in ids {
        let job = stage.job(id).await;
        match job.state {
            State::Done => done += 1,
            State::Ready => ready += 1,
            _ => panic!("{job:?}"),
        }
        assert_eq!(job.attempt, u32::from(job.state == State::Done));
    }
    assert_eq!((done, done + ready), (diary.len(), 50));
}

#[tokio::test]
async fn what_does_not_end_in_time_is_put_back_and_charged_nothing() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let notes = diary.clone();
    let handlers = Handlers::new()
        .on("heeds", {
            let notes = diary.clone();
            move |context: Context| {
                let notes = notes.clone();
                async move {
                    notes.note("begun");
                    let why = context.cancelled().await;
                    notes.note(format!("{why:?}"));
                    Err::<(), _>(work::Failed::lasting("stopped", ""))
                }
            }
        })
        .on("deaf", move |_: Context| {
            notes.note("begun");
            std::future::pending::<Result<(), work::Failed>>()
        });
    let act = stage.run(handlers, Options { grace: ms(50), ..options() });
    let ids = add_all(&act.client, [drafts("heeds", 3), drafts("deaf", 3)].concat()).await;
    diary.reaches(6).await;
    act.drain().await;
    for id in &ids {
        let job = stage.job(*id).await;
        assert_eq!((job.state, job.attempt, job.fault), (State::Ready, 0, None));
    }
    assert_eq!(diary.all().iter().filter(|note| *note == "Drain").count(), 3);

    let done = |_: Context| async { Ok(()) };
    let next = stage.run(Handlers::new().on("heeds", done).on("deaf", done), options());
    for job in stage.all_over(&ids).await {
        assert_eq!((job.state, job.attempt), (State::Done, 1));
    }
    next.drain().await;
}

/// Drained again and again in the midst of it, nothing is lost, and nothing that was done is done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_over_many_drains() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let ids = add_all(&stage.client(), drafts("work", 400)).await;
    for round in 0.. {
        let notes = diary.clone();
        let handlers = Handlers::new().on("work", move |context: Context| {
            let notes = notes.clone();
            async move {
                tokio::time::sleep(ms(u64::from(context.id().0 as u32 % 7))).await;
                notes.note(context.key());
                Ok(())
            }
        });
        let act = stage.run(handlers, Options { grace: ms(round % 3), ..options() });
        let target = (diary.len() + 20).min(400);
        diary.reaches(target).await;
        act.drain().await;
        if diary.len() == 400 {
            break;
        }
    }
    for job in stage.all_over(&ids).await {
        assert_eq!((job.state, job.attempt), (State::Done, 1));
    }
    assert_eq!(diary.all().into_iter().collect::<BTreeSet<_>>().len(), 400);
    assert_eq!(diary.len(), 400);
}
