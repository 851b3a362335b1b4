//! Prometheus' protobuf form: messages of `io.prometheus.client`, field by field as `metrics.proto` of
//! prometheus/client_model has them, each family with its length before it.
//!
//! A histogram of ours has its classic buckets and its native ones in one message, of one reading, so that a reader may
//! take either. Whatever else there is, is told as the library's text says it.

use super::catalogue::{Catalogue, Entry};
use super::families::{Family, Sample};
use super::histogram::native::{SCHEMA, ZERO_THRESHOLD};
use super::histogram::{Exemplar, Labels, Reading};
use crate::protobuf::Writer;
use std::time::SystemTime;

/// `MetricType`.
#[derive(Clone, Copy)]
enum Kind {
    Counter = 0,
    Gauge = 1,
    Untyped = 3,
    Histogram = 4,
}

/// These families, and that catalogue's histograms of ours.
pub(super) fn of(others: &[Family<'_>], catalogue: &Catalogue) -> Vec<u8> {
    let mut writer = Writer::default();
    for family in others.iter().filter(|family| !family.samples.is_empty()) {
        writer.delimited(|message| write_family(message, family));
    }
    for (name, entry) in catalogue.ours() {
        let readings = entry.histograms.read();
        if !readings.is_empty() {
            writer.delimited(|message| write_ours(message, name, entry, &readings));
        }
    }
    writer.finish()
}

/// `MetricFamily` of ours.
fn write_ours(writer: &mut Writer, name: &str, entry: &Entry, readings: &[(Labels, Reading)]) {
    write_head(writer, name, &entry.help, Kind::Histogram);
    readings.iter().for_each(|(labels, reading)| write_reading(writer, labels, reading));
    writer.bytes(5, entry.unit.as_bytes());
}

/// What a `MetricFamily` begins with.
fn write_head(writer: &mut Writer, name: &str, help: &str, kind: Kind) {
    writer.text(1, name);
    writer.bytes(2, help.as_bytes());
    writer.number(3, kind as u64);
}

/// `MetricFamily` of others. A counter and an info are named as their samples are.
fn write_family(writer: &mut Writer, family: &Family<'_>) {
    let (suffix, kind) = match family.kind {
        "counter" => ("_total", Kind::Counter),
        "gauge" => ("", Kind::Gauge),
        "info" => ("_info", Kind::Gauge),
        "histogram" => ("", Kind::Histogram),
        _ => ("", Kind::Untyped),
    };
    write_head(writer, &format!("{}{suffix}", family.name), family.help, kind);
    match kind {
        Kind::Histogram => {
            let begins = |sample: &Sample<'_>| sample.name.strip_prefix(family.name) == Some("_sum");
            let histograms = family.samples.chunk_by(|_, next| !begins(next));
            histograms.for_each(|samples| write_samples(writer, family.name, samples));
        }
        _ => family.samples.iter().for_each(|sample| write_sample(writer, kind, sample)),
    }
    writer.bytes(5, family.unit.as_bytes());
}

/// `Metric`, with these labels.
fn write_metric<'l>(
    writer: &mut Writer,
    labels: impl Iterator<Item = (&'l str, &'l str)>,
    write: impl FnOnce(&mut Writer),
) {
    writer.message(4, |metric| {
        labels.for_each(|(name, value)| write_label(metric, name, value));
        write(metric);
    });
}

/// `LabelPair`, where it is the first field.
fn write_label(writer: &mut Writer, name: &str, value: &str) {
    writer.message(1, |pair| {
        pair.text(1, name);
        pair.bytes(2, value.as_bytes());
    });
}

/// `Counter`, `Gauge` or `Untyped`, all of which have their value first.
fn write_sample(writer: &mut Writer, kind: Kind, sample: &Sample<'_>) {
    let field = match kind {
        Kind::Gauge => 2,
        Kind::Counter => 3,
        Kind::Untyped | Kind::Histogram => 5,
    };
    let labels = sample.labels.iter().map(|(name, value)| (*name, &**value));
    write_metric(writer, labels, |metric| metric.message(field, |message| message.double(1, sample.value)));
}

