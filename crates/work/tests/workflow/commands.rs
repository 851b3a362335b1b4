//! What callers ask of runs, and the runner that does their jobs.

use std::time::Duration;

use serde_json::json;
use store::runs::RunState;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use work::workflow::engine::{Engine, Refusal, Start};
use work::workflow::event::Failure;
use work::{Handlers, Options, Runner, pace};

use crate::stage::{LEASE, Outside, Stage};

const TWO: &str = "name = 'w'\n[[steps]]\nid = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = {say = 'a'}\n\
                   [[steps]]\nid = 'b'\nneeds = ['a']\nkind = 'model'\nmodel = 'm'\nrequest = {say = 'b'}\n";

#[tokio::test]
async fn a_definition_is_checked_before_it_is_kept() {
    let stage = Stage::new(Outside::echo()).await;
    let refusal = stage.engine.define("acme", "name = 'w'").await.unwrap_err();
    assert!(matches!(refusal, Refusal::Faults(_)), "{refusal}");
    assert!(stage.store.runs.definitions(None).await.unwrap().is_empty());
    let versions = [TWO, TWO, "name = 'w'\n[[steps]]\nid = 'a'\nkind = 'sleep'\nfor = '1s'\n"];
    let mut given = Vec::new();
    for text in versions {
        given.push(stage.engine.define("acme", text).await.unwrap().version);
    }
    assert_eq!(given, [1, 1, 2]);
}

#[tokio::test]
async fn a_start_may_be_repeated_and_is_checked() {
    let stage = Stage::new(Outside::echo()).await;
    let text = TWO.replace("name = 'w'\n", "name = 'w'\ninput = ['q']\n");
    stage.engine.define("acme", &text).await.unwrap();
    let start = |input, key: Option<&str>| Start {
        tenant: "acme".to_owned(),
        workflow: "w".to_owned(),
        version: None,
        input,
        key: key.map(ToOwned::to_owned),
        caller: None,
    };
    let found = async |input, key| stage.engine.started(&start(input, key)).await;
    assert_eq!(found(json!({"q": 1}), Some("k")).await.unwrap(), None);
    let first = stage.engine.start(start(json!({"q": 1}), Some("k"))).await.unwrap();
    let again = stage.engine.start(start(json!({"q": 1}), Some("k"))).await.unwrap();
    let other = stage.engine.start(start(json!({"q": 1}), None)).await.unwrap();
    assert_eq!((first.is_new, again.is_new, other.is_new), (true, false, true));
    assert_eq!(first.run.id, again.run.id);
    assert_ne!(first.run.id, other.run.id);
    let reused = stage.engine.start(start(json!({"q": 2}), Some("k"))).await;
    assert!(matches!(reused, Err(Refusal::Reused)));
    assert_eq!(found(json!({"q": 1}), Some("k")).await.unwrap(), Some(again));
    assert_eq!(found(json!({"q": 1}), None).await.unwrap(), None);
    assert!(matches!(found(json!({"q": 2}), Some("k")).await, Err(Refusal::Reused)));
    let refusal = stage.engine.start(start(json!({}), None)).await.unwrap_err();
    assert_eq!(refusal.to_string(), "`q` is missing; give a value (at /q)");
    let unknown = Start { workflow: "v".to_owned(), ..start(json!({}), None) };
    assert!(matches!(stage.engine.start(unknown).await, Err(Refusal::UnknownWorkflow)));
}

#[tokio::test]
async fn a_paused_run_goes_on_when_it_is_resumed() {
    let stage = Stage::new(Outside::echo()).await;
    let run = stage.start(TWO, json!({})).await;
    stage.engine.pause(&run.id, Some("acme")).await.unwrap();
    stage.finish().await;
    assert_eq!(stage.outside.total(), 0);
    assert!(matches!(stage.engine.pause(&run.id, None).await, Err(Refusal::State(RunState::Paused))));
    assert!(matches!(stage.engine.resume(&run.id, Some("other")).await, Err(Refusal::UnknownRun)));
    stage.engine.resume(&run.id, None).await.unwrap();
    stage.finish().await;
    assert_eq!((stage.run(&run.id).await.state, stage.outside.total()), (RunState::Done, 2));
}

#[tokio::test]
async fn a_cancelled_run_ends_its_children_too() {
    let stage = Stage::new(Outside::echo()).await;
    let child = "name = 'child'\n[[steps]]\nid = 'ear'\nkind = 'wait'\nsignal = 's'\n";
    stage.engine.define("acme", child).await.unwrap();
    let text = "name = 'w'\n[[steps]]\nid = 'kid'\nkind = 'workflow'\nworkflow = 'child'\n";
    let run = stage.start(text, json!({})).await;
    stage.finish().await;
    stage.engine.cancel(&run.id, None).await.unwrap();
    stage.finish().await;
    let all = stage.store.runs.runs(None, None, None, None, 10).await.unwrap();
    assert_eq!(all.iter().map(|run| run.state).collect::<Vec<_>>(), [RunState::Cancelled; 2]);
    assert!(matches!(stage.engine.cancel(&run.id, None).await, Err(Refusal::State(RunState::Cancelled))));
}

