//! Jobs that are added again and again.

use crate::stage::*;
use std::sync::Arc;
use std::time::Duration;
use store::jobs::State;
use store::schedules::Schedule;
use work::cron::Invalid;
use work::schedules::{Error, Plan, Timetable};
use work::{Context, Draft, Handlers, Options};

const MINUTE: Duration = Duration::from_secs(60);

fn plan(cron: &str, zone: &str) -> Plan {
    let job = Draft::new("report", "acme").payload("daily").into();
    let (name, tenant) = ("reports".to_owned(), "acme".to_owned());
    Plan { name, tenant, cron: cron.to_owned(), zone: zone.to_owned(), job, within: Some(60 * MINUTE) }
}

/// Notes each job.
fn noting(diary: &Diary) -> Handlers {
    let diary = diary.clone();
    Handlers::new().on("report", move |context: Context| {
        diary.note(context.tenant());
        std::future::ready(Ok(()))
    })
}

/// A store, its schedules, and a clock at 2025-06-15 15:06:40 in UTC.
async fn stage() -> (Stage, Timetable, Hands) {
    let (stage, hands) = (Stage::new().await, Hands::new());
    let timetable = Timetable::new(Arc::clone(&stage.store.schedules), hands.clock());
    (stage, timetable, hands)
}

/// Whoever looks at schedules has looked several times.
async fn looks() {
    tokio::time::sleep(ms(150)).await;
}

#[tokio::test]
async fn two_replicas_add_one_job_each_time() {
    let (stage, timetable, hands) = stage().await;
    let diary = Diary::default();
    timetable.put(plan("*/10 * * * *", "UTC")).await.unwrap();
    let options = || Options { clock: hands.clock(), ..options() };
    let acts = [stage.run(noting(&diary), options()), stage.run(noting(&diary), options())];
    looks().await;
    assert_eq!(diary.len(), 0);
    for times in 1..=3 {
        hands.forward(10 * MINUTE);
        diary.reaches(times).await;
        looks().await;
        assert_eq!(diary.len(), times);
    }
    let fired = || acts.iter().map(|act| act.handle.report().fired).sum::<u64>();
    eventually(async || (fired() == 3).then_some(())).await;
    let schedule = timetable.get("acme", "reports").await.unwrap().unwrap();
    let (at, id) = schedule.last.unwrap();
    let job = stage.over(id).await;
    assert_eq!((at, job.new.run_at, job.new.deadline), (hands.now(), at, Some(at.after(60 * MINUTE))));
    assert_eq!((job.state, job.new.payload), (State::Done, b"daily".to_vec()));
    for act in acts {
        act.drain().await;
    }
}

#[tokio::test]
async fn what_was_missed_while_nobody_was_there_is_made_up_for_once() {
    let (stage, timetable, hands) = stage().await;
    let diary = Diary::default();
    timetable.put(plan("*/10 * * * *", "UTC")).await.unwrap();
    hands.forward(1000 * MINUTE);
    let act = stage.run(noting(&diary), Options { clock: hands.clock(), ..options() });
    diary.reaches(1).await;
    looks().await;
    assert_eq!(diary.len(), 1);
    let next = timetable.get("acme", "reports").await.unwrap().unwrap().next.unwrap();
    assert!(next > hands.now() && next.since(hands.now()) <= 10 * MINUTE);
    act.drain().await;
}

#[tokio::test]
async fn a_schedule_that_rests_adds_nothing_and_goes_on_from_the_present() {
    let (stage, timetable, hands) = stage().await;
    let diary = Diary::default();
    timetable.put(plan("*/10 * * * *", "Europe/Berlin")).await.unwrap();
    let act = stage.run(noting(&diary), Options { clock: hands.clock(), ..options() });
    timetable.pause("acme", "reports", true).await.unwrap();
    hands.forward(100 * MINUTE);
    looks().await;
    assert_eq!(diary.len(), 0);
    timetable.pause("acme", "reports", false).await.unwrap();
    looks().await;
    assert_eq!(diary.len(), 0);
    hands.forward(10 * MINUTE);
    diary.reaches(1).await;
    assert!(timetable.remove("acme", "reports").await.unwrap());
    hands.forward(10 * MINUTE);
    looks().await;
    assert_eq!((diary.len(), timetable.list(None).await.unwrap().len()), (1, 0));
    act.drain().await;
}

#[tokio::test]
async fn a_schedule_that_nobody_understands_any_more_rests() {
    let (stage, timetable, hands) = stage().await;
    let put = timetable.put(plan("*/10 * * * *", "UTC")).await.unwrap();
    let lost = Schedule { zone: "Atlantis/Capital".to_owned(), name: "lost".to_owned(), ..put };
    assert!(stage.store.schedules.put(lost).await.unwrap());
    hands.forward(10 * MINUTE);
    let diary = Diary::default();
    let act = stage.run(noting(&diary), Options { clock: hands.clock(), ..options() });
    diary.reaches(1).await;
    eventually(async || timetable.get("acme", "lost").await.unwrap().filter(|lost| lost.paused)).await;
    assert_eq!(diary.len(), 1);
    act.drain().await;
}

#[tokio::test]
async fn nonsense_is_refused_and_a_change_counts_from_now_on() {
    let (_stage, timetable, hands) = stage().await;
    let refused = timetable.put(plan("every day", "UTC")).await;
    assert!(matches!(refused, Err(Error::Invalid(Invalid::Pattern { .. }))), "{refused:?}");
    let refused = timetable.put(plan("* * * * *", "Nowhere")).await;
    assert!(matches!(refused, Err(Error::Invalid(Invalid::Zone(_)))), "{refused:?}");
    let refused = timetable.put(plan("0 0 31 6 *", "UTC")).await;
    assert!(matches!(refused, Err(Error::Invalid(Invalid::Never(_)))), "{refused:?}");
    let refused = timetable.pause("acme", "reports", true).await;
    assert!(matches!(refused, Err(Error::Unknown(_))), "{refused:?}");

    timetable.put(plan("0 0 * * *", "UTC")).await.unwrap();
    timetable.put(plan("0 * * * *", "UTC")).await.unwrap();
    let all = timetable.list(Some("acme")).await.unwrap();
    assert_eq!((all.len(), all[0].cron.as_str(), all[0].version), (1, "0 * * * *", 2));
    assert!(all[0].next.unwrap().since(hands.now()) < 60 * MINUTE);
}
