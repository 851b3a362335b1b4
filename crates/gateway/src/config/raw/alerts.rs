//! The keys of `[alerts]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::SecretText;
use crate::config::quantity::Span;

/// When to call for somebody, and whom.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Alerts {
    /// Whether rules are watched at all.
    pub(in crate::config) enabled: bool,
    /// Alerts with the same values of these labels are told together.
    #[schemars(length(max = 16))]
    pub(in crate::config) group_by: Vec<String>,
    /// How long a new group is waited for, so that what breaks together is told together.
    pub(in crate::config) group_wait: Span,
    /// The least time between two tellings of one group.
    pub(in crate::config) group_interval: Span,
    /// How long a group that stays as it is is not told again.
    pub(in crate::config) repeat: Span,
    /// Where people find this gateway's admin plane; in every notification. By default its own address.
    #[schemars(extend("format" = "uri"))]
    pub(in crate::config) link: Option<String>,
    /// Rules by name. `response`, `errors`, `memory`, `cpu` and `failures` are there; a table of such a name changes
    /// the rule.
    pub(in crate::config) rules: BTreeMap<String, AlertRule>,
    /// Who is told, by name. None: alerts are shown and logged alone.
    pub(in crate::config) receivers: BTreeMap<String, Receiver>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self {
            enabled: true,
            group_by: vec!["alertname".to_owned()],
            group_wait: Span::seconds(10),
            group_interval: Span::seconds(300),
            repeat: Span::seconds(4 * 3600),
            link: None,
            rules: BTreeMap::new(),
            receivers: BTreeMap::new(),
        }
    }
}

/// A rule. What is not given is as in the rule of the same name that is there, or as said here.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct AlertRule {
    /// Whether it is watched; by default it is.
    pub(in crate::config) enabled: Option<bool>,
    /// What it looks for; by default `threshold`.
    pub(in crate::config) kind: Option<RuleKind>,
    /// The figure that it looks at; of a burn rate by default `error_share`.
    #[schemars(schema_with = "figure_schema")]
    pub(in crate::config) figure: Option<String>,
    /// Only of what has these labels.
    #[serde(rename = "where")]
    pub(in crate::config) only: Option<BTreeMap<String, String>>,
    /// An alert for each set of values of these labels; by default one for all.
    #[schemars(length(max = 8))]
    pub(in crate::config) by: Option<Vec<String>>,
    /// More than this is too much.
    pub(in crate::config) above: Option<f64>,
    /// Less than this is too little.
    pub(in crate::config) below: Option<f64>,
    /// Over which time the figure is taken; by default `5m`, of a forecast `1h` and no less than `20s`.
    pub(in crate::config) window: Option<Span>,
    /// Of a burn rate: the share of requests that should go well.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) objective: Option<f64>,
    /// Of a burn rate: how many times too fast, over which windows; any is enough. By default 14.4 (1 h and 5 m) and 6
    /// (6 h and 30 m) where it is critical, else 1 (3 d and 6 h).
    #[schemars(length(max = 8))]
    pub(in crate::config) burns: Option<Vec<Burn>>,
    /// Of a forecast: the limit is reached within this time.
    pub(in crate::config) within: Option<Span>,
    /// Of an anomaly: so many times the usual deviation; by default 4.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub(in crate::config) deviations: Option<f64>,
    /// Of an anomaly: so many windows are seen before anything is called unusual; by default 20.
    #[schemars(range(min = 5, max = 120))]
    pub(in crate::config) windows_min: Option<u32>,
    /// How long it must hold before it fires; by default `0s`.
    #[serde(rename = "for")]
    pub(in crate::config) hold: Option<Span>,
    /// How long it goes on firing once it holds no longer; by default `0s`.
    pub(in crate::config) keep_firing_for: Option<Span>,
    /// How grave it is; by default `warning`.
    pub(in crate::config) severity: Option<Severity>,
    /// It says nothing while there are fewer requests than this in the window; by default any number will do.
    #[schemars(range(max = 1_000_000_000))]
    pub(in crate::config) requests_min: Option<u64>,
    /// Further labels of its alerts.
    pub(in crate::config) labels: Option<BTreeMap<String, String>>,
    /// What it is about, in one line.
    #[schemars(length(max = 500))]
    pub(in crate::config) summary: Option<String>,
}

