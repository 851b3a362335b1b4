//! How runs end: one behaviour a test.

use store::runs::RunState;

use super::world::{World, definition, fine, lasting, passing};
use crate::workflow::Definition;
use crate::workflow::event::{Event, Outcome, Verdict};
use crate::workflow::status::Mark;
use crate::workflow::task::Part;

/// Steps of the kind `model`; of each its id, and the rest of its keys.
fn workflow(steps: &[(&str, &str)]) -> Definition {
    let step = |(id, rest): &(&str, &str)| {
        let kind =
            if rest.starts_with("kind =") { "" } else { "kind = 'model'\nmodel = 'm'\nrequest = {}\n" };
        format!("[[steps]]\nid = '{id}'\n{kind}{rest}\n")
    };
    definition(&format!("name = 'w'\n{}", steps.iter().map(step).collect::<String>()))
}

const UNDO: &str = "compensate = {kind = 'model', model = 'm', request = {}}";
const MAP: &str = "kind = 'map'\nover = 'input.l'\nconcurrency = 2\n";
const EACH: &str = "step = {kind = 'model', model = 'm', request = {}}";

fn retry(world: &mut World, id: &str) -> Verdict {
    let step = world.definition.place(id).expect(id);
    world.take(&Event::Retry { step }, None)
}

#[test]
fn steps_begin_when_what_they_need_has_ended() {
    let mut world =
        World::new(workflow(&[("c", "needs = ['a', 'b']"), ("a", ""), ("b", ""), ("d", "needs = ['c']")]));
    assert_eq!(world.due(), ["run-1/a", "run-1/b"]);
    world.work("run-1/b", &fine);
    assert_eq!(world.due(), ["run-1/a"]);
    world.work("run-1/a", &fine);
    assert_eq!(world.due(), ["run-1/c"]);
    world.finish(&fine);
    world.assert_over(RunState::Done);
    assert_eq!(world.calls, ["b", "a", "c", "d", "~output~1"]);
    assert_eq!(world.run.output.as_deref(), Some(&b"\"~output\""[..]));
}

#[test]
fn a_branch_skips_what_it_does_not_choose_and_what_follows_that_alone() {
    let branch = "kind = 'branch'\ncases = [{when = 'true', steps = ['yes']}]\nelse = ['no']";
    let steps = [
        ("b", branch),
        ("yes", ""),
        ("no", ""),
        ("after_no", "needs = ['no']"),
        ("join", "needs = ['yes', 'after_no']"),
    ];
    for (chosen, want) in [(Some(0), ["yes", "join"].as_slice()), (None, &["no", "after_no", "join"])] {
        let mut world = World::new(workflow(&steps));
        world.finish(&|definition, part, attempt| match part {
            Part::Step(id) if id == "b" => Outcome::Chose(chosen),
            _ => fine(definition, part, attempt),
        });
        world.assert_over(RunState::Done);
        assert_eq!(world.calls[1..world.calls.len() - 1], *want);
    }
}

#[test]
fn a_step_whose_condition_does_not_hold_is_skipped() {
    let mut world = World::new(workflow(&[("a", ""), ("b", "needs = ['a']"), ("c", "needs = ['b']")]));
    world.finish(&|definition, part, attempt| match part {
        Part::Step(id) if id == "b" => Outcome::Skipped,
        _ => fine(definition, part, attempt),
    });
    world.assert_over(RunState::Done);
    assert_eq!(world.marks(), [Mark::Done, Mark::Skipped, Mark::Skipped]);
}

#[test]
fn items_are_under_way_up_to_the_bound() {
    let mut world = World::new(workflow(&[("m", &format!("{MAP}{EACH}")), ("z", "needs = ['m']")]));
    world.work("run-1/m", &fine);
    assert_eq!(world.due(), ["run-1/m/0", "run-1/m/1"]);
    world.work("run-1/m/1", &fine);
    assert_eq!(world.due(), ["run-1/m/0", "run-1/m/2"]);
    world.finish(&fine);
    world.assert_over(RunState::Done);
    assert_eq!(world.calls.iter().filter(|call| call.starts_with("m/")).count(), 5);
    let (began, ended) = world.times["m"];
    assert_eq!((world.states["m"].as_str(), began), ("done", world.times["m/0"].0));
    assert_eq!(ended, world.times["m/4"].1, "with its last item");
}

