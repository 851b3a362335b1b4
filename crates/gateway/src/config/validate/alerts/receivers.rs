//! Receivers: who can be reached, by what, and under which secret.

use std::time::Duration;

use lettre::message::Mailbox;

use super::rules::severity;
use crate::config::base_url::host_and_port;
use crate::config::quantity::Span;
use crate::config::raw::{self, MailTls, ReceiverKind, SecretText};
use crate::config::tree::Path;
use crate::config::validate::Judge;
use crate::config::{BaseUrl, Mail, Receiver, Secret, Spot, Way};
use crate::durable::webhook::Address;

impl Judge<'_> {
    pub(super) fn receiver(&mut self, at: &Path, name: &str, raw: &raw::Receiver) -> Option<Receiver> {
        self.alert_name(at, name);
        // That it is missing is told by the shape check.
        let kind = raw.kind?;
        self.keys_of_receiver(at, kind, raw);
        let timeout = Span(Duration::from_millis(100))..=Span::seconds(60);
        let timeout = self.duration(&at.key("timeout"), raw.timeout, timeout);
        let way = match kind {
            ReceiverKind::Alertmanager => Way::Alertmanager(self.alertmanager(at, raw)?),
            ReceiverKind::Slack => Way::Slack(self.spot(at, raw)?),
            ReceiverKind::Webhook => {
                let (spot, secret) = (self.spot(at, raw), raw.secret.as_ref());
                let Some(secret) = secret.filter(|secret| !secret.0.is_empty()) else {
                    let mend = "write `whsec_` and what `openssl rand -base64 32` prints";
                    self.missing(at, "secret", "a webhook needs a `secret`, as its calls are signed", mend);
                    return None;
                };
                Way::Webhook(spot?, self.webhook_secret(&at.key("secret"), secret.0.trim())?)
            }
            ReceiverKind::Email => Way::Email(self.mail(at, raw)?),
        };
        let severity_min = severity(raw.severity_min);
        Some(Receiver { name: name.to_owned(), way, timeout, severity_min, resolved: raw.resolved })
    }

    /// Keys that mean nothing to a receiver of this kind are a misunderstanding.
    fn keys_of_receiver(&mut self, at: &Path, kind: ReceiverKind, raw: &raw::Receiver) {
        let (is_mail, is_webhook) = (kind == ReceiverKind::Email, kind == ReceiverKind::Webhook);
        let keys = [
            ("url", raw.url.is_some(), !is_mail),
            ("secret", raw.secret.is_some(), is_webhook),
            ("server", raw.server.is_some(), is_mail),
            ("ca_file", raw.ca_file.is_some(), is_mail),
            ("username", raw.username.is_some(), is_mail),
            ("password", raw.password.is_some(), is_mail),
            ("from", raw.from.is_some(), is_mail),
            ("to", !raw.to.is_empty(), is_mail),
        ];
        for (key, is_given, fits) in keys {
            if is_given && !fits {
                self.fault(&at.key(key), "a receiver of this kind has no such key", "leave it out");
            }
        }
    }

    /// An address that can be called.
    fn spot(&mut self, at: &Path, raw: &raw::Receiver) -> Option<Spot> {
        let Some(SecretText(url)) = raw.url.as_ref().filter(|url| !url.0.is_empty()) else {
            self.missing(at, "url", "it needs a `url`", "say where it is");
            return None;
        };
        let address = match Address::read(url, raw.private) {
            Ok(address) => address,
            Err(fault) => {
                self.fault(&at.key("url"), fault.to_string(), "write a URL with a host, a path and a query");
                return None;
            }
        };
        self.reachable(&at.key("url"), &address);
        Some(Spot { base: address.base, target: address.target })
    }

    fn reachable(&mut self, at: &Path, address: &Address) {
        if address.is_plainly_private() {
            self.fault(at, "its address is not public", "set `private = true` if it is meant");
        }
    }

    fn alertmanager(&mut self, at: &Path, raw: &raw::Receiver) -> Option<Spot> {
        let spot = self.spot(at, raw)?;
        if spot.target.contains('?') {
            self.fault(&at.key("url"), "the URL holds a query", "write what stands before /api/v2/alerts");
        }
        let target = format!("{}/api/v2/alerts", spot.target.trim_end_matches('/'));
        Some(Spot { target, ..spot })
    }

    fn mail(&mut self, at: &Path, raw: &raw::Receiver) -> Option<Mail> {
        let server = self.mail_server(at, raw);
        let from = self.mailbox(&at.key("from"), raw.from.as_deref().unwrap_or_default());
        let at_to = at.key("to");
        let to: Vec<_> =
            raw.to.iter().enumerate().map(|(index, text)| self.mailbox(&at_to.index(index), text)).collect();
        if to.is_empty() {
            self.missing(at, "to", "mail needs recipients", "name them in `to`");
        }
        let login = match (&raw.username, &raw.password) {
            (None, None) => None,
            (Some(username), Some(password)) => Some((username.clone(), Secret::new(password.0.clone()))),
            _ => {
                self.fault_of_key(at, "half a log-in", "give both `username` and `password`, or neither");
                None
            }
        };
        if login.is_some() && raw.tls == MailTls::None {
            self.fault(
                &at.key("tls"),
                "the password would be sent in plain text",
                "use starttls or implicit",
            );
        }
        let ca_file = raw.ca_file.as_deref().map(|text| self.path(&at.key("ca_file"), text));
        if let Some(file) = &ca_file {
            self.named_file(&at.key("ca_file"), file);
        }
        let starttls = raw.tls == MailTls::Starttls;
        Some(Mail {
            server: server?,
            starttls,
            ca_file,
            login,
            from: from?,
            to: to.into_iter().collect::<Option<_>>()?,
        })
    }

    fn mail_server(&mut self, at: &Path, raw: &raw::Receiver) -> Option<BaseUrl> {
        let server = host_and_port(raw.server.as_deref().unwrap_or_default());
        let Ok((host, Some(port))) = server else {
            self.fault(
                &at.key("server"),
                "mail needs a server",
                "write `host:port`, as smtp.example.com:587",
            );
            return None;
        };
        let https = raw.tls == MailTls::Implicit;
        let base = BaseUrl { https, host, port, path: String::new(), named_by_operator: raw.private };
        let address = Address { base, target: String::new() };
        self.reachable(&at.key("server"), &address);
        Some(address.base)
    }

    fn mailbox(&mut self, at: &Path, text: &str) -> Option<Mailbox> {
        let mailbox = text.parse().ok();
        if mailbox.is_none() {
            let mend = "write `name@example.com`, or `Name <name@example.com>`";
            self.fault(at, "not an address for mail", mend);
        }
        mailbox
    }
}
