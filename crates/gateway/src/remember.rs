//! What the pipeline asks of the cache: whether a request may be answered from memory, the answer if there
//! is one, and otherwise a flight that fetches it once for everyone who asks meanwhile.
//!
//! The cache itself knows neither requests nor answers. Here they meet: [`terms`] is what the caller
//! allows, [`question`] whether the request may be looked up and under which key, [`worth`] whether an answer
//! may be kept, [`notes`] what is kept beside it, [`flight`] the task that fetches it, and [`ride`] a caller's
//! seat on it.

pub mod errand;
pub mod flight;
pub mod kin;
mod late;
pub mod notes;
pub mod part;
pub mod question;
pub mod replay;
pub mod ride;
pub mod status;
pub mod tally;
pub mod terms;
pub mod tiers;
pub mod worth;

use crate::config;
use cache::clock::Millis;
use cache::key::{Key, Secret};
use cache::stats::{Stats, Summary};
use cache::{Found, Freshness};
use guard::flight::Flights;
use part::{Broken, Part};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use tiers::Tiers;

/// The flights under way: by key, and by whether the answer must be fetched anew.
pub type Departures = Flights<(Key, bool), Part, Broken>;

/// Everything that is remembered: one for the process.
pub struct Remembered {
    /// The tiers.
    pub tiers: Tiers,
    /// What is being fetched.
    pub departures: Departures,
    /// What keys are made with.
    pub secret: Secret,
    /// What is known of questions that mean the same.
    pub kin: kin::Kin,
    settings: config::Cache,
    /// The last hour of each alias and model that the configuration names.
    hours: Mutex<BTreeMap<String, Arc<Stats>>>,
}

impl Remembered {
    /// Remembers as the configuration says. Nothing is dialled and no file opened before it is kept:
    /// [`tiers::keep`].
    #[must_use]
    pub fn new(settings: &config::Cache) -> Self {
        Self {
            tiers: tiers::build(settings),
            departures: Flights::new(guard::flight::Options::default()),
            secret: Secret::new(settings.secret.as_ref().map_or("", config::Secret::expose)),
            kin: kin::Kin::new(&settings.semantic),
            settings: settings.clone(),
            hours: Mutex::default(),
        }
    }

    /// Whether anything is remembered at all.
    #[must_use]
    pub fn enabled(&self) -> bool {
        self.settings.enabled
    }

    /// The last hour of one alias or model; begun when it is first asked for.
    #[must_use]
    pub fn hour_of(&self, name: &str) -> Arc<Stats> {
        let mut hours = self.hours.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hours.entry(name.to_owned()).or_default())
    }

    /// The last hour of each alias and model, by name.
    #[must_use]
    pub fn hours(&self) -> Vec<(String, Summary)> {
        let now = Millis::now();
        let hours = self.hours.lock().unwrap_or_else(PoisonError::into_inner);
        hours.iter().map(|(name, stats)| (name.clone(), stats.summary(now))).collect()
    }

    /// How it was configured.
    #[must_use]
    pub fn settings(&self) -> &config::Cache {
        &self.settings
    }

    /// The answer in memory, where the caller would take it.
    #[must_use]
    pub fn peek(&self, question: &question::Question<'_>, now: Millis) -> Option<Found> {
        let found = self.tiers.peek(&question.key, now)?;
        question.terms.accepts(found.age).then_some(found)
    }

    /// How long an answer may be served, as alias, caller and configuration say.
    #[must_use]
    pub fn lifetime(&self, policy: &config::AliasCache, asked: Option<Duration>) -> cache::entry::Lifetime {
        let longest = self.settings.longest_ttl();
        let fresh = asked.or(policy.ttl).unwrap_or(longest).min(longest);
        cache::entry::Lifetime { fresh, stale: policy.stale.unwrap_or(self.settings.stale) }
    }
}

/// Whether an answer that was found must be fetched anew.
#[must_use]
pub fn is_stale(found: &Found) -> bool {
    found.freshness == Freshness::Stale
}
