//! The tier: one look-up from a question to a key, and what is learnt of it afterwards.

#[cfg(test)]
mod tests;

use super::audit::{self, Audit};
use super::partition::Near;
use super::question::Question;
use super::reading::Form;
use super::report::{Counters, Report, add};
use super::store::{Bounds, Fingerprint, Store};
use super::vector::Vector;
use super::verify::{self, Refusal};
use super::veto::{self, Veto};
use crate::key::Key;
use foldhash::fast::FixedState;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use std::sync::{Mutex, PoisonError};

/// The cosine below which nothing is a candidate, whatever is configured.
pub const COSINE_MIN: f32 = 0.85;
/// Candidates that are looked at, the nearest first.
const CANDIDATES: usize = 8;

/// Who accepts a candidate that no veto sorted out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// The verifier, at once.
    Local,
    /// The evidence of earlier comparisons; until there is enough, the caller compares.
    Learned,
    /// A judge of the caller's, in the background.
    Judge,
}

/// How a tier decides.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// Who accepts.
    pub accept: Accept,
    /// Cosine from which a question is a candidate; at least [`COSINE_MIN`].
    pub cosine: f32,
    /// With [`Accept::Learned`], the share of answers that may be wrong.
    pub error_max: f64,
    /// How hits are audited.
    pub audit: audit::Options,
    /// The most that is held.
    pub bounds: Bounds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            accept: Accept::Local,
            cosine: COSINE_MIN,
            error_max: 0.02,
            audit: audit::Options::default(),
            bounds: Bounds::default(),
        }
    }
}

/// What became of a look-up.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Another question's answer is this one's.
    Hit(Hit),
    /// Another question may mean the same: ask upstream, compare in the background, and
    /// [`report`](Semantic::report).
    Candidate(Candidate),
    /// Nothing.
    Miss(Miss),
}

/// An answer, by its key.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Under which the answer is stored. Where it is not there any more, [`forget`](Semantic::forget) it.
    pub key: Key,
    /// What hits are audited by.
    pub category: Form,
    /// Who accepted it.
    pub by: By,
    /// How near the questions are; 1 for an alias.
    pub cosine: f32,
    /// Whether this hit is to be asked again in the shadow, and the result given to
    /// [`audit_hit`](Semantic::audit_hit).
    pub to_audit: bool,
    alias: [u8; 32],
}

/// Who accepted a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The verifier.
    Verifier,
    /// Evidence.
    Evidence,
    /// An alias, which the verifier once accepted or a judge confirmed.
    Alias,
}

/// A pair to be compared.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Under which the other question's answer is stored.
    pub key: Key,
    /// The other question.
    pub text: Box<str>,
    /// How near it is.
    pub cosine: f32,
    /// What it is counted by.
    pub category: Form,
    partition: Fingerprint,
    alias: [u8; 32],
}

/// Why nothing was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No question is near.
    Far,
    /// The nearest was vetoed.
    Vetoed(Veto),
    /// The nearest was refused.
    Refused(Refusal),
    /// The category errs too often to answer.
    SwitchedOff,
}

/// What a comparison gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The other's answer is right for this question.
    Same,
    /// It is not.
    Different,
}

/// Another text for a question whose answer is stored.
#[derive(Clone, Copy, Debug)]
struct Alias {
    key: Key,
    category: Form,
    /// A judge confirmed it, so that it stays where the category is switched off.
    confirmed: bool,
}

/// Questions whose answers are stored, and how others are found to mean the same.
#[derive(Debug)]
pub struct Semantic {
    options: Options,
    store: Store,
    aliases: Cache<[u8; 32], Alias, UnitWeighter, FixedState>,
    audit: Mutex<Audit>,
    counters: Counters,
}

impl Semantic {
    /// An empty tier.
    #[must_use]
    pub fn new(mut options: Options) -> Self {
        let cosine = if options.cosine.is_nan() { COSINE_MIN } else { options.cosine };
        options.cosine = cosine.clamp(COSINE_MIN, 1.0);
        let aliases = options.bounds.aliases.max(1);
        Self {
            options,
            store: Store::new(options.bounds),
            aliases: Cache::with(
                aliases,
                aliases as u64,
                UnitWeighter,
                FixedState::default(),
                DefaultLifecycle::default(),
            ),
            audit: Mutex::default(),
            counters: Counters::default(),
        }
    }

    /// How it decides.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The answer to a text that was found to mean what another does. To be asked first: it needs no vector.
    #[must_use]
    pub fn alias(&self, partition: &Fingerprint, text: &str) -> Option<Hit> {
        let digest = digest(partition, text);
        let alias = self.aliases.get(&digest)?;
        let mut audit = self.audit();
        let answers = audit.looked_up(alias.category) || alias.confirmed;
        if !answers {
            return None;
        }
        audit.hit(alias.category);
        add(&self.counters.lookups);
        add(&self.counters.alias_hits);
        Some(self.hit(alias.key, alias.category, By::Alias, 1.0, digest))
    }

