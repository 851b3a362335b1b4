//! Where figures come from.

use super::Labels;
use std::time::Duration;

/// Gives figures by their names. Alerts know no others than those that rules name, and nothing of how they come about.
pub trait Figures {
    /// The figure over the window that ends now, of all series together that have these labels; `None` where nothing
    /// is known of it. A figure of the moment may leave the window out of account.
    fn value(&self, name: &str, labels: &[(&str, &str)], window: Duration) -> Option<f64>;

    /// The label sets under which the figure is known now. One without labels has a single, empty set.
    fn series(&self, name: &str) -> Vec<Labels>;

    /// What people should read beside the value.
    fn words(&self, _name: &str, _labels: &[(&str, &str)]) -> Option<String> {
        None
    }
}
