//! The observer's door: where it waits for its time, and where others ask it something or call it before.
//!
//! No channel: what it is told of requests comes by trays, so that all that passes here is rare.

use std::fmt;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Questions that wait at once.
const QUESTIONS_MAX: usize = 64;

/// Something to be asked of whoever is behind the door.
pub type Question<T> = Box<dyn FnOnce(&mut T) + Send>;

/// The door; `T` is who is asked.
pub struct Door<T = super::Seen> {
    waiting: Mutex<Waiting<T>>,
    bell: Condvar,
}

/// What has come to the door.
pub struct Waiting<T> {
    /// What is asked.
    pub questions: Vec<Question<T>>,
    /// Whether it is time to leave.
    pub leave: bool,
    knocked: bool,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { questions: Vec::new(), leave: false, knocked: false }
    }
}

impl<T> Default for Door<T> {
    fn default() -> Self {
        Self { waiting: Mutex::default(), bell: Condvar::new() }
    }
}

impl<T> fmt::Debug for Door<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

impl<T> Door<T> {
    /// Calls whoever is behind it, who looks at the trays then.
    pub fn knock(&self) {
        self.tell(|waiting| waiting.knocked = true);
    }

    /// Says that it is time to leave; nothing is asked any more.
    pub fn close(&self) {
        self.tell(|waiting| waiting.leave = true);
    }

    /// Nobody is behind it any more: what was still asked is dropped.
    pub fn abandon(&self) {
        self.tell(|waiting| {
            waiting.leave = true;
            waiting.questions.clear();
        });
    }

    /// Asks something; whether there was room to.
    pub fn ask(&self, question: Question<T>) -> bool {
        self.tell(|waiting| {
            let has_room = waiting.questions.len() < QUESTIONS_MAX && !waiting.leave;
            if has_room {
                waiting.questions.push(question);
            }
            has_room
        })
    }

    fn tell<R>(&self, what: impl FnOnce(&mut Waiting<T>) -> R) -> R {
        let said = what(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        self.bell.notify_one();
        said
    }

    /// Waits for something to come, for so long at most, and takes it in.
    pub fn wait(&self, patience: Duration) -> Waiting<T> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let nothing =
            |waiting: &mut Waiting<T>| waiting.questions.is_empty() && !waiting.knocked && !waiting.leave;
        let waited = self.bell.wait_timeout_while(waiting, patience, nothing);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let leave = waiting.leave;
        Waiting { leave, ..std::mem::replace(&mut *waiting, Waiting { leave, ..Waiting::default() }) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Door, QUESTIONS_MAX};
    use std::time::Duration;

    #[test]
    fn what_comes_is_taken_in_once() {
        let door: Door<u32> = Door::default();
        assert!(door.ask(Box::new(|asked| *asked += 1)));
        let mut asked = 0;
        for question in door.wait(Duration::MAX).questions {
            question(&mut asked);
        }
        assert_eq!(asked, 1);
        assert!(door.wait(Duration::ZERO).questions.is_empty());
        door.knock();
        assert!(!door.wait(Duration::MAX).leave);
    }

    #[test]
    fn questions_are_bounded_and_nobody_is_asked_any_more_who_leaves() {
        let door: Door<u32> = Door::default();
        let taken = (0..QUESTIONS_MAX + 1).filter(|_| door.ask(Box::new(|_| {}))).count();
        assert_eq!(taken, QUESTIONS_MAX);
        door.close();
        assert!(door.wait(Duration::MAX).leave && door.wait(Duration::MAX).leave);
        assert!(!door.ask(Box::new(|_| {})));
    }

    #[test]
    fn what_nobody_is_left_to_answer_is_dropped() {
        let (door, reply) = (Door::<u32>::default(), std::sync::Arc::new(()));
        let kept = std::sync::Arc::clone(&reply);
        assert!(door.ask(Box::new(move |_| drop(kept))));
        door.abandon();
        assert_eq!(std::sync::Arc::strong_count(&reply), 1);
    }
}