#[test]
fn a_list_of_nothing_is_done_at_once() {
    let mut world = World::new(workflow(&[("m", &format!("{MAP}{EACH}"))]));
    world.finish(&|definition, part, attempt| match part {
        Part::Step(_) => Outcome::Spread(Vec::new()),
        _ => fine(definition, part, attempt),
    });
    world.assert_over(RunState::Done);
    assert_eq!((world.states["m"].as_str(), world.ends["m"]), ("done", 1));
}

#[test]
fn an_item_that_fails_fails_its_step_unless_it_may() {
    let tolerant = "step = {kind = 'model', model = 'm', request = {}, on_error = 'continue'}";
    for (each, want, done) in [(EACH, RunState::Failed, 2), (tolerant, RunState::Done, 4)] {
        let mut world = World::new(workflow(&[("m", &format!("{MAP}{each}"))]));
        world.finish(&|definition, part, attempt| match part {
            Part::Item(_, 2) => lasting(),
            _ => fine(definition, part, attempt),
        });
        world.assert_over(want);
        let status = world.status();
        let spread = status.spread(0).expect("a spread");
        assert_eq!((spread.done, spread.failed), (done, 1));
        let state = if want == RunState::Done { "done" } else { "failed" };
        assert_eq!((world.states["m"].as_str(), world.ends["m"]), (state, 1));
    }
}

#[test]
fn a_passing_failure_is_tried_again_later_and_a_lasting_one_is_not() {
    let mut world = World::new(workflow(&[("a", "retry = {attempts = 3, backoff = '10s'}")]));
    let before = world.now;
    world.finish(&|definition, part, attempt| match part {
        Part::Step(_) if attempt < 3 => passing(),
        _ => fine(definition, part, attempt),
    });
    world.assert_over(RunState::Done);
    // As long as chance can make it: 10 s, then 20 s.
    assert_eq!(world.now.since(before).as_secs_f64().round(), 30.0);
    for (outcome, calls) in [(passing as fn() -> Outcome, 3), (lasting, 1)] {
        let mut world = World::new(workflow(&[("a", "")]));
        world.finish(&|_, _, _| outcome());
        world.assert_over(RunState::Failed);
        assert_eq!(world.calls.len(), calls);
    }
}

#[test]
fn a_failure_undoes_what_is_done_last_first() {
    let mut world = World::new(workflow(&[
        ("a", UNDO),
        ("b", &format!("needs = ['a']\n{UNDO}")),
        ("c", "needs = ['b']"),
        ("d", "needs = ['c']"),
    ]));
    world.finish(&|definition, part, attempt| match part {
        Part::Step(id) if id == "d" => lasting(),
        _ => fine(definition, part, attempt),
    });
    world.assert_over(RunState::Failed);
    assert_eq!(world.calls, ["a", "b", "c", "d", "b/undo", "a/undo"]);
    assert_eq!(world.marks(), [Mark::Undone, Mark::Undone, Mark::Done, Mark::Failed]);
    assert_eq!(world.run.error.as_deref(), Some("step `d` failed: never"));
}

#[test]
fn what_cannot_be_undone_is_told_and_the_rest_is_undone() {
    let mut world = World::new(workflow(&[
        ("a", UNDO),
        ("b", &format!("needs = ['a']\n{UNDO}")),
        ("c", "needs = ['b']"),
    ]));
    world.finish(&|definition, part, attempt| match part {
        Part::Step(id) if id == "c" => lasting(),
        Part::Undo(id) if id == "b" => passing(),
        _ => fine(definition, part, attempt),
    });
    world.assert_over(RunState::Failed);
    assert_eq!(world.calls[3..], ["b/undo", "b/undo", "b/undo", "a/undo"]);
    assert_eq!(world.run.error.as_deref(), Some("step `c` failed: never; `b` could not be undone: not now"));
}

#[test]
fn what_runs_while_the_run_fails_is_waited_for_and_undone() {
    let mut world = World::new(workflow(&[("slow", UNDO), ("bad", ""), ("unbegun", UNDO)]));
    let slow = world.perform("run-1/slow", &fine);
    world.work("run-1/bad", &|_, _, _| lasting());
    assert_eq!(world.run.state, RunState::Compensating);
    world.work("run-1/unbegun", &fine);
    assert_eq!(world.mark("unbegun"), Mark::Cancelled);
    assert!(world.jobs.keys().all(|word| !word.ends_with("undo")));
    world.take(&Event::Told(Box::new(slow)), Some("run-1/slow"));
    world.finish(&fine);
    world.assert_over(RunState::Failed);
    assert_eq!(world.calls, ["slow", "bad", "slow/undo"]);
}

