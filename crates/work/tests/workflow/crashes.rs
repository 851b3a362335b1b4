//! A workflow of thirty steps, of every kind, crashed at every boundary between two calls of the store in
//! turn: all that is in memory is dropped, the lease runs out, and somebody else goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use store::runs::RunState;
use tokio::task::JoinSet;

use crate::stage::{LEASE, Outside, Stage};

/// Thirty steps: a chain, a fan of items, a branch, a sleep, a signal, a child, and a join of all.
fn thirty() -> String {
    let mut steps = Vec::new();
    let mut say = |id: &str, needs: &[&str], text: &str| {
        steps.push(format!(
            "[[steps]]\nid = '{id}'\nkind = 'model'\nneeds = {needs:?}\nmodel = 'm'\nrequest = {{ say = '{text}' }}\n"
        ));
    };
    say("c0", &[], "0");
    for at in 1..12 {
        let before = format!("c{}", at - 1);
        say(&format!("c{at}"), &[&before], &format!("{{{{ steps.{before}.output }}}}.{at}"));
    }
    for at in 0..8 {
        say(&format!("p{at}"), &["c2"], &format!("p{at} {{{{ steps.c2.output }}}}"));
    }
    say("yes", &["p0"], "yes");
    say("no", &["p0"], "no");
    let all =
        ["c11", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "yes", "no", "nap", "ear", "kid", "fan", "heard"];
    say("heard", &["ear"], "{{ steps.ear.output }}!");
    say("rested", &["nap"], "rested");
    let join: Vec<&str> = all.into_iter().chain(["rested"]).collect();
    say(
        "join",
        &join,
        "{{ steps.fan.output | join(\"\") }} {{ steps.kid.output }} {{ steps.c11.output }} {{ steps.heard.output }}",
    );
    steps.extend([
        "[[steps]]\nid = 'b'\nneeds = ['p0']\nkind = 'branch'\ncases = [{when = 'true', steps = ['yes']}]\nelse = ['no']\n".to_owned(),
        "[[steps]]\nid = 'nap'\nneeds = ['c1']\nkind = 'sleep'\nfor = '1h'\n".to_owned(),
        "[[steps]]\nid = 'ear'\nkind = 'wait'\nsignal = 'go'\n".to_owned(),
        "[[steps]]\nid = 'kid'\nneeds = ['c3']\nkind = 'workflow'\nworkflow = 'child'\n".to_owned(),
        "[[steps]]\nid = 'fan'\nneeds = ['c0']\nkind = 'map'\nover = 'range(4) | list'\nconcurrency = 2\n\
         step = {kind = 'model', model = 'm', request = {say = 'i{{ item }}'}}\n"
            .to_owned(),
    ]);
    assert_eq!(steps.len(), 30);
    format!("name = 'thirty'\n{}", steps.concat())
}

const CHILD: &str =
    "name = 'child'\n[[steps]]\nid = 'only'\nkind = 'model'\nmodel = 'm'\nrequest = {say = 'kid'}\n";

/// What is the same however often it was crashed.
#[derive(Debug, PartialEq)]
struct Final {
    state: RunState,
    output: Value,
    /// Key, state and output of each step.
    rows: Vec<(String, String, Option<Vec<u8>>)>,
    children: usize,
}

