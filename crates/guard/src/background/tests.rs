//! What the executor promises, one behaviour a test. Crews are polled by hand, round after round, as a
//! runtime of one thread would.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Background, Lane, Options, Refused, Report, WhenFull, Work};
use proptest::prelude::*;
use std::future::{Future, pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// A runtime of one thread.
#[derive(Clone, Default)]
struct Runtime {
    crews: Arc<Mutex<Vec<Work>>>,
}

impl Runtime {
    fn background(&self, at_once: usize, waiting: usize) -> Background {
        let crews = Arc::clone(&self.crews);
        let spawn = move |crew| crews.lock().unwrap().push(crew);
        Background::new(Options { at_once, waiting }, spawn)
    }

    fn crews(&self) -> usize {
        self.crews.lock().unwrap().len()
    }

    /// Polls every crew once.
    fn round(&self) {
        let crews = std::mem::take(&mut *self.crews.lock().unwrap());
        for mut crew in crews {
            if crew.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                self.crews.lock().unwrap().push(crew);
            }
        }
    }

    fn rounds(&self, count: usize) {
        (0..count).for_each(|_| self.round());
    }
}

/// A door that jobs stand before until it is opened.
#[derive(Clone, Default)]
struct Door(Arc<AtomicBool>);

impl Door {
    fn open(&self) {
        self.0.store(true, SeqCst);
    }

    fn opened(&self) -> impl Future<Output = ()> + use<> {
        let open = Arc::clone(&self.0);
        poll_fn(move |_| if open.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending })
    }
}

/// A note of who ran, in order.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Vec<u32>>>);

impl Diary {
    fn writing(&self, number: u32) -> impl Future<Output = ()> + use<> {
        let diary = self.clone();
        async move { diary.0.lock().unwrap().push(number) }
    }

    fn read(&self) -> Vec<u32> {
        self.0.lock().unwrap().clone()
    }
}

fn counts(report: Report) -> [u64; 5] {
    [report.done, report.failed, report.panicked, report.refused, report.dropped]
}

fn standing(lane: &Lane) -> (usize, usize) {
    let report = lane.report();
    (report.waiting, report.running)
}

#[test]
fn no_more_run_at_once_than_may() {
    let runtime = Runtime::default();
    let lane = runtime.background(5, 100).lane("disk", WhenFull::RefuseNew);
    let door = Door::default();
    for _ in 0..20 {
        lane.submit(door.opened()).unwrap();
    }
    runtime.rounds(3);
    assert_eq!(standing(&lane), (15, 5));
    assert_eq!(runtime.crews(), 5);
    door.open();
    runtime.rounds(5);
    assert_eq!(standing(&lane), (0, 0));
    assert_eq!(counts(lane.report()), [20, 0, 0, 0, 0]);
    assert_eq!(runtime.crews(), 0, "crews go when nothing waits");
}

#[test]
fn a_full_lane_refuses_and_runs_what_it_took() {
    let runtime = Runtime::default();
    let lane = runtime.background(1, 2).lane("disk", WhenFull::RefuseNew);
    let diary = Diary::default();
    for number in 0..2 {
        lane.submit(diary.writing(number)).unwrap();
    }
    assert_eq!(lane.submit(diary.writing(2)), Err(Refused::Full));
    runtime.rounds(4);
    assert_eq!(diary.read(), [0, 1]);
    assert_eq!(counts(lane.report()), [2, 0, 0, 1, 0]);
}

#[test]
fn where_the_latest_counts_the_oldest_gives_way() {
    let runtime = Runtime::default();
    let lane = runtime.background(1, 2).lane("levels", WhenFull::DropOldest);
    let diary = Diary::default();
    for number in 0..5 {
        lane.submit(diary.writing(number)).unwrap();
    }
    runtime.rounds(4);
    assert_eq!(diary.read(), [3, 4]);
    assert_eq!(counts(lane.report()), [2, 0, 0, 0, 3]);
}

#[test]
fn without_room_for_one_even_the_latest_is_refused() {
    let runtime = Runtime::default();
    let lane = runtime.background(1, 0).lane("levels", WhenFull::DropOldest);
    assert_eq!(lane.submit(async {}), Err(Refused::Full));
}

