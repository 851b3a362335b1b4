//! What does not change during a run.

use super::ask::Asker;
use super::pace::Pace;
use super::sequence::Order;
use super::shape::Shape;

/// Fewer rows make no percentage.
const PERCENT_OF_MIN: u64 = 100;

/// How rows are asked and written.
pub(super) struct Terms {
    /// Whom to ask, for what.
    pub(super) asker: Asker,
    /// What is written.
    pub(super) shape: Shape,
    /// In which order.
    pub(super) order: Order,
    /// Tries after the first.
    pub(super) retries: u32,
    /// When to give up.
    pub(super) errors_max: Option<ErrorsMax>,
    /// Whether it ends with a number of rows rather than with the input.
    pub(super) limited: bool,
    /// How fast.
    pub(super) pace: Pace,
}

/// More rows that fail than this end a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ErrorsMax {
    /// So many.
    Rows(u64),
    /// So many of a hundred, once there are a hundred.
    Percent(f64),
}

impl ErrorsMax {
    /// Whether so many of so many rows are more.
    pub(super) fn is_exceeded(self, failed: u64, rows: u64) -> bool {
        match self {
            Self::Rows(most) => failed > most,
            Self::Percent(most) => rows >= PERCENT_OF_MIN && failed as f64 * 100.0 > most * rows as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_too_many_by_number_or_by_share() {
        for (most, failed, rows, exceeded) in [
            (ErrorsMax::Rows(0), 0, 9, false),
            (ErrorsMax::Rows(0), 1, 1, true),
            (ErrorsMax::Rows(5), 5, 5, false),
            (ErrorsMax::Percent(5.0), 99, 99, false),
            (ErrorsMax::Percent(5.0), 5, 100, false),
            (ErrorsMax::Percent(5.0), 6, 100, true),
            (ErrorsMax::Percent(0.5), 6, 1000, true),
        ] {
            assert_eq!(most.is_exceeded(failed, rows), exceeded, "{most:?} {failed} {rows}");
        }
    }
}
