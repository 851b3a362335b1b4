//! What an embedder relies on: who asked goes with each call, what was not begun costs nothing, and changes are told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use store::runs::RunState;
use work::Outcome;
use work::workflow::Engine;
use work::workflow::effects::{Effects, HttpCall, ModelCall};
use work::workflow::engine::Start;
use work::workflow::event::Failure;

use crate::stage::{Outside, Stage};

const ONE: &str = "name = 'w'\n[[steps]]\nid = 'a'\nkind = 'model'\nmodel = 'm'\nrequest = {}\n";

/// An engine on the stage's store whose models answer so.
fn engine<F>(stage: &Stage, answer: F) -> Engine
where
    F: Fn(ModelCall) -> Result<serde_json::Value, Failure> + Send + Sync + 'static,
{
    let now = stage.now.clone();
    let clock = work::Clock::new(move || store::Time(now.load(std::sync::atomic::Ordering::SeqCst)));
    let answer = Arc::new(answer);
    let effects = Effects::new(
        move |call: ModelCall| {
            let answer = Arc::clone(&answer);
            async move { answer(call) }
        },
        |_: HttpCall| async { Ok(json!(null)) },
    );
    Engine::new(stage.store.runs.clone(), effects, clock)
}

fn start(workflow: &str) -> Start {
    let (tenant, workflow) = ("acme".to_owned(), workflow.to_owned());
    let caller = Some("somebody".to_owned());
    Start { tenant, workflow, version: None, input: json!({}), key: None, caller }
}

#[tokio::test]
async fn who_started_a_run_goes_with_each_call_and_with_the_runs_that_it_starts() {
    let stage = Stage::new(Outside::echo()).await;
    let callers: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let heard = Arc::clone(&callers);
    let engine = engine(&stage, move |call| {
        heard.lock().unwrap().push(call.origin.caller);
        Ok(json!(1))
    });
    let above = "name = 'above'\n[[steps]]\nid = 'b'\nkind = 'workflow'\nworkflow = 'w'\n\
                 [[steps]]\nid = 'c'\nkind = 'model'\nmodel = 'm'\nneeds = ['b']\nrequest = {}\n";
    for text in [ONE, above] {
        engine.define("acme", text).await.unwrap();
    }
    let run = engine.start(start("above")).await.unwrap().run;
    while stage.run(&run.id).await.state == RunState::Running {
        for job in stage.claim(10).await {
            engine.perform(&job).await.unwrap();
        }
    }
    assert_eq!(stage.run(&run.id).await.state, RunState::Done);
    assert_eq!(*callers.lock().unwrap(), vec![Some("somebody".to_owned()); 2]);
}

#[tokio::test]
async fn what_was_not_begun_costs_no_attempt_for_a_day() {
    let stage = Stage::new(Outside::echo()).await;
    let text = ONE.replace("request = {}", "request = {}\nretry = { attempts = 1 }");
    let check = async |after: Option<Duration>, expected: Outcome| {
        let engine =
            engine(&stage, move |_| Err(Failure { after, ..Failure::before_it_began("busy", "later") }));
        engine.define("acme", &text).await.unwrap();
        let run = engine.start(start("w")).await.unwrap().run;
        let jobs = stage.claim(10).await;
        assert_eq!(engine.perform(&jobs[0]).await.unwrap(), expected);
        assert_eq!(stage.run(&run.id).await.state, RunState::Running);
        stage.pass(Duration::from_secs(25 * 3_600));
        assert_eq!(engine.perform(&jobs[0]).await.unwrap(), Outcome::Recorded);
        assert_eq!(stage.run(&run.id).await.error.as_deref(), Some("step `a` failed: later"));
    };
    check(None, Outcome::PutBack).await;
    check(Some(Duration::from_secs(7)), Outcome::Later(Duration::from_secs(7))).await;
}

#[tokio::test]
async fn a_watch_tells_each_change_and_ends_with_the_run() {
    let stage = Stage::new(Outside::echo()).await;
    let engine = engine(&stage, |_| Ok(json!(1)));
    engine.define("acme", ONE).await.unwrap();
    let run = engine.start(start("w")).await.unwrap().run;
    assert_eq!(engine.watch(&run.id, Some("other")).next().await.unwrap(), None);
    let mut watch = engine.watch(&run.id, Some("acme"));
    assert_eq!(watch.next().await.unwrap().unwrap().state, RunState::Running);
    let (seen, ()) = tokio::join!(
        async {
            let mut seen = Vec::new();
            while let Some(run) = watch.next().await.unwrap() {
                seen.push(run.state);
            }
            seen
        },
        async {
            while stage.run(&run.id).await.state == RunState::Running {
                for job in stage.claim(10).await {
                    engine.perform(&job).await.unwrap();
                }
            }
        }
    );
    assert_eq!(seen.last(), Some(&RunState::Done));
}
