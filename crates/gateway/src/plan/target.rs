//! One provider's model, and what follows from it for every request.

use super::{INFERENCE, slot};
use crate::config::{
    self, AliasCache, Coalesce, Concurrency, Hedge, Price, ProviderTimeouts, Queue, Retry, Secret, Strategy,
};
use crate::limits::Account;
use crate::observe::trail::Label;
use crate::protect::LaneKey;
use crate::upstream::Upstream;
use cache::key::{Place, PlaceParts};
use http::HeaderValue;
use measure::metrics::TargetMetrics;
use std::sync::{Arc, OnceLock};
use wire::openai::Usage;
use wire::operation::Operation;

/// Part of every key of the cache: grows with what is done to requests and answers on their way.
const CACHE_POLICY: u64 = 1;

/// How a target is treated: what its provider says, what an alias changes of it, and what holds for all.
#[derive(Clone, Copy, Debug)]
pub struct Care {
    /// What its breaker trips on.
    pub strategy: Strategy,
    /// How many requests it gets at once.
    pub concurrency: Concurrency,
    /// How many of them batch work may be.
    pub batch: Concurrency,
    /// Who waits for it.
    pub queue: Queue,
    /// Tries beyond the first that its provider gets.
    pub retry: Retry,
    /// Tries beside the first that its provider gets.
    pub hedge: Hedge,
    /// How long it may take.
    pub timeouts: ProviderTimeouts,
}

impl Care {
    /// As its provider says, and `alias` over it.
    pub fn of(guard: &config::Guard, provider: &config::Provider, alias: Option<&config::Alias>) -> Self {
        let timeouts = provider.timeouts;
        Self {
            strategy: alias.and_then(|alias| alias.strategy).unwrap_or(provider.strategy),
            concurrency: provider.concurrency,
            batch: guard.batch,
            queue: guard.queue,
            retry: guard.retry,
            hedge: guard.hedge,
            timeouts: alias.map_or(timeouts, |alias| alias.timeouts.over(timeouts)),
        }
    }
}

/// What a target has from its provider.
pub(super) struct Origin<'a> {
    pub upstream: &'a Arc<Upstream>,
    pub metrics: Arc<TargetMetrics>,
    pub account: Option<Arc<Account>>,
    /// What an alias says of it.
    pub coalesce: Option<Coalesce>,
    pub label: Arc<Label>,
}

/// One provider's model.
#[derive(Clone)]
pub struct Target {
    /// The provider.
    pub upstream: Arc<Upstream>,
    /// The model's name as the provider knows it.
    pub model: Box<str>,
    /// `provider/model` for the response header.
    pub header: HeaderValue,
    /// The same for whatever is told of it.
    pub label: Arc<Label>,
    /// Where its attempts are counted.
    pub metrics: Arc<TargetMetrics>,
    /// What it costs, where that is known.
    pub price: Option<Price>,
    /// What we may ask of its provider.
    pub account: Option<Arc<Account>>,
    /// How it is treated.
    pub care: Care,
    /// Embedding requests sent to it several in one.
    pub coalesce: Option<Coalesce>,
    /// Names it in every replica, and after a restart too.
    pub id: u64,
    /// The alias that has it judged by a strategy of its own.
    judged_by: Option<Box<str>>,
    /// Where what is known of its health is kept, by operation; made when first asked for.
    lanes: OnceLock<[LaneKey; 3]>,
    /// How it is treated, as a number.
    care_id: OnceLock<u64>,
    /// What the name that leads here has remembered.
    cache: AliasCache,
    /// Its part of a cache's keys, by operation; made when first asked for.
    places: OnceLock<[Place; 3]>,
}

impl Target {
    pub(super) fn new(
        from: Origin<'_>,
        model: &str,
        cache: AliasCache,
        care: Care,
        judged_by: Option<&str>,
    ) -> Option<Arc<Self>> {
        let Origin { upstream, metrics, account, coalesce, label } = from;
        let header = HeaderValue::from_str(&label.name).ok()?;
        let price = upstream.settings().prices.get(model).copied();
        let id = number_of(&[upstream.name(), model]);
        Some(Arc::new(Self {
            upstream: Arc::clone(upstream),
            model: model.into(),
            header,
            label,
            metrics,
            price,
            account,
            care,
            coalesce: coalesce.or(upstream.settings().coalesce).filter(|terms| !terms.wait.is_zero()),
            id,
            judged_by: judged_by.map(Into::into),
            lanes: OnceLock::new(),
            care_id: OnceLock::new(),
            cache,
            places: OnceLock::new(),
        }))
    }

