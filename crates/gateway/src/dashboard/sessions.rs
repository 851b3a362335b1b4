//! Who is logged in: random numbers that stand for the admin key, bounded in number and time, and how often a wrong
//! key may be tried. Pure: the time is handed in.
//!
//! What is kept is a digest of each number, so that neither a core dump nor a slow comparison tells one.

use std::collections::VecDeque;
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// How long one stays logged in.
pub(super) const LIFE: Duration = Duration::from_secs(12 * 3600);
/// So many at once; the oldest makes way for one more.
const SESSIONS_MAX: usize = 64;
/// Wrong keys in a row that are answered at once.
const TRIES_MAX: u32 = 10;
/// After that, one more in this time.
const TRY_EVERY: Duration = Duration::from_secs(6);

type Digest = [u8; 32];

/// Everyone who is logged in.
#[derive(Debug, Default)]
pub(super) struct Sessions(VecDeque<Session>);

#[derive(Debug)]
struct Session {
    id: Digest,
    /// The key that it was begun with: another key in force ends it.
    key: Digest,
    begun: Instant,
}

impl Sessions {
    /// Begins one that stands for `key`.
    pub(super) fn begin(&mut self, id: &[u8], key: &str, now: Instant) {
        self.0.retain(|session| session.lasts(now));
        if self.0.len() >= SESSIONS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Session { id: digest(id), key: digest(key.as_bytes()), begun: now });
    }

    /// Whether one of this number stands for `key` now. All are compared, whichever it is.
    pub(super) fn holds(&self, id: &[u8], key: &str, now: Instant) -> bool {
        let (id, key) = (digest(id), digest(key.as_bytes()));
        self.0.iter().fold(false, |found, session| {
            let is = session.id.ct_eq(&id) & session.key.ct_eq(&key);
            found | (bool::from(is) && session.lasts(now))
        })
    }

    /// Ends one.
    pub(super) fn end(&mut self, id: &[u8]) {
        let id = digest(id);
        self.0.retain(|session| !bool::from(session.id.ct_eq(&id)));
    }
}

impl Session {
    fn lasts(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) < LIFE
    }
}

fn digest(bytes: &[u8]) -> Digest {
    *blake3::hash(bytes).as_bytes()
}

/// How often a wrong key may be tried, by everyone together: who guesses may do so from anywhere.
#[derive(Debug, Default)]
pub(super) struct Tries {
    wrong: u32,
    last: Option<Instant>,
}

impl Tries {
    /// Whether another may be made.
    ///
    /// # Errors
    /// After how long it may.
    pub(super) fn may(&mut self, now: Instant) -> Result<(), Duration> {
        let Some(last) = self.last else { return Ok(()) };
        let rested = now.saturating_duration_since(last);
        let forgiven = rested.as_secs() / TRY_EVERY.as_secs();
        if forgiven > 0 {
            self.wrong = self.wrong.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX));
            self.last = Some(now);
        }
        if self.wrong < TRIES_MAX { Ok(()) } else { Err(TRY_EVERY.saturating_sub(rested)) }
    }

    /// One was wrong.
    pub(super) fn failed(&mut self, now: Instant) {
        self.wrong = self.wrong.saturating_add(1);
        self.last = Some(now);
    }

    /// One was right.
    pub(super) fn passed(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{LIFE, SESSIONS_MAX, Sessions, TRIES_MAX, TRY_EVERY, Tries};
    use std::time::{Duration, Instant};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_session_stands_for_its_key_until_its_time_is_over() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        sessions.begin(b"one", "key", now);
        assert!(sessions.holds(b"one", "key", now));
        assert!(sessions.holds(b"one", "key", now + LIFE - SECOND));
        for (id, key, at) in
            [("two", "key", now), ("one", "another key", now), ("one", "key", now + LIFE), ("", "key", now)]
        {
            assert!(!sessions.holds(id.as_bytes(), key, at), "{id} {key}");
        }
        sessions.end(b"one");
        assert!(!sessions.holds(b"one", "key", now));
    }

    #[test]
    fn one_too_many_ends_the_oldest() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        for number in 0..=SESSIONS_MAX {
            sessions.begin(&number.to_le_bytes(), "key", now);
        }
        assert!(!sessions.holds(&0_usize.to_le_bytes(), "key", now));
        assert!(sessions.holds(&1_usize.to_le_bytes(), "key", now));
        assert!(sessions.holds(&SESSIONS_MAX.to_le_bytes(), "key", now));
        assert_eq!(sessions.0.len(), SESSIONS_MAX);
    }

    #[test]
    fn wrong_keys_are_slowed_down_and_forgiven() {
        let (mut tries, now) = (Tries::default(), Instant::now());
        for _ in 0..TRIES_MAX {
            assert_eq!(tries.may(now), Ok(()));
            tries.failed(now);
        }
        assert_eq!(tries.may(now), Err(TRY_EVERY));
        assert_eq!(tries.may(now + SECOND), Err(TRY_EVERY - SECOND));
        assert_eq!(tries.may(now + TRY_EVERY), Ok(()));
        tries.failed(now + TRY_EVERY);
        assert!(tries.may(now + TRY_EVERY + SECOND).is_err());
        // A right one makes good for all.
        assert_eq!(tries.may(now + TRY_EVERY * 2), Ok(()));
        tries.passed();
        tries.failed(now + TRY_EVERY * 2);
        assert_eq!(tries.may(now + TRY_EVERY * 2), Ok(()));
        // An hour later nothing is held against anybody.
        for _ in 0..TRIES_MAX * 3 {
            tries.failed(now);
        }
        assert_eq!(tries.may(now + TRY_EVERY * 100), Ok(()));
    }
}