#[test]
fn a_flooded_lane_holds_no_other_up() {
    let runtime = Runtime::default();
    let background = runtime.background(1, 100);
    let diary = Diary::default();
    let flooded = background.lane("disk", WhenFull::RefuseNew);
    for number in 0..50 {
        flooded.submit(diary.writing(number)).unwrap();
    }
    background.lane("epochs", WhenFull::RefuseNew).submit(diary.writing(99)).unwrap();
    runtime.rounds(2);
    assert_eq!(diary.read(), [0, 99]);
}

#[test]
fn a_panic_ends_its_job_alone() {
    let runtime = Runtime::default();
    let lane = runtime.background(1, 10).lane("disk", WhenFull::RefuseNew);
    lane.submit(panics()).unwrap();
    lane.submit(async { Err::<(), _>("no room on the disk") }).unwrap();
    lane.submit(async { Ok::<_, ()>(7) }).unwrap();
    runtime.rounds(4);
    assert_eq!(counts(lane.report()), [1, 1, 1, 0, 0]);
    assert_eq!(runtime.crews(), 0);
}

/// A job that goes wrong, without a word on the terminal.
fn panics() -> impl Future<Output = ()> {
    poll_fn(|_| -> Poll<()> { std::panic::resume_unwind(Box::new("a job went wrong")) })
}

/// Panics when dropped, unless a panic is under way.
struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("even its drop went wrong");
        }
    }
}

#[test]
fn a_job_whose_drop_panics_hurts_nobody() {
    let runtime = Runtime::default();
    let lane = runtime.background(1, 10).lane("disk", WhenFull::RefuseNew);
    let grenade = Grenade;
    lane.submit(poll_fn(move |_| {
        let _held = &grenade;
        Poll::Ready(())
    }))
    .unwrap();
    lane.submit(async {}).unwrap();
    runtime.rounds(3);
    assert_eq!(lane.report().done + lane.report().panicked, 2);
    assert_eq!(standing(&lane), (0, 0));
}

#[test]
fn others_run_between_two_jobs() {
    let runtime = Runtime::default();
    let lane = runtime.background(1, 10).lane("disk", WhenFull::RefuseNew);
    let diary = Diary::default();
    for number in 0..3 {
        lane.submit(diary.writing(number)).unwrap();
    }
    for ran in 1..=3 {
        runtime.round();
        assert_eq!(diary.read().len(), ran, "one job a poll");
    }
}

#[test]
fn a_job_may_submit_another() {
    let runtime = Runtime::default();
    let lane = runtime.background(1, 10).lane("disk", WhenFull::RefuseNew);
    let diary = Diary::default();
    let (next, second) = (lane.clone(), diary.writing(2));
    lane.submit(async move { next.submit(second) }).unwrap();
    runtime.rounds(3);
    assert_eq!(diary.read(), [2]);
    assert_eq!(counts(lane.report()), [2, 0, 0, 0, 0]);
}

/// Submits once more when dropped.
struct Echo(Lane);

impl Drop for Echo {
    fn drop(&mut self) {
        let _refused = self.0.submit(async {});
    }
}

#[test]
fn a_job_that_is_left_out_may_submit_as_it_is_dropped() {
    // The first waits on and the second is refused; or each gives way to the next.
    for (when_full, submitted) in [(WhenFull::RefuseNew, 3), (WhenFull::DropOldest, 4)] {
        let background = Runtime::default().background(1, 1);
        let lane = background.lane("disk", when_full);
        let [first, second] = [Echo(lane.clone()), Echo(lane.clone())];
        lane.submit(async move { drop(first) }).unwrap();
        let _refused = lane.submit(async move { drop(second) });
        let report = lane.report();
        assert_eq!((report.waiting as u64) + report.refused + report.dropped, submitted, "{when_full:?}");
    }
}

