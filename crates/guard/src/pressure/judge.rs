//! From figures to a level, with memory of its own so that it neither flaps nor overshoots.
//!
//! Two rules, and the worse of them counts:
//!
//! - **Fullness** (memory, bytes buffered): squeeze from the first mark on, shed from the second, one band
//!   more for each quarter of what is then left. It rises at once: memory does not wait.
//! - **Processors**: squeeze where their average is high; shed, one band more a step and never the highest,
//!   only where besides more is in flight than this process has shown that it carries (Kratos' rule: busy
//!   alone is no overload).
//!
//! It falls one step at a time, after a while below the mark by a margin.

use super::{Level, Reading};
use std::time::{Duration, Instant};

/// The marks, as shares from 0 to 1, and the paces.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Average share of the processors from which on limits are halved.
    pub cpu: f64,
    /// The span that average reaches back over (an exponential average's time constant).
    pub cpu_over: Duration,
    /// Share of memory or of the buffers' cap from which on limits are halved.
    pub memory: f64,
    /// Share below which limits may grow.
    pub memory_grow_below: f64,
    /// Share from which on requests are turned away.
    pub memory_shed: f64,
    /// How far below a mark a share must fall for the mark to count as left.
    pub margin: f64,
    /// Limits are halved no more often than this.
    pub squeeze_every: Duration,
    /// For overloaded processors, one band more is turned away no more often than this.
    pub rise_every: Duration,
    /// One step down comes after so long below.
    pub fall_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cpu: 0.80,
            cpu_over: Duration::from_secs(5),
            memory: 0.85,
            memory_grow_below: 0.80,
            memory_shed: 0.90,
            margin: 0.05,
            squeeze_every: Duration::from_secs(5),
            rise_every: Duration::from_secs(1),
            fall_after: Duration::from_secs(2),
        }
    }
}

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Whether there is more of it than this process can carry: by [`Traffic`](super::Traffic), or by how late
    /// its own timers are. Busy processors alone are no overload.
    pub overfull: bool,
    /// Bytes buffered.
    pub buffered: u64,
    /// The most bytes that may be buffered; 0 where nobody counts.
    pub buffered_max: u64,
}

/// What was found, and what is to be done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// What the pressure asks for.
    pub level: Level,
    /// Halve the limits now. Set once on the way up and again every so often while it does not help, not
    /// at every look.
    pub squeeze: bool,
    /// Whether limits may grow.
    pub may_grow: bool,
    /// Average share of the processors this process may use, by it or, where it has a quota, its group.
    pub cpu: Option<f64>,
    /// Share of the machine's processors in use at the last look, by anybody.
    pub machine_cpu: Option<f64>,
    /// Share of the fullest memory.
    pub memory: Option<f64>,
    /// Share of the bytes that may be buffered.
    pub buffered: f64,
    /// Whether there was more than this process can carry.
    pub overfull: bool,
}

/// The highest step for overloaded processors: all but the highest band.
const STEP_CPU_MAX: usize = 4;

/// Steps of the ladder on which requests are turned away.
const STEPS_SHEDDING: usize = Level::LADDER.len() - 2;

/// Judges one process.
#[derive(Debug)]
pub struct Judge {
    options: Options,
    last: Option<(Reading, Instant)>,
    cpu: Option<f64>,
    /// Where it stands on [`Level::LADDER`].
    step: usize,
    rose: Option<Instant>,
    /// When the figures last asked for this step or more.
    asked: Option<Instant>,
    squeezed: Option<Instant>,
}

impl Judge {
    /// Calm.
    pub fn new(options: Options) -> Self {
        Self { options, last: None, cpu: None, step: 0, rose: None, asked: None, squeezed: None }
    }

    /// Changes the marks from the next look on.
    pub fn set_options(&mut self, options: Options) {
        self.options = options;
    }

