//! Whatever order, crashes and repetitions there are: what a straight execution would have done is done, each
//! end is recorded once, and nothing begins before what it needs.

use std::collections::BTreeSet;

use proptest::prelude::*;
use store::runs::RunState;

use super::world::{World, definition, fine, lasting, passing};
use crate::workflow::Definition;
use crate::workflow::event::{Event, Outcome, Verdict};
use crate::workflow::status::Mark;
use crate::workflow::task::Part;

/// A step of a random workflow.
#[derive(Clone, Debug)]
struct Plan {
    kind: u8,
    needs: Vec<prop::sample::Index>,
    /// How the outside answers: well, after a failure, with a failure that is tolerated, not at all, skipped.
    answer: u8,
    undo: bool,
}

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let plan = (0..10_u8, prop::collection::vec(any::<prop::sample::Index>(), 0..3), 0..12_u8, any::<bool>())
        .prop_map(|(kind, needs, answer, undo)| Plan { kind, needs, answer, undo });
    prop::collection::vec(plan, 1..12)
}

/// Each step needs some of those before it; a branch decides on those after it that need it first.
fn source(plans: &[Plan]) -> String {
    let mut text = "name = 'w'\n".to_owned();
    for (at, plan) in plans.iter().enumerate() {
        let needs: BTreeSet<usize> =
            if at == 0 { BTreeSet::new() } else { plan.needs.iter().map(|need| need.index(at)).collect() };
        let needs: Vec<String> = needs.iter().map(|need| format!("'s{need}'")).collect();
        let tolerant = if plan.answer == 2 { "on_error = 'continue'" } else { "" };
        let undo = if plan.undo { "compensate = {kind = 'model', model = 'm', request = {}}" } else { "" };
        let kind = match plan.kind {
            0 => "kind = 'sleep'\nfor = '1h'".to_owned(),
            1 => format!("kind = 'wait'\nsignal = 'g{at}'\ntimeout = '1h'\non_error = 'continue'"),
            2 | 3 => {
                let each = format!(
                    "step = {{kind = 'model', model = 'm', request = {{}}, {}}}",
                    tolerant.replace("on_error", "on_error ")
                );
                let each = each.replace(", }", "}");
                format!("kind = 'map'\nover = 'input.l'\nconcurrency = 2\n{each}\n{undo}")
            }
            4 if at + 1 < plans.len() && !plans.iter().take(at).any(|plan| plan.kind == 4) => {
                format!("kind = 'branch'\ncases = [{{when = 'true', steps = ['s{}']}}]", at + 1)
            }
            _ => format!("kind = 'model'\nmodel = 'm'\nrequest = {{}}\n{tolerant}\n{undo}"),
        };
        text.push_str(&format!("[[steps]]\nid = 's{at}'\nneeds = [{}]\n{kind}\n", needs.join(", ")));
    }
    text
}

