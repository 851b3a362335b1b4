//! Everything that is told: the library's registries of it all, and of them the histograms by name, of which we tell more
//! than the library can: native buckets and exemplars.

use super::histogram::Histograms;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::{Registry, Unit};
use std::collections::BTreeMap;
use std::fmt;

/// What is told.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    /// What the library tells whole.
    pub(super) registry: Registry,
    /// Our histograms, as far as the library tells of them.
    ours: Registry,
    /// The same by the names that their families have where they are told.
    histograms: BTreeMap<String, Entry>,
}

/// A family of our histograms.
#[derive(Debug)]
pub(super) struct Entry {
    /// What it is.
    pub(super) help: String,
    /// Its unit; empty where there is none.
    pub(super) unit: &'static str,
    /// Its histograms.
    pub(super) histograms: Histograms,
}

impl Catalogue {
    /// Adds durations.
    pub(super) fn durations(&mut self, name: &str, help: &str, histograms: &Histograms) {
        self.ours.register_with_unit(name, help, Unit::Seconds, histograms.clone());
        let unit = "seconds";
        self.add(format!("{name}_{unit}"), Entry { help: said(help), unit, histograms: histograms.clone() });
    }

    /// Adds counts.
    pub(super) fn counts(&mut self, name: &str, help: &str, histograms: &Histograms) {
        self.ours.register(name, help, histograms.clone());
        self.add(name.to_owned(), Entry { help: said(help), unit: "", histograms: histograms.clone() });
    }

    fn add(&mut self, name: String, entry: Entry) {
        self.histograms.insert(name, entry);
    }

    /// The families of our histograms, by name.
    pub(super) fn ours(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.histograms.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// The histograms of a family, where there is more to tell of them than the library can.
    pub(super) fn histograms(&self, family: &str) -> Option<&Histograms> {
        self.histograms.get(family).map(|entry| &entry.histograms)
    }

    /// The OpenMetrics text of everything, as the library writes it.
    ///
    /// # Errors
    /// Only where a metric cannot be written as text, which is a fault of whoever registered it.
    pub(super) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = self.text_of_others()?;
        encode_registry(&mut text, &self.ours)?;
        encode_eof(&mut text)?;
        Ok(text)
    }

    /// The text of everything but our histograms, without a mark at its end: for a form in which those are told
    /// otherwise.
    ///
    /// # Errors
    /// As [`text`](Self::text).
    pub(super) fn text_of_others(&self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(16 * 1024);
        encode_registry(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// As the library tells what a family is.
fn said(help: &str) -> String {
    format!("{help}.")
}
