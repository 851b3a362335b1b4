//! What failures have in common: correlated over providers, credentials, models and kinds, and named
//! in words. One model that fails is the model's fault, many are the provider's, and where no provider
//! can be reached the fault is here.
//!
//! It judges what it is told and changes nothing: whether trips are suppressed while the fault
//! [is local](Patterns::is_local), or a whole provider is tripped because it
//! [is down](Patterns::provider_is_down), the caller decides. It keeps no messages, and no name beyond
//! a bound.

use crate::sync::lock;
use foldhash::fast::RandomState;
use std::hash::BuildHasher;
use std::sync::Mutex;
use std::time::{Duration, Instant};

pub use self::cause::{Cause, Scope, Severity};
pub use self::kind::Kind;

use self::bounded::Bounded;
use self::provider::Provider;
use self::recent::Recent;

mod bounded;
mod cause;
mod kind;
mod provider;
mod recent;
mod track;

#[cfg(test)]
mod tests;

/// Failures older than this say nothing about now.
const NOW: Duration = Duration::from_secs(10);
/// Who was not heard of for so long is not in use, and failures are counted for so long.
const LATELY: Duration = Duration::from_secs(60);
/// Providers told apart; those beyond count as one.
const PROVIDERS: usize = 64;
/// Bytes of a name that are kept.
const NAME_BYTES: usize = 128;
/// How much the last success of a target may be out of date, in exchange for being cheap.
const TICK: Duration = Duration::from_millis(100);

/// One failure. Names are told apart by their first 128 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The provider that was called.
    pub provider: &'a str,
    /// Which of the provider's credentials was used: any number that stands for it.
    pub credential: u64,
    /// The model that was asked for.
    pub model: &'a str,
    /// What went wrong.
    pub kind: Kind,
}

/// Everything that failed lately, and what it means. About 2 MB when every bound is reached; a few
/// kilobytes for a handful of targets.
pub struct Patterns {
    providers: Mutex<Providers>,
    recent: Recent,
    hasher: RandomState,
}

type Providers = Bounded<String, Provider>;

impl Patterns {
    /// Nothing has failed yet.
    pub fn new(now: Instant) -> Self {
        Self {
            providers: Mutex::new(Bounded::new("others".into(), PROVIDERS)),
            recent: Recent::new(now, TICK),
            hasher: RandomState::default(),
        }
    }

    /// A call failed, for a reason that is not its caller's.
    pub fn note(&self, event: Event<'_>, now: Instant) {
        let event = Event { provider: short(event.provider), model: short(event.model), ..event };
        let target = self.target(event.provider, event.credential, event.model);
        lock(&self.providers).entry(event.provider, now).note(&event, now);
        // So that the next success is not taken for one already known.
        self.recent.forget(target);
    }

    /// A call succeeded. Of each target, one success in a tenth of a second is taken down; the others
    /// cost a hash and a look.
    pub fn succeeded(&self, provider: &str, credential: u64, model: &str, now: Instant) {
        let (provider, model) = (short(provider), short(model));
        if self.recent.renew(self.target(provider, credential, model), now) {
            lock(&self.providers).entry(provider, now).succeeded(credential, model, now);
        }
    }

    /// Whether the fault is on this machine or its network: two providers or more cannot be reached, and
    /// of no other has anything been heard for ten seconds, not even an error.
    pub fn is_local(&self, now: Instant) -> bool {
        is_local(&lock(&self.providers), now)
    }

    /// Whether a provider is down, rather than some of its models: at least three of them, and at least
    /// half of those in use, do nothing but fail. It is not, if the fault is local.
    pub fn provider_is_down(&self, provider: &str, now: Instant) -> bool {
        let providers = lock(&self.providers);
        let is_down = providers.get(short(provider)).is_some_and(|provider| provider.is_down(now));
        is_down && !is_local(&providers, now)
    }

    /// The likely causes of what fails now, the gravest first; those beyond a hundred are left out.
    pub fn causes(&self, now: Instant) -> Vec<Cause> {
        const CAUSES: usize = 100;
        let mut providers = lock(&self.providers);
        let mut causes = Vec::new();
        let is_local = is_local(&providers, now);
        if is_local {
            causes.extend(Cause::local(providers.active(now).filter_map(|(_, each)| each.unreached(now))));
        }
        for (name, provider) in providers.active_mut(now) {
            provider.causes(name, is_local, now, &mut causes);
        }
        drop(providers);
        let gravity = |cause: &Cause| (cause.severity, cause.count);
        causes.sort_by(|a, b| gravity(b).cmp(&gravity(a)).then_with(|| a.words.cmp(&b.words)));
        causes.truncate(CAUSES);
        causes
    }

    fn target(&self, provider: &str, credential: u64, model: &str) -> u64 {
        self.hasher.hash_one((provider, credential, model))
    }
}

fn short(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES)]
}

fn is_local(providers: &Providers, now: Instant) -> bool {
    let (mut unreached, mut heard) = (0, 0);
    for (_, provider) in providers.active(now) {
        unreached += usize::from(provider.unreached(now).is_some());
        heard += usize::from(provider.is_heard(now));
    }
    unreached >= 2 && heard == 0
}
