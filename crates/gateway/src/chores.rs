//! Work that no request waits for: a few pieces at once, so that it never gets in the way of one. What waits
//! beyond its bound is dropped and counted: all of it can be done without.

use crate::config;
use guard::background::{Background, Lane, Options, Report, WhenFull};
use tokio_util::task::TaskTracker;

/// One worker's chores: they use its connections.
pub struct Chores {
    background: Background,
    /// Stale answers fetched anew.
    pub refresh: Lane,
    /// Answers compared with others', and remembered by what they mean.
    pub learn: Lane,
    /// Hits judged after the fact.
    pub audit: Lane,
}

impl Chores {
    /// Done by `tasks`; each of so many workers does its part of what may be done at once.
    pub fn new(settings: &config::Background, workers: usize, tasks: &TaskTracker) -> Self {
        let workers = workers.max(1);
        let options = Options {
            at_once: settings.at_once.div_ceil(workers),
            waiting: settings.waiting.div_ceil(workers),
        };
        let tasks = tasks.clone();
        let background = Background::new(options, move |crew| {
            tasks.spawn(crew);
        });
        Self {
            refresh: background.lane("refresh", WhenFull::RefuseNew),
            learn: background.lane("learn", WhenFull::DropOldest),
            audit: background.lane("audit", WhenFull::DropOldest),
            background,
        }
    }

    /// How each kind stands.
    pub fn report(&self) -> Vec<Report> {
        self.background.report()
    }
}
