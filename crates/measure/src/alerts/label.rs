//! Labels: what alerts are told apart, grouped, silenced and routed by.

use std::collections::BTreeMap;

/// Names and values, in the order of names.
pub type Labels = BTreeMap<String, String>;

/// Between a name and a value, and after each: no UTF-8 text holds it.
const SEPARATOR: u8 = 0xff;

/// A short name for a set of labels: FNV-1a over them, as Prometheus and Alertmanager make it, so that an alert has the
/// same name there and here.
#[must_use]
pub fn fingerprint(labels: &Labels) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for (name, value) in labels {
        for part in [name, value] {
            part.bytes().for_each(&mut add);
            add(SEPARATOR);
        }
    }
    format!("{hash:016x}")
}

/// Those of the labels that have these names.
pub(super) fn project(labels: &Labels, names: &[String]) -> Labels {
    let kept = names.iter().filter_map(|name| labels.get_key_value(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether all of `some` are among `labels`.
pub(super) fn has_all(labels: &Labels, some: &Labels) -> bool {
    some.iter().all(|(name, value)| labels.get(name) == Some(value))
}

/// As [`Figures`](super::Figures) takes them.
pub(super) fn pairs(labels: &Labels) -> Vec<(&str, &str)> {
    labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
