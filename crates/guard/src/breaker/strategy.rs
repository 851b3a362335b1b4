//! How much a breaker bears, and how long it stays open: four presets, and room for others.

use std::time::Duration;

/// What a breaker goes by. Any values are safe; senseless ones make a senseless breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strategy {
    /// Hard failures in a row that trip it; 0 for no such rule.
    pub consecutive: u32,
    /// The share of successes in the window, 0 to 1, below which it trips; 0 for no such rule.
    pub success_below: f64,
    /// The window that the share is taken of, kept in tenths: it spans this long, or up to a tenth less.
    pub window: Duration,
    /// Calls that the window must hold before their share means anything.
    pub calls_min: u32,
    /// The open time of a first trip. It doubles with each trip in a row; half of it is random.
    pub open: Duration,
    /// The longest open time, whatever the backoff or a `Retry-After` says.
    pub open_max: Duration,
    /// Trial calls at once while half open; 0 counts as 1.
    pub half_open: u32,
    /// How long a trial call holds its permit. One that has not ended by then makes place for another,
    /// and counts all the same if it ends before anything is decided.
    pub half_open_for: Duration,
    /// Whether a call with nowhere else to go is let through even so: see
    /// [`Breaker::admit_last`](super::Breaker::admit_last).
    pub last_resort: bool,
}

impl Strategy {
    /// Gives up early and tries again early: for targets with good alternatives.
    pub const AGGRESSIVE: Self = Self {
        consecutive: 3,
        success_below: 0.8,
        window: Duration::from_secs(10),
        calls_min: 5,
        open: Duration::from_secs(5),
        open_max: Duration::from_secs(60),
        ..Self::BALANCED
    };

    /// Right for most: Finagle's figures, but for the share.
    pub const BALANCED: Self = Self {
        consecutive: 5,
        success_below: 0.6,
        window: Duration::from_secs(30),
        calls_min: 10,
        open: Duration::from_secs(10),
        open_max: Duration::from_secs(300),
        half_open: 1,
        half_open_for: Duration::from_secs(30),
        last_resort: false,
    };

    /// Bears much and waits long: for targets whose alternatives are dear.
    pub const CONSERVATIVE: Self = Self {
        consecutive: 10,
        success_below: 0.4,
        window: Duration::from_secs(60),
        calls_min: 30,
        open: Duration::from_secs(15),
        open_max: Duration::from_secs(300),
        ..Self::BALANCED
    };

    /// Bears nearly everything, and never refuses the last candidate.
    pub const CRITICAL: Self = Self {
        consecutive: 20,
        success_below: 0.2,
        window: Duration::from_secs(60),
        calls_min: 50,
        open: Duration::from_secs(5),
        open_max: Duration::from_secs(30),
        last_resort: true,
        ..Self::BALANCED
    };

    /// The presets and their names, from the least patient to the most.
    pub const PRESETS: [(&str, Self); 4] = [
        ("aggressive", Self::AGGRESSIVE),
        ("balanced", Self::BALANCED),
        ("conservative", Self::CONSERVATIVE),
        ("critical", Self::CRITICAL),
    ];

    /// The preset of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::PRESETS.iter().find(|(known, _)| *known == name).map(|(_, strategy)| *strategy)
    }
}

impl Default for Strategy {
    fn default() -> Self {
        Self::BALANCED
    }
}
