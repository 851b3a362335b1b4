//! The lock that shared state is under: the standard library's, or, in a test that runs under shuttle,
//! shuttle's, which decides who gets it next.
//!
//! A poisoned lock is taken all the same: what is done under it either leaves plain numbers in order
//! or does not panic.

#[cfg(not(test))]
pub(crate) use plain::{Guard, Mutex};
#[cfg(test)]
pub(crate) use shuttled::{Guard, Mutex, explore};

#[cfg(not(test))]
mod plain {
    use std::sync::{self, MutexGuard, PoisonError};

    pub(crate) type Guard<'a, T> = MutexGuard<'a, T>;

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(inner: T) -> Self {
            Self(sync::Mutex::new(inner))
        }

        pub fn lock(&self) -> Guard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(test)]
mod shuttled {
    use std::cell::Cell;
    use std::ops::{Deref, DerefMut};
    use std::sync::PoisonError;

    thread_local! {
        /// Whether this is a thread of shuttle's. All that take part in a run share one of the system's.
        static EXPLORES: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs `body` under `rounds` random schedules, each from a seed that a failure prints.
    pub(crate) fn explore(rounds: usize, body: impl Fn() + Send + Sync + 'static) {
        EXPLORES.set(true);
        shuttle::check_random(body, rounds);
        EXPLORES.set(false);
    }

    pub(crate) enum Mutex<T> {
        Plain(std::sync::Mutex<T>),
        Shuttle(shuttle::sync::Mutex<T>),
    }

    pub(crate) enum Guard<'a, T> {
        Plain(std::sync::MutexGuard<'a, T>),
        Shuttle(shuttle::sync::MutexGuard<'a, T>),
    }

    impl<T> Mutex<T> {
        pub fn new(inner: T) -> Self {
            match EXPLORES.get() {
                true => Self::Shuttle(shuttle::sync::Mutex::new(inner)),
                false => Self::Plain(std::sync::Mutex::new(inner)),
            }
        }

        pub fn lock(&self) -> Guard<'_, T> {
            match self {
                Self::Plain(lock) => Guard::Plain(lock.lock().unwrap_or_else(PoisonError::into_inner)),
                Self::Shuttle(lock) => Guard::Shuttle(lock.lock().unwrap_or_else(PoisonError::into_inner)),
            }
        }
    }

    impl<T> Deref for Guard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            match self {
                Self::Plain(guard) => guard,
                Self::Shuttle(guard) => guard,
            }
        }
    }

    impl<T> DerefMut for Guard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            match self {
                Self::Plain(guard) => guard,
                Self::Shuttle(guard) => guard,
            }
        }
    }
}