/// Runs it with the world ending at a boundary; whether that was reached, and the calls that are expected
/// more than once.
async fn run(stage: &Stage, boundary: usize) -> (bool, Option<String>) {
    stage.engine.define("acme", CHILD).await.unwrap();
    let id = stage.start(&thirty(), json!({})).await.id;
    stage.engine.signal(&id, None, "go", &json!("gone")).await.unwrap();
    stage.door.end_at(boundary);
    let mut engine = stage.engine.clone();
    let (mut crashed, mut repeated) = (false, None);
    loop {
        let before = stage.outside.calls.lock().unwrap().clone();
        let one = async {
            let jobs = stage.door.around("claim", stage.claim(1)).await;
            let Some(job) = jobs.first() else { return false };
            engine.perform(job).await.unwrap();
            true
        };
        match stage.door.until_end(one).await {
            Some(true) => {}
            Some(false) if stage.wake().await => {}
            Some(false) => return (crashed, repeated),
            None => {
                crashed = true;
                // What was called is called again unless its end was written.
                if stage.door.ended() != Some(("advance", true)) {
                    let calls = stage.outside.calls.lock().unwrap();
                    repeated = calls
                        .iter()
                        .find(|(key, count)| before.get(*key) != Some(count))
                        .map(|(key, _)| key.clone());
                }
                engine = crate::stage::engine(&stage.door, &stage.outside, &stage.now);
                stage.pass(LEASE * 2);
                stage.store.jobs.reap(stage.now(), 100).await.unwrap();
            }
        }
    }
}

async fn outcome(stage: &Stage) -> Final {
    let mut runs = stage.store.runs.runs(None, Some("thirty"), None, None, 10).await.unwrap();
    let children = stage.store.runs.runs(None, Some("child"), None, None, 10).await.unwrap();
    let run = runs.pop().expect("one run");
    assert!(runs.is_empty());
    let rows = stage.store.runs.steps(&run.id, None, 1_000).await.unwrap();
    Final {
        state: run.state,
        output: serde_json::from_slice(&run.output.unwrap_or_else(|| b"null".to_vec())).unwrap(),
        rows: rows.into_iter().map(|row| (row.key, row.state, row.output)).collect(),
        children: children.len(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_workflow_of_thirty_steps_survives_a_crash_at_every_boundary() {
    let straight = Stage::new(Outside::echo()).await;
    run(&straight, usize::MAX).await;
    let want = outcome(&straight).await;
    assert_eq!((want.state, want.children), (RunState::Done, 1));
    assert!(want.output.to_string().contains("i0i1i2i3 kid 0.1.2.3"), "{}", want.output);
    let want_calls = straight.outside.calls.lock().unwrap().clone();
    assert!(want_calls.values().all(|count| *count == 1), "{want_calls:?}");
    // 25 models less the branch not taken, 4 items, and the child's.
    assert_eq!(straight.outside.total(), 25 - 1 + 4 + 1);

    let (next, repeats) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (want, want_calls) = (Arc::new(want), Arc::new(want_calls));
    // Each in a store of its own, some at a time: most of their time is the disk's.
    let mut worlds = JoinSet::new();
    for _ in 0..16 {
        let (next, repeats) = (Arc::clone(&next), Arc::clone(&repeats));
        let (want, want_calls) = (Arc::clone(&want), Arc::clone(&want_calls));
        worlds.spawn(async move {
            while crash_at(next.fetch_add(1, Ordering::SeqCst), &want, &want_calls, &repeats).await {}
        });
    }
    while let Some(ended) = worlds.join_next().await {
        ended.unwrap();
    }
    // Each call was cut off from its end once: between its answer and the commit.
    assert_eq!(repeats.load(Ordering::SeqCst), usize::try_from(straight.outside.total()).unwrap());
    let boundaries = next.load(Ordering::SeqCst) - 16;
    assert!(boundaries > 200, "{boundaries} boundaries");
}

/// One world that ends at a boundary and goes on; whether the boundary was reached.
async fn crash_at(
    boundary: usize,
    want: &Final,
    want_calls: &BTreeMap<String, u32>,
    repeats: &AtomicUsize,
) -> bool {
    let stage = Stage::new(Outside::echo()).await;
    let (crashed, repeated) = run(&stage, boundary).await;
    let ended = stage.door.ended();
    assert_eq!(outcome(&stage).await, *want, "crashed at {boundary}: {ended:?}");
    let mut calls = want_calls.clone();
    if let Some(key) = &repeated {
        *calls.get_mut(key).unwrap() += 1;
        repeats.fetch_add(1, Ordering::SeqCst);
    }
    assert_eq!(*stage.outside.calls.lock().unwrap(), calls, "crashed at {boundary}: {ended:?}");
    crashed
}