    /// Where what is known of its health is kept: in one place for everyone, unless an alias judges it by a
    /// strategy of its own.
    pub fn lane(&self, operation: Operation) -> LaneKey {
        let lanes = self.lanes.get_or_init(|| {
            let account = account(&self.upstream);
            INFERENCE.map(|operation| {
                let judged_by = self.judged_by.as_deref().unwrap_or_default();
                let parts = [operation.name(), judged_by, &*self.model];
                LaneKey { account, exact: Some(number_of(&parts)) }
            })
        });
        lanes[slot(operation)]
    }

    /// How it is treated, as a number: changes with any of it.
    pub fn care_id(&self) -> u64 {
        *self.care_id.get_or_init(|| number_of(&[&format!("{:?}", self.care)]))
    }

    /// The alias that has it judged by a strategy of its own.
    pub fn judged_by(&self) -> Option<&str> {
        self.judged_by.as_deref()
    }

    /// The same where its provider's own batch API is asked, at the price of that; `None` where it has none, or where
    /// that is no cheaper.
    pub(super) fn in_batches(&self) -> Option<Arc<Self>> {
        let factor = self.upstream.settings().batch_factor(&self.model)?;
        let price = self.price.map(|price| price.times(factor));
        Some(Arc::new(Self { price, ..self.clone() }))
    }

    /// Whether this is its name, `provider/model`.
    pub fn is_at(&self, place: &str) -> bool {
        *self.label.name == *place
    }

    /// What an answer cost, in millionths of a US dollar, where the price is known.
    pub fn cost(&self, usage: Option<&Usage>) -> Option<u64> {
        Some(self.price?.of(usage?))
    }

    /// Its part of a cache's keys.
    pub fn place(&self, operation: Operation) -> &Place {
        let places = self.places.get_or_init(|| INFERENCE.map(|operation| self.make_place(operation)));
        &places[slot(operation)]
    }

    fn make_place(&self, operation: Operation) -> Place {
        let settings = self.upstream.settings();
        let credential = settings.api_key.as_ref().map_or("", Secret::expose);
        Place::new(&PlaceParts {
            operation: operation.name(),
            policy: policy_of(&self.cache),
            provider: &settings.name,
            base_url: &settings.base_url.as_ref().map(ToString::to_string).unwrap_or_default(),
            // A digest: what is hashed into a key that others may see is not the credential itself.
            credential: blake3::hash(credential.as_bytes()).as_bytes(),
            model: &self.model,
        })
    }
}

/// A provider and our credential with it, as a number.
pub fn account(upstream: &Upstream) -> u64 {
    let settings = upstream.settings();
    let base_url = settings.base_url.as_ref().map(ToString::to_string).unwrap_or_default();
    let credential = settings.api_key.as_ref().map_or("", Secret::expose);
    number_of(&[&settings.name, &base_url, credential])
}

/// Texts as one number, which no others have but by a chance of one in 2^64.
fn number_of(parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    first_bytes(&hasher.finalize())
}

fn first_bytes(hash: &blake3::Hash) -> u64 {
    hash.as_bytes().first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// What an alias keeps and for how long, as a number. Only those who would keep the same answers as long share
/// them: one alias' truncated or old answer is not for another that wants none.
fn policy_of(cache: &AliasCache) -> u64 {
    // Taken apart, so that a new member does not compile until it is decided whether it counts. Those that do
    // not decide about requests, which is done anew for each.
    let AliasCache {
        ttl,
        stale,
        truncated,
        tool_calls,
        enabled: _,
        any_temperature: _,
        semantic: _,
        per_user: _,
    } = *cache;
    let mut hasher = blake3::Hasher::new();
    hasher.update(&CACHE_POLICY.to_le_bytes());
    for life in [ttl, stale] {
        hasher.update(&life.map_or(u128::MAX, |life| life.as_nanos()).to_le_bytes());
    }
    hasher.update(&[u8::from(truncated), u8::from(tool_calls)]);
    first_bytes(&hasher.finalize())
}