    /// Judges one look. The first one shows no processor time, which takes two.
    pub fn judge(&mut self, reading: &Reading, load: Load, now: Instant) -> Verdict {
        let machine_cpu = self.note(reading, now);
        let memory = reading.memory.map(|memory| memory.share());
        let buffered = match load.buffered_max {
            0 => 0.0,
            cap => load.buffered as f64 / cap as f64,
        };
        let fullness = memory.unwrap_or(0.0).max(buffered);
        let overfull = load.overfull;

        let asked = self.step_of_fullness(fullness).max(self.step_of_cpu(overfull, now));
        let held = self.step_of_fullness(fullness + self.options.margin).max(self.step_of_cpu_left(overfull));
        let rose = asked > self.step;
        self.step_to(asked, held, now);
        let pressing = overfull || fullness >= self.options.memory;
        Verdict {
            level: Level::LADDER[self.step],
            squeeze: self.squeezes(rose, pressing, now),
            may_grow: self.step == 0 && fullness < self.options.memory_grow_below,
            cpu: self.cpu,
            machine_cpu,
            memory,
            buffered,
            overfull,
        }
    }

    /// Brings the processors' average up to date; gives the machine's share since the last look.
    fn note(&mut self, reading: &Reading, now: Instant) -> Option<f64> {
        let (last, then) = self.last.replace((*reading, now))?;
        let passed = now.saturating_duration_since(then).as_secs_f64();
        if passed <= 0.0 {
            self.last = Some((last, then));
            return None;
        }
        let share = |used: Option<Duration>, before: Option<Duration>, cores: f64| {
            Some(used?.saturating_sub(before?).as_secs_f64() / (passed * cores))
        };
        let cores = reading.cores.unwrap_or(1.0);
        let own = share(reading.process_cpu, last.process_cpu, cores);
        let group = share(reading.group_cpu, last.group_cpu, cores);
        if let Some(latest) = own.into_iter().chain(group).reduce(f64::max) {
            let weight = 1.0 - (-passed / self.options.cpu_over.as_secs_f64().max(1e-3)).exp();
            // From nothing, not from the first look: a busy start is no overload.
            let average = self.cpu.unwrap_or(0.0);
            self.cpu = Some(average + weight * (latest - average));
        }
        let (busy, count) = reading.machine_cpu?;
        share(Some(busy), last.machine_cpu.map(|(busy, _)| busy), count as f64)
    }

    /// The step that a memory as full as this asks for.
    fn step_of_fullness(&self, share: f64) -> usize {
        if share < self.options.memory_shed {
            return usize::from(share >= self.options.memory);
        }
        let left = (1.0 - self.options.memory_shed).max(f64::EPSILON);
        let quarter = (share - self.options.memory_shed) / left * STEPS_SHEDDING as f64;
        2 + (quarter as usize).min(STEPS_SHEDDING - 1)
    }

    /// The step that processors as busy as now ask for: while overloaded, one more than there is, at its
    /// pace.
    fn step_of_cpu(&self, overfull: bool, now: Instant) -> usize {
        match self.cpu {
            Some(cpu) if cpu >= self.options.cpu && overfull => {
                let due = self
                    .rose
                    .is_none_or(|rose| now.saturating_duration_since(rose) >= self.options.rise_every);
                (self.step + usize::from(due)).min(STEP_CPU_MAX)
            }
            Some(cpu) if cpu >= self.options.cpu => 1,
            _ => 0,
        }
    }

    /// The step that processors as busy as now let nobody leave.
    fn step_of_cpu_left(&self, overfull: bool) -> usize {
        match self.cpu {
            Some(cpu) if cpu + self.options.margin >= self.options.cpu => {
                if overfull {
                    self.step.min(STEP_CPU_MAX)
                } else {
                    1
                }
            }
            _ => 0,
        }
    }

    fn step_to(&mut self, asked: usize, held: usize, now: Instant) {
        if asked > self.step {
            self.step = asked;
            self.rose = Some(now);
            self.asked = Some(now);
        } else if held >= self.step {
            self.asked = Some(now);
        } else if self
            .asked
            .is_none_or(|asked| now.saturating_duration_since(asked) >= self.options.fall_after)
        {
            self.step -= 1;
            self.asked = Some(now);
        }
    }

    /// Whether limits are to be halved at this look: on the way up, and again while it has not helped.
    fn squeezes(&mut self, rose: bool, pressing: bool, now: Instant) -> bool {
        let due = self
            .squeezed
            .is_none_or(|then| now.saturating_duration_since(then) >= self.options.squeeze_every);
        let squeezes = self.step > 0 && due && (rose || pressing);
        if squeezes {
            self.squeezed = Some(now);
        }
        squeezes
    }
}
