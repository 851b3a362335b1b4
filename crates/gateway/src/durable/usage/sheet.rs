//! What a worker's requests have used since it was looked at last.

use super::OTHER;
use crate::auth::Principal;
use crate::observe::trail::Mark;
use crate::observe::{Account, Role};
use crate::remember::status::Status;
use foldhash::{HashMap, HashMapExt as _};
use measure::metrics::Outcome;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Models by caller that have a row of their own; beyond it a caller's further models are counted as one.
const ROWS_MAX: usize = 16_384;

/// Who pays; `None`: nobody has a key.
pub(crate) type Payer = Option<Arc<Principal>>;

/// A worker's sums. Its lock is the worker's own but for the moment in which the sums are taken.
#[derive(Debug)]
pub struct Sheet {
    sums: Mutex<Sums>,
    counts_anyone: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct Sums {
    of: HashMap<Payer, HashMap<Arc<str>, Sum>>,
    rows: usize,
}

/// What is added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) requests: u64,
    pub(super) hits: u64,
    pub(super) failed: u64,
    pub(crate) tokens_in: u64,
    pub(super) tokens_out: u64,
    pub(super) cost_micro_usd: u64,
}

impl Sum {
    /// What one request comes to, or what an errand has used.
    fn of(account: &Account) -> Self {
        let failed =
            matches!(account.outcome, Outcome::CallerError | Outcome::GatewayError | Outcome::ProviderError);
        let used = match account.pays {
            true => Self {
                tokens_in: account.tokens.input.into(),
                tokens_out: account.tokens.output.into(),
                cost_micro_usd: account.cost_micro_usd.unwrap_or(0).into(),
                ..Self::default()
            },
            false => Self::default(),
        };
        match account.role {
            Role::Request => Self {
                requests: 1,
                hits: account.cache.is_some_and(Status::is_hit).into(),
                failed: failed.into(),
                ..used
            },
            Role::Errand => used,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (own, others) in [
            (&mut self.requests, other.requests),
            (&mut self.hits, other.hits),
            (&mut self.failed, other.failed),
            (&mut self.tokens_in, other.tokens_in),
            (&mut self.tokens_out, other.tokens_out),
            (&mut self.cost_micro_usd, other.cost_micro_usd),
        ] {
            *own = own.saturating_add(others);
        }
    }
}

impl Sheet {
    pub(super) fn new(counts_anyone: &Arc<AtomicBool>) -> Self {
        Self { sums: Mutex::default(), counts_anyone: Arc::clone(counts_anyone) }
    }

    /// Adds a request that is over, or what a call for several or for none has used, under the name by which it is
    /// counted; nothing of a request of which nobody knows whose it was. Allocates for the first of its payer and model
    /// only.
    pub fn note(&self, model: &Arc<str>, account: &Account) {
        let is_known = account.role == Role::Errand || account.trail.passed(Mark::Identified).is_some();
        if is_known && (account.who.is_some() || self.counts_anyone.load(Relaxed)) {
            self.add(&account.who, model, &Sum::of(account));
        }
    }

    fn add(&self, payer: &Payer, model: &Arc<str>, sum: &Sum) {
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let Sums { of, rows } = &mut *sums;
        if let Some(known) = of.get_mut(payer).and_then(|models| models.get_mut(&**model)) {
            return known.add(sum);
        }
        let models = of.entry(payer.clone()).or_insert_with(HashMap::new);
        let model = if *rows < ROWS_MAX { Arc::clone(model) } else { OTHER.into() };
        *rows += usize::from(!models.contains_key(&model));
        models.entry(model).or_default().add(sum);
    }

    /// Hands over every sum, and begins anew.
    pub(crate) fn take(&self, mut with: impl FnMut(&Payer, &str, &Sum)) {
        let taken = std::mem::take(&mut *self.sums.lock().unwrap_or_else(PoisonError::into_inner));
        for (payer, models) in &taken.of {
            for (model, sum) in models {
                with(payer, model, sum);
            }
        }
    }
}
