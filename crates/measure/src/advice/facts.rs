//! What rules look at: what was seen of requests over some time, and the settings that were in force. Whoever sees
//! requests fills it in; that nothing is known of something is a count of zero.

use std::time::Duration;

/// Upper bounds of the ages by which repeated questions are counted: how long before the same was last fetched.
pub const AGES: [Duration; 6] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
    Duration::from_secs(1800),
    Duration::from_secs(3600),
];

/// The slot of [`AGES`] that an age falls into; `None` beyond the last.
#[must_use]
pub fn age_slot(age: Duration) -> Option<usize> {
    AGES.iter().position(|bound| age <= *bound)
}

/// What was seen, and what was in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Over how long it was seen.
    pub span: Duration,
    /// Whether answers are remembered at all.
    pub cache: bool,
    /// Every alias.
    pub aliases: Vec<Alias>,
    /// Every provider.
    pub providers: Vec<Provider>,
}

/// One alias.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alias {
    /// Its name.
    pub name: String,
    /// What the configuration says of it.
    pub settings: Settings,
    /// Requests that ended.
    pub requests: u64,
    /// How the same was asked again.
    pub questions: Questions,
    /// How long answers may be, and were.
    pub bounds: Bounds,
    /// How long its providers were waited for, a try.
    pub waits: Times,
    /// Those it draws from, as they were written.
    pub targets: Vec<Target>,
    /// Whether there is anybody besides to fall back on.
    pub fallback: bool,
}

/// Settings of an alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether its answers are remembered.
    pub cache: bool,
    /// Those to any temperature, too.
    pub any_temperature: bool,
    /// How long an answer is served.
    pub ttl: Duration,
    /// The longest that any tier keeps one.
    pub ttl_max: Duration,
    /// Whether a conversation stays with its target.
    pub affinity: bool,
    /// Whether the less busy of two is chosen already.
    pub least_loaded: bool,
    /// Whether a slow try is made a second time elsewhere.
    pub hedge: bool,
}

/// Questions that were asked again within an hour, though nobody's wish kept the cache from answering them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Questions {
    /// Requests whose question is known.
    pub asked: u64,
    /// Repeated while the cache was off, at a temperature of 0.
    pub off: Repeats,
    /// Repeated at another temperature, which the alias does not remember.
    pub sampled: Repeats,
    /// Repeated, looked up, and not there.
    pub missed: Repeats,
    /// The last of these by how long before the same was fetched; see [`AGES`].
    pub missed_by_age: [u64; AGES.len()],
}

/// Requests that were paid for a second time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repeats {
    /// How many.
    pub count: u64,
    /// What they cost, in millionths of a US dollar, where that is known.
    pub cost_micro_usd: u64,
}

/// Answers' lengths, of requests that say how long theirs may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// How many such requests were answered.
    pub requests: u64,
    /// Tokens that they allowed, all together.
    pub asked_tokens: u64,
    /// Tokens that were written, all together.
    pub written_tokens: u64,
    /// The longest answer, in tokens.
    pub written_tokens_max: u64,
}

/// How long something took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// How often.
    pub count: u64,
    /// Half took no longer.
    pub p50: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
    /// 99 of 100 took no longer.
    pub p99: Duration,
}

/// A target of an alias.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Target {
    /// `provider/model`.
    pub name: String,
    /// The model, as its provider names it.
    pub model: String,
    /// Its share.
    pub weight: u32,
    /// Its group: the lowest is asked first.
    pub group: u32,
    /// What a token read and one written cost, in millionths of a US dollar, where that is known.
    pub price: Option<(f64, f64)>,
    /// Its answers within this alias.
    pub answers: u64,
    /// Tokens that they read.
    pub tokens_in: u64,
    /// Those of them that the provider had cached.
    pub tokens_cached: u64,
    /// What they cost, in millionths of a US dollar.
    pub cost_micro_usd: u64,
    /// How long it takes, whoever asks it.
    pub times: Times,
}

/// A provider, whoever asks it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provider {
    /// Its name.
    pub name: String,
    /// Tries that have ended.
    pub tries: u64,
    /// Those that it answered well.
    pub answers: u64,
    /// Those that it answered with 429.
    pub throttled: u64,
    /// What we may ask of it in a minute, where that is limited.
    pub requests_per_minute: Option<u64>,
}

impl Facts {
    /// A count over the time looked at, as of a day; `None` where too little time was seen to say so.
    pub(super) fn per_day(&self, count: f64) -> Option<f64> {
        /// Ten minutes: less is no pace of a day.
        const SPAN_MIN: Duration = Duration::from_secs(600);
        (self.span >= SPAN_MIN).then(|| count * 86_400.0 / self.span.as_secs_f64())
    }
}

impl Alias {
    /// Those of its targets that share its requests by weight: of the first group, with a weight above zero.
    pub(super) fn sharing(&self) -> Vec<&Target> {
        let drawn = || self.targets.iter().filter(|target| target.weight > 0);
        let first = drawn().map(|target| target.group).min();
        drawn().filter(|target| Some(target.group) == first).collect()
    }
}

impl Target {
    /// Whether it costs no more than `other` for any request; `None` where either's price is not known.
    pub(super) fn is_no_dearer(&self, other: &Self) -> Option<bool> {
        let ((input, output), (other_input, other_output)) = (self.price?, other.price?);
        Some(input <= other_input && output <= other_output)
    }

    /// What an answer cost on the average, in US dollars; `None` where its price is not known or nothing was answered.
    pub(super) fn usd_per_answer(&self) -> Option<f64> {
        self.price?;
        (self.answers > 0).then(|| self.cost_micro_usd as f64 / 1e6 / self.answers as f64)
    }
}
