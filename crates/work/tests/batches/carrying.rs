//! Lines that a provider's own batch API runs: each ends once, whatever becomes of the calls to it.

use crate::far::{Far, Went, answered, expired, passing, refused, undone};
use crate::scene::{Asked, DAY, Scene, batch_options, counts, echo, line, lines};
use crate::stage::{act, eventually, ms, short_leases};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;
use store::batches::BatchState;
use store::parcels::ParcelState;
use work::batches::{Batches, Fault, PARCELS, ParcelNotes, Rows, handle};
use work::{Clock, Handlers, Options, Queue};

/// As long as a provider that does nothing is waited for.
const QUARTER: Duration = Duration::from_secs(15 * 60);

/// A line that asks a model which no provider runs in batches.
fn other(custom_id: &str) -> String {
    of_model("other", custom_id)
}

fn of_model(model: &str, custom_id: &str) -> String {
    line(custom_id).replace(r#""model":"m""#, &format!(r#""model":"{model}""#))
}

fn options() -> Options {
    let usual = batch_options();
    Options { queues: usual.queues.into_iter().chain([Queue::new(PARCELS)]).collect(), ..usual }
}

async fn states(scene: &Scene, id: &str) -> Vec<ParcelState> {
    scene.batches.parcels(&[id]).await.unwrap().iter().map(|parcel| parcel.state).collect()
}

/// Whether it is written that what was asked of the provider is not done.
async fn is_failing(scene: &Scene, id: &str) -> bool {
    let parcels = scene.batches.parcels(&[id]).await.unwrap();
    parcels.iter().any(|parcel| ParcelNotes::of(parcel).failing.is_some())
}

#[tokio::test]
async fn lines_of_its_models_are_run_by_the_provider_and_others_here() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    let act = scene.carry(&far, &asked, options());
    let mut input = lines(700);
    input.extend([other("here-1"), other("here-2"), line("known-1"), "no json".to_owned()]);
    let batch = scene.batch(&input).await;
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 704, 703, 1));
    let good = scene.lines(&batch.id, true).await;
    assert!((0..700).all(|number| good[&format!("line-{number}")]["response"]["body"]["far"] == true));
    assert_eq!(good["line-7"]["response"]["body"]["asked"], "line-7", "each has its own answer");
    assert_eq!(good["known-1"]["response"]["body"]["far"], false, "and what is known is not sent");
    assert_eq!(asked.all().into_keys().collect::<Vec<_>>(), ["here-1", "here-2"]);
    assert_eq!((far.created(), far.noted().len()), (vec![1], 700));
    eventually(async || (far.files() == 0).then_some(())).await;
    assert_eq!(states(&scene, &batch.id).await, [ParcelState::Fetched]);
    act.drain().await;
}

#[tokio::test]
async fn what_the_provider_says_of_a_line_stands_and_what_it_forgets_is_asked_here() {
    let (scene, asked) = (Scene::new().await, Asked::default());
    let far = Far::new().judging(|row| match row["body"]["n"].as_str().unwrap() {
        "line-1" => Some(answered(row, 400)),
        "line-2" => Some(expired(row)),
        "line-3" => None,
        "line-4" => Some(json!({"custom_id": "seven"})),
        _ => Some(answered(row, 200)),
    });
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(6)).await;
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 6, 4, 2));
    let bad = scene.lines(&batch.id, false).await;
    assert_eq!(bad["line-1"]["response"]["status_code"], 400);
    assert_eq!(
        (&bad["line-2"]["error"]["code"], &bad["line-2"]["response"]),
        (&json!("batch_expired"), &json!(null))
    );
    assert_eq!(asked.all().into_keys().collect::<Vec<_>>(), ["line-3", "line-4"]);
    assert_eq!(far.noted(), ["line-0", "line-5"], "only what was answered is counted");
    act.drain().await;
}

