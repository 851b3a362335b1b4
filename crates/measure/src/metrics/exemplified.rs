//! The library's OpenMetrics text with an exemplar behind each bucket that has one: ` # {trace_id="…"} value seconds`.
//!
//! The library writes exemplars of its own histograms alone, and lets nobody else make one.

use super::catalogue::Catalogue;
use super::families;
use super::histogram::{Exemplar, Histograms, Labels};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::iter::Peekable;
use std::rc::Rc;
use std::time::SystemTime;
use std::vec::IntoIter;

/// This text, of that catalogue.
pub(super) fn of(text: &str, catalogue: &Catalogue) -> String {
    let mut told = String::with_capacity(text.len());
    let mut expected = Expected::of(None);
    for line in text.lines() {
        told.push_str(line);
        if let Some(family) = line.strip_prefix("# TYPE ").and_then(|told| told.split(' ').next()) {
            expected = Expected::of(catalogue.histograms(family));
        } else if let Some(exemplar) = expected.take(line) {
            told.push_str(&written(&exemplar));
        }
        told.push('\n');
    }
    told
}

/// A family's exemplars, from the first that no line has had yet. They stand in the order in which the library writes
/// their buckets, so that both are gone through once.
struct Expected(Peekable<IntoIter<Bucket>>);

/// An exemplar and its bucket, by its bound.
struct Bucket {
    labels: Rc<Labels>,
    bound: f64,
    exemplar: Exemplar,
}

impl Expected {
    /// Those of a family of ours.
    fn of(histograms: Option<&Histograms>) -> Self {
        let of_histogram = |(labels, buckets): (Labels, Vec<(f64, Exemplar)>)| {
            let labels = Rc::new(labels);
            let bucket = move |(bound, exemplar)| Bucket { labels: Rc::clone(&labels), bound, exemplar };
            buckets.into_iter().map(bucket)
        };
        let all = histograms.map(Histograms::exemplars).unwrap_or_default();
        let buckets: Vec<_> = all.into_iter().flat_map(of_histogram).collect();
        Self(buckets.into_iter().peekable())
    }

    /// The exemplar of the bucket that this line tells of, if it does and that has one.
    fn take(&mut self, line: &str) -> Option<Exemplar> {
        self.0.peek()?;
        let sample = families::sample(line)?;
        // The library writes a bucket's bound before what its family is labelled with.
        let ((_, bound), labels) = sample.labels.split_first().filter(|((name, _), _)| *name == "le")?;
        let bound: f64 = bound.parse().ok()?;
        // What has come since the text was written is not in it: it is passed over.
        while self.0.next_if(|next| next.cmp(labels, bound).is_lt()).is_some() {}
        let found = self.0.next_if(|next| next.cmp(labels, bound).is_eq())?;
        Some(found.exemplar)
    }
}

impl Bucket {
    /// Whether it stands before the one with these labels and that bound, is that one, or stands behind it.
    fn cmp(&self, labels: &[(&str, Cow<'_, str>)], bound: f64) -> Ordering {
        let ours = self.labels.iter().map(|(name, value)| (*name, value.as_str()));
        let theirs = labels.iter().map(|(name, value)| (*name, &**value));
        ours.cmp(theirs).then_with(|| self.bound.total_cmp(&bound))
    }
}

fn written(exemplar: &Exemplar) -> String {
    let since = exemplar.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    format!(" # {{{}=\"{}\"}} {} {seconds}.{millis:03}", Exemplar::LABEL, exemplar.trace(), exemplar.value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use crate::metrics::{Metrics, Outcome};
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime};

    const MODELS: [&str; 7] = ["m", "a", "z", "a b", "\"", "ä", "m\\n"];

    /// A request for each of these models, which took so many milliseconds, with a trace of that number.
    fn ask(metrics: &Metrics, millis: u64, models: &[&str]) {
        for model in models {
            let total = Duration::from_millis(millis);
            metrics.shard(0).route("chat", model).ends(Outcome::Ok, total, Duration::ZERO);
            let at = SystemTime::UNIX_EPOCH;
            metrics.examples().of_requests("chat", model).note(millis.into(), at, (total, Duration::ZERO));
        }
    }

    /// How many lines of this text have an exemplar, by the trace's number; each stands behind a bucket that is wide
    /// enough, and not behind one that is too wide.
    fn behind(metrics: &Metrics, text: &str) -> BTreeMap<u64, usize> {
        let told = super::of(text, &metrics.catalogue);
        let mut found = BTreeMap::new();
        for line in told.lines().filter(|line| line.starts_with("http_request_duration_seconds_bucket")) {
            let Some((bucket, exemplar)) = line.split_once(" # {trace_id=\"") else { continue };
            let bound = bucket.split('"').nth(1).unwrap().parse::<f64>().unwrap_or(f64::INFINITY);
            let number = u64::from_str_radix(exemplar.split('"').next().unwrap(), 16).unwrap();
            let seconds = Duration::from_millis(number).as_secs_f64();
            assert!(seconds <= bound && (bound < 4.0 * seconds || bound.is_infinite()), "{line}");
            *found.entry(number).or_default() += 1;
        }
        found
    }

    #[test]
    fn every_bucket_of_every_label_set_has_its_own() {
        let metrics = Metrics::new("0", 1);
        [50, 3000, 1 << 40].into_iter().for_each(|millis| ask(&metrics, millis, &MODELS));
        let each = MODELS.len();
        let found = behind(&metrics, &metrics.encode().unwrap());
        assert_eq!(found, [(50, each), (3000, each), (1 << 40, each)].into());
    }

    #[test]
    fn what_came_after_the_text_was_written_takes_no_others_place() {
        let metrics = Metrics::new("0", 1);
        ask(&metrics, 50, &MODELS[..1]);
        ask(&metrics, 50, &MODELS[4..]);
        let text = metrics.encode().unwrap();
        ask(&metrics, 50, &MODELS[1..4]);
        assert_eq!(behind(&metrics, &text), [(50, MODELS.len() - 3)].into());
    }
}
