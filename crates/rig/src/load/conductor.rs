//! A whole run: threads started, phases given out, findings gathered. It sends nothing itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use tokio_util::sync::CancellationToken;

use super::phase::{Phase, Plan, plan};
use super::progress::{Moment, Progress, Stage};
use super::prompt::mix;
use super::report::Report;
use super::tally::{Live, Tally};
use super::target::Target;
use super::window::{Rule, Window};
use super::worker::{Findings, Part, Worker};
use super::{Error, Options};

/// Loads the target, and what it is compared with in turn, and reports what was measured. Blocks
/// the calling thread until the run is over; the load runs on threads and runtimes of its own, so
/// it may be called with or without a runtime around it.
///
/// When `stop` is cancelled the run ends at once, with a report of what was measured until then.
///
/// # Errors
/// [`Error`] where the run cannot take place: options that make no sense, nobody listening at a
/// URL. Requests that fail are counted in the report and are no error.
pub fn run(options: &Options, progress: &dyn Progress, stop: &CancellationToken) -> Result<Report, Error> {
    options.validate()?;
    let started = SystemTime::now();
    let targets: Vec<_> = Target::all(options)?.into_iter().map(Arc::new).collect();
    let halt = stop.child_token();
    let sides = thread::scope(|scope| {
        let of = options.threads.min(options.in_flight_max());
        let workers = (0..of)
            .map(|index| {
                let part = Part { index, of, mode: options.mode };
                Worker::start(scope, part, &targets, &halt)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let conductor = Conductor::new(options, &workers, progress, &halt);
        let sides = conductor.conduct();
        halt.cancel();
        let ended: Result<Vec<()>, Error> = workers.into_iter().map(Worker::end).collect();
        ended.and(sides)
    });
    progress.over();
    Ok(Report::new(options, &sides?, started, stop.is_cancelled()))
}

/// What was found on one side over all its slices.
pub(super) struct Side {
    pub(super) tally: Tally,
    pub(super) lasted: Duration,
}

/// What was found on both sides.
pub(super) struct Sides {
    pub(super) target: Side,
    pub(super) against: Option<Side>,
}

impl Side {
    fn new(rule: Rule) -> Result<Self, Error> {
        // Its window credits nothing: each slice's own has done so.
        let window = Window::new(rule, Instant::now(), None);
        Ok(Self { tally: Tally::new(window, Arc::<Live>::default())?, lasted: Duration::ZERO })
    }
}

impl Sides {
    fn of(&mut self, plan: &Plan) -> &mut Side {
        match &mut self.against {
            Some(against) if plan.side == 1 => against,
            _ => &mut self.target,
        }
    }
}

struct Conductor<'a> {
    plans: Vec<Plan>,
    seed: u64,
    compares: bool,
    rule: Rule,
    workers: &'a [Worker<'a>],
    progress: &'a dyn Progress,
    stop: &'a CancellationToken,
    began: Instant,
}

/// How often progress is shown.
const TICK: Duration = Duration::from_millis(100);

impl<'a> Conductor<'a> {
    fn new(
        options: &Options,
        workers: &'a [Worker<'a>],
        progress: &'a dyn Progress,
        stop: &'a CancellationToken,
    ) -> Self {
        Self {
            plans: plan(options),
            seed: options.seed,
            compares: options.against.is_some(),
            rule: options.mode.rule(),
            workers,
            progress,
            stop,
            began: Instant::now(),
        }
    }

    fn conduct(&self) -> Result<Sides, Error> {
        let mut sides = Sides {
            target: Side::new(self.rule)?,
            against: self.compares.then(|| Side::new(self.rule)).transpose()?,
        };
        for (number, plan) in self.plans.iter().enumerate() {
            if self.stop.is_cancelled() {
                break;
            }
            self.phase(number, plan, sides.of(plan))?;
        }
        Ok(sides)
    }

    /// Runs one phase on all threads and adds what they found to its side.
    fn phase(&self, number: usize, plan: &Plan, side: &mut Side) -> Result<(), Error> {
        // By the round, so that both sides of one meet the same arrivals.
        let seed = mix(self.seed, u64::from(plan.stage.number()));
        let phase = Arc::new(Phase::new(plan, Instant::now(), seed));
        let before = self.live().0;
        for worker in self.workers {
            worker.phases.send(phase.clone()).map_err(|_| Error::Died)?;
        }
        let mut window = Window::new(self.rule, phase.start, phase.closes);
        let show = || self.progress.at(&self.moment(number, &phase, before));
        let mut ended = phase.start;
        for worker in self.workers {
            let found = await_findings(worker, show)?;
            ended = ended.max(found.ended);
            window.merge(&found.tally.window);
            if plan.stage == Stage::Warmup {
                side.tally.connections += found.tally.connections;
            } else {
                side.tally.merge(found.tally)?;
            }
        }
        if plan.stage != Stage::Warmup {
            side.lasted += window.lasted(ended, phase.spent() || self.stop.is_cancelled());
        }
        Ok(())
    }

    fn moment(&self, number: usize, phase: &Phase, before: u64) -> Moment {
        let now = Instant::now();
        let plan = &self.plans[number];
        let weight = |plan: &Plan| plan.lasts.unwrap_or(TICK).as_secs_f64();
        let whole: f64 = self.plans.iter().map(weight).sum();
        let over: f64 = self.plans[..number].iter().map(weight).sum();
        let (succeeded, failed) = self.live();
        let in_phase = now.saturating_duration_since(phase.start).as_secs_f64();
        Moment {
            stage: plan.stage,
            against: plan.side == 1,
            done: (over + weight(plan) * phase.done(plan, now)) / whole,
            elapsed: now.saturating_duration_since(self.began),
            succeeded,
            failed,
            requests_per_second: (succeeded - before) as f64 / in_phase.max(1e-3),
        }
    }

    /// Requests that succeeded and failed so far.
    fn live(&self) -> (u64, u64) {
        let sum = |of: fn(&Live) -> u64| self.workers.iter().map(|worker| of(&worker.live)).sum();
        (sum(|live| live.succeeded.load(Ordering::Relaxed)), sum(|live| live.failed.load(Ordering::Relaxed)))
    }
}

fn await_findings(worker: &Worker<'_>, show: impl Fn()) -> Result<Findings, Error> {
    loop {
        match worker.findings.recv_timeout(TICK) {
            Ok(found) => return found,
            Err(RecvTimeoutError::Timeout) => show(),
            Err(RecvTimeoutError::Disconnected) => return Err(Error::Died),
        }
    }
}