#[tokio::test]
async fn whoever_leaves_ends_no_line_that_it_cannot_count() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    far.opening(Some(1));
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(450)).await;
    eventually(async || (!far.noted().is_empty() && far.calls("fetch") > 1).then_some(())).await;
    act.drain().await;
    let ended: Vec<_> = scene.lines(&batch.id, true).await.into_keys().collect();
    assert!(
        ended.len() < 450 && ended == far.noted(),
        "{} ended, {} counted",
        ended.len(),
        far.noted().len()
    );

    far.opening(None);
    let act = scene.carry(&far, &asked, options());
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 450, 450, 0));
    let ended: Vec<_> = scene.lines(&batch.id, true).await.into_keys().collect();
    assert_eq!((far.noted(), asked.len()), (ended, 0), "each is counted once");
    act.drain().await;
}

#[tokio::test]
async fn what_the_provider_fails_of_for_now_is_asked_here() {
    let (scene, asked) = (Scene::new().await, Asked::default());
    let far = Far::new().judging(|row| {
        let status = match row["body"]["n"].as_str().unwrap() {
            "line-1" => 429,
            "line-2" => 500,
            "line-3" => 422,
            _ => 200,
        };
        Some(answered(row, status))
    });
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(5)).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 5, 4, 1));
    assert_eq!(asked.all().into_keys().collect::<Vec<_>>(), ["line-1", "line-2"]);
    act.drain().await;
}

/// Both parcels of a batch are on one shelf; a provider that names a line of the other one says nothing of it.
#[tokio::test]
async fn a_line_of_another_parcel_is_none_of_the_providers() {
    let (scene, asked) = (Scene::new().await, Asked::default());
    let far = Far::new().judging(|row| {
        let mut said = answered(row, 200);
        let is_strange = row["body"]["n"] == "strange";
        if is_strange {
            said["custom_id"] = json!("0");
        }
        Some(said)
    });
    far.run_also("n");
    // It is on the shelf yet when the other one is fetched.
    far.put_off("own", 1);
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&[line("own"), of_model("n", "strange")]).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 2, 2, 0));
    let good = scene.lines(&batch.id, true).await;
    assert_eq!(good["own"]["response"]["body"]["asked"], "own");
    assert_eq!(asked.all().into_keys().collect::<Vec<_>>(), ["strange"], "which had no answer");
    act.drain().await;
}

#[tokio::test]
async fn what_cannot_be_counted_is_told() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    let rows = Rows::from(&scene.stage.store);
    let handlers = handle(Handlers::new(), rows.clone(), echo(&asked), Some(far.courier()), Clock::default());
    let act = act(&scene.stage.store, handlers, options());
    let input = [line("uncountable-1"), line("line-1"), line("uncountable-2")];
    let batch = scene.batch(&input).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 3, 3, 0));
    let report = Batches::new(rows, scene.stage.client(), Clock::default()).report();
    assert_eq!((far.noted(), report.uncounted), (vec!["line-1".to_owned()], 2));
    act.drain().await;
}

#[tokio::test]
async fn what_is_said_here_and_is_not_the_last_word_is_asked_again() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&[line("line-1"), line("busy-1")]).await;
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Completed, 2, 2, 0));
    assert_eq!((far.created(), asked.len()), (vec![1], 0));
    act.drain().await;
}

#[tokio::test]
async fn names_that_lead_nowhere_take_no_place() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    let act = scene.carry(&far, &asked, options());
    let mut input: Vec<_> =
        (0..80).map(|n| of_model(&format!("nowhere-{n}"), &format!("here-{n}"))).collect();
    let endless = "m".repeat(10_000);
    far.run_also(&endless);
    input.extend([of_model(&endless, "endless"), line("there")]);
    let batch = scene.batch(&input).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 82, 82, 0));
    assert_eq!(scene.lines(&batch.id, true).await["there"]["response"]["body"]["far"], true);
    assert_eq!((far.created(), asked.len()), (vec![1], 81));
    act.drain().await;
}

