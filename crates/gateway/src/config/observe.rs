//! What is seen of requests, checked.

use std::time::Duration;

/// What is seen of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observe {
    /// Whether they are looked at.
    pub enabled: bool,
    /// One that takes longer is slow.
    pub slow: Duration,
    /// How many of the newest are kept.
    pub requests: usize,
    /// How many slow ones are kept besides.
    pub requests_slow: usize,
    /// How many are kept besides that a provider or the gateway failed.
    pub requests_failed: usize,
    /// Bytes that all that are kept may take.
    pub requests_bytes_max: usize,
    /// Bytes that the figures of the last day may take.
    pub figures_bytes_max: usize,
    /// Days of which they are kept on disk.
    pub history_days: u16,
    /// Bytes that those may take there.
    pub history_bytes_max: u64,
}