/// What the outside answers: the same to the same part at the same attempt, whenever it is asked.
fn answer(plans: &[Plan], definition: &Definition, part: &Part, attempt: u32) -> Outcome {
    let place = part.step().and_then(|id| definition.place(id)).unwrap_or(usize::MAX);
    let plan = plans.get(place);
    let work = matches!(definition.steps().get(place).map(|step| step.kind.as_str()), Some("model"));
    match (part, plan.map(|plan| plan.answer)) {
        (Part::Step(_), Some(4)) => Outcome::Skipped,
        (Part::Item(_, 3), Some(1)) if attempt < 3 => passing(),
        (Part::Item(_, 3), Some(2)) => lasting(),
        (Part::Step(_), Some(1)) if work && attempt < 3 => passing(),
        (Part::Step(_), Some(2)) if work => lasting(),
        (Part::Step(_), Some(3)) if work => lasting(),
        (Part::Step(_), _) if definition.steps()[place].kind.as_str() == "branch" => {
            Outcome::Chose(place.is_multiple_of(2).then_some(0))
        }
        (Part::Step(_), _) if definition.steps()[place].kind.as_str() == "sleep" => {
            Outcome::Sleeps(store::Time(1_500_000))
        }
        (part, _) => fine(definition, part, attempt),
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Chance {
    /// A job is done and told.
    Work(prop::sample::Index),
    /// A job is done, and whoever did it dies before it tells.
    Die(prop::sample::Index),
    /// A job is done and told twice.
    Twice(prop::sample::Index),
    /// The run is paused, or goes on.
    Pause,
    /// A signal comes, more than once perhaps.
    Signal(prop::sample::Index),
}

fn chances() -> impl Strategy<Value = Vec<Chance>> {
    let index = any::<prop::sample::Index>;
    let chance = prop_oneof![
        4 => index().prop_map(Chance::Work),
        2 => index().prop_map(Chance::Die),
        2 => index().prop_map(Chance::Twice),
        1 => Just(Chance::Pause),
        1 => index().prop_map(Chance::Signal),
    ];
    prop::collection::vec(chance, 0..150)
}

/// A call begins only where all that the step needs has ended.
fn assert_ready(world: &World, word: &str) {
    let job = &world.jobs[word];
    let task = crate::workflow::task::Task::of_payload(&job.payload).expect("a task");
    if let Part::Step(id) | Part::Item(id, _) = &task.part {
        let status = world.status();
        let step = &world.definition.steps()[world.definition.place(id).expect("a step")];
        assert!(step.needs.iter().all(|need| status.mark(*need).is_final()), "{word} begins too early");
    }
}

fn happen(world: &mut World, plans: &[Plan], chance: &Chance) {
    let answer = |definition: &Definition, part: &Part, attempt| answer(plans, definition, part, attempt);
    let pick = |world: &mut World, index: &prop::sample::Index| {
        let due = world.due();
        (!due.is_empty()).then(|| index.get(&due).clone())
    };
    match chance {
        Chance::Work(index) => {
            if let Some(word) = pick(world, index) {
                assert_ready(world, &word);
                world.work(&word, &answer);
            }
        }
        Chance::Die(index) => {
            if let Some(word) = pick(world, index) {
                // Its attempts are the run's to count, and the run has not heard of this one.
                let attempts = world.attempts.clone();
                world.perform(&word, &answer);
                world.attempts = attempts;
            }
        }
        Chance::Twice(index) => {
            let Some(word) = pick(world, index) else { return };
            let told = Event::Told(Box::new(world.perform(&word, &answer)));
            let job = world.jobs[&word].clone();
            world.take(&told, Some(&word));
            let (run, ends) = (world.run.clone(), world.ends.clone());
            let released = world.jobs.contains_key(&word);
            let again = matches!(&told, Event::Told(told) if matches!(told.outcome, Outcome::Failed(_)));
            // What is tried again is another attempt, not the same told twice: a lease's token keeps those apart.
            if !released && !again {
                world.jobs.insert(word.clone(), job);
                assert_eq!(world.take(&told, Some(&word)), Verdict::Stale);
                assert_eq!((&world.run, &world.ends), (&run, &ends));
            }
        }
        Chance::Pause => {
            let event = if world.run.state == RunState::Paused { Event::Resume } else { Event::Pause };
            world.take(&event, None);
        }
        Chance::Signal(index) => {
            let name = format!("g{}", index.index(plans.len()));
            world.take(&Event::Signal { name, payload: b"1".to_vec() }, None);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn chance_changes_nothing(plans in plans(), chances in chances()) {
        let text = source(&plans);
        let definition = definition(&text);
        let straight = |definition: &Definition, part: &Part, attempt| answer(&plans, definition, part, attempt);
        let mut want = World::new(definition.clone());
        want.finish(&straight);

        let mut world = World::new(definition);
        for chance in &chances {
            happen(&mut world, &plans, chance);
        }
        world.take(&Event::Resume, None);
        world.finish(&straight);

        prop_assert!(world.is_over(), "stuck: {:?} {:?}\n{}", world.run.state, world.marks(), text);
        prop_assert_eq!(world.run.state, want.run.state, "{}", text);
        prop_assert_eq!(&world.run.output, &want.run.output);
        let twice: Vec<_> = world.ends.iter().filter(|(_, count)| **count > 1).collect();
        prop_assert!(twice.is_empty(), "{twice:?}");
        prop_assert!(world.jobs.is_empty(), "{:?}", world.jobs.keys());
        if world.run.state == RunState::Done {
            // A wait is met or fails by chance, and goes on either way.
            let unlike = |mark: Mark| if mark == Mark::Failed { Mark::Done } else { mark };
            let marks = |world: &World| world.marks().into_iter().map(unlike).collect::<Vec<_>>();
            prop_assert_eq!(marks(&world), marks(&want), "{}", text);
            prop_assert_eq!(&world.ends.keys().collect::<Vec<_>>(), &want.ends.keys().collect::<Vec<_>>());
        } else {
            // Each that was done and can be undone is undone, and nothing else.
            for (place, step) in world.definition.steps().iter().enumerate() {
                let undone = world.ends.contains_key(&format!("{}/undo", step.id));
                let mark = world.status().mark(place);
                prop_assert!(!(mark == Mark::Done && step.compensate.is_some()), "{} is left", step.id);
                prop_assert!(!undone || step.compensate.is_some());
                prop_assert!(mark != Mark::Undone || undone);
            }
        }
    }
}
