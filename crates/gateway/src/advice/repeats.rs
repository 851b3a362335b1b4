//! Whether a question was asked before, within the hour: a table of bounded size, in which the oldest make room.
//!
//! A question is known by 64 bits of itself. Two that share them by chance would be taken for one: among the 65,536
//! that are kept, that befalls one in 2⁴⁸ of those that are looked up.

use std::num::NonZeroU64;
use std::time::Duration;

/// Questions that are kept: a mebibyte, taken with the first of them.
const ENTRIES: usize = 65_536;
/// Places that one question may be at.
const WAYS: usize = 4;
/// What is older counts as never asked.
const AGE_MAX: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    /// 0 where the place is free.
    question: u64,
    /// Seconds since the table's beginning.
    at: u32,
}

/// Questions, and when they were last fetched.
#[derive(Debug, Default)]
pub struct Repeats {
    entries: Box<[Entry]>,
}

impl Repeats {
    /// Notes that a question was fetched, so long after the beginning; how long ago that was done before, where it
    /// was within the hour.
    pub fn note(&mut self, question: NonZeroU64, now: Duration) -> Option<Duration> {
        if self.entries.is_empty() {
            self.entries = vec![Entry::default(); ENTRIES].into();
        }
        let (question, now) = (question.get(), u32::try_from(now.as_secs()).unwrap_or(u32::MAX));
        // The low bits choose the places; all of them are compared.
        let first = question as usize % (ENTRIES / WAYS) * WAYS;
        let places = self.entries.get_mut(first..first + WAYS)?;
        if let Some(known) = places.iter_mut().find(|entry| entry.question == question) {
            let before = std::mem::replace(&mut known.at, now);
            let age = Duration::from_secs(now.saturating_sub(before).into());
            return (age <= AGE_MAX).then_some(age);
        }
        let oldest = places.iter_mut().min_by_key(|entry| (entry.question != 0, entry.at))?;
        *oldest = Entry { question, at: now };
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn question(number: u64) -> NonZeroU64 {
        NonZeroU64::new(number).unwrap()
    }

    #[test]
    fn a_question_is_known_for_an_hour_after_it_was_last_fetched() {
        let mut repeats = Repeats::default();
        assert_eq!(repeats.note(question(7), seconds(0)), None);
        assert_eq!(repeats.note(question(8), seconds(1)), None);
        assert_eq!(repeats.note(question(7), seconds(40)), Some(seconds(40)));
        assert_eq!(repeats.note(question(7), seconds(3640)), Some(seconds(3600)));
        assert_eq!(repeats.note(question(7), seconds(7241)), None);
        assert_eq!(repeats.note(question(7), seconds(7242)), Some(seconds(1)));
    }

    #[test]
    fn where_there_is_no_room_the_oldest_makes_it() {
        let mut repeats = Repeats::default();
        let sets = (ENTRIES / WAYS) as u64;
        // All of one set.
        let all: Vec<_> = (0..=WAYS as u64).map(|number| question(5 + number * sets)).collect();
        for (second, question) in (0..).zip(&all) {
            assert_eq!(repeats.note(*question, seconds(second)), None);
        }
        assert_eq!(repeats.note(all[4], seconds(10)), Some(seconds(6)));
        assert_eq!(repeats.note(all[1], seconds(10)), Some(seconds(9)));
        assert_eq!(repeats.note(all[0], seconds(10)), None, "it has made room");
    }
}
