//! Whose job is next.

use crate::stage::*;
use store::jobs::{Band, NewJob, Rate};
use work::{Context, Draft, Handlers, Options, Queue};

/// Notes whose each job is, and does nothing else.
fn noting(diary: &Diary) -> Handlers {
    let diary = diary.clone();
    Handlers::new().on("work", move |context: Context| {
        diary.note(context.tenant());
        std::future::ready(Ok(()))
    })
}

fn of(tenant: &str, count: usize) -> Vec<NewJob> {
    (0..count).map(|_| Draft::new("work", tenant).into()).collect()
}

#[tokio::test]
async fn who_has_ten_jobs_does_not_wait_for_who_has_ten_thousand() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let client = stage.client();
    for _ in 0..10 {
        add_all(&client, of("large", 1000)).await;
    }
    let ids = add_all(&client, of("small", 10)).await;
    let act = stage.run(noting(&diary), options());
    stage.all_over(&ids).await;
    act.drain().await;
    let order = diary.all();
    let last = order.iter().rposition(|tenant| tenant == "small").unwrap();
    // By turns as long as both have any. A pool that grows from 2 claims 2, 4, 8, … at once.
    assert!(last < 40, "the last of ten was the {last}th");
}

#[tokio::test]
async fn the_urgent_go_first_and_the_lowest_band_is_served_at_last() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let client = stage.client();
    let in_band = |band, name: &str| Draft::new("work", name).band(band);
    add(&client, in_band(Band::Batch, "batch")).await;
    let normal = (0..30).map(|_| in_band(Band::Normal, "normal").into()).collect();
    add_all(&client, normal).await;
    add(&client, in_band(Band::High, "high")).await;
    let act = stage.run(noting(&diary), one_at_a_time());
    diary.reaches(32).await;
    act.drain().await;
    let order = diary.all();
    let place = |name| order.iter().position(|other| other == name).unwrap();
    assert_eq!(place("high"), 0);
    // Every eighth claim begins with the lowest.
    assert_eq!(place("batch"), 7);
}

#[tokio::test]
async fn a_queue_starts_no_more_than_its_rate() {
    let (stage, diary, hands) = (Stage::new().await, Diary::default(), Hands::new());
    let queue = Queue { rate: Some(Rate { per_second: 2.0, burst: 3.0 }), ..Queue::new("default") };
    let options = || Options { clock: hands.clock(), ..with_queue(queue.clone()) };
    // Two replicas share it.
    let acts = [stage.run(noting(&diary), options()), stage.run(noting(&diary), options())];
    add_all(&acts[0].client, of("t", 20)).await;
    for (seconds, begun) in [(0, 3), (1, 5), (1, 7), (10, 10), (60, 13)] {
        hands.forward(ms(1000 * seconds));
        diary.reaches(begun).await;
        // Both ask several times more, and get nothing.
        let claims = || acts.each_ref().map(|act| act.handle.report().claims);
        let before = claims();
        eventually(async || claims().iter().zip(before).all(|(now, before)| *now > before + 3).then_some(()))
            .await;
        assert_eq!(diary.len(), begun);
    }
    for act in acts {
        act.drain().await;
    }
}

#[tokio::test]
async fn each_queue_has_workers_of_its_own() {
    let (stage, diary) = (Stage::new().await, Diary::default());
    let notes = diary.clone();
    let handlers = noting(&diary).on("stuck", move |_: Context| {
        notes.note("stuck");
        std::future::pending::<Result<(), work::Failed>>()
    });
    let queues = vec![Queue::new("slow"), Queue { weight: 3, ..Queue::new("quick") }];
    let act = stage.run(handlers, Options { workers: 12, queues, grace: ms(10), ..options() });
    let stuck = (0..50).map(|_| Draft::new("stuck", "t").queue("slow").into()).collect();
    add_all(&act.client, stuck).await;
    // All that the other leaves: it has the two that it begins with.
    diary.reaches(10).await;
    let quick = (0..20).map(|_| Draft::new("work", "t").queue("quick").into()).collect();
    let ids = add_all(&act.client, quick).await;
    stage.all_over(&ids).await;
    let queues = act.handle.report().queues;
    assert_eq!((queues[0].busy, diary.len()), (10, 30));
    act.drain().await;
}