#[tokio::test]
async fn what_was_never_sent_is_not_counted_as_fetched() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    let rows = Rows::from(&scene.stage.store);
    let act = scene.carry_on(rows.clone(), &far, &asked, options());
    for (input, expected) in [("known-1", (0, 0)), ("line-1", (1, 1))] {
        let batch = scene.batch(&[line(input)]).await;
        scene.over(&batch.id).await;
        eventually(async || (states(&scene, &batch.id).await == [ParcelState::Fetched]).then_some(())).await;
        eventually(async || (act.rests().await.held == 0).then_some(())).await;
        let report = scene.reported(&rows);
        assert_eq!((report.sent, report.fetched), expected, "{input}");
    }
    act.drain().await;
}

#[tokio::test]
async fn what_the_provider_refuses_is_asked_here() {
    for (call, fault) in [
        ("bring", Fault::Refused("413: too large".to_owned())),
        ("bring", Fault::Unknown),
        ("create", Fault::Refused("400: no".to_owned())),
        ("see", Fault::Unknown),
    ] {
        let (scene, asked) = (Scene::new().await, Asked::default());
        let refusal = fault.clone();
        let far = Far::new()
            .going(move |name, _| if name == call { Went::Not(refusal.clone()) } else { Went::Well });
        let act = scene.carry(&far, &asked, options());
        let batch = scene.batch(&lines(20)).await;
        let batch = scene.over(&batch.id).await;
        assert_eq!(counts(&batch), (BatchState::Completed, 20, 20, 0), "{call} {fault:?}");
        assert_eq!((asked.len(), far.calls(call), far.noted().len()), (20, 1, 0), "{call} {fault:?}");
        assert_eq!(states(&scene, &batch.id).await, [ParcelState::Returned]);
        let report = scene.batches.parcels(&[&batch.id]).await.unwrap();
        assert!(String::from_utf8_lossy(&report[0].notes).contains("why"), "{report:?}");
        act.drain().await;
    }
}

#[tokio::test]
async fn a_batch_whose_creation_nobody_heard_of_is_found() {
    let (scene, asked) = (Scene::new().await, Asked::default());
    let far = Far::new().going(|name, _| if name == "create" { Went::Unheard } else { Went::Well });
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(20)).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 20, 20, 0));
    assert_eq!((far.created(), asked.len(), far.calls("bring")), (vec![1], 0, 1));
    act.drain().await;
}

#[tokio::test]
async fn a_batch_that_was_not_created_is_created_anew_from_another_file() {
    let (scene, asked, once) = (Scene::new().await, Asked::default(), AtomicBool::new(true));
    let far = Far::new().going(move |name, _| match name {
        "create" if once.swap(false, Relaxed) => Went::Not(passing()),
        _ => Went::Well,
    });
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(20)).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 20, 20, 0));
    assert_eq!((far.created(), asked.len()), (vec![2], 0), "the second try");
    assert_eq!(
        (far.calls("find"), far.calls("bring")),
        (2, 2),
        "looked for before and after its file was removed"
    );
    act.drain().await;
}

#[tokio::test]
async fn a_provider_that_is_asked_too_often_runs_the_file_that_it_has() {
    let (scene, asked, left) = (Scene::new().await, Asked::default(), AtomicUsize::new(12));
    let far = Far::new().going(move |name, _| {
        let is_too_often =
            name == "create" && left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        if is_too_often { Went::Not(undone()) } else { Went::Well }
    });
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(20)).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 20, 20, 0));
    assert_eq!((far.calls("create"), far.calls("bring"), far.calls("find")), (13, 1, 0));
    assert_eq!((far.created(), asked.len()), (vec![1], 0));
    act.drain().await;
}

