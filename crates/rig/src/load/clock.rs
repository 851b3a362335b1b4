//! An alarm that rings within microseconds of its time.
//!
//! tokio's timers count whole milliseconds. An open loop times each request from the instant it
//! was due, so a late alarm would be charged to the server: at a rate of 1,000 a second it would
//! drown the tenths of a millisecond that are to be measured. On Linux the alarm is a timerfd;
//! elsewhere it is tokio's timer, and the report's send lag tells what that costs.

use std::io;
use std::time::Instant;

#[cfg(target_os = "linux")]
pub(super) use linux::Alarm;
#[cfg(not(target_os = "linux"))]
pub(super) use portable::Alarm;

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::net::unix::pipe::Receiver;

    use super::{Instant, io};

    /// One timer, for one waiter at a time. It is held as a pipe's end because that is tokio's one
    /// safe way to wait for a descriptor of any kind; like a pipe, it is read when it is ready.
    pub(in super::super) struct Alarm(Receiver);

    impl Alarm {
        pub(in super::super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Receiver::from_owned_fd_unchecked(timer).map(Self)
        }

        /// Waits for an instant; returns at once if it has passed.
        pub(in super::super) async fn until(&mut self, at: Instant) -> io::Result<()> {
            let wait = at.saturating_duration_since(Instant::now());
            // A timer of zero is one that is switched off.
            if wait == Duration::ZERO {
                return Ok(());
            }
            let once = Itimerspec {
                it_interval: Timespec::default(),
                it_value: Timespec {
                    tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
                    tv_nsec: i64::from(wait.subsec_nanos()),
                },
            };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
            let mut rings = [0; 8];
            loop {
                self.0.readable().await?;
                match self.0.try_read(&mut rings) {
                    // Setting the timer drops earlier rings, so a leftover readiness reads
                    // nothing and is waited for again.
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read.map(drop),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use super::{Instant, io};

    /// One timer, for one waiter at a time.
    pub(in super::super) struct Alarm;

    impl Alarm {
        pub(in super::super) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        /// Waits for an instant; returns at once if it has passed.
        pub(in super::super) async fn until(&mut self, at: Instant) -> io::Result<()> {
            tokio::time::sleep_until(at.into()).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn an_alarm_never_rings_early_and_can_be_set_again_after_it_was_given_up() {
        let mut alarm = Alarm::new().unwrap();
        let start = Instant::now();
        alarm.until(start).await.unwrap();
        for wait in [Duration::from_micros(50), Duration::from_millis(3)] {
            let at = Instant::now() + wait;
            alarm.until(at).await.unwrap();
            assert!(Instant::now() >= at);
        }
        let soon = Instant::now() + Duration::from_micros(100);
        let given_up = tokio::time::timeout(Duration::ZERO, alarm.until(soon)).await;
        drop(given_up);
        let at = Instant::now() + Duration::from_millis(5);
        alarm.until(at).await.unwrap();
        assert!(Instant::now() >= at);
    }
}
