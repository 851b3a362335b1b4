//! Workflows under way.

use super::make::*;
use std::sync::Arc;
use store::Store;
use store::jobs::{Cancel, End, Filter, NewJob, State};
use store::runs::{Advanced, Decide, Decision, Run, RunState, Step};

fn run_of(id: &str) -> Run {
    Run {
        id: id.to_owned(),
        tenant: "acme".to_owned(),
        workflow: "summarise".to_owned(),
        version: 1,
        definition: b"steps".to_vec(),
        input: b"in".to_vec(),
        state: RunState::Running,
        status: b"0".to_vec(),
        output: None,
        error: None,
        parent: None,
        created: NOW,
        changed: NOW,
        ended: None,
    }
}

fn step(key: &str) -> Step {
    Step {
        key: key.to_owned(),
        state: "waiting".to_owned(),
        input: Some(vec![0, 1]),
        output: None,
        error: None,
        attempts: 0,
        started: Some(NOW),
        ended: None,
    }
}

fn step_job(id: &str, key: &str) -> NewJob {
    NewJob { unique: Some(format!("{id}/{key}")), kind: "workflow.step".to_owned(), keep: false, ..job() }
}

fn always(decision: Decision) -> Decide {
    Arc::new(move |_| decision.clone())
}

async fn start(store: &Store, id: &str, steps: &[&str]) {
    let jobs = steps.iter().map(|key| step_job(id, key)).collect();
    let steps = steps.iter().map(|key| step(key)).collect();
    assert_eq!(store.runs.start(run_of(id), jobs, steps, None).await.unwrap().id, id);
}

async fn found(store: &Store, id: &str) -> Run {
    store.runs.run(id, None).await.unwrap().unwrap()
}

/// Words of all jobs that are not over, the newest first.
async fn open_words(store: &Store) -> Vec<String> {
    let jobs = store.jobs.list(Filter::default(), None, 99).await.unwrap();
    jobs.into_iter().filter(|job| !job.state.is_final()).filter_map(|job| job.new.unique).collect()
}

pub async fn definitions_have_versions(store: &Store) {
    let define = async |tenant, name, source: &str| {
        let given = store.runs.define(tenant, name, source.as_bytes().to_vec(), NOW).await.unwrap();
        assert_eq!(given.source, source.as_bytes());
        given.version
    };
    assert_eq!(define("acme", "a", "one").await, 1);
    assert_eq!(define("acme", "a", "one").await, 1, "the same");
    assert_eq!(define("acme", "a", "two").await, 2);
    assert_eq!(define("acme", "a", "one").await, 3);
    assert_eq!(define("other", "a", "one").await, 1);
    assert_eq!(define("acme", "b", "one").await, 1);
    let source = async |version| {
        let found = store.runs.definition("acme", "a", version).await.unwrap();
        found.map(|found| (found.version, String::from_utf8(found.source).unwrap()))
    };
    assert_eq!(source(None).await, Some((3, "one".to_owned())));
    assert_eq!(source(Some(2)).await, Some((2, "two".to_owned())));
    assert_eq!(source(Some(4)).await, None);
    let newest = async |tenant| {
        let found = store.runs.definitions(tenant).await.unwrap();
        let mut found: Vec<_> = found.into_iter().map(|one| (one.name, one.tenant, one.version)).collect();
        found.sort();
        found
    };
    let row = |name: &str, tenant: &str, version| (name.to_owned(), tenant.to_owned(), version);
    assert_eq!(newest(Some("acme")).await, [row("a", "acme", 3), row("b", "acme", 1)]);
    assert_eq!(newest(None).await.len(), 3);
}