#[tokio::test]
async fn a_provider_that_does_nothing_for_a_quarter_of_an_hour_is_asked_no_more() {
    for (call, fault) in [
        ("bring", undone()),
        ("bring", passing()),
        ("create", undone()),
        ("see", refused()),
        ("fetch", refused()),
    ] {
        let (scene, asked, told) = (Scene::new().await, Asked::default(), fault.clone());
        let far =
            Far::new().going(move |name, _| if name == call { Went::Not(told.clone()) } else { Went::Well });
        let act = scene.carry(&far, &asked, options());
        let batch = scene.batch(&lines(20)).await;
        eventually(async || is_failing(&scene, &batch.id).await.then_some(())).await;
        assert_eq!((asked.len(), scene.get(&batch.id).await.completed), (0, 0), "{call} {fault:?}");
        scene.forward(QUARTER);
        assert_eq!(
            counts(&scene.over(&batch.id).await),
            (BatchState::Completed, 20, 20, 0),
            "{call} {fault:?}"
        );
        assert_eq!((asked.len(), states(&scene, &batch.id).await), (20, vec![ParcelState::Returned]));
        act.drain().await;
    }
}

#[tokio::test]
async fn a_provider_that_refuses_for_a_while_is_waited_for() {
    for call in ["find", "see", "fetch"] {
        let (scene, asked, first) = (Scene::new().await, Asked::default(), AtomicBool::new(true));
        let far = Far::new().going(move |name, _| match name {
            "create" => Went::Unheard,
            _ if name == call && first.swap(false, Relaxed) => Went::Not(refused()),
            _ => Went::Well,
        });
        let act = scene.carry(&far, &asked, options());
        let batch = scene.batch(&lines(20)).await;
        assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 20, 20, 0), "{call}");
        assert_eq!((far.calls("create"), far.created(), asked.len()), (1, vec![1], 0), "{call}");
        act.drain().await;
    }
}

#[tokio::test]
async fn a_gateway_that_was_away_before_it_sent_a_parcel_sends_it() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    let act = scene.carry(&far, &asked, batch_options());
    let batch = scene.batch(&lines(20)).await;
    eventually(async || (scene.get(&batch.id).await.state == BatchState::InProgress).then_some(())).await;
    act.drain().await;
    scene.forward(4 * QUARTER);
    let act = scene.carry(&far, &asked, options());
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 20, 20, 0));
    assert_eq!((far.created(), asked.len()), (vec![1], 0));
    act.drain().await;
}

#[tokio::test]
async fn what_was_done_while_nobody_was_here_is_fetched_after_the_end_of_its_time() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    far.stuck(true);
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(50)).await;
    eventually(async || (far.calls("see") > 0).then_some(())).await;
    act.drain().await;
    far.stuck(false);
    scene.forward(DAY + 4 * QUARTER);
    let act = scene.carry(&far, &asked, options());
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Expired, 50, 50, 0));
    act.drain().await;
}

#[tokio::test]
async fn a_try_whose_file_cannot_be_removed_is_waited_for() {
    let (scene, asked) = (Scene::new().await, Asked::default());
    let far = Far::new().going(|name, _| match name {
        "create" => Went::Not(passing()),
        "remove" => Went::Not(refused()),
        _ => Went::Well,
    });
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(20)).await;
    eventually(async || (far.calls("remove") > 0).then_some(())).await;
    assert!(far.arrive(), "its file is there");
    scene.forward(QUARTER);
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 20, 20, 0));
    assert_eq!((far.calls("create"), far.created(), asked.len()), (1, vec![1], 0));
    act.drain().await;
}

#[tokio::test]
async fn what_has_arrived_of_a_file_that_breaks_off_is_counted() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    far.tear();
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(450)).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 450, 450, 0));
    eventually(async || (states(&scene, &batch.id).await == [ParcelState::Fetched]).then_some(())).await;
    let mut noted = far.noted();
    noted.dedup();
    assert_eq!((noted.len(), far.noted().len()), (450, 450), "each once");
    assert_eq!((far.calls("fetch"), asked.len()), (2, 0));
    act.drain().await;
}

#[tokio::test]
async fn what_is_answered_here_stands_though_another_line_has_to_wait() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    far.put_off("line-0", 1);
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&[line("known-0"), line("line-0"), line("line-1")]).await;
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 3, 3, 0));
    assert_eq!((far.looks("known-0"), far.looks("line-0")), (1, 2));
    act.drain().await;
}

