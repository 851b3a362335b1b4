//! Parcels: what of a batch is handed to a provider's own batch API, all lines that ask one model.
//!
//! The lines of a parcel are jobs as others are, held in a queue from which nobody claims before their batch is over:
//! so a line ends once here too, whatever is fetched twice, and can be given back to be asked by itself. A parcel is
//! brought on by a job, and every word on it carries that job's lease.

use crate::batches::Stretch;
use crate::jobs::{Lease, NewJob};
use crate::{Answer, Time};

/// How far a parcel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ParcelState {
    /// It is on its way, at the provider, or being fetched.
    Open = 0,
    /// What came of it is here.
    Fetched = 1,
    /// The provider did not run it: its lines were given back.
    Returned = 2,
}

impl ParcelState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Open, Self::Fetched, Self::Returned];

    /// The state with this number.
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|state| *state as i64 == number)
    }
}

/// A parcel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Of which batch.
    pub batch: String,
    /// What its lines ask, as callers name it.
    pub model: String,
    /// How far it is.
    pub state: ParcelState,
    /// Where it is at the provider, as JSON of whoever decides.
    pub notes: Vec<u8>,
}

/// A line that has ended, but for what is written of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Which line of the input, from 0.
    pub line: u64,
    /// Whether it goes to the output, or to the errors.
    pub good: bool,
}

/// A line, and what its job was told.
pub type Told = (u64, Vec<u8>);

/// What is written of a line, by its number and what its job was told; `None`: it is not meant, and stays held.
pub type Ending = std::sync::Arc<dyn Fn(u64, &[u8]) -> Option<Vec<u8>> + Send + Sync>;

/// Where lines are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelf {
    /// Of which batch.
    pub batch: String,
    /// The queue that their jobs wait in.
    pub queue: String,
}

/// Where lines are ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The queue that their jobs are claimed from.
    pub queue: String,
    /// From when on.
    pub at: Time,
}

/// The rows of parcels, and the lines that they hold.
pub trait Parcels: Send + Sync {
    /// Adds a parcel and the job that brings it on, in one step; nothing where it is there already, or where there
    /// is no such batch.
    fn open(&self, parcel: Parcel, job: NewJob, now: Time) -> Answer<'_, ()>;

    /// The parcels of these batches, those of each by model.
    fn parcels(&self, batches: &[&str]) -> Answer<'_, Vec<Parcel>>;

    /// Writes how a parcel stands; `false`, and nothing written, where the lease is not held.
    fn note(&self, lease: Lease, parcel: Parcel) -> Answer<'_, bool>;

    /// Lines that are held, in an order of their own.
    fn held(&self, shelf: Shelf, stretch: Stretch) -> Answer<'_, Vec<Told>>;

    /// Ends those of these lines that are held, each with what `ending` makes of it, in one step with their jobs; says
    /// which they were. `None`, and nothing written, where the lease is not held.
    fn settle(
        &self,
        lease: Lease,
        shelf: Shelf,
        lines: Vec<Settled>,
        ending: Ending,
    ) -> Answer<'_, Option<Vec<Told>>>;

    /// Makes those of these lines that are held ready to be asked; says how many they were.
    /// `None`, and nothing changed, where the lease is not held.
    fn give_back(&self, lease: Lease, shelf: Shelf, lines: Vec<u64>, to: Ready) -> Answer<'_, Option<u64>>;
}
