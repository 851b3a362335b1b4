//! What a run is asked to do, as plain data, and the check that it can be done. Not the flags.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::window::Rule;
use super::{Error, Prompt, Url};

/// Everything a run needs to know. [`Options::new`] gives the defaults.
///
/// With `against`, both sides get the whole `duration`, `requests` and `warmup` each.
#[derive(Clone)]
pub struct Options {
    /// Where the load goes; `/chat/completions` is appended.
    pub url: Url,
    /// A second place to load in turn with the first, to compare with.
    pub against: Option<Url>,
    /// The model asked for.
    pub model: String,
    /// The model asked of `against`; `None`: the same.
    pub against_model: Option<String>,
    /// Closed or open loop.
    pub mode: Mode,
    /// How long each side is measured. `None`: until `requests` are done.
    pub duration: Option<Duration>,
    /// How many requests each side is sent at most. `None`: until `duration` is over.
    pub requests: Option<u64>,
    /// Load before the measurement, not counted: connections open, caches and branches warm.
    pub warmup: Duration,
    /// In how many slices each side is measured when there are two: A B A B ….
    pub rounds: u32,
    /// Ask for streams.
    pub stream: bool,
    /// Ask a stream for its usage (`stream_options.include_usage`), from which tokens are counted.
    pub ask_usage: bool,
    /// What is asked.
    pub prompt: Prompt,
    /// Begin each prompt with a mark that no other request of this seed has, so that no cache
    /// answers it.
    pub unique_prompts: bool,
    /// `max_tokens` of each request.
    pub max_tokens: Option<u32>,
    /// Sent to `url` as a bearer token, and nowhere else.
    pub api_key: Option<String>,
    /// Sent to `against` as a bearer token, and nowhere else: the two rarely share a key, and a
    /// gateway's key is not the provider's to know.
    pub against_api_key: Option<String>,
    /// Further headers, sent to both sides.
    pub headers: Vec<(String, String)>,
    /// The longest that one request may take, connecting included.
    pub timeout: Duration,
    /// Threads that send; each has a runtime of its own.
    pub threads: usize,
    /// What poisson arrivals, synthetic prompts and unique marks are drawn from.
    pub seed: u64,
    /// A PEM file of certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// The shape of the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// A fixed number of requests under way: the next is sent when one is answered.
    Closed {
        /// How many.
        concurrency: usize,
    },
    /// Requests fall due at a rate, whatever becomes of the earlier ones.
    Open {
        /// Requests a second, over all threads.
        rate: f64,
        /// How they are spaced.
        arrivals: Arrivals,
        /// The most under way at once; one due beyond that is counted as
        /// [`ClientOverflow`](super::Fault::ClientOverflow) and not sent.
        max_in_flight: usize,
    },
}

impl Mode {
    pub(super) fn rule(&self) -> Rule {
        match self {
            Self::Closed { .. } => Rule::Closed,
            Self::Open { .. } => Rule::Open,
        }
    }
}

/// How the arrivals of an open loop are spaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrivals {
    /// One every 1/rate seconds.
    Constant,
    /// Exponential gaps, as of many callers who do not know of each other.
    Poisson,
}

/// More than this many connections is beyond one machine's ports and files.
const IN_FLIGHT_MAX: usize = 60_000;
const THREADS_MAX: usize = 256;
const PROMPT_BYTES_MAX: usize = 64 << 20;

impl Options {
    /// A closed loop of 16 for 10 s on one thread, without streaming.
    #[must_use]
    pub fn new(url: Url, model: impl Into<String>) -> Self {
        Self {
            url,
            against: None,
            model: model.into(),
            against_model: None,
            mode: Mode::Closed { concurrency: 16 },
            duration: Some(Duration::from_secs(10)),
            requests: None,
            warmup: Duration::from_secs(1),
            rounds: 4,
            stream: false,
            ask_usage: true,
            prompt: Prompt::default(),
            unique_prompts: false,
            max_tokens: None,
            api_key: None,
            against_api_key: None,
            headers: Vec::new(),
            timeout: Duration::from_secs(60),
            threads: 1,
            seed: 1,
            ca_file: None,
        }
    }

    /// The most requests under way at once.
    #[must_use]
    pub fn in_flight_max(&self) -> usize {
        match self.mode {
            Mode::Closed { concurrency } => concurrency,
            Mode::Open { max_in_flight, .. } => max_in_flight,
        }
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// [`Error::Option`], naming the option and what would do.
    pub fn validate(&self) -> Result<(), Error> {
        let in_flight = self.in_flight_max();
        let rate_is_sound = match self.mode {
            Mode::Closed { .. } => true,
            Mode::Open { rate, .. } => rate.is_finite() && rate > 0.0 && rate <= 1e6,
        };
        let checks = [
            ((1..=IN_FLIGHT_MAX).contains(&in_flight), "the number of requests at once must be 1 to 60000"),
            (rate_is_sound, "the rate must be above 0 and at most 1000000 a second"),
            (
                self.duration.is_some() || self.requests.is_some(),
                "give a duration or a number of requests, or the run would not end",
            ),
            (
                self.duration != Some(Duration::ZERO) && self.requests != Some(0),
                "the duration and the number of requests must be above zero",
            ),
            (self.timeout > Duration::ZERO, "the time-out must be above zero"),
            ((1..=THREADS_MAX).contains(&self.threads), "the number of threads must be 1 to 256"),
            ((1..=1000).contains(&self.rounds), "the number of rounds must be 1 to 1000"),
            (self.prompt.bytes() <= PROMPT_BYTES_MAX, "the prompt must be at most 64 MiB"),
            (!self.model.is_empty(), "the model's name must not be empty"),
        ];
        match checks.iter().find(|(sound, _)| !sound) {
            Some((_, why)) => Err(Error::Option((*why).to_owned())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn options_that_cannot_work_are_refused_with_the_reason() {
        let check = |spoil: &dyn Fn(&mut Options), why: &str| {
            let mut options = Options::new("http://h/v1".parse().unwrap(), "m");
            assert!(options.validate().is_ok());
            spoil(&mut options);
            let told = options.validate().unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        };
        check(&|o| o.mode = Mode::Closed { concurrency: 0 }, "requests at once");
        check(&|o| o.duration = None, "would not end");
        check(&|o| o.duration = Some(Duration::ZERO), "above zero");
        check(&|o| o.requests = Some(0), "above zero");
        check(&|o| o.threads = 0, "threads");
        check(&|o| o.rounds = 0, "rounds");
        check(&|o| o.model.clear(), "model");
        check(&|o| o.timeout = Duration::ZERO, "time-out");
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e9] {
            let mode = Mode::Open { rate, arrivals: Arrivals::Constant, max_in_flight: 1 };
            check(&|o| o.mode = mode, "rate");
        }
    }
}
