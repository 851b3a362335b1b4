//! Random courses of callers who come, wait, are polled, finish and leave, against a reference that
//! keeps a list. A waiting future is polled only when its waker was woken, so that a lost wake-up
//! shows as somebody who has a permit and never learns of it.
//!
//! The order among those who wait is the queue's, and tested there. Here it is strict bands, one
//! tenant and no deadlines: first come, first served within a band.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Enter(Band),
    /// The permit held for the `n`-th longest comes back, finished or dropped.
    Finish(usize),
    Drop(usize),
    /// The `n`-th of those who have not heard yet leaves.
    Leave(usize),
    /// The limit is set.
    Limit(u32),
    Wait(u64),
    /// Whoever was woken runs.
    Run,
}

/// Somebody who waits, as the test sees it and as the reference does.
struct Caller {
    waiting: Waiting,
    bell: Arc<Bell>,
    heard: usize,
    band: Band,
    /// Whether the reference says it has a permit.
    granted: bool,
}

struct World {
    rig: Rig,
    limit: u32,
    permits: Vec<(Permit, Band)>,
    /// In the order of arrival.
    callers: Vec<Caller>,
}

const QUEUE_MAX: usize = 8;
const BATCH_MAX: usize = 2;

fn options(limit: u32) -> Options {
    let queue = queue::Options { size: QUEUE_MAX, ..fixed(1).queue };
    let batch = limiter::Options {
        algorithm: Algorithm::Fixed,
        initial: BATCH_MAX as u32,
        ..limiter::Options::BATCH
    };
    Options { queue, batch, ..fixed(limit) }
}

impl World {
    fn new() -> Self {
        Self { rig: Rig::new(options(4)), limit: 4, permits: Vec::new(), callers: Vec::new() }
    }

    fn holders(&self) -> impl Iterator<Item = Band> {
        let granted = self.callers.iter().filter(|caller| caller.granted).map(|caller| caller.band);
        self.permits.iter().map(|permit| permit.1).chain(granted)
    }

    fn in_queue(&self) -> usize {
        self.callers.iter().filter(|caller| !caller.granted).count()
    }

    /// Whether there is room for a band.
    fn has_room(&self, band: Band) -> bool {
        let reserve = if band >= Low && self.limit >= 10 { self.limit as usize / 10 } else { 0 };
        let batch = self.holders().filter(|&band| band == Batch).count();
        self.holders().count() + reserve < self.limit as usize && (band != Batch || batch < BATCH_MAX)
    }

    /// The reference: grants while somebody who waits has room, the highest band first.
    fn admit(&mut self) {
        for band in Band::ALL {
            while self.has_room(band)
                && let Some(next) =
                    self.callers.iter().position(|caller| !caller.granted && caller.band == band)
            {
                self.callers[next].granted = true;
            }
        }
    }

    fn enter(&mut self, band: Band) -> Result<(), TestCaseError> {
        let room = self.has_room(band);
        let worst = self.callers.iter().filter(|caller| !caller.granted).map(|caller| caller.band).max();
        match self.rig.enter(ticket(band, 1)) {
            Entered::Now(permit) => {
                prop_assert!(room);
                self.permits.push((permit, band));
            }
            Entered::Wait(waiting) => {
                prop_assert!(!room);
                if self.in_queue() >= QUEUE_MAX {
                    prop_assert!(worst > Some(band));
                    self.displace(worst.unwrap())?;
                }
                let bell = Arc::new(Bell::default());
                self.callers.push(Caller { waiting, bell, heard: 0, band, granted: false });
                // As any executor does: once, so that there is a waker.
                let caller = self.callers.last_mut().unwrap();
                prop_assert!(poll_by(&mut caller.waiting, &caller.bell).is_pending());
            }
            Entered::Refused(refusal) => {
                prop_assert_eq!(refusal.reason, Reason::Full);
                prop_assert!(!room && self.in_queue() >= QUEUE_MAX && worst <= Some(band));
            }
        }
        Ok(())
    }

    /// The newest of a band has been refused, and hears of it.
    fn displace(&mut self, band: Band) -> Result<(), TestCaseError> {
        let newest = self.callers.iter().rposition(|caller| !caller.granted && caller.band == band).unwrap();
        let mut caller = self.callers.remove(newest);
        prop_assert_eq!(caller.bell.rung(), 1);
        prop_assert_eq!(refused(&mut caller.waiting), Reason::Full);
        Ok(())
    }

    /// Polls whoever was woken, and nobody else.
    fn run(&mut self) -> Result<(), TestCaseError> {
        for mut caller in std::mem::take(&mut self.callers) {
            if caller.bell.rung() == caller.heard {
                prop_assert!(!caller.granted, "a wake-up was lost");
                self.callers.push(caller);
                continue;
            }
            prop_assert!(caller.granted, "woken for nothing");
            self.permits.push((granted(&mut caller.waiting), caller.band));
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Enter(band) => self.enter(band)?,
            Step::Finish(which) | Step::Drop(which) if !self.permits.is_empty() => {
                let (permit, _) = self.permits.remove(which % self.permits.len());
                match step {
                    Step::Drop(_) => drop(permit),
                    _ => self.rig.finish(permit),
                }
            }
            Step::Leave(which) if !self.callers.is_empty() => {
                drop(self.callers.remove(which % self.callers.len()));
            }
            Step::Finish(_) | Step::Drop(_) | Step::Leave(_) => {}
            Step::Limit(limit) => {
                self.limit = limit;
                self.rig.gate.set_options(options(limit), self.rig.now);
            }
            Step::Wait(after) => _ = self.rig.later(ms(after)),
            Step::Run => self.run()?,
        }
        self.admit();
        Ok(())
    }

    fn check(&self, before: u32) -> Result<(), TestCaseError> {
        let report = self.rig.report();
        prop_assert_eq!(report.in_flight as usize, self.holders().count(), "none lost, none made up");
        prop_assert!(report.in_flight <= self.limit.max(before), "beyond the limit only what was out before");
        prop_assert_eq!(report.waiting.iter().sum::<usize>(), self.in_queue());
        prop_assert!(self.in_queue() <= QUEUE_MAX);
        Ok(())
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let any_band = prop_oneof![Just(High), Just(Normal), Just(Low), Just(Batch)];
    prop_oneof![
        8 => any_band.prop_map(Step::Enter),
        3 => any::<usize>().prop_map(Step::Finish),
        1 => any::<usize>().prop_map(Step::Drop),
        2 => any::<usize>().prop_map(Step::Leave),
        1 => (1_u32..14).prop_map(Step::Limit),
        2 => (0_u64..5000).prop_map(Step::Wait),
        3 => Just(Step::Run),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn permits_are_neither_lost_nor_made_up(steps in proptest::collection::vec(any_step(), 1..200)) {
        let mut world = World::new();
        for step in steps {
            let before = world.rig.in_flight();
            world.step(step)?;
            world.check(before)?;
        }
        world.run()?;
        world.permits.clear();
        world.callers.clear();
        prop_assert!(world.rig.gate.is_idle());
    }
}
