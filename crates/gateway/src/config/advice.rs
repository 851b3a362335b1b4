//! On which terms advice is given, checked.

/// Advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Whether it is given.
    pub enabled: bool,
    /// The fewest requests that anything is concluded from; at least one.
    pub requests_min: u64,
}