/// What a rule looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum RuleKind {
    /// A figure above or below a limit.
    Threshold,
    /// A figure that is unknown, or nought.
    Absence,
    /// An error budget that is spent too fast.
    BurnRate,
    /// A figure that reaches a limit soon.
    Forecast,
    /// A figure that is far from what is usual.
    Anomaly,
}

/// How grave an alert is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Severity {
    /// Worth knowing.
    Info,
    /// Worth looking into.
    Warning,
    /// Somebody is to get up.
    Critical,
}

/// A budget spent too fast, over a long window and still over a short one.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Burn {
    /// How many times too fast.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub(in crate::config) factor: f64,
    /// The long window.
    pub(in crate::config) long: Span,
    /// The short one.
    pub(in crate::config) short: Span,
}

/// Who is told.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["kind"]))]
pub(in crate::config) struct Receiver {
    /// What takes it.
    pub(in crate::config) kind: Option<ReceiverKind>,
    /// Where it is; of an Alertmanager what stands before `/api/v2/alerts`. All but `email`.
    pub(in crate::config) url: Option<SecretText>,
    /// Whether it may be at an address that is not public.
    pub(in crate::config) private: bool,
    /// Of a webhook: what calls are signed with, `whsec_` and 24 to 64 bytes in base64.
    pub(in crate::config) secret: Option<SecretText>,
    /// The longest that one attempt may take.
    pub(in crate::config) timeout: Span,
    /// It is told of alerts that are as grave as this, or graver.
    pub(in crate::config) severity_min: Severity,
    /// Whether it is told of what is over, too.
    pub(in crate::config) resolved: bool,
    /// Of mail: the server, `host:port`.
    pub(in crate::config) server: Option<String>,
    /// Of mail: how it is secured.
    pub(in crate::config) tls: MailTls,
    /// Of mail: a PEM file of certificates trusted besides the system's. Relative to the configuration file.
    pub(in crate::config) ca_file: Option<String>,
    /// Of mail: whom the server knows.
    pub(in crate::config) username: Option<String>,
    /// Of mail: and by which password.
    pub(in crate::config) password: Option<SecretText>,
    /// Of mail: the sender.
    pub(in crate::config) from: Option<String>,
    /// Of mail: the recipients.
    #[schemars(length(max = 50))]
    pub(in crate::config) to: Vec<String>,
}

impl Default for Receiver {
    fn default() -> Self {
        Self {
            kind: None,
            url: None,
            private: false,
            secret: None,
            timeout: Span::seconds(10),
            severity_min: Severity::Warning,
            resolved: true,
            server: None,
            tls: MailTls::Starttls,
            ca_file: None,
            username: None,
            password: None,
            from: None,
            to: Vec::new(),
        }
    }
}

/// What takes notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum ReceiverKind {
    /// Prometheus' Alertmanager, by its API v2.
    Alertmanager,
    /// An incoming webhook of Slack, or of what understands the same.
    Slack,
    /// A signed call, in the form of Alertmanager's webhook, version 4.
    Webhook,
    /// Mail, by SMTP.
    Email,
}

/// How mail is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum MailTls {
    /// Begun in plain text and secured before anything is said, as on port 587.
    Starttls,
    /// From the first byte on, as on port 465.
    Implicit,
    /// Not at all: for a server on the same machine.
    None,
}

/// The figures' names, from the table of who knows them.
fn figure_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let names: Vec<&str> = crate::alerts::figures::KNOWN.iter().map(|figure| figure.name).collect();
    schemars::json_schema!({ "type": "string", "enum": names })
}
