//! Random courses of calls, waits and interventions, played against a model of the breaker that is
//! written without a thought for speed: it keeps every call and counts anew each time. Its times are in
//! nanoseconds from the start. Only the jitter is the breaker's own: the model says in what range it must lie.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use guard::breaker::{Breaker, Pass, State, Strategy, Verdict};
use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::strategy::Strategy as _;
use proptest::test_runner::TestCaseError;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MS: u64 = 1_000_000;

const TIGHT: Strategy = Strategy {
    consecutive: 3,
    success_below: 0.5,
    window: Duration::from_millis(1000),
    calls_min: 5,
    open: Duration::from_millis(400),
    open_max: Duration::from_millis(2000),
    half_open: 2,
    half_open_for: Duration::from_millis(500),
    last_resort: true,
};

#[derive(Clone, Debug)]
enum Step {
    Admit,
    AdmitLast,
    /// Settles one of the passes held.
    Settle(usize, Verdict),
    Drop(usize),
    Wait(u64),
    /// Waits until the moment that a refused call is told.
    WaitUntilOpen,
    Trip(Option<u64>),
    Reset,
}

fn steps() -> impl proptest::strategy::Strategy<Value = Step> {
    let after = proptest::option::of((0..3000_u64).prop_map(Duration::from_millis));
    let verdict = prop_oneof![
        4 => Just(Verdict::Good),
        4 => Just(Verdict::Hard),
        2 => after.prop_map(|after| Verdict::Soft { after }),
        1 => Just(Verdict::Ignored),
    ];
    prop_oneof![
        20 => Just(Step::Admit),
        1 => Just(Step::AdmitLast),
        20 => (any::<usize>(), verdict).prop_map(|(index, verdict)| Step::Settle(index, verdict)),
        3 => any::<usize>().prop_map(Step::Drop),
        6 => (0..60_u64).prop_map(|ms| Step::Wait(ms * MS)),
        3 => (0..1500_u64).prop_map(|ms| Step::Wait(ms * MS)),
        3 => Just(Step::WaitUntilOpen),
        1 => proptest::option::of((0..3000_u64).prop_map(|ms| ms * MS)).prop_map(Step::Trip),
        1 => Just(Step::Reset),
    ]
}

/// What the model knows of a pass.
#[derive(Clone, Copy, PartialEq)]
struct Ticket {
    number: u64,
    phase: u64,
    is_trial: bool,
}

#[derive(Clone, PartialEq)]
enum Phase {
    Closed,
    Open {
        until: u64,
    },
    /// The permits out, and when they expire.
    HalfOpen(Vec<(u64, u64)>),
}

struct Model {
    now: u64,
    phase: Phase,
    phases: u64,
    tickets: u64,
    consecutive: u32,
    /// When each call of this closed phase was judged, and whether it was good.
    calls: Vec<(u64, bool)>,
    trips: u64,
    trips_in_a_row: u32,
    last: u64,
    calm: Option<u64>,
    not_before: u64,
    /// The range in which the end of a new open time lies, until it is known.
    until: Option<(u64, u64)>,
}

impl Model {
    fn enter(&mut self, phase: Phase) {
        if phase == Phase::Closed {
            (self.consecutive, self.calls) = (0, Vec::new());
        }
        self.phase = phase;
        self.phases += 1;
    }

    fn begin_trials(&mut self) {
        if matches!(self.phase, Phase::Open { until } if until <= self.now) {
            self.enter(Phase::HalfOpen(Vec::new()));
        }
    }

    /// Whether a call is let through now, else from when.
    fn peek(&self) -> Result<(), u64> {
        match &self.phase {
            Phase::Open { until } if *until > self.now => Err(*until),
            Phase::Open { .. } | Phase::Closed => Ok(()),
            Phase::HalfOpen(permits) => {
                let mut out: Vec<_> =
                    permits.iter().map(|permit| permit.1).filter(|expires| *expires > self.now).collect();
                out.sort_unstable();
                if out.len() < 2 { Ok(()) } else { Err(out[0]) }
            }
        }
    }

