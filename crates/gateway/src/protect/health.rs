//! Whether a target or a provider is well, judged by what real traffic has shown: breakers, the causes that
//! failures have in common, and the answer to a probe where nobody asked. It judges and changes nothing.

use super::{Lane, Protection};
use crate::ending::Fault;
use guard::breaker::{Breaker, Reason, State};
use guard::pattern::{Cause, Scope};
use std::collections::BTreeMap;
use std::time::Instant;

/// How a target is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether it is expected to do its work.
    pub ok: bool,
    /// Since when it is unwell; `None` while it is well.
    pub since: Option<Instant>,
    /// What is the matter. A target that is well may have something to tell too: that it takes no more for now.
    pub why: Option<String>,
}

/// A dependency that is unwell, and what is the matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unwell {
    /// Its name in the configuration.
    pub dependency: String,
    /// For people, without a word of a caller's or a secret.
    pub words: String,
}

impl Health {
    /// How `lane`'s target is; `causes` are those of the moment, the gravest first.
    pub fn of(lane: &Lane, causes: &[Cause], now: Instant) -> Self {
        let cause = causes.iter().find(|cause| concerns(cause, lane));
        let shut = [shut(&lane.breaker, of_target, now), shut(&lane.account.breaker, of_credential, now)];
        let probe =
            lane.account.probe.fails().filter(|(at, _)| lane.seen.good().is_none_or(|good| good < *at));
        let [own, account] = shut.clone();
        let words = [
            cause.map(|cause| cause.words.clone()),
            own.map(|(_, words)| words),
            account.map(|(_, words)| format!("all that its credential leads to: {words}")),
            probe.map(|(_, kind)| format!("asked for its models, it fails with {}", kind.words())),
        ];
        let words: Vec<String> = words.into_iter().flatten().collect();
        let grave = cause.filter(|cause| is_grave(cause.kind)).map(|cause| cause.since);
        let probe = probe.filter(|(_, kind)| is_grave(*kind)).map(|(at, _)| at);
        let since = shut.into_iter().flatten().map(|(at, _)| at).chain(grave).chain(probe).min();
        let mut why = Some(words.join("; ")).filter(|why| !why.is_empty());
        if since.is_some() && lane.answers_probes() {
            why = why.map(|why| format!("{why}; but asked for its models, it answers"));
        }
        Self { ok: since.is_none(), since, why }
    }
}

impl Protection {
    /// The providers that are unwell.
    pub fn unwell(&self, now: Instant) -> Vec<Unwell> {
        let causes = self.patterns().causes(now);
        let mut providers: BTreeMap<Box<str>, Tally> = BTreeMap::new();
        self.for_each(|lane| {
            let tally = providers.entry(lane.provider.clone()).or_default();
            tally.all += 1;
            tally.unwell += usize::from(!Health::of(lane, &causes, now).ok);
        });
        self.for_each_account(|account| {
            let tally = providers.entry(account.provider.clone()).or_default();
            let fails = account.probe.fails().filter(|(_, kind)| is_grave(*kind));
            tally.probe = tally.probe.or(fails.map(|(_, kind)| kind));
        });
        let unwell = providers.into_iter().filter_map(|(name, tally)| {
            let of_all =
                causes.iter().filter(|cause| is_grave(cause.kind)).find(|cause| match &cause.scope {
                    Scope::Provider(provider) | Scope::Credential(provider, _) => **provider == *name,
                    Scope::Here | Scope::Model(..) => false,
                });
            let words = match (of_all, tally.probe) {
                (Some(cause), _) => cause.words.clone(),
                // Not which: the name of a model that the configuration does not have is a caller's word.
                _ if tally.unwell > 0 => format!("{} of {} targets do not work", tally.unwell, tally.all),
                (None, Some(kind)) => format!("asked for its models, it fails with {}", kind.words()),
                (None, None) => return None,
            };
            Some(Unwell { dependency: format!("providers.{name}"), words })
        });
        unwell.collect()
    }

    /// Why nobody can be asked from here, whoever it is; `None` where somebody can.
    pub fn local_fault(&self, now: Instant) -> Option<String> {
        if !self.patterns().is_local(now) {
            return None;
        }
        let here = self.patterns().causes(now).into_iter().find(|cause| cause.scope == Scope::Here)?;
        Some(format!("{}: {}", here.words, here.advice))
    }
}

/// What is known of one provider.
#[derive(Default)]
struct Tally {
    all: usize,
    unwell: usize,
    probe: Option<Fault>,
}

/// A breaker that lets not every call through: since when, and why.
fn shut(breaker: &Breaker, words: fn(Reason) -> &'static str, now: Instant) -> Option<(Instant, String)> {
    let report = breaker.report(now);
    let how = match report.state {
        State::Closed => return None,
        State::Open { .. } => "left alone",
        State::HalfOpen => "on trial",
    };
    let why = report.reason.map_or("failures", words);
    Some((report.since.unwrap_or(now), format!("{how} after {why}")))
}

