//! Balancing: in which order to try several targets that can do the same. The first is where a call goes,
//! the others are its fallbacks.
//!
//! ```text
//! healthy before unhealthy ──► lower priority group first ──► within a group, by the Method:
//!     Weights      a draw without replacement: shares follow the weights
//!     LeastLoaded  two at random, the one with less (in flight + 1) × latency / weight first
//!     with an affinity key, either way: always the same order for the same key
//! ```
//!
//! One formula draws and remembers: a candidate's *rank* is `−ln(u) / weight`, with `u` evenly spread over
//! 0 to 1, and the least rank comes first with a probability of `weight / sum of the weights` (Efraimidis
//! and Spirakis, 2006). With `u` from the dice this is a draw; with `u` from a hash of key and candidate it
//! is weighted rendezvous hashing (Thaler and Ravishankar, 1998; Schindelhauer and Schomaker, 2005): a
//! conversation stays with its target and finds the provider's prompt cache warm, over many conversations
//! the weights hold, and when a target goes or comes back only its own conversations move.
//!
//! What is healthy is told, not found out here; nothing is dialled and no clock is read.

mod load;
#[cfg(test)]
mod tests;

pub use load::{InFlight, Load};

use smallvec::SmallVec;
use std::cmp::Ordering;
use std::time::Instant;

/// Places of candidates, in the order in which they are to be tried.
pub type Order = SmallVec<[usize; 8]>;

/// How to choose within a priority group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// By weight alone.
    #[default]
    Weights,
    /// The less loaded of two at random ("The Power of Two Choices", Mitzenmacher, 2001): nearly as good
    /// as the least loaded of all, and callers do not all run to the same one.
    LeastLoaded,
}

/// What is known of one target when the choice is made.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Names the target to the hash: the same in every replica and after a restart.
    pub id: u64,
    /// The lower group is tried first.
    pub priority: u32,
    /// Share within its group. 0 takes the candidate out: it is not in the order at all.
    pub weight: u32,
    /// Whether a call to it would be let through now. One that is not goes last, in case all are so.
    pub healthy: bool,
    /// How busy it is and how fast. Without, it counts as free.
    pub load: Option<&'a Load>,
}

/// Orders `candidates`. Calls with the same `affinity` go the same way while the first of it is healthy.
/// `dice` is evenly distributed and new for every call.
#[must_use]
pub fn order(
    candidates: &[Candidate<'_>],
    method: Method,
    affinity: Option<u64>,
    dice: u64,
    now: Instant,
) -> Order {
    let mut places: SmallVec<[Place; 8]> = SmallVec::new();
    let (method, seed) = affinity.map_or((method, dice), |key| (Method::Weights, key));
    let single = candidates.len() == 1;
    for (index, candidate) in candidates.iter().enumerate().filter(|(_, candidate)| candidate.weight > 0) {
        let rank = if single { 0.0 } else { rank(candidate, method, seed) };
        places.push(Place { group: (!candidate.healthy, candidate.priority), rank, index });
    }
    places.sort_unstable_by(Place::cmp);
    if method == Method::LeastLoaded {
        for group in places.chunk_by_mut(|one, next| one.group == next.group) {
            prefer_less_loaded(group, candidates, now);
        }
    }
    places.iter().map(|place| place.index).collect()
}

/// A candidate's place in the order.
struct Place {
    group: (bool, u32),
    rank: f64,
    index: usize,
}

impl Place {
    fn cmp(&self, other: &Self) -> Ordering {
        // Candidates with the same id are told apart by their place, so that the order is never chance.
        let within = || self.rank.total_cmp(&other.rank).then(self.index.cmp(&other.index));
        self.group.cmp(&other.group).then_with(within)
    }
}

fn rank(candidate: &Candidate<'_>, method: Method, seed: u64) -> f64 {
    // The load knows of weights itself: there they say how much a target can bear.
    let weight = if method == Method::Weights { f64::from(candidate.weight) } else { 1.0 };
    -even(scatter(seed ^ scatter(candidate.id))).ln() / weight
}

/// Swaps the first two of a group where the second is less loaded.
fn prefer_less_loaded(group: &mut [Place], candidates: &[Candidate<'_>], now: Instant) {
    if let [first, second, ..] = group
        && cost(&candidates[second.index], now) < cost(&candidates[first.index], now)
    {
        std::mem::swap(first, second);
    }
}

fn cost(candidate: &Candidate<'_>, now: Instant) -> f64 {
    candidate.load.map_or(0.0, |load| load.cost(now)) / f64::from(candidate.weight)
}

/// Spreads the bits (the finaliser of SplitMix64: Steele, Lea and Flood, 2014). Fixed for all time:
/// replicas and later versions must send a conversation the same way.
fn scatter(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// Above 0 and below 1.
fn even(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}
