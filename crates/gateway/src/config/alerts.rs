//! When to call for somebody, and whom, checked.

use std::path::PathBuf;
use std::time::Duration;

use measure::alerts::{Grouping, Rule, Severity};

use super::{BaseUrl, Secret, WebhookSecret};

/// When to call for somebody, and whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// Whether rules are watched at all.
    pub enabled: bool,
    /// On which terms is told.
    pub grouping: Grouping,
    /// Where people find the admin plane, without a slash at its end.
    pub link: String,
    /// What is watched, names unique; those that are switched off are not among them.
    pub rules: Vec<Rule>,
    /// Who is told, names unique.
    pub receivers: Vec<Receiver>,
}

/// Who is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Receiver {
    /// Its name.
    pub name: String,
    /// What takes it, and where.
    pub way: Way,
    /// The longest that one attempt may take.
    pub timeout: Duration,
    /// It is told of alerts as grave as this, or graver.
    pub severity_min: Severity,
    /// Whether it is told of what is over.
    pub resolved: bool,
}

/// What takes notifications, and where.
#[derive(Clone, Debug, PartialEq)]
pub enum Way {
    /// Alertmanager's API v2.
    Alertmanager(Spot),
    /// An incoming webhook of Slack.
    Slack(Spot),
    /// A call in the form of Alertmanager's webhook, signed.
    Webhook(Spot, WebhookSecret),
    /// Mail.
    Email(Mail),
}

/// An address on the web; its path and its query may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Spot {
    /// Scheme, host and port.
    pub base: BaseUrl,
    /// The path and the query.
    pub target: String,
}

impl std::fmt::Debug for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Spot").field(&self.base.authority()).finish()
    }
}

/// A mail server, and who writes to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// The server's host and port; `https`: secured from the first byte on.
    pub server: BaseUrl,
    /// Secured by STARTTLS.
    pub starttls: bool,
    /// Certificates trusted besides the system's; a PEM file that was readable.
    pub ca_file: Option<PathBuf>,
    /// Whom the server knows.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: lettre::message::Mailbox,
    /// The recipients, one at least.
    pub to: Vec<lettre::message::Mailbox>,
}

impl Way {
    /// As the configuration has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Alertmanager(_) => "alertmanager",
            Self::Slack(_) => "slack",
            Self::Webhook(..) => "webhook",
            Self::Email(_) => "email",
        }
    }

    /// The host and the port, which may be shown.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Alertmanager(spot) | Self::Slack(spot) | Self::Webhook(spot, _) => spot.base.authority(),
            Self::Email(mail) => mail.server.authority(),
        }
    }
}