/// Why a target's breaker tripped.
fn of_target(reason: Reason) -> &'static str {
    match reason {
        Reason::Consecutive => "failures in a row",
        Reason::Rate => "too many failures",
        Reason::Trial => "a failure on trial",
        Reason::Forced => "failures of several models of its provider",
    }
}

/// Why a credential's did, which counts nothing but its refusals.
fn of_credential(reason: Reason) -> &'static str {
    match reason {
        Reason::Forced => of_target(reason),
        Reason::Consecutive | Reason::Rate | Reason::Trial => "its credential was refused or spent",
    }
}

/// To be refused for load says that the target is there.
fn is_grave(kind: Fault) -> bool {
    !matches!(kind, Fault::RateLimited | Fault::Overloaded)
}

fn concerns(cause: &Cause, lane: &Lane) -> bool {
    match &cause.scope {
        Scope::Here => lane.seen.fails().is_some(),
        Scope::Provider(provider) => **provider == *lane.provider,
        Scope::Credential(provider, credential) => {
            **provider == *lane.provider && *credential == lane.credential
        }
        Scope::Model(provider, model) => **provider == *lane.provider && **model == *lane.model,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Health, Lane, concerns};
    use crate::ending::Fault;
    use crate::protect::Account;
    use guard::breaker::Verdict;
    use guard::pattern::{Event, Patterns, Scope};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    /// One target and what happens to it.
    struct Course {
        lane: Lane,
        now: Instant,
    }

    impl Course {
        fn new() -> Self {
            let now = Instant::now();
            let account = Arc::new(Account::new("*", 0, now));
            Self { lane: Lane::shared(account, Arc::new(Patterns::new(now)), now), now }
        }

        /// A request failed, or was answered; a second later.
        fn ended(&mut self, fault: Option<Fault>) -> &mut Self {
            self.now += Duration::from_secs(1);
            let Lane { provider, model, credential, patterns, .. } = &self.lane;
            match fault {
                Some(kind) => {
                    patterns.note(Event { provider, credential: *credential, model, kind }, self.now);
                }
                None => patterns.succeeded(provider, *credential, model, self.now),
            }
            self.lane.seen.note(fault, self.now);
            self
        }

        fn probed(&mut self, fault: Option<Fault>) -> &mut Self {
            self.now += Duration::from_secs(1);
            self.lane.account.probe.note(fault, self.now);
            self
        }

        #[track_caller]
        fn is(&self, ok: bool, why: &str) {
            let health = Health::of(&self.lane, &self.lane.patterns.causes(self.now), self.now);
            assert_eq!((health.ok, health.why.as_deref().unwrap_or_default()), (ok, why));
            assert_eq!(health.since.is_none(), ok);
        }
    }

    #[test]
    fn a_target_is_unwell_where_it_fails_again_and_again() {
        let mut course = Course::new();
        course.is(true, "");
        course.ended(None).ended(Some(Fault::Status)).is(true, "");
        for _ in 0..2 {
            course.ended(Some(Fault::Status));
        }
        course.is(false, "model '*' of provider '*' fails with 5xx");
        course.lane.breaker.trip(course.now, None);
        let words = "model '*' of provider '*' fails with 5xx; left alone after failures of several models of its provider";
        course.is(false, words);
        course.probed(None).is(false, &format!("{words}; but asked for its models, it answers"));
        course.lane.breaker.reset(course.now);
        course.ended(None).is(true, "");
    }

    #[test]
    fn a_credential_is_all_that_it_leads_to() {
        let mut course = Course::new();
        course.ended(Some(Fault::Credential)).is(false, "the credential of '*' is refused");
        for _ in 0..3 {
            course.lane.account.breaker.admit(course.now).unwrap().settle(Verdict::Hard, course.now);
        }
        course.now += Duration::from_secs(30);
        course.is(
            false,
            "all that its credential leads to: on trial after its credential was refused or spent",
        );
    }

    #[test]
    fn who_takes_no_more_for_now_is_well() {
        let mut course = Course::new();
        for _ in 0..3 {
            course.ended(Some(Fault::Overloaded));
        }
        course.is(true, "model '*' of provider '*' is overloaded");
    }

    #[test]
    fn a_probe_tells_where_no_request_has() {
        let mut course = Course::new();
        course.probed(Some(Fault::Timeout)).is(false, "asked for its models, it fails with time-outs");
        course.ended(None).is(true, "");
        course
            .probed(Some(Fault::Connect))
            .is(false, "asked for its models, it fails with connection errors");
        course.probed(None).is(true, "");
    }

    #[test]
    fn a_local_fault_concerns_whom_it_keeps_from_being_reached() {
        let mut course = Course::new();
        for provider in ["*", "other"] {
            let event = Event { provider, credential: 0, model: "*", kind: Fault::Dns };
            course.lane.patterns.note(event, course.now);
        }
        let here = |course: &Course| {
            let causes = course.lane.patterns.causes(course.now);
            causes.iter().any(|cause| cause.scope == Scope::Here && concerns(cause, &course.lane))
        };
        assert!(!here(&course), "it was not asked");
        assert!(here(course.ended(Some(Fault::Dns))));
    }
}
