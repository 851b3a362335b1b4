//! From a model's name to a target: which provider is asked, and under which name. Pure: nothing
//! here waits, and nothing is looked up but what the configuration prepared.
//!
//! A name is an alias of the file, or `provider/model` split at the first slash. The experiment's
//! arm and the cache key have their place here, before the target's health is looked at.

use crate::config::{AliasCache, Config, Price, Secret};
use crate::remember::Remembered;
use crate::upstream::Upstream;
use cache::key::{Place, PlaceParts};
use cache::stats::Stats;
use foldhash::HashMap;
use foldhash::HashMapExt as _;
use guard::weighted::Weighted;
use http::HeaderValue;
use measure::metrics::{RouteMetrics, Shard, TargetMetrics};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use wire::failure::{Failure, Kind};
use wire::openai::Usage;
use wire::operation::Operation;

/// The name under which everything not named in the configuration is counted.
const OTHER: &str = "other";

/// Part of every key of the cache: grows with what is done to requests and answers on their way.
const CACHE_POLICY: u64 = 1;

/// The operations that ask a model for something.
const INFERENCE: [Operation; 3] = [Operation::ChatCompletions, Operation::Completions, Operation::Embeddings];

/// An operation's place among them.
fn slot(operation: Operation) -> usize {
    match operation {
        Operation::Completions => 1,
        Operation::Embeddings => 2,
        // Models are not counted as requests; they never come here.
        Operation::ChatCompletions | Operation::Models => 0,
    }
}

/// Every name that a request may use, with its metrics resolved.
pub struct Routes {
    aliases: HashMap<Box<str>, Alias>,
    providers: HashMap<Box<str>, Provider>,
    other: Arc<Route>,
    other_hour: Arc<Stats>,
}

/// The metrics of one name, by operation.
#[derive(Debug)]
pub struct Route([RouteMetrics; 3]);

struct Alias {
    targets: Weighted<Arc<Target>>,
    route: Arc<Route>,
    cache: AliasCache,
    hour: Arc<Stats>,
}

struct Provider {
    upstream: Arc<Upstream>,
    /// Models that the configuration names, by the name behind the slash.
    models: HashMap<Box<str>, Known>,
    other: Arc<TargetMetrics>,
    /// Targets of models that the configuration does not name, as they are asked for: to make one costs as much
    /// as a good part of a request. Bounded, since callers choose the names; one worker's own, so that nobody
    /// waits for the lock.
    others: Mutex<HashMap<Box<str>, Arc<Target>>>,
}

/// Unnamed models of a provider whose targets are kept; beyond that all are forgotten and made anew.
const OTHERS_MAX: usize = 256;
/// Longest name of one that is kept, in bytes.
const OTHER_BYTES_MAX: usize = 256;

/// A model that the configuration names.
struct Known {
    target: Arc<Target>,
    route: Arc<Route>,
    hour: Arc<Stats>,
}

/// One provider's model.
pub struct Target {
    /// The provider.
    pub upstream: Arc<Upstream>,
    /// The model's name as the provider knows it.
    pub model: Box<str>,
    /// `provider/model` for the response header.
    pub header: HeaderValue,
    /// Where its attempts are counted.
    pub metrics: Arc<TargetMetrics>,
    /// What it costs, where that is known.
    pub price: Option<Price>,
    /// What the name that leads here has remembered.
    cache: AliasCache,
    /// Its part of a cache's keys, by operation; made when first asked for.
    places: OnceLock<[Place; 3]>,
}

/// What is to be done for one request.
pub struct Plan {
    /// Who is asked.
    pub target: Arc<Target>,
    /// Where the request is counted.
    pub route: Arc<Route>,
    /// What of its answers is remembered.
    pub cache: AliasCache,
    /// What came of it in the last hour.
    pub hour: Arc<Stats>,
}

impl Route {
    fn new(metrics: Shard<'_>, model: &str) -> Arc<Self> {
        let of = |operation: Operation| metrics.route(operation.name(), model);
        Arc::new(Self(INFERENCE.map(of)))
    }

    /// The handles for one operation.
    pub fn of(&self, operation: Operation) -> &RouteMetrics {
        &self.0[slot(operation)]
    }
}