    fn admit(&mut self) -> Option<Ticket> {
        self.begin_trials();
        self.peek().ok()?;
        self.tickets += 1;
        let mut ticket = Ticket { number: self.tickets, phase: self.phases, is_trial: false };
        if let Phase::HalfOpen(permits) = &mut self.phase {
            permits.push((self.tickets, self.now + 500 * MS));
            ticket.is_trial = true;
        }
        Some(ticket)
    }

    fn give_back(&mut self, ticket: Ticket) {
        if let Phase::HalfOpen(permits) = &mut self.phase {
            permits.retain(|permit| permit.0 != ticket.number);
        }
    }

    fn settle(&mut self, ticket: Ticket, verdict: Verdict) {
        self.give_back(ticket);
        if ticket.phase != self.phases || verdict == Verdict::Ignored {
            return;
        }
        if let Verdict::Soft { after: Some(after) } = verdict {
            self.not_before = self.not_before.max(self.now + (after.as_nanos() as u64).min(2000 * MS));
        }
        let is_good = verdict == Verdict::Good;
        if ticket.is_trial {
            if is_good {
                self.calm = Some(self.now + self.last.max(1000 * MS));
                self.enter(Phase::Closed);
            } else {
                self.trip();
            }
            return;
        }
        match verdict {
            Verdict::Good => self.consecutive = 0,
            Verdict::Hard => self.consecutive += 1,
            Verdict::Soft { .. } | Verdict::Ignored => {}
        }
        self.calls.push((self.now, is_good));
        let (calls, failures) = self.window();
        if !is_good && (self.consecutive >= 3 || calls >= 5 && 2 * (calls - failures) < calls) {
            self.trip();
        }
    }

    /// Calls and failures in the tenths of the window that are not over.
    fn window(&self) -> (u64, u64) {
        let Some((first, _)) = self.calls.first() else { return (0, 0) };
        let tenth = |time: u64| (time - first) / (100 * MS);
        let recent = self.calls.iter().filter(|call| tenth(self.now) - tenth(call.0) < 10);
        (recent.clone().count() as u64, recent.filter(|call| !call.1).count() as u64)
    }

    fn is_calm(&self) -> bool {
        self.trips_in_a_row == 0 || self.calm.is_some_and(|calm| calm <= self.now)
    }

    fn trip(&mut self) {
        if self.is_calm() {
            self.trips_in_a_row = 0;
        }
        self.last = ((400 * MS) << self.trips_in_a_row.min(10)).min(2000 * MS);
        let least = (self.now + self.last / 2).max(self.not_before);
        let most = (self.now + self.last).max(self.not_before);
        (self.calm, self.not_before, self.until) = (None, 0, Some((least, most)));
        self.trips_in_a_row += 1;
        self.trips += 1;
        self.enter(Phase::Open { until: u64::MAX });
    }

    fn force(&mut self, span: Option<u64>) {
        match &mut self.phase {
            Phase::Open { until } if *until > self.now => {
                *until = span.map_or(*until, |span| (self.now + span).max(*until));
            }
            _ => {
                self.trip();
                let (least, most) = self.until.unwrap();
                let span = self.now + span.unwrap_or(0);
                self.until = Some((least.max(span), most.max(span)));
            }
        }
    }

    fn reset(&mut self) {
        (self.trips_in_a_row, self.calm, self.not_before) = (0, None, 0);
        self.enter(Phase::Closed);
    }
}

/// The breaker, the model, and the passes that both have given.
struct Course {
    base: Instant,
    breaker: Arc<Breaker>,
    model: Model,
    passes: Vec<(Pass, Option<Ticket>)>,
}

impl Course {
    fn new(seed: u64) -> Self {
        let model = Model {
            now: 0,
            phase: Phase::Closed,
            phases: 0,
            tickets: 0,
            consecutive: 0,
            calls: Vec::new(),
            trips: 0,
            trips_in_a_row: 0,
            last: 0,
            calm: None,
            not_before: 0,
            until: None,
        };
        let breaker = Breaker::new(TIGHT, seed);
        Self { base: Instant::now(), breaker, model, passes: Vec::new() }
    }

