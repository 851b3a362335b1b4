//! A line in the log for each slow request, with where its time went. A provider that is slow makes all of them
//! slow, so that only so many are told one by one.

use super::entry::Entry;
use super::waterfall;
use std::time::{Duration, Instant};

/// Lines at once.
const BURST: u32 = 20;
/// In so long, one more.
const REST: Duration = Duration::from_millis(500);

/// What may be written.
#[derive(Debug)]
pub struct SlowLog {
    /// Lines that may be written now.
    left: u32,
    since: Option<Instant>,
    untold: u64,
}

impl Default for SlowLog {
    fn default() -> Self {
        Self { left: BURST, since: None, untold: 0 }
    }
}

impl SlowLog {
    /// Tells of one, or counts it.
    pub fn tell(&mut self, entry: &Entry) {
        if self.left == 0 {
            self.untold += 1;
            return;
        }
        self.left -= 1;
        let account = &entry.account;
        tracing::warn!(
            request = entry.id(),
            operation = account.operation.name(),
            model = account.route.as_deref().unwrap_or(super::OTHER),
            key = account.who.as_ref().and_then(|who| who.key.as_deref()),
            target = entry.target(),
            outcome = account.outcome.name(),
            total_ms = account.total.after().as_millis() as u64,
            overhead_ms = account.overhead.after().as_millis() as u64,
            r#where = waterfall::line(account),
            "a request was slow"
        );
    }

    /// Time passes: more may be written, and what was only counted is told.
    pub fn tick(&mut self, now: Instant) {
        let since = *self.since.get_or_insert(now);
        let rests = now.saturating_duration_since(since).as_nanos() / REST.as_nanos();
        if rests == 0 {
            return;
        }
        self.since = Some(now);
        self.left = BURST.min(self.left.saturating_add(u32::try_from(rests).unwrap_or(BURST)));
        match std::mem::take(&mut self.untold) {
            0 => {}
            untold => tracing::warn!(untold, "more requests were slow than are told one by one"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::stage;
    use super::{BURST, REST, SlowLog};
    use std::time::Instant;

    #[test]
    fn a_rush_is_told_in_part_and_counted_in_whole() {
        let (mut log, began) = (SlowLog::default(), Instant::now());
        let at = |rests: u32| began + REST * rests;
        log.tick(at(0));
        (0..100).for_each(|number| log.tell(&stage::entry(number, |_| {})));
        assert_eq!((log.left, log.untold), (0, u64::from(100 - BURST)));
        log.tick(at(1));
        assert_eq!((log.left, log.untold), (1, 0));
        log.tick(at(1000));
        assert_eq!(log.left, BURST);
    }
}
