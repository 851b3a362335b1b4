//! What happened lately at one provider, and which of its parts that points at.

use super::bounded::Bounded;
use super::cause::{Cause, Hit};
use super::kind::Blame;
use super::track::{Streak, Track};
use super::{Event, Kind, NOW};
use std::time::Instant;

/// Models of one provider told apart; those beyond count as one.
const MODELS: usize = 64;
/// Credentials of one provider told apart.
const CREDENTIALS: usize = 64;
/// Failures in a row, or refusals in a minute, that make a pattern. One credential out of quota is one.
const FEW: u32 = 3;

pub(super) struct Provider {
    /// When it last answered, be it with an error.
    heard: Option<Instant>,
    /// Attempts to reach it since then.
    unreached: Option<Streak>,
    models: Bounded<String, Track>,
    credentials: Bounded<u64, Track>,
}

impl Default for Provider {
    fn default() -> Self {
        Self {
            heard: None,
            unreached: None,
            models: Bounded::new("others".into(), MODELS),
            credentials: Bounded::new(u64::MAX, CREDENTIALS),
        }
    }
}

impl Provider {
    pub fn note(&mut self, event: &Event<'_>, now: Instant) {
        let kind = event.kind;
        if kind.is_answer() {
            self.hear(now);
        }
        if kind.is_unreached() {
            self.unreached.get_or_insert(Streak::new(kind, now)).add(kind, now);
        }
        let model = self.models.entry(event.model, now);
        let credential = self.credentials.entry(&event.credential, now);
        match kind.blame() {
            Blame::Model => model.note(kind, true, now),
            Blame::Load => model.note(kind, false, now),
            Blame::Credential => credential.note(kind, kind != Kind::RateLimited, now),
        }
    }

    pub fn succeeded(&mut self, credential: u64, model: &str, now: Instant) {
        self.hear(now);
        self.models.entry(model, now).succeeded();
        self.credentials.entry(&credential, now).succeeded();
    }

    fn hear(&mut self, now: Instant) {
        (self.heard, self.unreached) = (Some(now), None);
    }

    /// Whether it answers: it did within `NOW`, and no attempt to reach it failed since.
    pub fn is_heard(&self, now: Instant) -> bool {
        let lately = |heard| now.saturating_duration_since(heard) < NOW;
        self.unreached.is_none() && self.heard.is_some_and(lately)
    }

    /// The attempts to reach it since it last answered, if the last failed within `NOW`.
    pub fn unreached(&self, now: Instant) -> Option<Streak> {
        self.unreached.filter(|streak| streak.is_recent(now))
    }

    pub fn is_down(&self, now: Instant) -> bool {
        let failing = self.models.active(now).filter(|(_, model)| model.streak(FEW, now).is_some()).count();
        is_most(failing, self.models.active(now).count())
    }

    /// Adds the causes that lie with this provider.
    pub fn causes(&mut self, name: &str, is_local: bool, now: Instant, causes: &mut Vec<Cause>) {
        self.credential_causes(name, now, causes);
        self.load_causes(name, now, causes);
        if !is_local {
            self.failure_causes(name, now, causes);
        }
    }

    fn credential_causes(&mut self, name: &str, now: Instant, causes: &mut Vec<Cause>) {
        let of = self.credentials.active(now).count();
        for kind in [Kind::Quota, Kind::Credential, Kind::RateLimited] {
            let hits = self.credentials.active_mut(now).filter_map(|(number, credential)| {
                let refused = match kind {
                    Kind::RateLimited => credential.lately(kind, now).filter(|(count, _)| *count >= FEW)?,
                    _ => credential
                        .streak(1, now)
                        .filter(|streak| streak.kind == kind)
                        .map(|streak| (streak.count, streak.since))?,
                };
                Some(Hit { of: number, kind, count: refused.0, since: refused.1 })
            });
            causes.extend(Cause::credentials(name, &hits.collect::<Vec<_>>(), of));
        }
    }

    fn load_causes(&mut self, name: &str, now: Instant, causes: &mut Vec<Cause>) {
        let (of, kind) = (self.models.active(now).count(), Kind::Overloaded);
        let hits = self.models.active_mut(now).filter_map(|(model, track)| {
            let (count, since) = track.lately(kind, now).filter(|(count, _)| *count >= FEW)?;
            Some(Hit { of: model, kind, count, since })
        });
        let hits: Vec<_> = hits.collect();
        if is_most(hits.len(), of) {
            causes.extend(Cause::overloaded(name, &hits, of));
        } else {
            causes.extend(hits.iter().map(|hit| Cause::model(name, hit)));
        }
    }

    fn failure_causes(&self, name: &str, now: Instant, causes: &mut Vec<Cause>) {
        let of = self.models.active(now).count();
        let hits = self.models.active(now).filter_map(|(model, track)| {
            let Streak { kind, count, since, .. } = track.streak(FEW, now)?;
            Some(Hit { of: model, kind, count, since })
        });
        let hits: Vec<_> = hits.collect();
        if hits.len() == of && hits.iter().all(|hit| hit.kind.is_unreached()) {
            causes.extend(Cause::unreached(name, &hits));
        } else if is_most(hits.len(), of) {
            causes.extend(Cause::down(name, &hits, of));
        } else {
            causes.extend(hits.iter().map(|hit| Cause::model(name, hit)));
        }
    }
}

/// Whether so many point beyond themselves: three, and half of all.
fn is_most(hits: usize, of: usize) -> bool {
    hits >= 3 && 2 * hits >= of
}