#[test]
fn what_rests_while_the_run_fails_is_taken_back() {
    let mut world = World::new(workflow(&[
        ("nap", "kind = 'sleep'\nfor = '9d'"),
        ("ear", "kind = 'wait'\nsignal = 's'\ntimeout = '9d'"),
        ("later", "retry = {attempts = 2, backoff = '1h'}"),
        ("bad", ""),
    ]));
    for word in ["run-1/nap", "run-1/ear"] {
        world.work(word, &fine);
    }
    world.work("run-1/later", &|_, _, _| passing());
    world.work("run-1/bad", &|_, _, _| lasting());
    world.assert_over(RunState::Failed);
    assert_eq!(world.marks()[..3], [Mark::Cancelled; 3]);
    assert!(world.jobs.is_empty());
}

#[test]
fn a_failure_that_may_be_lets_the_run_go_on() {
    let mut world = World::new(workflow(&[("a", "on_error = 'continue'"), ("b", "needs = ['a']")]));
    world.finish(&|definition, part, attempt| match part {
        Part::Step(id) if id == "a" => lasting(),
        _ => fine(definition, part, attempt),
    });
    world.assert_over(RunState::Done);
    assert_eq!(world.marks(), [Mark::Failed, Mark::Done]);
}

#[test]
fn a_signal_ends_the_wait_whether_it_comes_before_or_after() {
    let signal = |name: &str| Event::Signal { name: name.to_owned(), payload: b"1".to_vec() };
    let steps = [("a", ""), ("ear", "kind = 'wait'\nsignal = 's'\nneeds = ['a']"), ("z", "needs = ['ear']")];
    let mut early = World::new(workflow(&steps));
    assert_eq!(early.take(&signal("t"), None), Verdict::Unknown);
    assert_eq!(early.take(&signal("s"), None), Verdict::Taken);
    assert_eq!(early.take(&signal("s"), None), Verdict::Stale);
    early.finish(&fine);
    early.assert_over(RunState::Done);
    assert_eq!(early.take(&signal("s"), None), Verdict::Refused);
    let mut late = World::new(workflow(&steps));
    late.finish(&fine);
    assert_eq!(late.mark("ear"), Mark::Listening);
    assert_eq!(late.take(&signal("s"), None), Verdict::Taken);
    late.finish(&fine);
    late.assert_over(RunState::Done);
}

#[test]
fn a_signal_that_does_not_come_in_time_fails_the_step() {
    let mut world = World::new(workflow(&[("ear", "kind = 'wait'\nsignal = 's'\ntimeout = '1h'")]));
    world.finish(&fine);
    world.assert_over(RunState::Failed);
    assert!(world.run.error.as_deref().unwrap().contains("the signal `s` did not come in time"));
}

#[test]
fn a_paused_run_begins_nothing_and_loses_nothing() {
    let mut world =
        World::new(workflow(&[("a", ""), ("b", "needs = ['a']"), ("m", &format!("{MAP}{EACH}"))]));
    let a = world.perform("run-1/a", &fine);
    world.work("run-1/m", &fine);
    assert_eq!(world.take(&Event::Pause, None), Verdict::Taken);
    assert_eq!(world.take(&Event::Pause, None), Verdict::Refused);
    world.take(&Event::Told(Box::new(a)), Some("run-1/a"));
    world.finish(&fine);
    assert_eq!(world.run.state, RunState::Paused);
    assert_eq!(world.calls, ["a", "m"]);
    assert!(world.jobs.is_empty());
    assert_eq!(world.take(&Event::Resume, None), Verdict::Taken);
    world.finish(&fine);
    world.assert_over(RunState::Done);
    assert_eq!(world.calls.len(), 2 + 1 + 5 + 1);
}

#[test]
fn a_run_that_fails_while_paused_is_undone_when_it_is_resumed() {
    let mut world = World::new(workflow(&[("a", UNDO), ("bad", "")]));
    world.work("run-1/a", &fine);
    let bad = world.perform("run-1/bad", &|_, _, _| lasting());
    world.take(&Event::Pause, None);
    world.take(&Event::Told(Box::new(bad)), Some("run-1/bad"));
    world.finish(&fine);
    assert_eq!(world.run.state, RunState::Paused);
    world.take(&Event::Resume, None);
    world.finish(&fine);
    world.assert_over(RunState::Failed);
    assert_eq!(world.calls, ["a", "bad", "a/undo"]);
}