    fn at(&self, time: u64) -> Instant {
        self.base + Duration::from_nanos(time)
    }

    fn take(&mut self, index: usize) -> Option<(Pass, Option<Ticket>)> {
        let count = self.passes.len();
        (count > 0).then(|| self.passes.remove(index % count))
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        let now = self.at(self.model.now);
        match *step {
            Step::Admit => {
                let (got, expected) = (self.breaker.admit(now), self.model.admit());
                prop_assert_eq!(got.is_ok(), expected.is_some());
                self.passes.extend(got.ok().map(|pass| (pass, expected)));
            }
            Step::AdmitLast => {
                let (got, expected) = (self.breaker.admit_last(now).unwrap(), self.model.admit());
                self.passes.push((got, expected));
            }
            Step::Settle(index, verdict) => {
                if let Some((pass, ticket)) = self.take(index) {
                    prop_assert_eq!(pass.is_trial(), ticket.is_some_and(|ticket| ticket.is_trial));
                    pass.settle(verdict, now);
                    ticket.into_iter().for_each(|ticket| self.model.settle(ticket, verdict));
                }
            }
            Step::Drop(index) => {
                let ticket = self.take(index).and_then(|(_, ticket)| ticket);
                ticket.into_iter().for_each(|ticket| self.model.give_back(ticket));
            }
            Step::Wait(span) => self.model.now += span,
            Step::WaitUntilOpen => {
                let until = self.breaker.peek(now).err().map_or(now, |open| open.until);
                self.model.now = (until - self.base).as_nanos() as u64;
            }
            Step::Trip(span) => {
                self.breaker.trip(now, span.map(Duration::from_nanos));
                self.model.force(span);
            }
            Step::Reset => {
                self.breaker.reset(now);
                self.model.reset();
            }
        }
        self.compare()
    }

    /// Everything that can be seen of the breaker is as the model says.
    fn compare(&mut self) -> Result<(), TestCaseError> {
        let now = self.at(self.model.now);
        if let Some((least, most)) = self.model.until.take() {
            let until = self.breaker.peek(now).err().map_or(now, |open| open.until);
            prop_assert!(until >= self.at(least) && until <= self.at(most));
            self.model.phase = Phase::Open { until: (until - self.base).as_nanos() as u64 };
        }
        let model = &self.model;
        let state = match model.phase {
            Phase::Closed => State::Closed,
            Phase::Open { until } if model.now < until => State::Open { until: self.at(until) },
            Phase::Open { .. } | Phase::HalfOpen(_) => State::HalfOpen,
        };
        let report = self.breaker.report(now);
        prop_assert_eq!((report.state, self.breaker.state(now)), (state, state));
        let refused_until = self.breaker.peek(now).err().map(|open| open.until);
        prop_assert_eq!(refused_until, model.peek().err().map(|until| self.at(until)));
        prop_assert_eq!((report.consecutive, report.trips), (model.consecutive, model.trips));
        prop_assert_eq!((report.calls, report.failures), model.window());
        let is_idle = state == State::Closed && report.failures == 0 && model.is_calm();
        prop_assert_eq!(self.breaker.is_idle(now), is_idle);
        Ok(())
    }
}

proptest! {
    #[test]
    fn it_does_as_the_model_does(
        seed in any::<u64>(),
        course in proptest::collection::vec(steps(), 1..300),
    ) {
        let mut play = Course::new(seed);
        for step in &course {
            play.step(step)?;
        }
    }

    /// However a course went, a working target is back after the longest open time and one trial.
    #[test]
    fn nothing_wedges_it(seed in any::<u64>(), course in proptest::collection::vec(steps(), 1..300)) {
        let mut play = Course::new(seed);
        for step in &course {
            play.step(step)?;
        }
        // Forced trips and permits still out included, nothing lasts longer than 3 s here.
        play.model.now += 3000 * MS;
        let now = play.at(play.model.now);
        play.breaker.admit(now).unwrap().settle(Verdict::Good, now);
        prop_assert_eq!(play.breaker.state(now), State::Closed);
    }
}
