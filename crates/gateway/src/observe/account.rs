//! What there is to tell of one request when it is over: one value that it fills in while it lives and hands over
//! at its end. Nothing of what it said or was answered is in it.

use super::id::Id;
use super::trail::{Micros, Trail};
use crate::auth::Principal;
use crate::remember::status::Status;
use measure::metrics::Outcome;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::Kind;
use wire::openai::Usage;
use wire::operation::Operation;

/// Longest model's name that is kept of a request that asked for one there is not, in bytes.
const MODEL_BYTES_MAX: usize = 64;

/// Whose account it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A request's.
    Request,
    /// Of calls that were made for several requests or for none: it tells of tries, and of what they used.
    Errand,
}

/// Tokens, as the provider counts them; none where somebody else's call answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read, cached ones among them.
    pub input: u32,
    /// Written.
    pub output: u32,
    /// Those of the input that the provider had cached.
    pub cached: u32,
}

/// One request, told.
#[derive(Debug)]
pub struct Account {
    /// Its id.
    pub id: Id,
    /// What it asked for.
    pub operation: Operation,
    /// Whose account it is.
    pub role: Role,
    /// The name under which it is counted, once that is known: an alias, or `provider/model`.
    pub route: Option<Arc<str>>,
    /// Whether that is an alias.
    pub is_alias: bool,
    /// Who called, where callers have keys.
    pub who: Option<Arc<Principal>>,
    /// The beginning of the model's name, where there is none of that name or the caller may not use it.
    pub model: Option<Box<str>>,
    /// Where it has been.
    pub trail: Trail,
    /// From its arrival to the end of its answer.
    pub total: Micros,
    /// The part of that which was ours.
    pub overhead: Micros,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong.
    pub fault: Option<Kind>,
    /// The answer's status; 0 where none was sent.
    pub status: u16,
    /// What the cache had to do with it.
    pub cache: Option<Status>,
    /// Whether the answer was a stream.
    pub stream: bool,
    /// What tells its question from others, where advice is given on it: of an alias; see [`crate::advice::fingerprint`].
    pub question: Option<NonZeroU64>,
    /// Whether that leaves its answer to chance.
    pub sampled: bool,
    /// Tokens that its answer may have; 0 where it does not say, or no advice is given on it.
    pub max_tokens: u32,
    /// What was used.
    pub tokens: Tokens,
    /// What that cost, in millionths of a US dollar, where that is known.
    pub cost_micro_usd: Option<u32>,
    /// Whether sums of what was used take it from here: where several accounts tell of one call, one of them pays.
    pub pays: bool,
}

impl Account {
    /// A request has arrived.
    pub fn new(id: Id, operation: Operation, role: Role, now: Instant) -> Self {
        Self {
            id,
            operation,
            role,
            route: None,
            is_alias: false,
            who: None,
            model: None,
            trail: Trail::new(now),
            total: Micros::ZERO,
            overhead: Micros::ZERO,
            outcome: Outcome::CallerLeft,
            fault: None,
            status: 0,
            cache: None,
            stream: false,
            question: None,
            sampled: false,
            max_tokens: 0,
            tokens: Tokens::default(),
            cost_micro_usd: None,
            pays: true,
        }
    }

    /// This model was asked for, and there is none of that name, or none for this caller.
    pub fn asked_in_vain(&mut self, model: &str) {
        self.model = Some(model[..model.floor_char_boundary(MODEL_BYTES_MAX)].into());
    }

    /// So much was used.
    pub fn used(&mut self, usage: &Usage, cost_micro_usd: Option<u64>) {
        let narrow = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        self.tokens = Tokens {
            input: narrow(usage.input),
            output: narrow(usage.output),
            cached: narrow(usage.cached_input),
        };
        self.cost_micro_usd = cost_micro_usd.map(narrow);
    }

    /// What was used is as that one says.
    pub fn adopts_use(&mut self, other: &Self) {
        (self.tokens, self.cost_micro_usd) = (other.tokens, other.cost_micro_usd);
    }

    /// When it was over.
    pub fn ended(&self) -> Instant {
        self.trail.began() + self.total.after()
    }

    /// It is over.
    pub fn ends(&mut self, outcome: Outcome, total: Duration, overhead: Duration) {
        self.outcome = outcome;
        (self.total, self.overhead) = (Micros::of(total), Micros::of(overhead));
    }

    /// Whether we or a provider failed it. A caller's fault is none of these, or whoever sends nonsense would
    /// drive out what is worth looking at.
    pub fn is_failed(&self) -> bool {
        debug_assert_eq!(self.role, Role::Request);
        matches!(self.outcome, Outcome::ProviderError | Outcome::GatewayError)
    }

    /// Whether it took longer than `slow`.
    pub fn is_slow(&self, slow: Duration) -> bool {
        self.total > Micros::of(slow)
    }

    /// Takes the account, and leaves one behind of which nothing more is told.
    pub fn take(&mut self) -> Self {
        let spent = Self::new(Id::NONE, self.operation, self.role, self.trail.began());
        std::mem::replace(self, spent)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::stage;
    use super::Account;

    /// It lies in every request's record and is copied twice: 248 bytes, and 16 for advice.
    #[test]
    fn it_stays_small() {
        let size = size_of::<Account>();
        assert!(size <= 264, "{size} bytes");
    }

    #[test]
    fn of_a_long_name_the_beginning_is_kept_whole_letters_only() {
        let mut account = stage::account("r1");
        account.asked_in_vain(&"é".repeat(100));
        assert_eq!(account.model.as_deref(), Some("é".repeat(32).as_str()));
        account.asked_in_vain("short");
        assert_eq!(account.model.as_deref(), Some("short"));
    }

    #[test]
    fn a_taken_account_leaves_one_without_a_name() {
        let mut account = stage::account("r1");
        account.status = 200;
        let taken = account.take();
        assert_eq!((taken.id.as_str(), taken.status), ("r1", 200));
        assert_eq!((account.id.as_str(), account.status), ("", 0));
    }
}
