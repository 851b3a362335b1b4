//! What a step does to the world outside: a call, or a run of another workflow; and how often it is tried.

use std::time::Duration;

use super::fields::Fields;
use super::step::given;
use super::{Place, Reader};
use crate::workflow::definition::{Call, Child, Effect, Method, OnError, Retry, Work};
use crate::workflow::fault::Spot;
use crate::workflow::source::Node;
use crate::workflow::template::Template;

/// The keys of each kind of work, apart from those of all steps.
pub(super) const MODEL: [&str; 4] = ["model", "request", "retry", "timeout"];
pub(super) const HTTP: [&str; 6] = ["method", "url", "headers", "body", "retry", "timeout"];
pub(super) const CHILD: [&str; 3] = ["workflow", "version", "input"];

/// How long a call may take where nothing is said.
const TIMEOUT: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
const MILLISECOND: Duration = Duration::from_millis(1);

impl Reader {
    pub(super) fn model(&mut self, fields: &Fields<'_>, place: Place) -> Option<Effect> {
        let model = self.required(fields, "model").map(|(node, spot)| self.template(node, &spot, place));
        let request = self.required(fields, "request").and_then(|(node, spot)| {
            self.table(node, &spot)?;
            Some(self.template(node, &spot, place))
        });
        let call = model.zip(request).map(|(model, request)| Call::Model { model, request });
        self.effect(fields, call)
    }

    pub(super) fn http(&mut self, fields: &Fields<'_>, place: Place) -> Option<Effect> {
        let method = match fields.get("method") {
            Some((node, spot)) => self
                .choice(node, &spot, "method", &Method::ALL.map(Method::as_str))
                .and_then(|index| Method::ALL.get(index).copied()),
            None if fields.get("body").is_some() => Some(Method::Post),
            None => Some(Method::Get),
        };
        let url = self.required(fields, "url").and_then(|(node, spot)| self.url(node, &spot, place));
        let headers = fields.get("headers").map(|(node, spot)| self.headers(node, &spot, place));
        let body = fields.get("body").map(|(node, spot)| self.template(node, &spot, place));
        let headers = headers.unwrap_or_default();
        let call = method.zip(url).map(|(method, url)| Call::Http { method, url, headers, body });
        self.effect(fields, call)
    }

    fn url(&mut self, node: &Node, spot: &Spot, place: Place) -> Option<Template> {
        self.text(node, spot)?;
        let url = self.template(node, spot, place);
        if let Some(plain) = url.as_plain_text()
            && !plain.starts_with("http://")
            && !plain.starts_with("https://")
        {
            self.faults.add(
                spot,
                format!("`{plain}` is no address"),
                "begin it with `https://` or `http://`",
            );
        }
        Some(url)
    }

    fn headers(&mut self, node: &Node, spot: &Spot, place: Place) -> Vec<(String, Template)> {
        let mut headers = Vec::new();
        for entry in self.table(node, spot).unwrap_or_default() {
            let below = spot.below(&entry.key, entry.node.span.clone());
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            if entry.key.is_empty() || !entry.key.chars().all(token) {
                self.faults.add(&below, format!("`{}` is no header", entry.key), "see RFC 9110, section 5.1");
            } else if self.text(&entry.node, &below).is_some() {
                headers.push((entry.key.clone(), self.template(&entry.node, &below, place)));
            }
        }
        headers
    }

    /// How a call is made. It is read also where the call itself is faulty.
    fn effect(&mut self, fields: &Fields<'_>, call: Option<Call>) -> Option<Effect> {
        let retry =
            fields.get("retry").map_or(Some(Retry::default()), |(node, spot)| self.retry(node, &spot));
        let timeout = match fields.get("timeout") {
            Some((node, spot)) => self.duration(node, &spot, MILLISECOND, DAY),
            None => Some(TIMEOUT),
        };
        Some(Effect { call: call?, retry: retry?, timeout: timeout? })
    }

    fn retry(&mut self, node: &Node, spot: &Spot) -> Option<Retry> {
        let fields = self.fields(node, spot, "`retry`", &[&["attempts", "backoff", "backoff_max"]])?;
        let standard = Retry::default();
        let attempts = fields.get("attempts").map(|(node, spot)| self.whole(node, &spot, 1..101));
        let wait = |reader: &mut Self, key| {
            fields.get(key).map(|(node, spot)| reader.duration(node, &spot, MILLISECOND, DAY))
        };
        let (backoff, backoff_max) = (wait(self, "backoff"), wait(self, "backoff_max"));
        let backoff = backoff.unwrap_or(Some(standard.backoff))?;
        let backoff_max = backoff_max.unwrap_or(Some(standard.backoff_max.max(backoff)))?;
        let attempts = u32::try_from(attempts.unwrap_or(Some(standard.attempts.into()))?).ok()?;
        Some(Retry { attempts, backoff, backoff_max })
    }

    pub(super) fn child(&mut self, fields: &Fields<'_>, place: Place) -> Option<Work> {
        let workflow = self.required(fields, "workflow").and_then(|(node, spot)| self.name(node, &spot));
        let version = fields.get("version").map(|(node, spot)| {
            self.whole(node, &spot, 1..u64::from(u32::MAX)).and_then(|version| i64::try_from(version).ok())
        });
        let input = match fields.get("input") {
            Some((node, spot)) => self.table(node, &spot).map(|_| self.template(node, &spot, place)),
            None => Some(Template::Plain(serde_json::json!({}))),
        };
        Some(Work::Child(Child { workflow: workflow?, version: given(version)?, input: input? }))
    }

    pub(super) fn on_error(&mut self, fields: &Fields<'_>) -> OnError {
        let chosen = fields
            .get("on_error")
            .and_then(|(node, spot)| self.choice(node, &spot, "choice", &["fail", "continue"]));
        if chosen == Some(1) { OnError::Continue } else { OnError::Fail }
    }
}
