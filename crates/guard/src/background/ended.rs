//! How a job ended, from whatever it answers.

/// What a job's output comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It did what it should.
    Done,
    /// It did not.
    Failed,
}

impl From<()> for Ended {
    fn from((): ()) -> Self {
        Self::Done
    }
}

impl<T, E> From<Result<T, E>> for Ended {
    fn from(result: Result<T, E>) -> Self {
        if result.is_ok() { Self::Done } else { Self::Failed }
    }
}
