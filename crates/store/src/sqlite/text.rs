//! Searching among names in the order of an index.

/// The least name that comes after this one.
pub(super) fn following(name: &str) -> String {
    format!("{name}\0")
}