pub async fn a_run_starts_once_with_its_first_jobs(store: &Store) {
    let first = Run { parent: Some(("run-0".to_owned(), "child".to_owned())), ..run_of("run-1") };
    let start = |run: Run, key: Option<&str>| {
        let jobs = vec![step_job(&run.id, "a")];
        store.runs.start(run, jobs, vec![step("b"), step("a")], key.map(str::to_owned))
    };
    assert_eq!(start(first.clone(), Some("key")).await.unwrap(), first);
    assert_eq!(start(run_of("run-2"), Some("key")).await.unwrap(), first, "the same key");
    let started = async |tenant, key| store.runs.started(tenant, "summarise", key).await.unwrap();
    assert_eq!(started("acme", "key").await, Some(first.clone()));
    assert_eq!((started("acme", "run-1").await, started("other", "key").await), (None, None));
    assert_eq!(start(run_of("run-1"), None).await.unwrap(), first, "the same id");
    assert_eq!(start(run_of("run-3"), None).await.unwrap().id, "run-3");
    let other = Run { tenant: "other".to_owned(), ..run_of("run-4") };
    assert_eq!(start(other, Some("key")).await.unwrap().id, "run-4", "another's key");
    assert_eq!(open_words(store).await, ["run-4/a", "run-3/a", "run-1/a"]);

    assert_eq!(store.runs.run("run-1", Some("acme")).await.unwrap(), Some(first));
    assert_eq!(store.runs.run("run-1", Some("other")).await.unwrap(), None);
    assert_eq!(store.runs.run("run-2", None).await.unwrap(), None);
    assert_eq!(store.runs.steps("run-1", None, 9).await.unwrap(), [step("a"), step("b")]);
    assert_eq!(store.runs.steps("run-1", None, 1).await.unwrap(), [step("a")]);
    let named = ["b", "z"].map(str::to_owned).to_vec();
    assert_eq!(store.runs.steps("run-1", Some(named), 9).await.unwrap(), [step("b")]);
}

pub async fn a_decision_is_written_whole(store: &Store) {
    start(store, "run-1", &["a"]).await;
    let held = claim_one(store, NOW).await.unwrap().lease;
    let ended = Step { state: "done".to_owned(), output: Some(b"x".to_vec()), attempts: 1, ..step("a") };
    let child = Run { parent: Some(("run-1".to_owned(), "b".to_owned())), ..run_of("run-child") };
    let decision = Decision {
        status: Some(b"1".to_vec()),
        steps: vec![ended.clone(), step("b")],
        jobs: vec![step_job("run-1", "b"), step_job("run-child", "a")],
        runs: vec![child.clone()],
        end: Some(End::Done { result: Vec::new() }),
        ..Decision::default()
    };
    let at = NOW.after(SECOND);
    let advanced = store.runs.advance("run-1", Some(held), at, always(decision.clone())).await.unwrap();
    let expected = Run { status: b"1".to_vec(), changed: at, ..run_of("run-1") };
    assert_eq!(advanced, Advanced::Now(Box::new(expected.clone())));
    assert_eq!(found(store, "run-1").await, expected);
    assert_eq!(found(store, "run-child").await, child);
    assert_eq!(store.runs.steps("run-1", None, 9).await.unwrap(), [ended, step("b")]);
    assert_eq!(open_words(store).await, ["run-child/a", "run-1/b"]);

    let again = store.runs.advance("run-1", Some(held), at, always(decision.clone())).await.unwrap();
    assert_eq!(again, Advanced::Lost, "the job is over");
    assert_eq!(store.runs.advance("run-9", None, at, always(decision)).await.unwrap(), Advanced::Unknown);
    assert_eq!(open_words(store).await.len(), 2);

    let last = Decision {
        state: Some(RunState::Done),
        output: Some(b"out".to_vec()),
        error: Some("none".to_owned()),
        ..Decision::default()
    };
    store.runs.advance("run-1", None, at, always(last)).await.unwrap();
    let over = found(store, "run-1").await;
    assert_eq!((over.state, over.output, over.ended), (RunState::Done, Some(b"out".to_vec()), Some(at)));
    assert_eq!(over.status, b"1", "what is not said stays");
}

pub async fn decisions_of_one_run_come_one_after_the_other(store: &Store) {
    start(store, "run-1", &[]).await;
    let mut deciders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        deciders.spawn(async move {
            for _ in 0..10 {
                let count: Decide = Arc::new(|run| {
                    let number: u32 = String::from_utf8_lossy(&run.status).parse().unwrap();
                    Decision { status: Some((number + 1).to_string().into_bytes()), ..Decision::default() }
                });
                store.runs.advance("run-1", None, NOW, count).await.unwrap();
            }
        });
    }
    deciders.join_all().await;
    assert_eq!(found(store, "run-1").await.status, b"80");
}

pub async fn a_step_is_tried_again_under_its_word(store: &Store) {
    start(store, "run-1", &["a"]).await;
    let held = claim_one(store, NOW).await.unwrap().lease;
    let decision = Decision {
        jobs: vec![step_job("run-1", "a")],
        end: Some(End::Dead { fault: fault("bad") }),
        ..Decision::default()
    };
    store.runs.advance("run-1", Some(held), NOW, always(decision)).await.unwrap();
    assert_eq!(get(store, held.id).await.state, State::Dead);
    assert_eq!(open_words(store).await, ["run-1/a"]);
}

