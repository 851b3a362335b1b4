//! Alerts at work: what the configuration asks for, looked at once a second, and told to whoever is to hear of it.
//!
//! ```text
//! metrics, pressure, breakers, limits ─► figures ─► measure::alerts (rules, states, groups) ─► notices
//!                                                                                                │
//!             GET /admin/alerts, tidegate_alerts ◄── the state                receivers' queues ◄┘
//!                                                                             one task each: attempts
//! ```
//!
//! All of it is on a thread of its own ([`thread`]). No request's path knows of it, and a receiver that hangs is
//! waited for by nobody. What holds and for how long is `measure::alerts`' to say; here are the figures, the ways to
//! tell, and the silences on disk.

pub mod figures;
mod mail;
mod payload;
pub mod receiver;
pub mod silences;
mod thread;

#[cfg(test)]
mod tests;

pub use thread::start;

use crate::config;
use crate::gateway::Gateway;
use figures::Readings;
use measure::alerts::{Alert, Alerts, Grouping, Labels, Notice, Phase, Severity, Silence};
use measure::moment::Moment;
use receiver::{Parcel, Receiver};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

/// How often Alertmanager hears of what still fires: it takes for over what it hears no more of.
const REFRESH: Duration = Duration::from_secs(60);

/// The state of all alerts, and the way to their thread. One for the process.
pub struct Alerting {
    state: Mutex<State>,
    runtime: OnceLock<Handle>,
    tasks: TaskTracker,
    /// Where silences are kept, and the number of the last change that was written.
    file: OnceLock<PathBuf>,
    written: Arc<Mutex<u64>>,
}

/// What the look and the operators share.
struct State {
    alerts: Alerts,
    readings: Readings,
    receivers: Vec<Arc<Receiver>>,
    /// What the rules and receivers were made from.
    applied: Option<config::Alerts>,
    /// When Alertmanager was last told of everything.
    refreshed: Option<Moment>,
    /// Changes of the silences since the start.
    changes: u64,
}

/// Why a silence was not made or ended.
#[derive(Debug)]
pub enum Refused {
    /// There are as many as there may be.
    TooMany,
    /// There is none of that id.
    Unknown,
    /// It could not be written.
    NotKept(std::io::Error),
}

/// What came of a test at one receiver.
pub struct Tested {
    /// The receiver.
    pub receiver: Arc<Receiver>,
    /// What it said, or why nothing came of it.
    pub result: Result<String, String>,
    /// How long it took.
    pub took: Duration,
}

/// How everything stands, for those who show it.
pub struct View<'a> {
    state: MutexGuard<'a, State>,
}

impl Default for Alerting {
    fn default() -> Self {
        let state = State {
            alerts: Alerts::new(Grouping::default()),
            readings: Readings::default(),
            receivers: Vec::new(),
            applied: None,
            refreshed: None,
            changes: 0,
        };
        Self {
            state: Mutex::new(state),
            runtime: OnceLock::new(),
            tasks: TaskTracker::new(),
            file: OnceLock::new(),
            written: Arc::default(),
        }
    }
}

impl Alerting {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How everything stands. Nothing is looked at while this lives.
    pub fn view(&self) -> View<'_> {
        View { state: self.lock() }
    }

    /// Takes up the silences of the last run.
    fn remember(&self, gateway: &Gateway) {
        let path = gateway.snapshot(0).config.data.join(silences::FILE);
        match silences::load(&path) {
            Ok(silences) => {
                let mut state = self.lock();
                for silence in silences.into_iter().filter(|silence| silence.until > SystemTime::now()) {
                    let _ = state.alerts.silence(silence);
                }
            }
            Err(error) => tracing::warn!(path = %path.display(), %error, "the silences could not be read"),
        }
        let _ = self.file.set(path);
    }

    /// Looks at every rule, and hands what is to be told to the receivers.
    fn look(&self, gateway: &Arc<Gateway>, now: Moment) {
        let snapshot = gateway.snapshot(0);
        let settings = &snapshot.config.alerts;
        let mut state = self.lock();
        if state.applied.as_ref() != Some(settings) {
            state.apply(settings, now, |receiver| {
                self.tasks.spawn(Arc::clone(receiver).run(Arc::clone(gateway)));
            });
        }
        let State { alerts, readings, .. } = &mut *state;
        // Where it was switched off there are no rules any more, and what fired is told to be over.
        if settings.enabled {
            readings.take(gateway, &settings.rules, now);
        }
        let notices = alerts.tick(readings, now);
        for notice in notices {
            log(&notice);
            state.tell(gateway, &notice, settings);
        }
        state.refresh(gateway, settings, now);
        gateway.metrics.alerts.show(state.alerts.alerts().map(|alert| (alert.phase, alert.rule.severity)));
    }

    /// Delivers nothing more.
    fn leave(&self) {
        self.tasks.close();
        self.lock().receivers.iter().for_each(|receiver| receiver.end());
    }

    /// Makes a silence; it is on disk when this returns.
    ///
    /// # Errors
    /// Where there are too many, or it cannot be written; there is none then.
    pub async fn silence(&self, silence: Silence) -> Result<(), Refused> {
        let id = silence.id.clone();
        self.lock().alerts.silence(silence).map_err(|_| Refused::TooMany)?;
        let kept = self.keep().await;
        if kept.is_err() {
            self.lock().alerts.unsilence(&id);
        }
        kept.map_err(Refused::NotKept)
    }

    /// Ends a silence.
    ///
    /// # Errors
    /// Where there is none of that id, or it cannot be written that it is over; it is, until the next start.
    pub async fn unsilence(&self, id: &str) -> Result<(), Refused> {
        if !self.lock().alerts.unsilence(id) {
            return Err(Refused::Unknown);
        }
        self.keep().await.map_err(Refused::NotKept)
    }

    /// Writes the silences as they are now, unless newer ones were written meanwhile.
    async fn keep(&self) -> std::io::Result<()> {
        let Some(path) = self.file.get().cloned() else {
            return Err(std::io::Error::other("the alerts' thread does not run yet"));
        };
        let (silences, change) = {
            let mut state = self.lock();
            state.changes += 1;
            (state.alerts.silences().cloned().collect::<Vec<_>>(), state.changes)
        };
        let written = Arc::clone(&self.written);
        let write = move || {
            let mut last = written.lock().unwrap_or_else(PoisonError::into_inner);
            if *last < change {
                silences::save(&path, &silences)?;
                *last = change;
            }
            Ok(())
        };
        tokio::task::spawn_blocking(write).await.unwrap_or_else(|fell| Err(std::io::Error::other(fell)))
    }

    /// Sends a test through every receiver, one attempt each, all at once and beside their queues.
    pub async fn test(&self, gateway: &Arc<Gateway>) -> Vec<Tested> {
        let (receivers, link) = {
            let state = self.lock();
            let link = state.applied.as_ref().map(|applied| applied.link.clone()).unwrap_or_default();
            (state.receivers.clone(), link)
        };
        let Some(runtime) = self.runtime.get() else { return Vec::new() };
        let parcel = Parcel { id: parcel_id(), notice: Notice::test(Moment::now()), link, replaces: false };
        let attempts: Vec<_> = receivers
            .into_iter()
            .map(|receiver| {
                let (gateway, parcel, its) = (Arc::clone(gateway), parcel.clone(), Arc::clone(&receiver));
                let attempt = async move {
                    let began = std::time::Instant::now();
                    let result = its.attempt(&gateway, &parcel).await;
                    (result.map_err(|fault| fault.words), began.elapsed())
                };
                (receiver, self.tasks.spawn_on(attempt, runtime))
            })
            .collect();
        let mut tested = Vec::with_capacity(attempts.len());
        for (receiver, attempt) in attempts {
            let (result, took) = attempt.await.unwrap_or_else(|fell| (Err(fell.to_string()), Duration::ZERO));
            tested.push(Tested { receiver, result, took });
        }
        tested
    }
}

