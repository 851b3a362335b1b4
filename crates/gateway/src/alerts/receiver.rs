//! One receiver: its queue, its attempts, and how it is. Each is a task of its own, so that one that hangs delays
//! nobody, and a queue that is full lets go of what is oldest.

use super::{mail, payload};
use crate::config::{self, Spot, Way, WebhookSecret};
use crate::durable::webhook::sign;
use crate::gateway::Gateway;
use crate::upstream::{self, post};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use measure::alerts::{Notice, Phase};
use measure::metrics::PoolMetrics;
use measure::metrics::alerts::Told;
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Notifications that wait at most.
const WAITING_MAX: usize = 64;
/// Attempts that one may cost, and the pauses between them: in all about four minutes.
const ATTEMPTS_MAX: u32 = 8;
const PAUSE: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Longest wait for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Under this name lookups are counted.
const POOL: &str = "alerts";

/// A receiver, and what it is yet to be told.
pub struct Receiver {
    pub settings: config::Receiver,
    waiting: Mutex<VecDeque<Parcel>>,
    more: Notify,
    health: Mutex<Health>,
    /// The configuration has no such receiver any more.
    end: CancellationToken,
}

/// What a receiver is to be told.
#[derive(Clone)]
pub struct Parcel {
    /// The same for every attempt, so that a receiver knows what it has already.
    pub id: String,
    /// Of whom.
    pub notice: Notice,
    /// Where people find the gateway.
    pub link: String,
    /// It says all that those before it said, which need not be delivered any more.
    pub replaces: bool,
}

/// How a receiver is.
#[derive(Clone, Debug, Default)]
pub struct Health {
    /// What it has taken, what it has not, and what never got its turn.
    pub ok: u64,
    pub failed: u64,
    pub dropped: u64,
    /// When it last took something.
    pub ok_at: Option<SystemTime>,
    /// When an attempt last failed, and why.
    pub fault: Option<(SystemTime, String)>,
    /// Attempts in a row that failed.
    pub failing: u32,
}

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Another attempt would fail, too.
    pub is_lasting: bool,
    /// When it wants to be asked again.
    pub after: Option<Duration>,
    /// In words, without a secret.
    pub words: String,
}

impl Fault {
    pub fn lasting(words: String) -> Self {
        Self { is_lasting: true, after: None, words }
    }

    pub fn passing(words: String) -> Self {
        Self { is_lasting: false, after: None, words }
    }

    pub fn unreached(error: &upstream::Error) -> Self {
        match error {
            upstream::Error::Forbidden { host } => {
                Self::lasting(format!("{host} is not a public address; `private = true` allows those"))
            }
            _ => Self::passing(error.to_string()),
        }
    }
}

impl Receiver {
    pub fn new(settings: config::Receiver) -> Self {
        Self {
            settings,
            waiting: Mutex::default(),
            more: Notify::new(),
            health: Mutex::default(),
            end: CancellationToken::new(),
        }
    }

    /// Puts a parcel into the queue, with what of it this receiver wants to hear.
    pub fn tell(&self, gateway: &Gateway, parcel: &Parcel) {
        let Some(parcel) = self.wanted(parcel) else { return };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if parcel.replaces {
            waiting.clear();
        }
        if waiting.len() == WAITING_MAX {
            waiting.pop_front();
            self.count(gateway, Told::Dropped);
        }
        waiting.push_back(parcel);
        drop(waiting);
        self.more.notify_one();
    }

    fn wanted(&self, parcel: &Parcel) -> Option<Parcel> {
        let settings = &self.settings;
        let mut parcel = parcel.clone();
        parcel.notice.alerts.retain(|alert| {
            let is_wanted = settings.resolved || alert.phase != Phase::Resolved;
            is_wanted && alert.rule.severity >= settings.severity_min
        });
        (!parcel.notice.alerts.is_empty()).then_some(parcel)
    }

    /// Delivers what comes, until it is ended.
    pub async fn run(self: Arc<Self>, gateway: Arc<Gateway>) {
        let deliver = async {
            loop {
                let parcel = self.next().await;
                self.deliver(&gateway, &parcel).await;
            }
        };
        self.end.run_until_cancelled(deliver).await;
    }

    /// Nothing more is delivered.
    pub fn end(&self) {
        self.end.cancel();
    }

