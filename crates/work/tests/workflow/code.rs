//! Workflows as functions: run again from the beginning after whatever happens, with each step's outcome
//! recorded once.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use store::Time;
use store::runs::{Run, RunState, Runs};
use work::Clock;
use work::workflow::code::{Flow, Flows, Halt};
use work::workflow::engine::Refusal;
use work::workflow::event::Failure;

use crate::stage::{LEASE, Outside, Stage};

const HOUR: Duration = Duration::from_secs(3_600);

/// Counts what is done, by name.
#[derive(Clone, Default)]
struct Counts(Arc<Mutex<BTreeMap<String, u32>>>);

impl Counts {
    fn up(&self, name: &str) -> u32 {
        let mut counts = self.0.lock().unwrap();
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }

    fn get(&self, name: &str) -> u32 {
        self.0.lock().unwrap().get(name).copied().unwrap_or(0)
    }
}

fn flows(stage: &Stage) -> Flows {
    let now = Arc::clone(&stage.now);
    let clock = Clock::new(move || Time(now.load(Ordering::SeqCst)));
    Flows::new(Arc::clone(&stage.door) as Arc<dyn Runs>, clock)
}

/// Does all that is due until nothing is left to do.
async fn finish(stage: &Stage, flows: &Flows) {
    loop {
        let jobs = stage.claim(10).await;
        for job in &jobs {
            flows.perform(job).await.unwrap();
        }
        if jobs.is_empty() && !stage.wake().await {
            return;
        }
    }
}

async fn start(stage: &Stage, flows: &Flows) -> Run {
    let run = flows.start("acme", "f", &json!({"n": 2}), None).await.unwrap();
    finish(stage, flows).await;
    stage.run(&run.id).await
}

/// Three steps, a sleep, two at once, and a signal.
async fn everything(flow: Flow, input: Value, counts: Counts) -> Result<Value, Halt> {
    let count = |name: &'static str, value: i64| {
        let counts = counts.clone();
        async move || {
            counts.up(name);
            Ok::<i64, Failure>(value)
        }
    };
    let n = input["n"].as_i64().unwrap_or(0);
    let first: i64 = flow.step("first", count("first", n * 10)).await?;
    flow.sleep("nap", HOUR).await?;
    let left = flow.step("left", count("left", first + 1));
    let right = flow.step("right", count("right", first + 2));
    let both: Vec<i64> = flow.parallel([boxed(left), boxed(right)]).await?;
    let word = flow.wait("go", None).await?;
    let last: i64 = flow.step("last", count("last", both.iter().sum())).await?;
    Ok(json!({"word": word, "last": last}))
}

type Boxed<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, Halt>> + Send + 'a>>;

fn boxed<'a, T>(future: impl Future<Output = Result<T, Halt>> + Send + 'a) -> Boxed<'a, T> {
    Box::pin(future)
}

#[tokio::test]
async fn a_function_is_done_in_turns_and_each_step_once() {
    let stage = Stage::new(Outside::echo()).await;
    let counts = Counts::default();
    let seen = counts.clone();
    let flows = flows(&stage).on("f", move |flow, input| everything(flow, input, seen.clone()));
    let before = stage.now();
    let run = start(&stage, &flows).await;
    assert_eq!(run.state, RunState::Running);
    assert_eq!(stage.now().since(before), HOUR);
    flows.signal(&run.id, None, "go", &json!("gone")).await.unwrap();
    flows.signal(&run.id, None, "go", &json!("again")).await.unwrap();
    finish(&stage, &flows).await;
    let run = stage.run(&run.id).await;
    assert_eq!(run.state, RunState::Done, "{:?}", run.error);
    let output: Value = serde_json::from_slice(&run.output.unwrap()).unwrap();
    assert_eq!(output, json!({"word": "gone", "last": 43}));
    assert_eq!(["first", "left", "right", "last"].map(|name| counts.get(name)), [1; 4]);
}

#[tokio::test]
async fn a_signal_that_comes_early_is_kept() {
    let stage = Stage::new(Outside::echo()).await;
    let flows = flows(&stage).on("f", move |flow, input| everything(flow, input, Counts::default()));
    let run = flows.start("acme", "f", &json!({}), None).await.unwrap();
    flows.signal(&run.id, None, "go", &json!(1)).await.unwrap();
    assert!(matches!(flows.signal(&run.id, None, "a/b", &json!(1)).await, Err(Refusal::UnknownSignal(_))));
    finish(&stage, &flows).await;
    assert_eq!(stage.run(&run.id).await.state, RunState::Done);
}

