//! How a flight can end other than well, as its pilot and its seats see it.

use std::error::Error;
use std::fmt::{Display, Formatter, Result};

/// Why a seat gets no further item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatError<E> {
    /// The computation failed, after the items that came before this.
    Failed(E),
    /// The pilot was dropped without finishing: its task was cancelled or panicked. What was still
    /// unread is gone. A seat that has passed nothing on may board again.
    Lost,
    /// This seat fell behind the others by more than the flight may keep.
    Expelled,
}

impl<E: Display> Display for SeatError<E> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Failed(error) => error.fmt(f),
            Self::Lost => f.write_str("the shared computation was lost before its end; start it again"),
            Self::Expelled => {
                f.write_str("read too slowly to share a computation with others; read faster or ask alone")
            }
        }
    }
}

impl<E: Error> Error for SeatError<E> {}

/// No seat is left: nobody wants what the pilot computes, and it should stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abandoned;

impl Display for Abandoned {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str("nobody waits for this computation any more; stop it")
    }
}

impl Error for Abandoned {}
