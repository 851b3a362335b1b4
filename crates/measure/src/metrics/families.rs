//! The library's OpenMetrics text, read back, for forms that the library does not write.
//!
//! It knows the form in which the library writes and no other.

use std::borrow::Cow;

/// The metrics of one name.
#[derive(Debug, PartialEq)]
pub(super) struct Family<'a> {
    /// Its name, without what samples have behind it.
    pub(super) name: &'a str,
    /// `counter`, `gauge`, `histogram`, `info` or `unknown`.
    pub(super) kind: &'a str,
    /// What it is.
    pub(super) help: &'a str,
    /// Its unit; empty where there is none.
    pub(super) unit: &'a str,
    /// Its samples, those of one metric beside each other.
    pub(super) samples: Vec<Sample<'a>>,
}

/// Names and values.
type Labels<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// A line with a value.
#[derive(Debug, PartialEq)]
pub(super) struct Sample<'a> {
    /// The whole name.
    pub(super) name: &'a str,
    /// What it is labelled with.
    pub(super) labels: Labels<'a>,
    /// The value.
    pub(super) value: f64,
}

/// The families of a text.
pub(super) fn of(text: &str) -> Vec<Family<'_>> {
    let (mut families, mut help) = (Vec::<Family<'_>>::new(), "");
    for line in text.lines() {
        if let Some(told) = line.strip_prefix("# HELP ") {
            help = told.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|told| told.split_once(' '))
        {
            families.push(Family { name, kind, help, unit: "", samples: Vec::new() });
        } else if let Some(family) = families.last_mut() {
            match line.strip_prefix("# UNIT ") {
                Some(told) => family.unit = told.split_once(' ').map_or("", |(_, unit)| unit),
                None => family.samples.extend(sample(line)),
            }
        }
    }
    families
}

/// A line as a sample; `None` where it is a remark.
pub(super) fn sample(line: &str) -> Option<Sample<'_>> {
    let end = line.find(['{', ' ']).filter(|_| !line.starts_with('#'))?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = rest.strip_prefix('{').map_or(Some((Vec::new(), rest)), labels)?;
    let value = rest.strip_prefix(' ')?.split(' ').next()?;
    Some(Sample { name, labels, value: value.parse().ok()? })
}

/// What stands between braces, and what follows them.
fn labels(mut rest: &str) -> Option<(Labels<'_>, &str)> {
    let mut labels = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, after) = rest.strip_prefix(',').unwrap_or(rest).split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.push((name, value));
        rest = after;
    }
}

/// What stands before the next quotation mark that means one, and what follows it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut is_escaped = false;
    let end = text.find(|letter| {
        let ends = letter == '"' && !is_escaped;
        is_escaped = letter == '\\' && !is_escaped;
        ends
    })?;
    let (value, after) = (text.get(..end)?, text.get(end + 1..)?);
    Some((if value.contains('\\') { unescaped(value).into() } else { value.into() }, after))
}

fn unescaped(value: &str) -> String {
    let mut letters = value.chars();
    let meant = std::iter::from_fn(|| match letters.next()? {
        '\\' => letters.next().map(|letter| if letter == 'n' { '\n' } else { letter }),
        letter => Some(letter),
    });
    meant.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::metrics::histogram::labels;
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::family::Family as Library;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::registry::{Registry, Unit};
    use proptest::prelude::*;

    #[test]
    fn a_text_is_read_as_families() {
        let text = "# HELP a_seconds What it is.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n\
                    a_seconds_sum 0.5\na_seconds_bucket{le=\"+Inf\",m=\"x\"} 3\n# HELP b W.\n# TYPE b counter\n\
                    b_total NaN\n# EOF\n";
        let [first, second] = &of(text)[..] else { panic!("two families") };
        assert_eq!((first.name, first.kind, first.help), ("a_seconds", "histogram", "What it is."));
        assert_eq!((first.unit, second.unit, second.kind), ("seconds", "", "counter"));
        let sum = Sample { name: "a_seconds_sum", labels: vec![], value: 0.5 };
        let labels = vec![("le", "+Inf".into()), ("m", "x".into())];
        assert_eq!(first.samples, [sum, Sample { name: "a_seconds_bucket", labels, value: 3.0 }]);
        assert!(second.samples[0].value.is_nan());
    }

    proptest! {
        #[test]
        fn whatever_the_library_writes_is_read_as_it_was_meant(
            one in any::<String>(), other in ".*", value in any::<f64>()
        ) {
            let given = labels([("one", &one), ("other", &other)]);
            let gauges = Library::<_, Gauge<f64, std::sync::atomic::AtomicU64>>::default();
            gauges.get_or_create(&given).set(value);
            let (mut registry, mut text) = (Registry::default(), String::new());
            registry.register_with_unit("name", "Help", Unit::Bytes, gauges);
            encode(&mut text, &registry).unwrap();
            let families = of(&text);
            let [Family { name: "name_bytes", unit: "bytes", samples, .. }] = &families[..] else {
                panic!("{text}")
            };
            let read: Vec<_> = samples[0].labels.iter().map(|(name, value)| (*name, value.to_string())).collect();
            prop_assert_eq!(read, given);
            prop_assert!(samples[0].value == value || value.is_nan());
        }

        #[test]
        fn any_line_is_read_without_harm(line in ".*") {
            let _ = sample(&line);
        }
    }
}
