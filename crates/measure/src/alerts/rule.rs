//! Rules: which figure, what is too much of it, for how long, and how grave that is.

use super::{Labels, anomaly};
use std::time::Duration;

/// A rule. Two that are equal are the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Its name, which is its alerts' `alertname`.
    pub name: String,
    /// What it looks at.
    pub kind: Kind,
    /// The figure it looks at.
    pub of: Selector,
    /// How long it must hold before it fires.
    pub hold: Duration,
    /// How long it goes on firing after it has ceased to hold.
    pub keep_firing: Duration,
    /// How grave it is.
    pub severity: Severity,
    /// Below so much traffic it does not hold, whatever the figure says.
    pub traffic: Option<Traffic>,
    /// Labels of its alerts, beside the figure's own.
    pub labels: Labels,
    /// What it is about, in one line.
    pub summary: String,
}

/// A figure, and which of its series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    /// The figure's name.
    pub figure: String,
    /// Only series that have these labels.
    pub with: Labels,
    /// An alert for each set of values of these labels; empty: one for all together.
    pub by: Vec<String>,
    /// Over which time. A burn rate has windows of its own.
    pub window: Duration,
}

/// What a rule looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The figure is beyond a limit.
    Threshold(Limit),
    /// The figure is unknown, or nought.
    Absence,
    /// A share of failures eats up what an objective leaves, too fast: multi-window, multi-burn-rate alerts as in
    /// Google's SRE Workbook, chapter 5.
    BurnRate {
        /// The share of what should go well, as 0.999.
        objective: f64,
        /// Any of these is enough.
        burns: Vec<Burn>,
    },
    /// The figure's trend over the window reaches a limit soon.
    Forecast {
        /// What it reaches.
        limit: Limit,
        /// How soon.
        within: Duration,
    },
    /// The figure is so many times its usual deviation away from its usual value, whichever side: a moving average
    /// ± k times the median absolute deviation.
    Anomaly {
        /// How many times.
        deviations: f64,
        /// Values, one a window, that are seen before any is called unusual.
        windows_min: usize,
    },
}

/// So many windows tell what is usual, where nothing else is said.
pub const WINDOWS_MIN: usize = 20;
/// As many values are remembered of what is usual; more cannot be waited for.
pub const WINDOWS_MAX: usize = anomaly::RESIDUALS;

/// What is too much, or too little.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// More than this.
    Above(f64),
    /// Less than this.
    Below(f64),
}

/// A budget spent so many times faster than it may be, over a long window and still over a short one: the long one
/// says that it matters, the short one that it has not ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Burn {
    /// How many times faster.
    pub factor: f64,
    /// The long window.
    pub long: Duration,
    /// The short one.
    pub short: Duration,
}

/// Of a budget of 30 days: 2 % within an hour, or 5 % within six. Somebody is to get up.
pub const PAGE: [Burn; 2] = [burn(14.4, 3600, 300), burn(6.0, 6 * 3600, 1800)];
/// The tenth part within three days. Somebody is to look into it.
pub const TICKET: [Burn; 1] = [burn(1.0, 3 * 86_400, 6 * 3600)];

const fn burn(factor: f64, long: u64, short: u64) -> Burn {
    Burn { factor, long: Duration::from_secs(long), short: Duration::from_secs(short) }
}

/// How grave an alert is; later ones are graver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Worth looking into.
    Warning,
    /// Somebody is to get up.
    Critical,
}

/// How much traffic there must be for a figure to say anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// The figure that counts it, with the labels of the rule's own.
    pub figure: String,
    /// So much in the rule's window; of a burn rate in the short one.
    pub at_least: f64,
}

impl Limit {
    /// Whether a value is beyond it.
    #[must_use]
    pub fn is_passed(self, value: f64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::Below(limit) => value < limit,
        }
    }

    /// The limit itself.
    #[must_use]
    pub fn value(self) -> f64 {
        match self {
            Self::Above(limit) | Self::Below(limit) => limit,
        }
    }

    /// How far a value is from it; negative where it is beyond.
    pub(super) fn distance(self, value: f64) -> f64 {
        match self {
            Self::Above(limit) => limit - value,
            Self::Below(limit) => value - limit,
        }
    }
}

impl Severity {
    /// Every severity, the least first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// As labels have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl Kind {
    /// As the configuration has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Threshold(_) => "threshold",
            Self::Absence => "absence",
            Self::BurnRate { .. } => "burn_rate",
            Self::Forecast { .. } => "forecast",
            Self::Anomaly { .. } => "anomaly",
        }
    }
}
