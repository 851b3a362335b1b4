//! When to call for somebody, and whom: terms that can be kept, and the table of rules and receivers.

mod receivers;
mod rules;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use measure::alerts::{Grouping, RULES_MAX};

use super::Judge;
use crate::config::quantity::Span;
use crate::config::raw;
use crate::config::tree::Path;
use crate::config::{Admin, Alerts, BaseUrl};

/// Who may be told.
const RECEIVERS_MAX: usize = 32;
/// The longest name of a rule or a receiver, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// A time that something is waited for, or left alone: up to 30 days.
const WAIT: RangeInclusive<Span> = Span::seconds(0)..=Span::seconds(30 * 86_400);

impl Judge<'_> {
    pub(super) fn alerts(&mut self, raw: &raw::Alerts, admin: &Admin) -> Alerts {
        let at = Path::of(&["alerts"]);
        for (index, name) in raw.group_by.iter().enumerate() {
            self.label_name(&at.key("group_by").index(index), name);
        }
        let grouping = Grouping {
            by: raw.group_by.clone(),
            wait: self.duration(
                &at.key("group_wait"),
                raw.group_wait,
                Span::seconds(0)..=Span::seconds(3600),
            ),
            interval: self.duration(
                &at.key("group_interval"),
                raw.group_interval,
                Span::seconds(1)..=Span::seconds(86_400),
            ),
            repeat: self.duration(
                &at.key("repeat"),
                raw.repeat,
                Span::seconds(1)..=Span::seconds(30 * 86_400),
            ),
        };
        self.bounded(&at.key("rules"), raw.rules.len(), RULES_MAX - rules::PRESETS);
        self.bounded(&at.key("receivers"), raw.receivers.len(), RECEIVERS_MAX);
        let receivers = raw.receivers.iter();
        let receivers = receivers
            .filter_map(|(name, receiver)| self.receiver(&at.key("receivers").key(name), name, receiver));
        Alerts {
            enabled: raw.enabled,
            grouping,
            receivers: receivers.collect(),
            link: self.link(&at.key("link"), raw.link.as_deref(), admin),
            rules: self.alert_rules(&at.key("rules"), &raw.rules),
        }
    }

    fn link(&mut self, at: &Path, given: Option<&str>, admin: &Admin) -> String {
        let Some(text) = given.filter(|text| !text.is_empty()) else {
            let scheme = if admin.tls.is_some() { "https" } else { "http" };
            return format!("{scheme}://{}", admin.listen);
        };
        if let Err(fault) = BaseUrl::parse(text) {
            self.fault(at, fault.to_string(), "write a URL such as https://gateway.example:4001");
        }
        text.trim_end_matches('/').to_owned()
    }

    fn bounded(&mut self, at: &Path, count: usize, most: usize) {
        if count > most {
            self.fault_of_key(at, format!("{count} are too many: {most} are allowed"), "leave some out");
        }
    }

    /// The name of a rule or a receiver.
    fn alert_name(&mut self, at: &Path, name: &str) {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
            self.fault_of_key(at, "this is not a name for it", "use 1 to 64 letters, digits and - _ .");
        }
    }

    /// A label's name, as Prometheus and Alertmanager have it.
    fn label_name(&mut self, at: &Path, name: &str) {
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !begins || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            self.fault(at, "not the name of a label", "use letters, digits and _, a letter first");
        }
    }
}

/// A table's own, if it is given.
fn table(raw: Option<&BTreeMap<String, String>>) -> BTreeMap<String, String> {
    raw.cloned().unwrap_or_default()
}

/// A time that is given, or nought.
fn or_nought(span: Option<Span>) -> Span {
    span.unwrap_or(Span(Duration::ZERO))
}