pub async fn what_waits_of_a_run_is_taken_back(store: &Store) {
    start(store, "run-1", &["a", "b", "c"]).await;
    start(store, "run-10", &["a"]).await;
    let running = claim_one(store, NOW).await.unwrap().lease;
    let decision =
        Decision { cancel_waiting: true, jobs: vec![step_job("run-1", "b")], ..Decision::default() };
    store.runs.advance("run-1", None, NOW, always(decision)).await.unwrap();
    assert_eq!(open_words(store).await, ["run-1/b", "run-10/a", "run-1/a"]);
    assert!(!get(store, running.id).await.cancel_requested);

    let mut cancelled = store.runs.cancel_jobs("run-1", NOW).await.unwrap();
    cancelled.sort_by_key(|cancel| *cancel == Cancel::Asked);
    assert_eq!(cancelled, [Cancel::Done, Cancel::Asked]);
    assert!(get(store, running.id).await.cancel_requested);
    assert_eq!(open_words(store).await, ["run-10/a", "run-1/a"]);
}

pub async fn runs_are_listed_and_counted(store: &Store) {
    for number in 0..4 {
        let tenant = ["acme", "other"][number % 2].to_owned();
        let workflow = ["w", "v"][number / 2].to_owned();
        let run = Run { tenant, workflow, ..run_of(&format!("run-{number}")) };
        store.runs.start(run, Vec::new(), Vec::new(), None).await.unwrap();
    }
    let pause = Decision { state: Some(RunState::Paused), ..Decision::default() };
    store.runs.advance("run-2", None, NOW, always(pause)).await.unwrap();
    let list = async |tenant, workflow, state, before, limit| {
        let found = store.runs.runs(tenant, workflow, state, before, limit).await.unwrap();
        found.into_iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None, None, None, 9).await, ["run-3", "run-2", "run-1", "run-0"]);
    assert_eq!(list(None, None, None, Some("run-2"), 1).await, ["run-1"]);
    assert_eq!(list(Some("acme"), None, None, None, 9).await, ["run-2", "run-0"]);
    assert_eq!(list(Some("acme"), Some("w"), None, None, 9).await, ["run-0"]);
    assert_eq!(list(None, None, Some(RunState::Paused), None, 9).await, ["run-2"]);
    let counts = store.runs.counts().await.unwrap();
    assert_eq!(counts, [(RunState::Running, 3), (RunState::Paused, 1)]);
}

pub async fn old_runs_are_purged_with_their_steps(store: &Store) {
    start(store, "run-1", &["a"]).await;
    start(store, "run-2", &[]).await;
    let over = Decision { state: Some(RunState::Failed), ..Decision::default() };
    store.runs.advance("run-1", None, NOW.after(SECOND), always(over)).await.unwrap();
    assert_eq!(store.runs.purge(NOW.after(SECOND), 9).await.unwrap(), 0, "not before");
    assert_eq!(store.runs.purge(NOW.after(SECOND * 2), 9).await.unwrap(), 1);
    assert_eq!(store.runs.run("run-1", None).await.unwrap(), None);
    assert_eq!(store.runs.steps("run-1", None, 9).await.unwrap(), []);
    assert!(store.runs.run("run-2", None).await.unwrap().is_some(), "it goes on");
}

pub async fn a_run_that_goes_on_again_is_not_over(store: &Store) {
    start(store, "run-1", &[]).await;
    let to = |state| always(Decision { state: Some(state), ..Decision::default() });
    let failed = Decision {
        state: Some(RunState::Failed),
        output: Some(b"out".to_vec()),
        error: Some("bad".to_owned()),
        ..Decision::default()
    };
    store.runs.advance("run-1", None, NOW, always(failed)).await.unwrap();
    assert_eq!(found(store, "run-1").await.ended, Some(NOW));
    store.runs.advance("run-1", None, NOW.after(SECOND), to(RunState::Running)).await.unwrap();
    let again = found(store, "run-1").await;
    assert_eq!((again.ended, again.output, again.error), (None, None, None));
    assert_eq!(store.runs.purge(NOW.after(SECOND * 9), 9).await.unwrap(), 0);
}
