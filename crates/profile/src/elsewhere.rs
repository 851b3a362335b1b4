//! In place of the recording, where there is none for the system or the processor.

use crate::{Error, Profile};

/// There is none here.
#[derive(Debug)]
pub enum Recording {}

impl Recording {
    /// Says so.
    ///
    /// # Errors
    /// [`Error::Unsupported`].
    pub fn begin(_hertz: u32) -> Result<Self, Error> {
        Err(Error::Unsupported)
    }

    /// What there never is.
    ///
    /// # Errors
    /// None.
    pub fn finish(self) -> Result<Profile, Error> {
        match self {}
    }
}
