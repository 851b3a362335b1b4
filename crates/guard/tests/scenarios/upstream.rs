//! The simulated target: how many it serves at once, how long that takes, and how it fails.

use super::file::{self, Full, seconds};
use fastrand::Rng;
use std::collections::VecDeque;
use std::time::Duration;

pub struct Upstream {
    shape: file::Upstream,
    serving: usize,
    /// Calls that wait for their turn here.
    queue: VecDeque<usize>,
}

/// What comes of a call, counted from now.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// It waits its turn; [`Upstream::next`] tells when that has come.
    Waits,
    /// Nothing, ever.
    Nothing,
    Fails {
        after: Duration,
        error: Error,
    },
    Speaks {
        first: Duration,
        rest: Duration,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum Error {
    /// A 5xx.
    Hard,
    /// A 429, and when it says to come again.
    Overload { retry_after: Option<Duration> },
    /// No first token in time. Never the target's own answer.
    TimedOut,
}

/// How long a target takes to say no.
const REFUSAL: Duration = Duration::from_millis(20);

impl Upstream {
    pub fn new(shape: &file::Upstream) -> Self {
        Self { shape: shape.clone(), serving: 0, queue: VecDeque::new() }
    }

    /// Calls that are here, served or not.
    pub fn inside(&self) -> usize {
        self.serving + self.queue.len()
    }

    /// A call comes.
    pub fn begin(&mut self, call: usize, slow: f64, now: Duration, random: &mut Rng) -> Answer {
        let full = self.serving as f64 >= self.shape.capacity.at(now);
        match (full, self.shape.full) {
            (true, Full::Queue) => {
                self.queue.push_back(call);
                Answer::Waits
            }
            (true, Full::Refuse) => {
                self.serving += 1;
                Answer::Fails { after: REFUSAL, error: self.overload() }
            }
            (true, Full::Hang) => {
                self.serving += 1;
                Answer::Nothing
            }
            (true, Full::Slow) | (false, _) => self.serve(slow, now, random),
        }
    }

    /// A call's turn has come.
    pub fn serve(&mut self, slow: f64, now: Duration, random: &mut Rng) -> Answer {
        self.serving += 1;
        let shape = &self.shape;
        let [hard, overload, hang] = [&shape.hard, &shape.overload, &shape.hang].map(|share| share.at(now));
        let dice = random.f64();
        if dice < hard {
            return Answer::Fails { after: REFUSAL, error: Error::Hard };
        }
        if dice < hard + overload {
            return Answer::Fails { after: REFUSAL, error: self.overload() };
        }
        if dice < hard + overload + hang {
            return Answer::Nothing;
        }
        let crowd = match shape.full {
            Full::Slow => (self.serving as f64 / shape.capacity.at(now)).max(1.0),
            Full::Queue | Full::Refuse | Full::Hang => 1.0,
        };
        let tail = if random.f64() < shape.slow_share.at(now) { shape.slow_factor } else { 1.0 };
        let mut stray = || 1.0 + shape.jitter * (2.0 * random.f64() - 1.0);
        let first = seconds(shape.delay.at(now) * slow * crowd * tail * stray());
        let rest = seconds(shape.stream.at(now) * slow * crowd * stray());
        Answer::Speaks { first, rest }
    }

    /// A call is over or given up.
    pub fn leave(&mut self, call: usize) {
        match self.queue.iter().position(|waiting| *waiting == call) {
            Some(place) => drop(self.queue.remove(place)),
            None => self.serving -= 1,
        }
    }

    /// The next call whose turn has come, to be [served](Self::serve).
    pub fn next(&mut self, now: Duration) -> Option<usize> {
        let free = (self.serving as f64) < self.shape.capacity.at(now);
        if free { self.queue.pop_front() } else { None }
    }

    fn overload(&self) -> Error {
        Error::Overload { retry_after: self.shape.retry_after.map(seconds) }
    }
}
