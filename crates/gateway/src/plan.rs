//! From a model's name to a target: which provider is asked, and under which name. Pure: nothing
//! here waits, and nothing is looked up but what the configuration prepared.
//!
//! A name is an alias of the file, or `provider/model` split at the first slash. The experiment's
//! arm and the cache key have their place here, before the target's health is looked at.

pub mod affinity;
mod alias;
mod target;

pub use alias::{Alias, Targets};
use target::Origin;
pub use target::{Care, Target, account};

use crate::config::{self, AliasCache, Config};
use crate::durable::usage::Sheet;
use crate::limits::{Account, Scope};
use crate::observe::trail::Label;
use crate::observe::tray::Tray;
use crate::protect::upkeep::Roster;
use crate::snapshot::Common;
use crate::trace::Peer;
use crate::upstream::Upstream;
use cache::stats::Stats;
use foldhash::HashMap;
use foldhash::HashMapExt as _;
use measure::metrics::{RouteMetrics, Shard, TargetMetrics};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use wire::failure::{Failure, Kind};
use wire::operation::Operation;

/// The name under which everything not named in the configuration is counted.
const OTHER: &str = "other";

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
    aliases: HashMap<Box<str>, Arc<Alias>>,
    providers: HashMap<Box<str>, Provider>,
    other: Arc<Route>,
    other_hour: Arc<Stats>,
}

/// Where requests of one name are counted and told of.
#[derive(Debug)]
pub struct Route {
    /// The name: an alias, `provider/model`, or `other`.
    pub name: Arc<str>,
    /// Where its worker puts down what there is to tell.
    pub tray: Arc<Tray>,
    /// Where its worker adds what callers use.
    pub sheet: Arc<Sheet>,
    /// The metrics, by operation.
    metrics: [RouteMetrics; 3],
}

struct Provider {
    upstream: Arc<Upstream>,
    /// Models that the configuration names, by the name behind the slash.
    models: HashMap<Box<str>, Known>,
    other: Arc<TargetMetrics>,
    /// What we may ask of it.
    account: Option<Arc<Account>>,
    care: Care,
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

/// Where a worker counts, and where it puts down what there is to tell.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Its shard of the metrics.
    pub metrics: Shard<'a>,
    /// Its tray.
    pub tray: &'a Arc<Tray>,
    /// Its sheet of what callers use.
    pub sheet: &'a Arc<Sheet>,
}

/// What is to be done for one request.
#[derive(Clone)]
pub struct Plan {
    /// The first choice of whom to ask.
    pub target: Arc<Target>,
    /// Where the request is counted.
    pub route: Arc<Route>,
    /// What of its answers is remembered.
    pub cache: AliasCache,
    /// What came of it in the last hour.
    pub hour: Arc<Stats>,
    /// Who stands in for the first choice, where the model's name is an alias.
    pub alias: Option<Arc<Alias>>,
    /// What the first choice was drawn by.
    pub draw: Draw,
}

/// What decides between the targets of an alias.
#[derive(Clone, Copy, Debug)]
pub struct Draw {
    /// Whose conversation it is: the same goes the same way.
    pub affinity: Option<u64>,
    /// Chance.
    pub dice: u64,
    /// When.
    pub at: Instant,
}

impl Draw {
    /// By chance alone.
    pub fn chance() -> Self {
        Self { affinity: None, dice: fastrand::u64(..), at: Instant::now() }
    }
}

impl Plan {
    /// The same at this target of its alias, a `provider/model`, in place of the one that was drawn; as it was where
    /// there is none of that name.
    pub fn at(self, place: &str) -> Self {
        let target = self.alias.as_ref().and_then(|alias| alias.at(place)).cloned();
        Self { target: target.unwrap_or_else(|| Arc::clone(&self.target)), ..self }
    }
}

impl Route {
    fn new(place: Place<'_>, model: &str) -> Arc<Self> {
        let of = |operation: Operation| place.metrics.route(operation.name(), model);
        let (tray, sheet) = (Arc::clone(place.tray), Arc::clone(place.sheet));
        Arc::new(Self { name: model.into(), tray, sheet, metrics: INFERENCE.map(of) })
    }

    /// The handles for one operation.
    pub fn of(&self, operation: Operation) -> &RouteMetrics {
        &self.metrics[slot(operation)]
    }
}

