//! What is recorded.

use super::buckets;
use super::names::Figure;
use std::time::Duration;

/// That something took so long: its bucket is looked for once, for however many scopes it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub(super) figure: Figure,
    pub(super) bucket: u16,
}

impl Sample {
    /// It took so long.
    #[must_use]
    pub fn new(figure: Figure, value: Duration) -> Self {
        Self { figure, bucket: buckets::of(value) }
    }

    /// It took so many microseconds.
    #[must_use]
    pub fn of_micros(figure: Figure, micros: u32) -> Self {
        Self { figure, bucket: buckets::of_micros(micros) }
    }
}