#[tokio::test]
async fn a_retry_does_anew_from_a_step_on_under_new_keys() {
    let outside = Outside::replying(|say, attempt| match (say, attempt) {
        ("b", 1) => Err(Failure::lasting("test", "once")),
        _ => Ok(json!(say)),
    });
    // Under a new key it is the first call again, so the outside counts by what is said.
    let stage = Stage::new(outside).await;
    let run = stage.start(TWO, json!({})).await;
    stage.finish().await;
    let failed = stage.run(&run.id).await;
    assert_eq!((failed.state, failed.error.as_deref()), (RunState::Failed, Some("step `b` failed: once")));
    let Err(Refusal::UnknownStep(steps)) = stage.engine.retry(&run.id, None, "c").await else {
        panic!("refused")
    };
    assert_eq!(steps, ["a", "b"]);
    stage.outside.calls.lock().unwrap().insert("b~1".to_owned(), 1);
    stage.engine.retry(&run.id, None, "b").await.unwrap();
    stage.finish().await;
    let done = stage.run(&run.id).await;
    assert_eq!((done.state, done.error), (RunState::Done, None));
    assert_eq!((stage.outside.count("a"), stage.outside.count("b"), stage.outside.count("b~1")), (1, 1, 2));
}

#[tokio::test]
async fn a_step_that_ends_whoever_does_it_is_given_up() {
    let stage = Stage::new(Outside::echo()).await;
    let run = stage.start(TWO, json!({})).await;
    for _ in 0..30 {
        // Claimed, and lost.
        stage.claim(1).await;
        stage.pass(LEASE * 2);
        stage.store.jobs.reap(stage.now(), 10).await.unwrap();
    }
    stage.finish().await;
    let run = stage.run(&run.id).await;
    assert_eq!((run.state, stage.outside.total()), (RunState::Failed, 0));
    assert!(run.error.unwrap().contains("was lost 30 times"));
}

#[tokio::test]
async fn a_lease_that_was_lost_changes_nothing() {
    let stage = Stage::new(Outside::echo()).await;
    let run = stage.start(TWO, json!({})).await;
    let slow = stage.claim(1).await.remove(0);
    stage.pass(LEASE * 2);
    stage.store.jobs.reap(stage.now(), 10).await.unwrap();
    let quick = stage.claim(1).await.remove(0);
    stage.engine.perform(&slow).await.unwrap();
    assert_eq!(stage.store.runs.steps(&run.id, None, 10).await.unwrap(), []);
    stage.engine.perform(&quick).await.unwrap();
    stage.engine.perform(&quick).await.unwrap();
    stage.finish().await;
    assert_eq!(stage.run(&run.id).await.state, RunState::Done);
    assert_eq!((stage.outside.count("a"), stage.outside.count("b")), (2, 1));
}

#[tokio::test]
async fn a_runner_does_many_runs_at_once() {
    let stage = Stage::new(Outside::replying(|say, attempt| match attempt {
        1 => Err(Failure::passing("test", "not yet")),
        _ => Ok(json!(say)),
    }))
    .await;
    let text = TWO.replace("kind = 'model'", "kind = 'model'\nretry = {backoff = '1ms'}");
    let engine = Engine::new(stage.store.runs.clone(), stage.outside.effects(), work::Clock::default());
    engine.define("acme", &text).await.unwrap();
    let pace = pace::Bounds { least: Duration::from_millis(2), most: Duration::from_millis(10) };
    let options = Options { queues: vec![Engine::queue()], pace, ..Options::default() };
    let runner = Runner::new(stage.store.jobs.clone(), engine.handlers(Handlers::new()), options);
    let drain = CancellationToken::new();
    let task = TaskTracker::new().spawn(runner.run(drain.clone()));
    for _ in 0..20 {
        let (tenant, workflow) = ("acme".to_owned(), "w".to_owned());
        engine
            .start(Start { tenant, workflow, version: None, input: json!({}), key: None, caller: None })
            .await
            .unwrap();
    }
    let all_done = async {
        while stage.store.runs.counts().await.unwrap() != [(RunState::Done, 20)] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_done).await.expect("all runs are done");
    drain.cancel();
    task.await.unwrap();
    // One outside for all runs: each part of each is called twice.
    assert_eq!(stage.outside.seen.lock().unwrap().len(), 20 * 2 * 2 - (20 - 1) * 2);
}