impl Routes {
    /// Resolves every alias, provider and metric of a configuration. `upstreams` holds each of its
    /// providers.
    pub fn new(config: &Config, upstreams: &[Arc<Upstream>], common: &Common, place: Place<'_>) -> Self {
        let remembered = &common.remembered;
        let providers = upstreams
            .iter()
            .map(|upstream| (upstream.name().into(), Provider::new(upstream, &config.guard, common, place)))
            .collect::<HashMap<Box<str>, Provider>>();
        let mut aliases = HashMap::with_capacity(config.models.len());
        for (name, alias) in &config.models {
            let target = |provider: &str, model: &str| {
                let Provider { upstream, account, .. } = providers.get(provider)?;
                let handles = Arc::new(place.metrics.target(provider, model));
                let care = Care::of(&config.guard, upstream.settings(), Some(alias));
                let judged_by = alias.strategy.is_some().then_some(name.as_str());
                let account = account.clone();
                let peer = Peer::new(upstream.settings(), model);
                let label = Label::named(&format!("{provider}/{model}"), peer);
                let from = Origin { upstream, metrics: handles, account, coalesce: alias.coalesce, label };
                Target::new(from, model, alias.cache, care, judged_by)
            };
            let (route, hour) = (Route::new(place, name), remembered.hour_of(name));
            let account = common.accounts.get(Scope::Alias, name);
            if let Some(alias) = Alias::new(name, alias, route, hour, account, target) {
                aliases.insert(name.as_str().into(), Arc::new(alias));
            }
        }
        let (other, other_hour) = (Route::new(place, OTHER), remembered.hour_of(OTHER));
        Self { aliases, providers, other, other_hour }
    }

    /// The metrics of requests whose model is not, or not yet, known.
    pub fn other(&self) -> &Arc<Route> {
        &self.other
    }

    /// Chooses the target for `model`. Of an alias with several it is drawn by `dice`, or by whose conversation
    /// it is, which is asked only there.
    ///
    /// # Errors
    /// 404 where the name is neither an alias nor a known provider's model, 400 where the provider
    /// does not offer the operation.
    pub fn plan(
        &self,
        operation: Operation,
        model: &str,
        draw: Draw,
        affinity: impl FnOnce() -> Option<u64>,
    ) -> Result<Plan, Failure> {
        let plan = self.find(model, draw, affinity).ok_or_else(|| unknown(model))?;
        let quirks = &plan.target.upstream.settings().preset.quirks;
        match operation {
            Operation::Embeddings if !quirks.embeddings => Err(not_offered(&plan, "embeddings")),
            Operation::Completions if !quirks.legacy_completions => {
                Err(not_offered(&plan, "legacy completions; use /v1/chat/completions"))
            }
            _ => Ok(plan),
        }
    }

    /// What is to be done for an answer that `place`, a `provider/model`, has given to who asked `model`, in a batch of
    /// its own. While lines that ask `model` go there it is as any other answer; where the configuration has changed
    /// meanwhile it is counted as that provider's all the same, and not kept.
    ///
    /// # Errors
    /// 404 where there is no such provider any more.
    pub fn plan_given(&self, model: &str, place: &str) -> Result<Plan, Failure> {
        let asked = self.find(model, Draw::chance(), || None);
        let alias = asked.as_ref().and_then(|plan| plan.alias.clone());
        let batch = alias.as_ref().and_then(|alias| alias.batch.clone());
        if let (Some(plan), Some(target)) = (&asked, batch.filter(|target| target.is_at(place))) {
            return Ok(Plan { target, ..plan.clone() });
        }
        let own = self.find(place, Draw::chance(), || None).ok_or_else(|| unknown(place))?;
        let target = alias.as_ref().and_then(|alias| alias.at(place)).unwrap_or(&own.target);
        let target = target.in_batches().unwrap_or_else(|| Arc::clone(target));
        // Under the name that was asked, if there still is one.
        let plan = asked.unwrap_or(own);
        Ok(Plan { target, cache: AliasCache { enabled: false, ..plan.cache }, ..plan })
    }

    /// The target whose provider's own batch API runs lines of batches that ask `model`; `None`: each is asked by
    /// itself.
    pub fn batch_target(&self, operation: Operation, model: &str) -> Option<&Arc<Target>> {
        let target = self.aliases.get(model)?.batch.as_ref()?;
        let quirks = &target.upstream.settings().preset.quirks;
        let is_offered = match operation {
            Operation::Embeddings => quirks.embeddings,
            Operation::Completions => quirks.legacy_completions,
            Operation::ChatCompletions => true,
            Operation::Models => false,
        };
        Some(target).filter(|_| is_offered)
    }

    /// That a request could name `model`, for who takes one that is planned later.
    ///
    /// # Errors
    /// 404 as [`plan`](Self::plan) says it.
    pub fn check(&self, model: &str) -> Result<(), Failure> {
        if self.knows(model) { Ok(()) } else { Err(unknown(model)) }
    }

    /// Whether a request could name `model`.
    pub fn knows(&self, model: &str) -> bool {
        self.find(model, Draw { affinity: None, dice: 0, at: Instant::now() }, || None).is_some()
    }

