//! Everything that is told: the library's registry of it all, and beside that the histograms by name, of which we tell
//! more than the library can: native buckets and exemplars.

use super::histogram::Histograms;
use prometheus_client::encoding::text;
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;

/// What is told.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// All of it.
    pub(super) registry: Registry,
    /// By the names that their families have where they are told.
    histograms: BTreeMap<String, Histograms>,
}

impl Catalogue {
    /// Adds durations.
    pub(super) fn durations(&mut self, name: &str, help: &str, histograms: &Histograms) {
        self.registry.register_with_unit(name, help, Unit::Seconds, histograms.clone());
        self.histograms.insert(format!("{name}_{}", Unit::Seconds.as_str()), histograms.clone());
    }

    /// Adds counts.
    pub(super) fn counts(&mut self, name: &str, help: &str, histograms: &Histograms) {
        self.registry.register(name, help, histograms.clone());
        self.histograms.insert(name.to_owned(), histograms.clone());
    }

    /// The histograms of a family, where there is more to tell of them than the library can.
    pub(super) fn histograms(&self, family: &str) -> Option<&Histograms> {
        self.histograms.get(family)
    }

    /// The OpenMetrics text of everything, as the library writes it.
    ///
    /// # Errors
    /// Only where a metric cannot be written as text, which is a fault of whoever registered it.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}
