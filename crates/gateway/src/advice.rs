//! Advice at work: what was seen of requests, held against the rules of [`measure::advice`], and what becomes of it in
//! the configuration file.
//!
//! ```text
//! a request: fingerprint ─► its Account ─► the observer: evidence, repeats ─┐
//!                                          live figures ───────────────────┼─► facts ─► rules ─► GET /admin/advice
//!                                          the configuration in force ─────┘                         │
//!              applied: the file edited, judged, replaced, reloaded; remembered in data/advice.json ◄┘
//! ```
//!
//! Rules are looked at every ten seconds, and whenever somebody asks. Nothing is applied by itself.

mod apply;
mod edit;
mod evidence;
mod facts;
mod file;
pub mod fingerprint;
mod kept;
mod repeats;

pub use apply::{Refused, editable};
pub use evidence::Evidence;
pub use fingerprint::Fingerprint;
pub use kept::Applied;

use crate::gateway::Gateway;
use measure::advice::{Advisor, Standing, Terms};
use measure::moment::Moment;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often the rules are looked at where nobody asks: what stands is known by it.
const EVERY: Duration = Duration::from_secs(10);

/// What stands, and what was applied. One for the process.
#[derive(Default)]
pub struct Advising {
    advisor: Mutex<Advisor>,
    applied: Mutex<Vec<Applied>>,
    /// Whether something is applied or taken back just now: one thing at a time.
    at_work: AtomicBool,
    /// Where it is kept what was applied.
    kept: OnceLock<PathBuf>,
}

/// What there is to say.
#[derive(Debug)]
pub struct View {
    /// What might be changed.
    pub advice: Vec<Standing>,
    /// Over how long requests were looked at.
    pub span: Duration,
}

impl Advising {
    /// What was applied and not taken back, the newest last.
    pub fn applied(&self) -> Vec<Applied> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Applied>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what was applied before this start.
    pub fn remember(&self, gateway: &Gateway) {
        let path = gateway.snapshot(0).config.data.join(kept::FILE);
        match kept::load(&path) {
            Ok(applied) => *self.lock() = applied,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "what advice was applied could not be read");
            }
        }
        let _ = self.kept.set(path);
    }
}

/// Looks at everything now. `None` where nobody sees requests, or advice is switched off.
pub async fn look(gateway: &Gateway) -> Option<View> {
    let snapshot = gateway.snapshot(0);
    if !snapshot.config.advice.enabled || !snapshot.config.observe.enabled {
        return None;
    }
    let now = Instant::now();
    let asked = Arc::clone(&snapshot);
    let mut facts = gateway.observer.ask(move |seen| facts::of_all(&asked.config, seen, now)).await?;
    for name in snapshot.config.models.keys() {
        let (asked, name) = (Arc::clone(&snapshot), name.clone());
        let alias =
            gateway.observer.ask(move |seen| facts::of_alias(&asked.config, &name, seen, now)).await?;
        facts.aliases.extend(alias);
    }
    let terms = Terms { requests_min: snapshot.config.advice.requests_min };
    let mut advisor = gateway.advising.advisor.lock().unwrap_or_else(PoisonError::into_inner);
    Some(View { advice: advisor.advise(&facts, terms, Moment::now()), span: facts.span })
}

/// Looks from time to time until dropped.
pub async fn keep(gateway: &Gateway) -> Infallible {
    gateway.advising.remember(gateway);
    let mut due = tokio::time::interval(EVERY);
    due.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        due.tick().await;
        look(gateway).await;
    }
}