    /// Every name to be listed, with its owner: aliases first, then the providers' models.
    pub fn listed(&self) -> impl Iterator<Item = (String, &str)> {
        let aliases = self.aliases.keys().map(|name| (name.to_string(), "tidegate"));
        let models = self.providers.iter().flat_map(|(provider, entry)| {
            entry.models.keys().map(move |model| (format!("{provider}/{model}"), &**provider))
        });
        aliases.chain(models)
    }

    /// What of those that are protected there still is.
    pub fn roster(&self) -> Roster {
        let judged = self.aliases.values().flat_map(|alias| alias.targets());
        let judged = judged.filter(|target| target.judged_by().is_some());
        Roster {
            accounts: self.providers.values().map(|provider| account(&provider.upstream)).collect(),
            judged: judged.flat_map(|target| INFERENCE.map(|operation| target.lane(operation))).collect(),
        }
    }

    /// Whether the configuration names this model of a provider, be it in an alias only.
    pub fn names(&self, provider: &str, model: &str) -> bool {
        let is_listed = |of: &Provider| of.models.contains_key(model);
        let is = |target: &Target| target.upstream.name() == provider && *target.model == *model;
        self.providers.get(provider).is_some_and(is_listed)
            || self.aliases.values().any(|alias| alias.targets().any(is))
    }

    /// Whether there is such a provider.
    pub fn has_provider(&self, name: &str) -> bool {
        self.providers.contains_key(name)
    }

    fn find(&self, model: &str, mut draw: Draw, affinity: impl FnOnce() -> Option<u64>) -> Option<Plan> {
        if let Some(alias) = self.aliases.get(model) {
            if alias.minds_affinity() {
                draw.affinity = affinity();
            }
            return Some(Plan {
                target: Arc::clone(alias.first(draw)?),
                route: Arc::clone(&alias.route),
                cache: alias.cache,
                hour: Arc::clone(&alias.hour),
                alias: Some(Arc::clone(alias)),
                draw,
            });
        }
        let (provider, model) = model.split_once('/')?;
        let provider = self.providers.get(provider)?;
        let (target, route, hour) = match provider.models.get(model) {
            Some(known) => (Arc::clone(&known.target), &known.route, &known.hour),
            None if model.is_empty() => return None,
            None => (provider.unnamed(model)?, &self.other, &self.other_hour),
        };
        let (route, hour) = (Arc::clone(route), Arc::clone(hour));
        Some(Plan { target, route, cache: AliasCache::default(), hour, alias: None, draw })
    }
}

impl Provider {
    fn name_of(&self, model: &str) -> String {
        format!("{}/{model}", self.upstream.name())
    }

    /// The target of a model that the configuration does not name.
    fn unnamed(&self, model: &str) -> Option<Arc<Target>> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(target) = others.get(model) {
            return Some(Arc::clone(target));
        }
        let peer = Peer::new(self.upstream.settings(), model);
        let label = Label::unnamed(&self.name_of(model), &self.name_of(OTHER), peer);
        let from = Origin {
            upstream: &self.upstream,
            metrics: Arc::clone(&self.other),
            account: self.account.clone(),
            coalesce: None,
            label,
        };
        let target = Target::new(from, model, AliasCache::default(), self.care, None)?;
        if model.len() <= OTHER_BYTES_MAX {
            if others.len() >= OTHERS_MAX {
                others.clear();
            }
            others.insert(model.into(), Arc::clone(&target));
        }
        Some(target)
    }

    fn new(upstream: &Arc<Upstream>, guard: &config::Guard, common: &Common, place: Place<'_>) -> Self {
        let name = upstream.name();
        let care = Care::of(guard, upstream.settings(), None);
        let account = common.accounts.get(Scope::Provider, name);
        let mut models = HashMap::new();
        let settings = upstream.settings();
        // The simulated provider is the one whose models are known without being asked.
        let built_in = if settings.base_url.is_none() { rig::sim::MODELS.as_slice() } else { &[] };
        for model in settings.models.iter().map(String::as_str).chain(built_in.iter().copied()) {
            let handles = Arc::new(place.metrics.target(name, model));
            let full = format!("{name}/{model}");
            let label = Label::named(&full, Peer::new(settings, model));
            let from = Origin { upstream, metrics: handles, account: account.clone(), coalesce: None, label };
            if let Some(target) = Target::new(from, model, AliasCache::default(), care, None) {
                let (route, hour) = (Route::new(place, &full), common.remembered.hour_of(&full));
                models.insert(model.into(), Known { target, route, hour });
            }
        }
        Self {
            upstream: Arc::clone(upstream),
            models,
            other: Arc::new(place.metrics.target(name, OTHER)),
            account,
            care,
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