#[test]
fn a_cancelled_run_ends_at_once_and_what_comes_later_is_stale() {
    let mut world = World::new(workflow(&[("a", UNDO), ("b", "needs = ['a']")]));
    let a = world.perform("run-1/a", &fine);
    assert_eq!(world.take(&Event::Cancel, None), Verdict::Taken);
    world.assert_over(RunState::Cancelled);
    assert_eq!(world.take(&Event::Cancel, None), Verdict::Refused);
    world.jobs.insert("run-1/a".to_owned(), a.task.job("t", world.now));
    assert_eq!(world.take(&Event::Told(Box::new(a)), Some("run-1/a")), Verdict::Stale);
    assert!(world.jobs.is_empty());
    assert_eq!(world.marks(), [Mark::Cancelled, Mark::Waiting]);
}

#[test]
fn a_retry_resets_a_step_and_all_that_follow_and_keeps_the_rest() {
    let steps = [("a", ""), ("b", "needs = ['a']"), ("c", "needs = ['b']"), ("other", "needs = ['a']")];
    let mut world = World::new(workflow(&steps));
    world.finish(&fine);
    world.calls.clear();
    assert_eq!(retry(&mut world, "b"), Verdict::Taken);
    world.finish(&fine);
    world.assert_over(RunState::Done);
    assert_eq!(world.calls, ["b~1", "c~1", "~output~2"]);
}

#[test]
fn a_retry_of_a_failed_run_does_anew_what_was_undone_and_what_failed() {
    let mut world = World::new(workflow(&[
        ("a", ""),
        ("b", &format!("needs = ['a']\n{UNDO}")),
        ("c", "needs = ['b']"),
        ("d", "needs = ['c']"),
    ]));
    world.finish(&|definition, part, attempt| match part {
        Part::Step(id) if id == "c" => lasting(),
        _ => fine(definition, part, attempt),
    });
    world.assert_over(RunState::Failed);
    world.calls.clear();
    assert_eq!(retry(&mut world, "c"), Verdict::Taken);
    world.finish(&fine);
    world.assert_over(RunState::Done);
    assert_eq!(world.calls, ["b~1", "c~1", "d", "~output~1"]);
}

#[test]
fn what_an_earlier_generation_tells_is_stale() {
    let mut world = World::new(workflow(&[("a", ""), ("b", "needs = ['a']")]));
    let old = world.perform("run-1/a", &fine);
    assert_eq!(retry(&mut world, "a"), Verdict::Taken);
    assert_eq!(world.take(&Event::Told(Box::new(old)), Some("run-1/a")), Verdict::Stale);
    world.finish(&fine);
    world.assert_over(RunState::Done);
    assert_eq!(world.calls, ["a", "a~1", "b", "~output~1"]);
}

#[test]
fn a_child_is_started_once_and_its_end_is_the_steps() {
    let child = "kind = 'workflow'\nworkflow = 'v'";
    for (ended, want) in [(Outcome::Done(b"7".to_vec()), RunState::Done), (lasting(), RunState::Failed)] {
        let mut world = World::new(workflow(&[("kid", child), ("z", "needs = ['kid']")]));
        let began = |_: &Definition, _: &Part, _: u32| {
            let run = World::new(workflow(&[("x", "")])).run;
            Outcome::Began(Box::new(run), Vec::new())
        };
        world.work("run-1/kid", &began);
        assert_eq!((world.mark("kid"), world.children.len()), (Mark::Child, 1));
        let task = crate::workflow::task::Task::waiting("run-1", "kid").expect("a task");
        world.jobs.insert(task.word(), task.job("t", world.now));
        let ended = ended.clone();
        world.work(&task.word(), &move |_, _, _| ended.clone());
        world.finish(&fine);
        world.assert_over(want);
    }
}

#[test]
fn a_run_that_is_over_tells_whoever_waits_for_it() {
    let mut world = World::new(workflow(&[("a", "")]));
    world.run.parent = Some(("run-0".to_owned(), "map/3~1".to_owned()));
    world.finish(&fine);
    world.assert_over(RunState::Done);
    assert_eq!(world.jobs.keys().collect::<Vec<_>>(), ["run-0/map/3/child~1"]);
}

#[test]
fn a_row_that_cannot_be_read_ends_the_run() {
    let mut world = World::new(workflow(&[("a", "")]));
    world.run.status = b"{}".to_vec();
    assert_eq!(world.take(&Event::Pause, None), Verdict::Refused);
    world.assert_over(RunState::Failed);
}
