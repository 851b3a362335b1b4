//! What lasts and what is done later: a database that can be asked, queues that can be named, a secret that signs.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use store::jobs::Rate;

use super::Judge;
use crate::config::quantity::{Size, Span};
use crate::config::raw;
use crate::config::tree::Path;
use crate::config::{JobQueue, Jobs, Secret, Store, Webhook, WebhookSecret};

/// Queues that are there without a word.
const ALWAYS: [&str; 2] = ["default", "webhooks"];
/// The longest name of a queue, in bytes.
const QUEUE_BYTES_MAX: usize = 64;
/// How long what is over may be kept: up to ten years.
const KEEP: RangeInclusive<Span> = Span::seconds(60)..=Span::seconds(3650 * 86_400);
/// How long days may be kept: one at least.
const KEEP_DAYS: RangeInclusive<Span> = Span::seconds(86_400)..=Span::seconds(3650 * 86_400);
/// Bytes of a secret, as Standard Webhooks have it.
const SECRET_BYTES: RangeInclusive<usize> = 24..=64;

impl Judge<'_> {
    pub(super) fn store(&mut self, raw: &raw::Store, data: &std::path::Path) -> Store {
        let at = Path::of(&["store"]);
        let wait = Span(Duration::from_millis(100))..=Span::seconds(300);
        let given = raw.url.as_ref().map(|url| url.0.trim()).filter(|url| !url.is_empty());
        let url = match given {
            Some(url) => self.store_url(&at.key("url"), url),
            None => format!("sqlite:{}", data.join("tidegate.db").display()),
        };
        let replica = raw.replica.as_ref().map(|url| url.0.trim()).filter(|url| !url.is_empty());
        let recycle = Span::seconds(60)..=Span::seconds(7 * 86_400);
        Store {
            replica: replica.map(|replica| self.replica(&at.key("replica"), &url, replica)),
            url: Secret::new(url),
            connections: raw.connections,
            overflow: raw.overflow,
            recycle: self.duration(&at.key("recycle"), raw.recycle, recycle),
            keep_usage: self.duration(&at.key("keep_usage"), raw.keep_usage, KEEP_DAYS),
            wait: raw.wait.map(|given| self.duration(&at.key("wait"), given, wait)),
        }
    }

    /// The address with its path made absolute, if it is one of a file.
    fn store_url(&mut self, at: &Path, url: &str) -> String {
        let mend = "write `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST:PORT/NAME`";
        match url.split_once(':') {
            Some(("sqlite", place)) => match store::sqlite::Options::at(place) {
                Ok(_) => {
                    let place = place.strip_prefix("//").unwrap_or(place);
                    format!("sqlite:{}", self.path(at, place).display())
                }
                Err(error) => {
                    self.fault(at, "not an address of a database", error.to_string());
                    url.to_owned()
                }
            },
            Some(_) if is_postgres(url) => url.to_owned(),
            _ => {
                self.fault(at, "not an address of a database", mend);
                url.to_owned()
            }
        }
    }

    /// Only a PostgreSQL is followed, and only by another.
    fn replica(&mut self, at: &Path, url: &str, replica: &str) -> Secret {
        if !is_postgres(url) {
            let mend = "leave it out, or give a PostgreSQL as `store.url` or DATABASE_URL";
            self.fault(at, "a replica of what has none", mend);
        } else if !is_postgres(replica) {
            self.fault(
                at,
                "not an address of a PostgreSQL",
                "write `postgres://USER:PASSWORD@HOST:PORT/NAME`",
            );
        }
        Secret::new(replica.to_owned())
    }

    pub(super) fn jobs(&mut self, raw: &raw::Jobs) -> Jobs {
        let at = Path::of(&["jobs"]);
        let mut queues: BTreeMap<_, _> =
            ALWAYS.map(|name| (name.to_owned(), job_queue(&raw::JobQueue::default()))).into();
        for (name, queue) in &raw.queues {
            queues.insert(name.clone(), self.job_queue(&at.key("queues").key(name), name, queue));
        }
        Jobs {
            workers_max: raw.workers_max,
            batch_workers_max: raw.batch_workers_max,
            backlog_max: raw.backlog_max,
            payload_bytes_max: self.size(
                &at.key("payload_bytes_max"),
                raw.payload_bytes_max,
                Size(1 << 10)..=Size(64 << 20),
            ),
            result_bytes_max: self.size(
                &at.key("result_bytes_max"),
                raw.result_bytes_max,
                Size(1 << 10)..=Size(64 << 20),
            ),
            keep_done: self.duration(&at.key("keep_done"), raw.keep_done, KEEP),
            keep_dead: self.duration(&at.key("keep_dead"), raw.keep_dead, KEEP),
            queues,
            webhook: self.webhook(&at.key("webhook"), &raw.webhook),
        }
    }

    fn job_queue(&mut self, at: &Path, name: &str, raw: &raw::JobQueue) -> JobQueue {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > QUEUE_BYTES_MAX || !name.chars().all(plain) {
            let mend = "use 1 to 64 lower-case letters, digits and - _ .";
            self.fault_of_key(at, "this is not a queue's name", mend);
        }
        if crate::durable::kinds::QUEUES.contains(&name) {
            self.fault_of_key(at, "this queue is the gateway's own", "give it another name");
        }
        if raw.burst.is_some() && raw.rate_per_second.is_none() {
            self.fault(&at.key("burst"), "a burst of what is not limited", "give `rate_per_second` too");
        }
        let attempt = Span::seconds(1)..=Span::seconds(7 * 86_400);
        self.duration(&at.key("attempt_max"), raw.attempt_max, attempt);
        job_queue(raw)
    }

    fn webhook(&mut self, at: &Path, raw: &raw::Webhook) -> Webhook {
        let secret = raw.secret.as_ref().map(|secret| secret.0.trim()).filter(|secret| !secret.is_empty());
        let secret = secret.and_then(|text| self.webhook_secret(&at.key("secret"), text));
        let timeout = Span(Duration::from_millis(100))..=Span::seconds(300);
        Webhook {
            secret,
            timeout: self.duration(&at.key("timeout"), raw.timeout, timeout),
            private: raw.private,
        }
    }

    /// What webhooks are signed with.
    pub(super) fn webhook_secret(&mut self, at: &Path, text: &str) -> Option<WebhookSecret> {
        let bytes = text.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        let bytes = bytes.filter(|bytes| SECRET_BYTES.contains(&bytes.len()));
        if bytes.is_none() {
            let mend = "write `whsec_` and what `openssl rand -base64 32` prints";
            self.fault(at, "not a secret for webhooks", mend);
        }
        bytes.map(WebhookSecret::new)
    }
}

fn is_postgres(url: &str) -> bool {
    matches!(url.split_once(':'), Some(("postgres" | "postgresql", _)))
}

fn job_queue(raw: &raw::JobQueue) -> JobQueue {
    let rate = raw.rate_per_second.map(|per_second| {
        let burst = raw.burst.unwrap_or(per_second).max(1.0);
        Rate { per_second, burst }
    });
    let raw::JobQueue { workers_max, weight, attempt_max, .. } = *raw;
    JobQueue { workers_max, weight, rate, attempt_max: attempt_max.0 }
}