/// `Histogram` of the library's samples: the sum, the count, and the buckets with their bounds as labels.
fn write_samples(writer: &mut Writer, family: &str, samples: &[Sample<'_>]) {
    let Some(first) = samples.first() else { return };
    let labels = first.labels.iter().map(|(name, value)| (*name, &**value));
    write_metric(writer, labels, |metric| {
        metric.message(7, |histogram| {
            for sample in samples {
                match sample.name.strip_prefix(family) {
                    Some("_count") => histogram.number(1, sample.value as u64),
                    Some("_sum") => histogram.double(2, sample.value),
                    _ => write_bucket(histogram, bound(sample), sample.value as u64, None),
                }
            }
        });
    });
}

fn bound(sample: &Sample<'_>) -> f64 {
    let bound = sample.labels.iter().find(|(name, _)| *name == "le");
    bound.and_then(|(_, bound)| bound.parse().ok()).unwrap_or(f64::INFINITY)
}

/// `Histogram` of ours: both kinds of buckets, and the exemplars at the classic ones and, as readers of native ones
/// expect them, by time.
fn write_reading(writer: &mut Writer, labels: &Labels, reading: &Reading) {
    let labels = labels.iter().map(|(name, value)| (*name, value.as_str()));
    write_metric(writer, labels, |metric| {
        metric.message(7, |histogram| {
            histogram.number(1, reading.count());
            histogram.double(2, reading.sum);
            write_classic(histogram, reading);
            write_native(histogram, reading);
            let mut exemplars: Vec<_> = reading.exemplars.values().collect();
            exemplars.sort_by_key(|exemplar| exemplar.at);
            exemplars.into_iter().for_each(|exemplar| write_exemplar(histogram, 16, exemplar));
        });
    });
}

fn write_classic(histogram: &mut Writer, reading: &Reading) {
    let mut so_far = 0;
    for (bucket, (bound, count)) in reading.classic().enumerate() {
        so_far += count;
        write_bucket(histogram, bound, so_far, reading.exemplars.get(&bucket));
    }
}

fn write_native(histogram: &mut Writer, reading: &Reading) {
    let (zeros, native) = reading.native();
    histogram.zigzag(5, SCHEMA);
    histogram.double(6, ZERO_THRESHOLD);
    histogram.number(7, zeros);
    for span in &native.spans {
        histogram.message(12, |message| {
            message.zigzag(1, span.offset);
            message.number(2, span.length.into());
        });
    }
    histogram.zigzags(13, &native.deltas);
}

/// `Bucket`, of all values up to its bound.
fn write_bucket(histogram: &mut Writer, bound: f64, count: u64, exemplar: Option<&Exemplar>) {
    histogram.message(3, |bucket| {
        bucket.number(1, count);
        bucket.double(2, bound);
        if let Some(exemplar) = exemplar {
            write_exemplar(bucket, 3, exemplar);
        }
    });
}

/// `Exemplar`.
fn write_exemplar(writer: &mut Writer, field: u32, exemplar: &Exemplar) {
    let since = exemplar.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    writer.message(field, |message| {
        write_label(message, Exemplar::LABEL, &exemplar.trace());
        message.double(2, exemplar.value);
        message.message(3, |timestamp| {
            timestamp.number(1, since.as_secs());
            timestamp.number(2, since.subsec_nanos().into());
        });
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use crate::metrics::families;
    use crate::metrics::histogram::native::{SCHEMA, ZERO_THRESHOLD};
    use crate::metrics::{Format, Metrics, Outcome, Times};
    use crate::protobuf::{Field, Fields};
    use std::collections::BTreeMap;
    use std::time::{Duration, SystemTime};

    /// The messages of a field.
    fn messages(message: &[u8], field: u32) -> Vec<&[u8]> {
        let of = |(number, content)| match content {
            Field::Bytes(bytes) if number == field => Some(bytes),
            _ => None,
        };
        Fields(message).filter_map(of).collect()
    }

    fn text(message: &[u8], field: u32) -> &str {
        std::str::from_utf8(messages(message, field).last().unwrap_or(&&b""[..])).unwrap()
    }

    fn number(message: &[u8], field: u32) -> u64 {
        match Fields(message).last(field) {
            Some(Field::Number(number)) => number,
            _ => 0,
        }
    }

    fn double(message: &[u8], field: u32) -> f64 {
        f64::from_bits(number(message, field))
    }

    fn labels(metric: &[u8]) -> Vec<(&str, &str)> {
        messages(metric, 1).into_iter().map(|pair| (text(pair, 1), text(pair, 2))).collect()
    }

    /// The families' messages, each with its length before it.
    fn messages_of(mut told: &[u8]) -> Vec<&[u8]> {
        let mut families = Vec::new();
        while !told.is_empty() {
            let width = told.iter().position(|byte| *byte < 0x80).unwrap() + 1;
            let length = told[..width].iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
            let (family, rest) = told[width..].split_at(length);
            families.push(family);
            told = rest;
        }
        families
    }

    /// The families by name, each with its type and its metrics.
    fn by_name(told: &[u8]) -> BTreeMap<&str, (u64, Vec<&[u8]>)> {
        let of = |family| (text(family, 1), (number(family, 3), messages(family, 4)));
        messages_of(told).into_iter().map(of).collect()
    }

    #[test]
    fn each_kind_is_told_as_its_message() {
        let metrics = Metrics::new("1.2.3", 1);
        metrics.connections.set(-3);
        metrics.reloads.inc_by(2);
        let times = Times { bounds: &[0.1], buckets: vec![1, 2], sum: 2.5 };
        metrics.workflows.show(vec![], vec![("model", times)]);
        let told = metrics.told(Format::Protobuf).unwrap();
        let families = by_name(&told);
        for (name, kind, field, value) in [
            ("tidegate_build_info", 1, 2, 1.0),
            ("tidegate_connections", 1, 2, -3.0),
            ("tidegate_config_reloads_total", 0, 3, 2.0),
        ] {
            let (of, told) = &families[name];
            assert_eq!((*of, double(messages(told[0], field)[0], 1)), (kind, value), "{name}");
        }
        assert_eq!(labels(families["tidegate_build_info"].1[0]), [("version", "1.2.3")]);
        let (kind, steps) = &families["tidegate_workflow_step_seconds"];
        let histogram = messages(steps[0], 7)[0];
        assert_eq!((*kind, labels(steps[0])), (4, vec![("kind", "model")]));
        assert_eq!((number(histogram, 1), double(histogram, 2)), (3, 2.5));
        let buckets = messages(histogram, 3).into_iter().map(|bucket| (double(bucket, 2), number(bucket, 1)));
        assert_eq!(buckets.collect::<Vec<_>>(), [(0.1, 1), (f64::INFINITY, 3)]);
        assert!(messages(histogram, 12).is_empty(), "it has no native buckets");
        assert!(!families.contains_key("tidegate_queue_seconds"), "nobody waits yet");
    }

    #[test]
    fn the_same_families_are_told_as_in_text() {
        let metrics = Metrics::new("0", 1);
        metrics.shard(0).route("chat", "m").ends(Outcome::Ok, Duration::ZERO, Duration::ZERO);
        metrics.shard(0).target("p", "m").first_token(Duration::ZERO);
        let open = metrics.encode().unwrap();
        let in_text: BTreeMap<_, _> = families::of(&open)
            .into_iter()
            .filter(|family| !family.samples.is_empty())
            .map(|family| {
                let suffix = match family.kind {
                    "counter" => "_total",
                    "info" => "_info",
                    _ => "",
                };
                (format!("{}{suffix}", family.name), (family.help.to_owned(), family.unit.to_owned()))
            })
            .collect();
        let told = metrics.told(Format::Protobuf).unwrap();
        let of =
            |family| (text(family, 1).to_owned(), (text(family, 2).to_owned(), text(family, 5).to_owned()));
        let families: Vec<_> = messages_of(&told).into_iter().map(of).collect();
        assert_eq!(families.len(), in_text.len(), "each is told once");
        assert_eq!(families.into_iter().collect::<BTreeMap<_, _>>(), in_text);
    }

    #[test]
    fn a_histogram_of_ours_has_both_kinds_of_buckets_and_its_exemplars() {
        let metrics = Metrics::new("0", 2);
        let at = |second| SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        for (shard, millis, second) in [(0, 1000, 9), (1, 1000, 8), (1, 5, 7)] {
            let total = Duration::from_millis(millis);
            let route = metrics.shard(shard).route("chat", "m");
            route.begins();
            route.ends(Outcome::Ok, total, Duration::ZERO);
            metrics.examples().of_requests("chat", "m").note(
                second.into(),
                at(second),
                (total, Duration::ZERO),
            );
        }
        let told = metrics.told(Format::Protobuf).unwrap();
        let families = by_name(&told);
        let (_, durations) = &families["http_request_duration_seconds"];
        let histogram = messages(durations[0], 7)[0];
        assert_eq!(labels(durations[0]), [("operation", "chat"), ("model", "m")]);
        assert_eq!((number(histogram, 1), double(histogram, 2)), (3, 2.005));
        assert_eq!((number(histogram, 5) as i32, double(histogram, 6)), (SCHEMA << 1, ZERO_THRESHOLD));
        // 5 ms are in the bucket up to 2^(-61/8), a second in that up to 2^0: numbers of either sign, and pairs.
        let spans = messages(histogram, 12).into_iter().map(|span| (number(span, 1), number(span, 2)));
        assert_eq!(spans.collect::<Vec<_>>(), [(121, 1), (120, 1)]);
        assert_eq!(messages(histogram, 13), [[2, 2]]);
        let trace = |exemplar| (labels(exemplar)[0].1.trim_start_matches('0'), double(exemplar, 2));
        let at_buckets = messages(histogram, 3).into_iter().flat_map(|bucket| messages(bucket, 3)).map(trace);
        assert_eq!(at_buckets.collect::<Vec<_>>(), [("7", 0.005), ("9", 1.0)]);
        let by_time = messages(histogram, 16).into_iter();
        let by_time = by_time.map(|exemplar| (trace(exemplar).0, number(messages(exemplar, 3)[0], 1)));
        assert_eq!(by_time.collect::<Vec<_>>(), [("7", 7), ("9", 9)]);
        let overhead = messages(families["tidegate_overhead_seconds"].1[0], 7)[0];
        assert_eq!((number(overhead, 7), messages(overhead, 12).len()), (3, 0), "all in the zero bucket");
    }
}