#[tokio::test]
async fn a_cancelled_batch_has_what_the_provider_had_done() {
    let (scene, asked) = (Scene::new().await, Asked::default());
    let far =
        Far::new().judging(|row| (row["body"]["n"].as_str().unwrap() < "line-5").then(|| answered(row, 200)));
    far.stuck(true);
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(10)).await;
    eventually(async || (far.calls("see") > 0).then_some(())).await;
    scene.cancel(&batch.id).await;
    let batch = scene.over(&batch.id).await;
    assert_eq!(counts(&batch), (BatchState::Cancelled, 10, 5, 5));
    let bad = scene.lines(&batch.id, false).await;
    assert!(bad.values().all(|line| line["error"]["code"] == "batch_cancelled"), "{bad:?}");
    assert_eq!((far.calls("cancel"), asked.len()), (1, 0));
    act.drain().await;
}

#[tokio::test]
async fn a_batch_stays_at_the_provider_while_nobody_is_here() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    far.stuck(true);
    let act = scene.carry(&far, &asked, options());
    let batch = scene.batch(&lines(10)).await;
    eventually(async || (far.calls("see") > 0).then_some(())).await;
    act.drain().await;
    far.stuck(false);
    tokio::time::sleep(ms(50)).await;
    assert_eq!(scene.get(&batch.id).await.state, BatchState::InProgress);
    let act = scene.carry(&far, &asked, options());
    assert_eq!(counts(&scene.over(&batch.id).await), (BatchState::Completed, 10, 10, 0));
    assert_eq!((far.created(), far.calls("cancel"), asked.len()), (vec![1], 0, 0));
    act.drain().await;
}

#[tokio::test]
async fn two_that_carry_create_one_batch() {
    let (scene, far, asked) = (Scene::new().await, Far::new(), Asked::default());
    let acts = [scene.carry(&far, &asked, options()), scene.carry(&far, &asked, options())];
    let mut all = Vec::new();
    for _ in 0..5 {
        all.push(scene.batch(&lines(10)).await.id);
    }
    for id in &all {
        assert_eq!(counts(&scene.over(id).await), (BatchState::Completed, 10, 10, 0));
    }
    assert_eq!((far.created(), asked.len()), (vec![1; 5], 0));
    assert_eq!(far.noted().len(), 50);
    for act in acts {
        act.drain().await;
    }
}

/// Whoever carries the parcel is killed in the middle of a call, which is made all the same; each of them in turn.
#[tokio::test]
async fn whoever_is_killed_at_any_call_leaves_each_line_to_end_once() {
    for at in 1..=8 {
        let (scene, asked) = (Scene::new().await, Asked::default());
        let hung = Arc::new(AtomicBool::new(false));
        let hangs = Arc::clone(&hung);
        let far = Far::new().going(move |_, number| match number == at && !hangs.swap(true, Relaxed) {
            true => Went::Hangs,
            false => Went::Well,
        });
        let leases = Options { lease: short_leases().lease, beat: short_leases().beat, ..options() };
        let act = scene.carry(&far, &asked, leases.clone());
        let batch = scene.batch(&lines(30)).await;
        let is_hung_or_over = async || {
            let is_over = scene.get(&batch.id).await.state.is_final();
            (hung.load(Relaxed) || is_over).then_some(())
        };
        eventually(is_hung_or_over).await;
        act.kill().await;
        let act = scene.carry(&far, &asked, leases);
        let batch = scene.over(&batch.id).await;
        assert_eq!(counts(&batch), (BatchState::Completed, 30, 30, 0), "killed at call {at}");
        assert_eq!(scene.lines(&batch.id, true).await.len(), 30);
        assert_eq!((far.created().len(), asked.len()), (1, 0), "killed at call {at}");
        let mut noted = far.noted();
        noted.dedup();
        assert_eq!(noted.len(), far.noted().len(), "no answer is counted twice");
        act.drain().await;
    }
}
