//! Likely causes, in words that an operator can act on.

use super::Kind;
use super::track::Streak;
use std::time::Instant;

/// How much of the service a cause concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A part of it; other targets are left.
    Warning,
    /// A whole provider, or everything.
    Critical,
}

/// Where the fault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// This machine, or its network.
    Here,
    /// A provider.
    Provider(String),
    /// One of a provider's credentials.
    Credential(String, u64),
    /// One of a provider's models.
    Model(String, String),
}

/// What the failures of the last while most likely come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Where the fault is.
    pub scope: Scope,
    /// The failure it mostly shows as.
    pub kind: Kind,
    /// When the first of these failures was noted; of refusals for load, to ten seconds.
    pub since: Instant,
    /// How many failures point at it.
    pub count: u64,
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong, as a line for people.
    pub words: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// One model or credential that a cause rests on.
pub(super) struct Hit<'a, N: ?Sized> {
    pub of: &'a N,
    pub kind: Kind,
    pub count: u32,
    pub since: Instant,
}

/// What several failures add up to.
struct Sum {
    kind: Kind,
    count: u64,
    since: Instant,
}

impl Cause {
    /// No provider can be reached.
    pub(super) fn local(unreached: impl Iterator<Item = Streak>) -> Option<Self> {
        let hits: Vec<_> =
            unreached.map(|Streak { kind, count, since, .. }| Hit { of: &(), kind, count, since }).collect();
        let sum = Sum::of(&hits)?;
        // A provider that had been away before says nothing of when the others went.
        let since = hits.iter().map(|hit| hit.since).max().unwrap_or(sum.since);
        let is_one_kind = hits.iter().all(|hit| hit.kind == sum.kind);
        let words = match sum.kind {
            Kind::Dns if is_one_kind => "DNS fails for every provider: the fault is here",
            Kind::Tls if is_one_kind => "TLS fails for every provider: the fault is here",
            _ => "no provider can be reached: the fault is here",
        };
        let advice = match sum.kind {
            Kind::Dns => "check the resolver that this machine uses, and its network",
            Kind::Tls => "check this machine's clock and certificates, and whether a proxy opens TLS",
            _ => "check this machine's network, its routes, and any firewall or proxy on the way",
        };
        Some(Sum { since, ..sum }.cause(Scope::Here, Severity::Critical, words.to_owned(), advice))
    }

    /// Some of the `of` credentials in use are refused, all for one reason.
    pub(super) fn credentials(provider: &str, hits: &[Hit<'_, u64>], of: usize) -> Option<Self> {
        let sum = Sum::of(hits)?;
        let (who, verb) = match hits.len() {
            1 if of == 1 => ("the credential".to_owned(), "is"),
            1 => ("one credential".to_owned(), "is"),
            all if all == of => (format!("all {of} credentials"), "are"),
            some => (format!("{some} of {of} credentials"), "are"),
        };
        let (what, advice) = match sum.kind {
            Kind::Quota => ("out of quota", "raise the account's budget, or take the credential out"),
            Kind::RateLimited => {
                ("rate limited", "set the limits here below the provider's, or ask it for higher ones")
            }
            _ => ("refused", "replace the credential: it is mistyped, revoked, or lacks a right"),
        };
        let scope = match hits {
            [hit] => Scope::Credential(provider.to_owned(), *hit.of),
            _ => Scope::Provider(provider.to_owned()),
        };
        let is_grave = hits.len() == of && sum.kind != Kind::RateLimited;
        let severity = if is_grave { Severity::Critical } else { Severity::Warning };
        Some(sum.cause(scope, severity, format!("{who} of '{provider}' {verb} {what}"), advice))
    }

    /// None of a provider's models in use can be reached, but other providers can.
    pub(super) fn unreached(provider: &str, hits: &[Hit<'_, String>]) -> Option<Self> {
        let sum = Sum::of(hits)?;
        let words = format!("provider '{provider}' cannot be reached: {}", sum.kind.words());
        let advice = "check its base URL and any firewall or proxy on the way; see its status page";
        Some(sum.cause(Scope::Provider(provider.to_owned()), Severity::Critical, words, advice))
    }

    /// Most of a provider's `of` models in use do nothing but fail.
    pub(super) fn down(provider: &str, hits: &[Hit<'_, String>], of: usize) -> Option<Self> {
        let sum = Sum::of(hits)?;
        let words = format!(
            "provider '{provider}' is down: {} of {of} models fail with {}",
            hits.len(),
            sum.kind.words()
        );
        let advice = "see its status page, and have a fallback at another provider";
        Some(sum.cause(Scope::Provider(provider.to_owned()), Severity::Critical, words, advice))
    }

    /// Most of a provider's `of` models in use refuse calls for lack of capacity.
    pub(super) fn overloaded(provider: &str, hits: &[Hit<'_, String>], of: usize) -> Option<Self> {
        let sum = Sum::of(hits)?;
        let words =
            format!("provider '{provider}' is overloaded: {} of {of} models refuse calls", hits.len());
        let advice = "have a fallback at another provider";
        Some(sum.cause(Scope::Provider(provider.to_owned()), Severity::Warning, words, advice))
    }

    /// One model fails, while others of its provider may not.
    pub(super) fn model(provider: &str, hit: &Hit<'_, String>) -> Self {
        let (model, kind) = (hit.of, hit.kind);
        let words = match kind {
            Kind::Overloaded => format!("model '{model}' of provider '{provider}' is overloaded"),
            _ => format!("model '{model}' of provider '{provider}' fails with {}", kind.words()),
        };
        let advice = match kind {
            Kind::Overloaded => "spread its load over more targets, or have a fallback",
            Kind::Timeout => "allow it more time, or have a faster fallback",
            Kind::Cut => "look for a proxy on the way that ends long answers; have a fallback",
            Kind::Nonsense => "check that its base URL speaks the protocol it is configured for",
            Kind::Dns | Kind::Connect | Kind::Tls => "check its base URL and what is on the way to it",
            _ => "see the provider's status page, and have a fallback",
        };
        let sum = Sum { kind, count: u64::from(hit.count), since: hit.since };
        let scope = Scope::Model(provider.to_owned(), model.to_string());
        sum.cause(scope, Severity::Warning, words, advice)
    }
}

impl Sum {
    /// Nothing, if there are no hits. The kind is that of the most failures.
    fn of<N>(hits: &[Hit<'_, N>]) -> Option<Self> {
        let count_of =
            |kind| hits.iter().filter(|hit| hit.kind == kind).map(|hit| u64::from(hit.count)).sum();
        let kind = Kind::ALL.into_iter().max_by_key(|kind| -> u64 { count_of(*kind) })?;
        let since = hits.iter().map(|hit| hit.since).min()?;
        Some(Self { kind, count: hits.iter().map(|hit| u64::from(hit.count)).sum(), since })
    }

    fn cause(self, scope: Scope, severity: Severity, words: String, advice: &'static str) -> Cause {
        Cause { scope, kind: self.kind, since: self.since, count: self.count, severity, words, advice }
    }
}