    /// Looks for a question that means the same as this one, whose vector is `vector`.
    #[must_use]
    pub fn lookup(&self, partition: &Fingerprint, question: &Question, vector: &Vector) -> Outcome {
        add(&self.counters.lookups);
        if !self.audit().looked_up(question.form()) {
            add(&self.counters.switched_off);
            return Outcome::Miss(Miss::SwitchedOff);
        }
        let near = self.store.nearest(partition, vector, self.options.cosine, CANDIDATES);
        // Of several that are near and differ, the nearest tells why.
        let mut why = None;
        for near in near {
            let other = Question::read_again(&near.text);
            let miss = match veto::first(question, &other) {
                Some(veto) => Miss::Vetoed(veto),
                None => match self.accept(partition, question, &other, near) {
                    Ok(outcome) => return outcome,
                    Err(refusal) => Miss::Refused(refusal),
                },
            };
            why.get_or_insert(miss);
        }
        let miss = why.unwrap_or(Miss::Far);
        match miss {
            Miss::Vetoed(veto) => self.counters.vetoed(veto),
            Miss::Refused(_) => add(&self.counters.refused),
            Miss::Far | Miss::SwitchedOff => add(&self.counters.far),
        }
        Outcome::Miss(miss)
    }

    /// What becomes of a candidate that no veto sorted out.
    fn accept(
        &self,
        partition: &Fingerprint,
        question: &Question,
        other: &Question,
        near: Near,
    ) -> Result<Outcome, Refusal> {
        let category = question.form();
        let alias = digest(partition, question.text());
        let by = match self.options.accept {
            Accept::Local => {
                verify::verify(&question.reading, &other.reading)?;
                self.promote(alias, near.key, category, false);
                Some(By::Verifier)
            }
            Accept::Learned => {
                let explore = near.evidence.explore(near.cosine, self.options.error_max);
                (fastrand::f64() >= explore).then_some(By::Evidence)
            }
            Accept::Judge => None,
        };
        let Some(by) = by else {
            add(&self.counters.candidates);
            let Near { text, key, cosine, .. } = near;
            let candidate = Candidate { key, text, cosine, category, partition: *partition, alias };
            return Ok(Outcome::Candidate(candidate));
        };
        add(&self.counters.hits);
        self.audit().hit(category);
        Ok(Outcome::Hit(self.hit(near.key, category, by, near.cosine, alias)))
    }

    /// Keeps a question whose answer is stored under `key`.
    pub fn insert(&self, partition: &Fingerprint, question: &Question, vector: &Vector, key: Key) {
        self.store.insert(partition, question.text(), vector, key);
    }

    /// Takes in what the comparison of a candidate gave: evidence, and, where the two mean the same, an
    /// alias.
    pub fn report(&self, candidate: &Candidate, verdict: Verdict) {
        let same = verdict == Verdict::Same;
        self.store.learn(&candidate.partition, &candidate.text, &candidate.key, candidate.cosine, same);
        if same {
            self.promote(candidate.alias, candidate.key, candidate.category, true);
        }
    }

    /// Takes in whether an audited hit was right. A wrong one loses its alias; too many switch the category
    /// off, which this tells.
    pub fn audit_hit(&self, hit: &Hit, right: bool) -> bool {
        if !right {
            self.aliases.remove(&hit.alias);
        }
        self.label(hit.category, right)
    }

    /// Takes in a label from elsewhere: whether a hit of this category was right. Gives whether that
    /// switched the category off.
    pub fn label(&self, category: Form, right: bool) -> bool {
        self.audit().label(category, right, &self.options.audit)
    }

    /// Lets a category answer again, and begins its labels anew.
    pub fn revive(&self, category: Form) {
        self.audit().revive(category);
    }

    /// Forgets the questions that `key` answers, as its answer is gone, and this hit's alias.
    pub fn forget(&self, partition: &Fingerprint, hit: &Hit) {
        self.aliases.remove_if(&hit.alias, |alias| alias.key == hit.key);
        self.store.forget(partition, &hit.key);
    }

    /// Forgets all questions and aliases; what was learnt of categories stays.
    pub fn clear(&self) {
        self.store.clear();
        self.aliases.clear();
    }

    /// What came of it.
    #[must_use]
    pub fn stats(&self) -> Report {
        use std::sync::atomic::{AtomicU64, Ordering};
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let counters = &self.counters;
        Report {
            lookups: read(&counters.lookups),
            hits: read(&counters.hits),
            alias_hits: read(&counters.alias_hits),
            candidates: read(&counters.candidates),
            far: read(&counters.far),
            refused: read(&counters.refused),
            switched_off: read(&counters.switched_off),
            vetoes: counters.vetoes(),
            categories: self.audit().tallies(),
            questions: self.store.questions(),
            partitions: self.store.partitions(),
            aliases: self.aliases.len(),
        }
    }

    fn hit(&self, key: Key, category: Form, by: By, cosine: f32, alias: [u8; 32]) -> Hit {
        let to_audit = fastrand::f64() < self.options.audit.share;
        Hit { key, category, by, cosine, to_audit, alias }
    }

    fn promote(&self, alias: [u8; 32], key: Key, category: Form, confirmed: bool) {
        self.aliases.insert(alias, Alias { key, category, confirmed });
    }

    fn audit(&self) -> std::sync::MutexGuard<'_, Audit> {
        self.audit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an alias is found under.
fn digest(partition: &Fingerprint, text: &str) -> [u8; 32] {
    *blake3::keyed_hash(partition.as_bytes(), text.trim().as_bytes()).as_bytes()
}
