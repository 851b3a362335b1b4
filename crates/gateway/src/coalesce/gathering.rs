//! Who waits for whom. Every decision is taken under one lock, which is held for a step; nothing here waits, but
//! for [`Departure::wait`].

use super::Outcome;
use crate::auth::Principal;
use crate::config::Coalesce;
use crate::inquiry::Standing;
use crate::plan::Target;
use bytes::Bytes;
use cache::key::{Key, Parts, Secret};
use foldhash::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use wire::openai::Request;
use wire::openai::embeddings::Inputs;

/// Gatherings at once; whoever would begin one more is asked by itself.
const OPEN_MAX: usize = 4096;

/// What makes no difference to whom a request may be joined with: its input, and its model, whose name as the caller
/// wrote it stands in the key beside what it leads to.
const LEFT_OUT: [&str; 2] = ["input", "model"];

/// These keys never leave the process.
static SECRET: LazyLock<Secret> = LazyLock::new(|| Secret::new(""));

/// What of a request says with whom it may be joined.
pub struct Joins {
    /// The same for requests of the same tenant that differ in nothing but their input.
    pub(super) key: Key,
    pub(super) inputs: Inputs,
    pub(super) tokens: u64,
    pub(super) terms: Coalesce,
}

impl Joins {
    /// With whom an embedding request may be joined. `None` where nobody opts in, and where it is as large by itself
    /// as a joint one may be.
    pub fn of(ask: &Request<'_>, tenant: &str, target: &Target) -> Option<Box<Self>> {
        let terms = target.coalesce?;
        let inputs = ask.inputs()?;
        let tokens = ask.tokens_expected().input;
        if inputs.count >= terms.items || tokens >= terms.tokens {
            return None;
        }
        let parts = Parts {
            place: target.place(ask.operation),
            tenant,
            scope: &ask.model,
            form: inputs.kind as u8,
            body: ask.text(),
            leave_out: &LEFT_OUT,
            hole: None,
        };
        let key = Key::new(&SECRET, &parts).ok()?;
        Some(Box::new(Self { key, inputs, tokens, terms }))
    }
}

/// Those who wait for others now; one for the process, as callers of one kind come on every worker.
#[derive(Default)]
pub struct Gatherings(Mutex<Open>);

#[derive(Default)]
struct Open {
    by_key: HashMap<Key, Gathering>,
    /// How many there were so far: their numbers.
    begun: u64,
}

/// Requests that wait to be sent as one.
struct Gathering {
    number: u64,
    members: Vec<Member>,
    items: usize,
    tokens: u64,
    /// Sends them on their way when they are enough.
    enough: oneshot::Sender<Vec<Member>>,
}

/// One who waits.
pub(super) struct Member {
    pub(super) body: Bytes,
    pub(super) inputs: Inputs,
    pub(super) standing: Standing,
    pub(super) arrived: Instant,
    /// Who called.
    pub(super) who: Option<Arc<Principal>>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// Where somebody sits.
pub(super) enum Seat {
    /// With others, one of whom will see to it.
    Beside,
    /// Before all others: to see to the joint call.
    First(Departure),
}

/// The departure of a gathering, to be waited for by whoever began it.
pub(super) struct Departure {
    key: Key,
    number: u64,
    enough: oneshot::Receiver<Vec<Member>>,
}

impl Gatherings {
    /// Takes a seat. `None` where there are too many gatherings.
    pub(super) fn join(&self, joins: &Joins, member: Member) -> Option<Seat> {
        let mut open = self.lock();
        let (items, tokens) = (joins.inputs.count, joins.tokens);
        if let Some(gathering) = open.by_key.get_mut(&joins.key) {
            // Closed where the worker that was to see to it is gone: those who waited are asked by themselves.
            let fits = !gathering.enough.is_closed()
                && gathering.items + items <= joins.terms.items
                && gathering.tokens.saturating_add(tokens) <= joins.terms.tokens;
            if fits {
                gathering.members.push(member);
                gathering.items += items;
                gathering.tokens += tokens;
                if gathering.items == joins.terms.items {
                    open.depart(&joins.key);
                }
                return Some(Seat::Beside);
            }
            open.depart(&joins.key);
        }
        open.begin(joins, member).map(Seat::First)
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn begin(&mut self, joins: &Joins, member: Member) -> Option<Departure> {
        if self.by_key.len() >= OPEN_MAX {
            return None;
        }
        self.begun += 1;
        let (number, key) = (self.begun, joins.key);
        let (send, enough) = oneshot::channel();
        let (items, tokens) = (joins.inputs.count, joins.tokens);
        self.by_key.insert(key, Gathering { number, members: vec![member], items, tokens, enough: send });
        Some(Departure { key, number, enough })
    }

    /// Sends a gathering on its way; further requests begin another.
    fn depart(&mut self, key: &Key) {
        if let Some(gathering) = self.by_key.remove(key) {
            // Where whoever saw to it is gone, the members' replies go with it, and each is asked by itself.
            let _ = gathering.enough.send(gathering.members);
        }
    }
}

impl Departure {
    /// Waits until there are enough, or for so long; gives all who are there then.
    pub(super) async fn wait(mut self, gatherings: &Gatherings, wait: Duration) -> Vec<Member> {
        tokio::select! {
            biased;
            members = &mut self.enough => members.unwrap_or_default(),
            () = tokio::time::sleep(wait) => {
                let open = &mut gatherings.lock().by_key;
                let is_own = open.get(&self.key).is_some_and(|gathering| gathering.number == self.number);
                match if is_own { open.remove(&self.key) } else { None } {
                    Some(gathering) => gathering.members,
                    // They were enough in this very moment.
                    None => self.enough.try_recv().unwrap_or_default(),
                }
            }
        }
    }
}
