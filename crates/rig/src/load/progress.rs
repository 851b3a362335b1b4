//! How a run under way is shown. The load generator calls; it does not know a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::units;

/// Where in its plan a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Load that is not counted.
    Warmup,
    /// A slice of the measurement.
    Round {
        /// From 1.
        number: u32,
        /// How many there are.
        of: u32,
    },
}

impl Stage {
    /// The round's number; 0 is the warm-up's.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Warmup => 0,
            Self::Round { number, .. } => number,
        }
    }
}

/// A look at a run under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment {
    /// Warm-up or measurement.
    pub stage: Stage,
    /// Whether the load goes to what the target is compared with.
    pub against: bool,
    /// How much of the whole run is done, 0 to 1.
    pub done: f64,
    /// Since the run began.
    pub elapsed: Duration,
    /// Requests answered well so far, warm-up included.
    pub succeeded: u64,
    /// Requests failed so far, warm-up included.
    pub failed: u64,
    /// Requests answered well a second, in this stage.
    pub requests_per_second: f64,
}

/// Something that shows a run under way. It is called about ten times a second, on the thread that
/// called [`run`](super::run), and must not block: the next slice waits for it.
pub trait Progress {
    /// The run is at this moment.
    fn at(&self, moment: &Moment);
    /// The run is over, whether done, stopped or failed.
    fn over(&self);
}

/// Shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn at(&self, _: &Moment) {}
    fn over(&self) {}
}

/// A bar on standard error, and nothing where that is not a terminal.
pub struct Bar(ProgressBar);

const STEPS: u64 = 1000;

impl Bar {
    /// A bar at its beginning.
    #[must_use]
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("  {prefix:<14} {bar:32} {percent:>3} %  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸─"));
        Self(bar)
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Bar {
    fn at(&self, moment: &Moment) {
        self.0.set_position(step(moment.done));
        self.0.set_prefix(stage(moment));
        self.0.set_message(message(moment));
    }

    fn over(&self) {
        self.0.finish_and_clear();
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and STEPS
fn step(done: f64) -> u64 {
    (done.clamp(0.0, 1.0) * STEPS as f64) as u64
}

fn stage(moment: &Moment) -> String {
    let side = if moment.against { "against" } else { "target" };
    match moment.stage {
        Stage::Warmup => format!("{side} warm-up"),
        Stage::Round { of: 1, .. } => side.to_owned(),
        Stage::Round { number, of } => format!("{side} {number}/{of}"),
    }
}

fn message(moment: &Moment) -> String {
    let rate = units::rate(moment.requests_per_second);
    let mut text = format!("{rate} requests/s");
    if moment.failed > 0 {
        text.push_str(&format!(" · {} failed", units::count(moment.failed)));
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_moment_reads_as_a_line() {
        let mut moment = Moment {
            stage: Stage::Round { number: 2, of: 4 },
            against: true,
            done: 0.4,
            elapsed: Duration::from_secs(4),
            succeeded: 4_000,
            failed: 0,
            requests_per_second: 1234.5,
        };
        assert_eq!(stage(&moment), "against 2/4");
        assert_eq!(message(&moment), "1,235 requests/s");
        moment.failed = 1_000;
        moment.stage = Stage::Warmup;
        assert_eq!(stage(&moment), "against warm-up");
        assert_eq!(message(&moment), "1,235 requests/s · 1,000 failed");
        assert_eq!(step(2.0), STEPS);
    }
}