impl Target {
    fn new(
        upstream: &Arc<Upstream>,
        model: &str,
        metrics: Arc<TargetMetrics>,
        cache: AliasCache,
    ) -> Option<Arc<Self>> {
        let header = HeaderValue::try_from(format!("{}/{model}", upstream.name())).ok()?;
        let price = upstream.settings().prices.get(model).copied();
        let (upstream, places) = (Arc::clone(upstream), OnceLock::new());
        Some(Arc::new(Self { upstream, model: model.into(), header, metrics, price, cache, places }))
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
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

impl Routes {
    /// Resolves every alias, provider and metric of a configuration. `upstreams` holds each of its
    /// providers.
    pub fn new(
        config: &Config,
        upstreams: &[Arc<Upstream>],
        remembered: &Remembered,
        metrics: Shard<'_>,
    ) -> Self {
        let providers = upstreams
            .iter()
            .map(|upstream| (upstream.name().into(), Provider::new(upstream, remembered, metrics)))
            .collect::<HashMap<Box<str>, Provider>>();
        let mut aliases = HashMap::with_capacity(config.models.len());
        for (name, alias) in &config.models {
            let targets = alias.targets.iter().filter_map(|target| {
                let provider = providers.get(target.provider.as_str())?;
                let metrics = metrics.target(&target.provider, &target.model);
                let ready = Target::new(&provider.upstream, &target.model, Arc::new(metrics), alias.cache)?;
                Some((ready, target.weight))
            });
            if let Some(targets) = Weighted::new(targets) {
                let route = Route::new(metrics, name);
                aliases.insert(
                    name.as_str().into(),
                    Alias { targets, route, cache: alias.cache, hour: remembered.hour_of(name) },
                );
            }
        }
        let (other, other_hour) = (Route::new(metrics, OTHER), remembered.hour_of(OTHER));
        Self { aliases, providers, other, other_hour }
    }

    /// The metrics of requests whose model is not, or not yet, known.
    pub fn other(&self) -> &Arc<Route> {
        &self.other
    }

    /// Chooses the target for `model`; `dice` decides between the targets of an alias.
    ///
    /// # Errors
    /// 404 where the name is neither an alias nor a known provider's model, 400 where the provider
    /// does not offer the operation.
    pub fn plan(&self, operation: Operation, model: &str, dice: u64) -> Result<Plan, Failure> {
        let plan = self.find(model, dice).ok_or_else(|| unknown(model))?;
        let quirks = &plan.target.upstream.settings().preset.quirks;
        match operation {
            Operation::Embeddings if !quirks.embeddings => Err(not_offered(&plan, "embeddings")),
            Operation::Completions if !quirks.legacy_completions => {
                Err(not_offered(&plan, "legacy completions; use /v1/chat/completions"))
            }
            _ => Ok(plan),
        }
    }

    /// Whether a request could name `model`.
    pub fn knows(&self, model: &str) -> bool {
        self.find(model, 0).is_some()
    }

    /// Every name to be listed, with its owner: aliases first, then the providers' models.
    pub fn listed(&self) -> impl Iterator<Item = (String, &str)> {
        let aliases = self.aliases.keys().map(|name| (name.to_string(), "tidegate"));
        let models = self.providers.iter().flat_map(|(provider, entry)| {
            entry.models.keys().map(move |model| (format!("{provider}/{model}"), &**provider))
        });
        aliases.chain(models)
    }

    fn find(&self, model: &str, dice: u64) -> Option<Plan> {
        if let Some(alias) = self.aliases.get(model) {
            return Some(Plan {
                target: Arc::clone(alias.targets.draw(dice)),
                route: Arc::clone(&alias.route),
                cache: alias.cache,
                hour: Arc::clone(&alias.hour),
            });
        }
        let (provider, model) = model.split_once('/')?;
        let cache = AliasCache::default();
        let provider = self.providers.get(provider)?;
        if let Some(known) = provider.models.get(model) {
            return Some(Plan {
                target: Arc::clone(&known.target),
                route: Arc::clone(&known.route),
                cache,
                hour: Arc::clone(&known.hour),
            });
        }
        if model.is_empty() {
            return None;
        }
        let target = provider.unnamed(model)?;
        Some(Plan { target, route: Arc::clone(&self.other), cache, hour: Arc::clone(&self.other_hour) })
    }
}

impl Provider {
    /// The target of a model that the configuration does not name.
    fn unnamed(&self, model: &str) -> Option<Arc<Target>> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = others.get(model) {
            return Some(Arc::clone(target));
        }
        let target = Target::new(&self.upstream, model, Arc::clone(&self.other), AliasCache::default())?;
        if model.len() <= OTHER_BYTES_MAX {
            if others.len() >= OTHERS_MAX {
                others.clear();
            }
            others.insert(model.into(), Arc::clone(&target));
        }
        Some(target)
    }

    fn new(upstream: &Arc<Upstream>, remembered: &Remembered, metrics: Shard<'_>) -> Self {
        let name = upstream.name();
        let mut models = HashMap::new();
        let settings = upstream.settings();
        // The simulated provider is the one whose models are known without being asked.
        let built_in = if settings.base_url.is_none() { rig::sim::MODELS.as_slice() } else { &[] };
        for model in settings.models.iter().map(String::as_str).chain(built_in.iter().copied()) {
            let handles = Arc::new(metrics.target(name, model));
            if let Some(target) = Target::new(upstream, model, handles, AliasCache::default()) {
                let full = format!("{name}/{model}");
                let (route, hour) = (Route::new(metrics, &full), remembered.hour_of(&full));
                models.insert(model.into(), Known { target, route, hour });
            }
        }
        Self {
            upstream: Arc::clone(upstream),
            models,
            other: Arc::new(metrics.target(name, OTHER)),
            others: Mutex::default(),
        }
    }
}

fn unknown(model: &str) -> Failure {
    // A caller may send a name of any length; the answer repeats what is readable of it.
    let shown: String = model.chars().take(128).collect();
    Failure::new(
        Kind::NotFound,
        format!("The model '{shown}' does not exist: name an alias, or 'provider/model' with a configured provider."),
    )
    .with_param("model")
    .with_code("model_not_found")
}

fn not_offered(plan: &Plan, what: &str) -> Failure {
    let provider = plan.target.upstream.name();
    Failure::new(Kind::InvalidRequest, format!("The provider '{provider}' does not offer {what}."))
        .with_param("model")
        .with_code("operation_not_supported")
}
