//! What a run found, as data: it is printed, written as JSON, read again and compared. It holds no
//! histograms and no secrets.

mod summary;
mod table;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Url;
use super::figure::{Figure, Name};
use super::options::Mode;

/// A run's report. Times are in microseconds unless a name ends in `_s` (seconds).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The form of this report: [`Report::VERSION`].
    pub version: u32,
    /// When the run began, in UTC, as RFC 3339 writes it.
    pub started_at: String,
    /// Where the generator ran.
    pub machine: Machine,
    /// What it was asked to do.
    pub load: Load,
    /// Whether the run was stopped before its end; the figures are of the part that took place.
    pub interrupted: bool,
    /// What was measured.
    pub target: Measured,
    /// What was measured on the other side of a comparison.
    pub against: Option<Measured>,
    /// `target` set beside `against`.
    pub comparison: Option<Comparison>,
}

/// Where a generator ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: usize,
    /// The operating system, as Rust names it.
    pub os: String,
    /// The kernel's release.
    pub kernel: String,
    /// The processor's architecture, as Rust names it.
    pub arch: String,
}

/// The options of a run, without its secrets: of keys, whether there was one; of headers, the names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Closed or open loop.
    pub mode: Mode,
    /// Whether streams were asked for.
    pub stream: bool,
    /// How long each side was to be measured.
    pub duration_s: Option<f64>,
    /// How many requests each side was to be sent at most.
    pub requests: Option<u64>,
    /// The load before the measurement, each side.
    pub warmup_s: f64,
    /// Slices each side was measured in.
    pub rounds: u32,
    /// The prompt's length.
    pub prompt_bytes: usize,
    /// Whether each request had a prompt of its own.
    pub unique_prompts: bool,
    /// `max_tokens` of each request.
    pub max_tokens: Option<u32>,
    /// The longest that a request might take.
    pub timeout_s: f64,
    /// Threads that sent.
    pub threads: usize,
    /// What random draws came from.
    pub seed: u64,
    /// `[redacted]` if a key was sent to the target.
    pub api_key: Option<String>,
    /// `[redacted]` if a key was sent to the other side.
    pub against_api_key: Option<String>,
    /// The names of further headers sent.
    pub headers: Vec<String>,
}

/// What was measured on one side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The base URL.
    pub url: Url,
    /// The model asked for.
    pub model: String,
    /// The time that rates are told by: the slices' own, without what was awaited after them.
    pub duration_s: f64,
    /// Requests that ended, well or not; in an open loop also those that were due and not sent.
    pub requests: u64,
    /// Requests answered well.
    pub succeeded: u64,
    /// Requests that failed.
    pub failed: u64,
    /// Requests that the run's stop interrupted; in none of the other counts.
    pub unfinished: u64,
    /// How requests failed, by [`Fault`](super::Fault)'s names.
    pub errors: BTreeMap<String, Seen>,
    /// Failed requests as a share of `requests`.
    pub error_rate: f64,
    /// Requests answered well a second.
    pub requests_per_second: f64,
    /// Frames of streams, `[DONE]` not counted.
    pub frames: u64,
    /// Frames a second.
    pub frames_per_second: f64,
    /// Tokens read by the model, where the answers told their usage.
    pub input_tokens: Option<u64>,
    /// Tokens written by the model, where the answers told their usage.
    pub output_tokens: Option<u64>,
    /// Tokens written a second, where the answers told their usage.
    pub tokens_per_second: Option<f64>,
    /// Bytes of the requests' bodies.
    pub bytes_sent: u64,
    /// Bytes of the answers' bodies.
    pub bytes_received: u64,
    /// Connections opened, warm-up included.
    pub connections: u64,
    /// From the start (open loop: from the instant it was due) to the answer's last byte, of
    /// requests answered well.
    pub total_us: Option<Series>,
    /// From the same start to the first frame with content, of streams.
    pub first_token_us: Option<Series>,
    /// Between one frame with content and the next, of streams.
    pub between_tokens_us: Option<Series>,
    /// Open loop: how late the generator itself was to send.
    pub send_lag_us: Option<Series>,
}

/// One kind of error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// What the first one said.
    pub example: String,
}

/// A distribution of times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// How many were recorded.
    pub count: u64,
    /// Where they lie.
    #[serde(flatten)]
    pub points: Points,
}

/// Points of a distribution, or of a comparison of two.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // the names say it
pub struct Points {
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
    pub mean: f64,
}

/// The target beside what it is compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Target divided by the other.
    pub requests_per_second: Option<f64>,
    /// Target divided by the other.
    pub frames_per_second: Option<f64>,
    /// Target divided by the other.
    pub tokens_per_second: Option<f64>,
    /// Times of whole requests.
    pub total: Option<Delta>,
    /// Times to the first token.
    pub first_token: Option<Delta>,
    /// Times between tokens.
    pub between_tokens: Option<Delta>,
}

/// How two distributions differ, point by point. A percentile of added time is the difference of
/// two percentiles, not the percentile of a difference: no request goes both ways.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delta {
    /// Target divided by the other.
    pub ratio: Points,
    /// Target less the other.
    pub added_us: Points,
}

impl Report {
    /// The form of report that this code writes. It grows when a field changes its meaning or goes.
    pub const VERSION: u32 = 1;

    /// The figure of a name, `None` where it was not measured (the first token of plain answers,
    /// a comparison of one side).
    #[must_use]
    pub fn figure(&self, name: &Name) -> Option<Figure> {
        name.find(self)
    }

    /// The report as a table for a terminal, with its last line ended.
    #[must_use]
    pub fn table(&self) -> String {
        table::table(self)
    }
}

impl Points {
    /// Sets two series side by side, point by point.
    fn zip(self, other: Self, with: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            p50: with(self.p50, other.p50),
            p90: with(self.p90, other.p90),
            p95: with(self.p95, other.p95),
            p99: with(self.p99, other.p99),
            p999: with(self.p999, other.p999),
            max: with(self.max, other.max),
            mean: with(self.mean, other.mean),
        }
    }
}
