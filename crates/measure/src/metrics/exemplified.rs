//! The library's OpenMetrics text with an exemplar behind each bucket that has one: ` # {trace_id="…"} value seconds`.
//!
//! The library writes exemplars of its own histograms alone, and lets nobody else make one.

use super::catalogue::Catalogue;
use super::families;
use super::histogram::{Exemplar, Histograms, Labels};
use std::time::SystemTime;

/// This text, of that catalogue.
pub(super) fn of(text: &str, catalogue: &Catalogue) -> String {
    let mut told = String::with_capacity(text.len());
    let mut exemplars = Vec::new();
    for line in text.lines() {
        told.push_str(line);
        if let Some(family) = line.strip_prefix("# TYPE ").and_then(|told| told.split(' ').next()) {
            exemplars = catalogue.histograms(family).map(Histograms::exemplars).unwrap_or_default();
        } else if !exemplars.is_empty()
            && let Some(exemplar) = find(&exemplars, line)
        {
            told.push_str(&written(exemplar));
        }
        told.push('\n');
    }
    told
}

/// The exemplar of the bucket that this line tells of.
fn find<'e>(exemplars: &'e [(Labels, Vec<(f64, Exemplar)>)], line: &str) -> Option<&'e Exemplar> {
    let sample = families::sample(line)?;
    // The library writes a bucket's bound before what its family is labelled with.
    let ((_, bound), labels) = sample.labels.split_first().filter(|((name, _), _)| *name == "le")?;
    let is_it = |ours: &Labels| {
        let ours = ours.iter().map(|(name, value)| (*name, value.as_str()));
        ours.eq(labels.iter().map(|(name, value)| (*name, &**value)))
    };
    let (_, buckets) = exemplars.iter().find(|(ours, _)| is_it(ours))?;
    let bound: f64 = bound.parse().ok()?;
    buckets.iter().find(|(upper, _)| *upper == bound).map(|(_, exemplar)| exemplar)
}

fn written(exemplar: &Exemplar) -> String {
    let since = exemplar.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    format!(" # {{{}=\"{}\"}} {} {seconds}.{millis:03}", Exemplar::LABEL, exemplar.trace(), exemplar.value)
}
