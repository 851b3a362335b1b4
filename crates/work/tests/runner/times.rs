//! Jobs whose time comes, and goes.

use crate::stage::*;
use std::time::Duration;
use store::jobs::State;
use work::{Context, Handlers, Options};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn kinds() -> Handlers {
    Handlers::new()
        .on("works", async |_: Context| Ok(()))
        .on("fails", async |_: Context| Err::<(), _>(work::Failed::lasting("bad", "")))
}

#[tokio::test]
async fn a_delayed_job_begins_when_its_time_has_come_and_not_before() {
    let (stage, hands) = (Stage::new().await, Hands::new());
    let act = stage.run(kinds(), Options { clock: hands.clock(), ..options() });
    let later = add(&act.client, draft("works").delay(DAY, hands.now())).await;
    let sooner = add(&act.client, draft("works").delay(DAY / 2, hands.now())).await;
    for (id, others) in [(sooner, vec![later]), (later, vec![])] {
        assert_eq!(stage.job(id).await.state, State::Scheduled);
        hands.forward(DAY / 2 - ms(1));
        // Whatever is added and done meanwhile, it is not its turn.
        let other = add(&act.client, draft("works")).await;
        stage.over(other).await;
        assert_eq!(stage.job(id).await.state, State::Scheduled);
        hands.forward(ms(1));
        assert_eq!(stage.over(id).await.state, State::Done);
        for other in others {
            assert_eq!(stage.job(other).await.state, State::Scheduled);
        }
    }
    act.drain().await;
}

/// Idle queues are asked again after ten minutes here: who adds a job in the same process wakes whoever waits for
/// it, be it ready or due soon.
#[tokio::test]
async fn a_job_that_is_added_here_need_not_be_looked_for() {
    let stage = Stage::new().await;
    let pace = work::pace::Bounds { least: ms(600_000), most: ms(600_000) };
    let act = stage.run(kinds(), Options { pace, ..options() });
    eventually(async || (act.handle.report().claims > 0).then_some(())).await;
    let now = add(&act.client, draft("works")).await;
    stage.over(now).await;
    let soon = add(&act.client, draft("works").delay(ms(300), store::Time::now())).await;
    stage.over(soon).await;
    act.drain().await;
}

#[tokio::test]
async fn what_is_late_before_it_begins_is_a_dead_letter() {
    let (stage, hands) = (Stage::new().await, Hands::new());
    let late = draft("works").run_at(hands.now()).deadline(hands.now().after(DAY));
    let id = stage.store.jobs.add(vec![late.into()], hands.now()).await.unwrap();
    hands.forward(DAY);
    let act = stage.run(kinds(), Options { clock: hands.clock(), ..options() });
    let store::jobs::Added::New(id) = id[0] else { panic!("{id:?}") };
    let job = stage.over(id).await;
    assert_eq!((job.state, job.fault.unwrap().class.as_str()), (State::Dead, work::verdict::DEADLINE));
    act.drain().await;
}

#[tokio::test]
async fn what_is_old_is_forgotten_and_dead_letters_later() {
    let (stage, hands) = (Stage::new().await, Hands::new());
    let act = stage.run(kinds(), Options { clock: hands.clock(), ..options() });
    let jobs = [drafts("works", 1200), drafts("fails", 30)].concat();
    let ids = add_all(&act.client, jobs).await;
    let gone = add(&act.client, draft("works").forget_when_done()).await;
    stage.all_over(&ids).await;
    let left = async || {
        let mut left = 0;
        for id in &ids {
            left += usize::from(stage.store.jobs.get(*id, None).await.unwrap().is_some());
        }
        left
    };
    eventually(async || stage.store.jobs.get(gone, None).await.unwrap().is_none().then_some(())).await;
    assert_eq!(left().await, 1230);
    hands.forward(7 * DAY + ms(1));
    eventually(async || (act.handle.report().purged == 1200).then_some(())).await;
    assert_eq!(left().await, 30);
    hands.forward(23 * DAY);
    eventually(async || (act.handle.report().purged == 1230).then_some(())).await;
    assert_eq!(left().await, 0);
    act.drain().await;
}
