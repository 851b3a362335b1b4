//! The clock, the agenda of what is to happen, and everything that it happens to. What happens in the
//! life of a request is in `life.rs`.

use super::figures::{Figures, Look, TargetLook};
use super::file::{Caller, File, Guard, seconds};
use super::life::{Call, Request};
use super::upstream::{Error, Upstream};
use fastrand::Rng;
use guard::breaker::{Breaker, Open, Pass, State};
use guard::gate::Gate;
use guard::hedge::{self, Quantile};
use guard::retry::Budget;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// Between two looks at gates and targets, and the longest that a rate of arrivals is relied on.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub struct World {
    pub guard: Guard,
    pub callers: Vec<Caller>,
    /// When callers stop coming.
    until: Duration,
    /// What the clock showed at the beginning. A day ahead of the real one, which a permit reads that is
    /// dropped: it must never be the later of the two.
    base: Instant,
    pub now: Duration,
    agenda: BinaryHeap<Reverse<Plan>>,
    planned: u64,
    pub random: Rng,
    pub targets: Vec<Target>,
    pub requests: Vec<Request>,
    pub calls: Vec<Option<Call>>,
    pub retries: Option<Budget>,
    pub hedges: Option<Budget>,
    woken: Arc<Mutex<Vec<usize>>>,
    pub figures: Figures,
}

/// A target, and what stands before it.
pub struct Target {
    pub upstream: Upstream,
    pub gate: Gate,
    breaker: Option<Arc<Breaker>>,
    pub delays: Quantile,
}

#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// It is time to see whether one of these callers comes.
    Arrive { caller: usize, tenant: u64, comes: bool },
    /// So many come at once.
    Burst { caller: usize, tenant: u64, count: usize },
    /// The first token of a call; the last comes so long after.
    Speaks { call: usize, rest: Duration },
    /// The last token of a call.
    Ends { call: usize },
    /// The target says no, or has said nothing in time.
    Fails { call: usize, error: Error },
    /// Most calls have had their first token by now.
    IsLate { call: usize },
    /// A request is tried again.
    TriesAgain { request: usize },
    /// An answer is of no use any more.
    Expires { request: usize },
    /// The caller hangs up.
    Leaves { request: usize },
    /// The process is hard pressed.
    Squeeze,
    /// The figures are looked at.
    Look,
}

/// Something that will happen. Of two at one time the one planned first comes first.
struct Plan {
    at: Duration,
    number: u64,
    event: Event,
}

impl World {
    /// Runs a scenario from its first caller to the end of the last call.
    pub fn run(file: File) -> Figures {
        let mut world = Self::new(file);
        world.plan_all();
        while let Some(Reverse(plan)) = world.agenda.pop() {
            world.now = plan.at;
            world.happen(plan.event);
            world.see_to_the_woken();
        }
        world.check_that_nothing_is_left();
        world.figures.requests = world.requests.into_iter().map(|request| request.record).collect();
        world.figures
    }

    fn new(file: File) -> Self {
        let base = Instant::now() + Duration::from_secs(24 * 3600);
        let File { guard, upstream, caller, seed, .. } = file;
        let target = |shape| Target {
            upstream: Upstream::new(shape),
            gate: Gate::new(guard.gate(), base),
            breaker: guard.breaker.as_ref().map(|breaker| Breaker::new(breaker.strategy(), seed)),
            delays: Quantile::new(base),
        };
        Self {
            targets: upstream.iter().map(target).collect(),
            retries: guard.retry.as_ref().map(|retry| Budget::new(retry.options(), base)),
            hedges: guard.hedge.as_ref().map(|hedge| hedge::budget(hedge.share, base)),
            guard,
            callers: caller,
            until: seconds(file.seconds),
            base,
            now: Duration::ZERO,
            agenda: BinaryHeap::new(),
            planned: 0,
            random: Rng::with_seed(seed),
            requests: Vec::new(),
            calls: Vec::new(),
            woken: Arc::default(),
            figures: Figures::new(file.seconds),
        }
    }

    /// Plans what is known from the start.
    fn plan_all(&mut self) {
        self.plan(Duration::ZERO, Event::Look);
        for at in self.guard.squeeze.clone() {
            self.plan(seconds(at), Event::Squeeze);
        }
        for caller in 0..self.callers.len() {
            let Caller { tenant, tenants, burst, .. } = self.callers[caller].clone();
            for tenant in tenant..tenant + tenants {
                self.plan(Duration::ZERO, Event::Arrive { caller, tenant, comes: false });
                for &(at, count) in &burst {
                    self.plan(seconds(at), Event::Burst { caller, tenant, count });
                }
            }
        }
    }