#[test]
fn a_cancelled_crew_gives_its_place_to_the_next() {
    let runtime = Runtime::default();
    let lane = runtime.background(1, 10).lane("disk", WhenFull::RefuseNew);
    lane.submit(pending::<()>()).unwrap();
    runtime.round();
    runtime.crews.lock().unwrap().clear();
    assert_eq!(standing(&lane), (0, 0));
    assert_eq!(counts(lane.report()), [0, 0, 0, 0, 1]);
    lane.submit(async {}).unwrap();
    runtime.rounds(2);
    assert_eq!(lane.report().done, 1);
}

#[test]
fn once_closed_it_does_what_waits_and_takes_no_more() {
    let runtime = Runtime::default();
    let background = runtime.background(1, 10);
    let lane = background.lane("disk", WhenFull::RefuseNew);
    lane.submit(async {}).unwrap();
    lane.submit(async {}).unwrap();
    background.close();
    assert_eq!(lane.submit(async {}), Err(Refused::Closed));
    runtime.round();
    assert!(!background.is_idle());
    assert_eq!(background.discard(), 1);
    assert!(background.is_idle());
    assert_eq!(counts(lane.report()), [1, 0, 0, 1, 1]);
}

#[test]
fn a_name_is_one_lane() {
    let background = Runtime::default().background(1, 10);
    let first = background.lane("disk", WhenFull::DropOldest);
    let second = background.lane("disk", WhenFull::RefuseNew);
    background.lane("epochs", WhenFull::RefuseNew);
    first.submit(async {}).unwrap();
    assert_eq!(second.report().waiting, 1);
    let names: Vec<_> = background.report().iter().map(|lane| lane.name).collect();
    assert_eq!(names, ["disk", "epochs"]);
}

#[test]
fn threads_lose_and_double_no_job() {
    let runtime = Runtime::default();
    let background = runtime.background(3, 10_000);
    let ran = Arc::new(AtomicUsize::new(0));
    let submitted = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for name in ["a", "b"] {
            let lane = background.lane(name, WhenFull::RefuseNew);
            let (ran, submitted) = (&ran, &submitted);
            scope.spawn(move || {
                for _ in 0..1000 {
                    let ran = Arc::clone(ran);
                    lane.submit(async move { assert!(ran.fetch_add(1, SeqCst) < 2000) }).unwrap();
                    submitted.fetch_add(1, SeqCst);
                }
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while submitted.load(SeqCst) < 2000 || runtime.crews() > 0 {
                    runtime.round();
                }
            });
        }
    });
    // A round empties the runtime while it polls, so the last crews may have been out of sight.
    runtime.rounds(3000);
    assert_eq!(ran.load(SeqCst), 2000);
    assert!(background.is_idle());
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Submit(usize),
    Panic(usize),
    Round,
    Cancel,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_job_is_accounted_for(
        steps in proptest::collection::vec(
            prop_oneof![
                4 => (0_usize..3).prop_map(Step::Submit),
                1 => (0_usize..3).prop_map(Step::Panic),
                3 => Just(Step::Round),
                1 => Just(Step::Cancel),
            ],
            0..150,
        ),
        at_once in 1_usize..4,
        waiting in 1_usize..5,
    ) {
        let runtime = Runtime::default();
        let background = runtime.background(at_once, waiting);
        let policies = [WhenFull::RefuseNew, WhenFull::DropOldest, WhenFull::RefuseNew];
        let names = ["a", "b", "c"];
        let lanes: Vec<_> =
            names.iter().zip(policies).map(|(name, policy)| background.lane(name, policy)).collect();
        let mut submitted = [0_u64; 3];
        for step in steps {
            match step {
                Step::Submit(lane) => {
                    let _counted = lanes[lane].submit(async {});
                    submitted[lane] += 1;
                }
                Step::Panic(lane) => {
                    let _counted = lanes[lane].submit(panics());
                    submitted[lane] += 1;
                }
                Step::Round => runtime.round(),
                Step::Cancel => drop(runtime.crews.lock().unwrap().pop()),
            }
            prop_assert!(runtime.crews() <= at_once);
            for (lane, submitted) in lanes.iter().zip(submitted) {
                let report = lane.report();
                let accounted = counts(report).iter().sum::<u64>() + (report.waiting + report.running) as u64;
                prop_assert_eq!(accounted, submitted);
                prop_assert!(report.waiting <= waiting);
            }
        }
    }
}