impl State {
    /// Watches and tells as the configuration has it from now on. A receiver that stays as it was keeps its queue.
    fn apply(&mut self, settings: &config::Alerts, now: Moment, begin: impl Fn(&Arc<Receiver>)) {
        let rules = if settings.enabled { settings.rules.clone() } else { Vec::new() };
        self.alerts.set_grouping(settings.grouping.clone());
        self.alerts.set_rules(rules, now);
        let mut before = std::mem::take(&mut self.receivers);
        for receiver in &settings.receivers {
            let known = before.iter().position(|known| known.settings == *receiver);
            self.receivers.push(match known {
                Some(index) => before.swap_remove(index),
                None => {
                    let receiver = Arc::new(Receiver::new(receiver.clone()));
                    begin(&receiver);
                    receiver
                }
            });
        }
        before.iter().for_each(|gone| gone.end());
        self.applied = Some(settings.clone());
    }

    /// Whoever is told by groups.
    fn tell(&self, gateway: &Gateway, notice: &Notice, settings: &config::Alerts) {
        let parcel =
            Parcel { id: parcel_id(), notice: notice.clone(), link: settings.link.clone(), replaces: false };
        for receiver in self.receivers.iter().filter(|receiver| !is_alertmanager(receiver)) {
            receiver.tell(gateway, &parcel);
        }
    }

    /// Alertmanager groups and repeats by itself: it hears of everything that fires or has ceased to of late, at once
    /// when something changes and every minute.
    fn refresh(&mut self, gateway: &Gateway, settings: &config::Alerts, now: Moment) {
        let has_changed = self.alerts.history().next().is_some_and(|newest| newest.at == now);
        let is_due = self.refreshed.is_none_or(|last| now.since(last) >= REFRESH);
        if !has_changed && !is_due || !self.receivers.iter().any(is_alertmanager) {
            return;
        }
        self.refreshed = Some(now);
        let is_told = |alert: &&Alert| {
            alert.phase != Phase::Pending && self.alerts.silenced_by(alert, now).next().is_none()
        };
        let alerts: Vec<Alert> = self.alerts.alerts().filter(is_told).cloned().collect();
        let notice = Notice { group: Labels::new(), alerts };
        let parcel = Parcel { id: parcel_id(), notice, link: settings.link.clone(), replaces: true };
        for receiver in self.receivers.iter().filter(|receiver| is_alertmanager(receiver)) {
            receiver.tell(gateway, &parcel);
        }
    }
}

impl View<'_> {
    /// The rules, alerts, silences and events.
    pub fn alerts(&self) -> &Alerts {
        &self.state.alerts
    }

    /// Who is told.
    pub fn receivers(&self) -> &[Arc<Receiver>] {
        &self.state.receivers
    }
}

fn is_alertmanager(receiver: &Arc<Receiver>) -> bool {
    matches!(receiver.settings.way, config::Way::Alertmanager(_))
}

fn parcel_id() -> String {
    format!("alert_{:016x}", fastrand::u64(..))
}

/// What is told to receivers stands in the log, too: there may be none.
fn log(notice: &Notice) {
    for alert in &notice.alerts {
        let (name, words, labels) = (&alert.rule.name, &alert.words, &alert.labels);
        match (alert.phase, alert.rule.severity) {
            (Phase::Resolved, _) => tracing::info!(name, ?labels, "an alert is over"),
            (_, Severity::Info) => tracing::info!(name, words, ?labels, "an alert fires"),
            _ => tracing::warn!(name, words, ?labels, "an alert fires"),
        }
    }
}