#[tokio::test]
async fn a_function_survives_a_crash_at_every_boundary() {
    for boundary in 0.. {
        let stage = Stage::new(Outside::echo()).await;
        let counts = Counts::default();
        let seen = counts.clone();
        let flows = flows(&stage).on("f", move |flow, input| everything(flow, input, seen.clone()));
        let run = flows.start("acme", "f", &json!({"n": 2}), None).await.unwrap();
        flows.signal(&run.id, None, "go", &json!("gone")).await.unwrap();
        stage.door.end_at(boundary);
        if stage.door.until_end(finish(&stage, &flows)).await.is_some() {
            assert!(boundary > 20, "{boundary} boundaries");
            return;
        }
        stage.pass(LEASE * 2);
        stage.store.jobs.reap(stage.now(), 10).await.unwrap();
        finish(&stage, &flows).await;
        let run = stage.run(&run.id).await;
        assert_eq!(run.state, RunState::Done, "crashed at {boundary}: {:?}", run.error);
        let rows = stage.store.runs.steps(&run.id, None, 100).await.unwrap();
        assert_eq!(rows.len(), 6);
        // A step that was cut off from its end is done again; two may run at once.
        let total: u32 = ["first", "left", "right", "last"].map(|name| counts.get(name)).iter().sum();
        let again = matches!(stage.door.ended(), Some(("advance", false)));
        assert!((4..=if again { 6 } else { 5 }).contains(&total), "crashed at {boundary}: {total} calls");
    }
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_and_one_that_lasts_may_be_caught() {
    let stage = Stage::new(Outside::echo()).await;
    let counts = Counts::default();
    let seen = counts.clone();
    let flows = flows(&stage).on("f", move |flow: Flow, _| {
        let counts = seen.clone();
        async move {
            let flaky = async || match counts.up("flaky") {
                3 => Ok("at last".to_owned()),
                _ => Err(Failure::passing("test", "not yet")),
            };
            let bad = async || match counts.up("bad") {
                0 => Ok(()),
                _ => Err(Failure::lasting("test", "never")),
            };
            let word: String = flow.step("flaky", flaky).await?;
            let caught = match flow.step("bad", bad).await {
                Err(Halt::Failed(failure)) => failure.message,
                other => return other.map(|()| Value::Null),
            };
            flow.sleep("nap", HOUR).await?;
            Ok(json!([word, caught]))
        }
    });
    let run = start(&stage, &flows).await;
    assert_eq!(run.output.as_deref(), Some(&b"[\"at last\",\"never\"]"[..]), "{:?}", run.error);
    assert_eq!((counts.get("flaky"), counts.get("bad")), (3, 1));
}

#[tokio::test]
async fn a_function_that_gives_up_fails_its_run() {
    let stage = Stage::new(Outside::echo()).await;
    let flows = flows(&stage).on("f", async |flow: Flow, _| {
        let missing: Value = flow.step("a", async || Err(Failure::lasting("test", "never"))).await?;
        Ok(missing)
    });
    let run = start(&stage, &flows).await;
    assert_eq!((run.state, run.error.as_deref()), (RunState::Failed, Some("test: never")));
}

#[tokio::test]
async fn a_signal_that_does_not_come_in_time_is_a_failure() {
    let stage = Stage::new(Outside::echo()).await;
    let flows = flows(&stage).on("f", async |flow: Flow, _| flow.wait("go", Some(HOUR)).await);
    let run = start(&stage, &flows).await;
    assert_eq!(run.error.as_deref(), Some("timeout: the signal `go` did not come in time"));
}

#[tokio::test]
async fn code_that_changed_under_a_run_is_noticed() {
    let halfway = |name: &'static str| {
        move |flow: Flow, _: Value| async move {
            let _: i64 = flow.step(name, async || Ok(1)).await?;
            flow.sleep("nap", HOUR).await?;
            Ok(Value::Null)
        }
    };
    let other_type = async |flow: Flow, _: Value| {
        let _: String = flow.step("old", async || Ok(String::new())).await?;
        Ok(Value::Null)
    };
    for changed in [true, false] {
        let stage = Stage::new(Outside::echo()).await;
        let before = flows(&stage).on("f", halfway("old"));
        let run = before.start("acme", "f", &json!({}), None).await.unwrap();
        before.perform(&stage.claim(1).await[0]).await.unwrap();
        let after = flows(&stage);
        let after = if changed { after.on("f", halfway("new")) } else { after.on("f", other_type) };
        finish(&stage, &after).await;
        let error = stage.run(&run.id).await.error.expect("a failure");
        assert!(error.starts_with("changed: the code has changed: ") && error.contains("`old`"), "{error}");
    }
}

#[tokio::test]
async fn two_steps_of_one_name_are_refused() {
    let stage = Stage::new(Outside::echo()).await;
    let flows = flows(&stage).on("f", async |flow: Flow, _| {
        let _: i64 = flow.step("a", async || Ok(1)).await?;
        let _: i64 = flow.step("a", async || Ok(2)).await?;
        Ok(Value::Null)
    });
    let run = start(&stage, &flows).await;
    assert!(run.error.expect("a failure").contains("two steps are named `a`"));
}

#[tokio::test]
async fn a_paused_function_goes_on_when_it_is_resumed_and_a_cancelled_one_never() {
    let stage = Stage::new(Outside::echo()).await;
    let flows = flows(&stage).on("f", async |flow: Flow, _| {
        flow.sleep("nap", HOUR).await?;
        Ok(json!("rested"))
    });
    let first = flows.start("acme", "f", &json!({}), None).await.unwrap();
    let second = flows.start("acme", "f", &json!({}), None).await.unwrap();
    flows.pause(&first.id, None).await.unwrap();
    flows.cancel(&second.id, None).await.unwrap();
    finish(&stage, &flows).await;
    assert_eq!(stage.run(&first.id).await.state, RunState::Paused);
    flows.resume(&first.id, None).await.unwrap();
    assert!(matches!(flows.resume(&first.id, None).await, Err(Refusal::State(RunState::Running))));
    finish(&stage, &flows).await;
    let states = [stage.run(&first.id).await.state, stage.run(&second.id).await.state];
    assert_eq!(states, [RunState::Done, RunState::Cancelled]);
}