    pub fn plan(&mut self, after: Duration, event: Event) {
        self.planned += 1;
        self.agenda.push(Reverse(Plan { at: self.now + after, number: self.planned, event }));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { caller, tenant, comes } => self.arrive(caller, tenant, comes),
            Event::Burst { caller, tenant, count } => (0..count).for_each(|_| self.come(caller, tenant)),
            Event::Speaks { call, rest } => self.speaks(call, rest),
            Event::Ends { call } => self.ends(call),
            Event::Fails { call, error } => self.fails(call, error),
            Event::IsLate { call } => self.is_late(call),
            Event::TriesAgain { request } => self.seek(request),
            Event::Expires { request } => self.expires(request),
            Event::Leaves { request } => self.leaves(request),
            Event::Squeeze => self.targets.iter().for_each(|target| target.gate.squeeze(self.instant())),
            Event::Look => self.look(),
        }
    }

    /// Lets one come where it is time, and plans the next: at random, so that how long it has been says
    /// nothing of how long it will be, and a rate need not be relied on for longer than a moment.
    fn arrive(&mut self, caller: usize, tenant: u64, comes: bool) {
        if comes {
            self.come(caller, tenant);
        }
        if self.now >= self.until {
            return;
        }
        let rate = self.callers[caller].rate.at(self.now);
        let pause =
            Duration::try_from_secs_f64(-(1.0 - self.random.f64()).ln() / rate).unwrap_or(Duration::MAX);
        let comes = pause < LOOK_EVERY;
        self.plan(pause.min(LOOK_EVERY), Event::Arrive { caller, tenant, comes });
    }

    /// Those who wait and have been woken look whether they are served.
    fn see_to_the_woken(&mut self) {
        loop {
            let woken = std::mem::take(&mut *self.woken.lock().unwrap());
            if woken.is_empty() {
                return;
            }
            woken.into_iter().for_each(|request| self.look_up(request));
        }
    }

    /// What wakes this request.
    pub fn waker(&self, request: usize) -> Waker {
        Waker::from(Arc::new(Bell { request, woken: Arc::clone(&self.woken) }))
    }

    /// The time as the pieces under test are told it.
    pub fn instant(&self) -> Instant {
        self.base + self.now
    }

    fn look(&mut self) {
        let now = self.instant();
        for target in 0..self.targets.len() {
            self.turn(target);
        }
        let targets = self.targets.iter().map(|target| target.look(now)).collect();
        self.figures.looks.push(Look { at: self.now, targets });
        if self.now + LOOK_EVERY < self.until {
            self.plan(LOOK_EVERY, Event::Look);
        }
    }

    /// Whatever a scenario is about: every request has come to an end, and every permit came back.
    fn check_that_nothing_is_left(&self) {
        for (number, request) in self.requests.iter().enumerate() {
            assert!(request.record.end.is_some(), "request {number} was forgotten: {:?}", request.record);
        }
        assert!(self.calls.iter().all(Option::is_none), "a call was forgotten");
        for (number, target) in self.targets.iter().enumerate() {
            assert!(target.gate.is_idle(), "target {number}'s gate keeps a permit");
            assert_eq!(target.upstream.inside(), 0, "target {number} still works");
        }
    }
}

impl Target {
    /// Whether a call would be let through.
    pub fn is_open(&self, now: Instant) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.peek(now).is_err())
    }

    /// Leave to call, where there is a breaker to ask.
    pub fn admit(&self, now: Instant) -> Result<Option<Pass>, Open> {
        self.breaker.as_ref().map(|breaker| breaker.admit(now)).transpose()
    }

    fn look(&self, now: Instant) -> TargetLook {
        let gate = self.gate.report(now);
        let breaker = self.breaker.as_ref().map(|breaker| breaker.report(now));
        TargetLook {
            limit: gate.limit,
            in_flight: gate.in_flight,
            waiting: gate.waiting.iter().sum(),
            inside: self.upstream.inside(),
            is_open: breaker.is_some_and(|report| matches!(report.state, State::Open { .. })),
            trips: breaker.map_or(0, |report| report.trips),
        }
    }
}

/// Rings for a request that waits.
struct Bell {
    request: usize,
    woken: Arc<Mutex<Vec<usize>>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap().push(self.request);
    }
}

impl PartialEq for Plan {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Plan {}

impl PartialOrd for Plan {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Plan {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