    pub fn health(&self) -> Health {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notifications that wait.
    pub fn waiting(&self) -> usize {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    async fn next(&self) -> Parcel {
        loop {
            let next = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            match next {
                Some(parcel) => return parcel,
                None => self.more.notified().await,
            }
        }
    }

    /// Until something waits.
    async fn newer(&self) {
        while self.waiting() == 0 {
            self.more.notified().await;
        }
    }

    /// Tries until it is taken, or no further attempt is worth it.
    async fn deliver(&self, gateway: &Gateway, parcel: &Parcel) {
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS_MAX {
            let fault = match self.attempt(gateway, parcel).await {
                Ok(_) => return self.count(gateway, Told::Ok),
                Err(fault) => fault,
            };
            tracing::warn!(
                receiver = self.settings.name,
                attempt,
                fault = fault.words,
                "an alert was not taken"
            );
            if fault.is_lasting || attempt == ATTEMPTS_MAX {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(fault.after.unwrap_or_default().clamp(pause, PAUSE_MAX)) => {}
                () = self.newer(), if parcel.replaces => break,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        self.count(gateway, Told::Failed);
    }

    fn count(&self, gateway: &Gateway, told: Told) {
        gateway.metrics.alerts.told(&self.settings.name, told);
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Told::Ok => health.ok += 1,
            Told::Failed => health.failed += 1,
            Told::Dropped => health.dropped += 1,
        }
    }

    /// One attempt, within the receiver's time-out; gives what came back, in words.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn attempt(&self, gateway: &Gateway, parcel: &Parcel) -> Result<String, Fault> {
        let timeout = self.settings.timeout;
        let result = match tokio::time::timeout(timeout, self.send(gateway, parcel)).await {
            Ok(result) => result,
            Err(_) => Err(Fault::passing(format!("no answer within {} s", timeout.as_secs_f64()))),
        };
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(_) => (health.ok_at, health.failing) = (Some(SystemTime::now()), 0),
            Err(fault) => {
                health.fault = Some((SystemTime::now(), fault.words.clone()));
                health.failing = health.failing.saturating_add(1);
            }
        }
        drop(health);
        result
    }

    async fn send(&self, gateway: &Gateway, parcel: &Parcel) -> Result<String, Fault> {
        let (notice, link) = (&parcel.notice, parcel.link.as_str());
        let lookups = gateway.metrics.shard(0).pool(POOL);
        match &self.settings.way {
            Way::Alertmanager(spot) => {
                let body = payload::alertmanager(notice, link, SystemTime::now());
                call(spot, HeaderMap::new(), &body, lookups).await
            }
            Way::Slack(spot) => call(spot, HeaderMap::new(), &payload::slack(notice, link), lookups).await,
            Way::Webhook(spot, secret) => {
                let body = payload::webhook(notice, &self.settings.name, link);
                let headers = signed(secret, &parcel.id, SystemTime::now(), body.to_string().as_bytes())?;
                call(spot, headers, &body, lookups).await
            }
            Way::Email(mail) => {
                let subject = payload::subject(notice);
                mail::send(mail, &subject, payload::text(notice, link), CONNECT_MAX, lookups).await
            }
        }
    }
}

/// The headers of Standard Webhooks.
fn signed(secret: &WebhookSecret, id: &str, now: SystemTime, body: &[u8]) -> Result<HeaderMap, Fault> {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    let signature = sign::sign(secret.expose(), id, &seconds, body);
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("webhook-id", id), ("webhook-timestamp", &seconds), ("webhook-signature", &signature)]
    {
        let value = HeaderValue::try_from(value).map_err(|fault| Fault::lasting(fault.to_string()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

async fn call(
    spot: &Spot,
    mut headers: HeaderMap,
    body: &Value,
    lookups: PoolMetrics,
) -> Result<String, Fault> {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    let body = Bytes::from(body.to_string());
    let reply = post::post(&spot.base, &spot.target, headers, body, CONNECT_MAX, lookups).await;
    judge(&reply.map_err(|error| Fault::unreached(&error))?)
}

fn judge(reply: &post::Reply) -> Result<String, Fault> {
    let status = reply.status.as_u16();
    let words = format!("it answered {status}");
    match status {
        200..300 => Ok(words),
        300..400 => Err(Fault::lasting(words + "; no redirect is followed")),
        408 | 425 | 429 => Err(Fault { after: reply.retry_after(), ..Fault::passing(words) }),
        400..500 => Err(Fault::lasting(words)),
        _ => Err(Fault { after: reply.retry_after(), ..Fault::passing(words) }),
    }
}
