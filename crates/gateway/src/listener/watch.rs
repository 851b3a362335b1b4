//! Watches callers' connections for what takes too long: a head that trickles in, a connection
//! that idles, a request that never ends.
//!
//! It also tells every connection of a worker that the process is leaving.
//!
//! One sweep a worker looks at all its connections a few times a second. A timer for each request
//! would be exact to the millisecond, which nobody needs here, and would be paid on every request.

use super::lines::Lines;
use crate::config::ServerTimeouts;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How often a worker looks at its connections; a time-out is late by this much at most.
pub const SWEEP: Duration = Duration::from_millis(250);

/// A worker's coarse clock and the connections it watches.
pub struct Watches {
    started: Instant,
    now_ms: AtomicU32,
    leaving: AtomicBool,
    watched: Mutex<Vec<Weak<Watch>>>,
}

/// One connection's state as the sweep sees it.
pub struct Watch {
    clock: Arc<Watches>,
    /// Since when it is in its present phase, on the coarse clock.
    since_ms: AtomicU32,
    /// Requests under way: one at most on HTTP/1.1.
    requests: AtomicU32,
    /// Some of a request's head has arrived.
    reading_head: AtomicBool,
    /// What it is told to do: [`NOTHING`], [`OVERDUE`] or [`LEAVE`].
    order: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

const NOTHING: u8 = 0;
const OVERDUE: u8 = 1;
const LEAVE: u8 = 2;

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Finish what is under way, take no new request, close.
    Finish,
    /// Close at once: its peer has had all the time there is.
    Close,
}

impl Watches {
    /// A clock at zero, watching nothing.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            now_ms: AtomicU32::new(0),
            leaving: AtomicBool::new(false),
            watched: Mutex::default(),
        })
    }

    /// Begins to watch a connection.
    pub fn watch(self: &Arc<Self>) -> Arc<Watch> {
        let watch = Arc::new(Watch {
            clock: Arc::clone(self),
            since_ms: AtomicU32::new(self.now_ms.load(Relaxed)),
            requests: AtomicU32::new(0),
            reading_head: AtomicBool::new(false),
            order: AtomicU8::new(if self.leaving.load(Relaxed) { LEAVE } else { NOTHING }),
            waker: Mutex::default(),
        });
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&watch));
        watch
    }

    /// Tells every connection, also those still to come, to finish what is under way and close.
    pub fn leave(&self) {
        self.leaving.store(true, Relaxed);
        for watch in self.watched.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if let Some(watch) = watch.upgrade() {
                watch.tell(LEAVE);
            }
        }
    }

    /// Advances the clock and wakes every connection that is overdue.
    pub fn sweep(&self, limits: &ServerTimeouts) {
        // Wraps after 49 days, as every comparison below does with it.
        let now = self.started.elapsed().as_millis() as u32;
        self.now_ms.store(now, Relaxed);
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).retain(|watch| {
            let Some(watch) = watch.upgrade() else { return false };
            watch.judge(now, limits);
            true
        });
    }
}

impl Watch {
    /// A request begins; it ends when the guard is dropped, which travels with the answer's body.
    pub fn request_begins(self: &Arc<Self>) -> Underway {
        self.requests.fetch_add(1, Relaxed);
        self.reading_head.store(false, Relaxed);
        self.touch();
        Underway(Arc::clone(self))
    }

    /// What the connection must do now, if anything. Its task registers once with
    /// [`Self::register`] and is woken whenever the answer changes.
    pub fn order(&self) -> Option<Order> {
        match self.order.load(Relaxed) {
            NOTHING => None,
            OVERDUE if self.requests.load(Relaxed) > 0 || self.reading_head.load(Relaxed) => {
                Some(Order::Close)
            }
            _ => Some(Order::Finish),
        }
    }

    /// Names the task to be woken.
    pub fn register(&self, waker: &Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    fn tell(&self, order: u8) {
        if self.order.swap(order, Relaxed) != order {
            let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn judge(&self, now: u32, limits: &ServerTimeouts) {
        let limit = if self.requests.load(Relaxed) > 0 {
            limits.total
        } else if self.reading_head.load(Relaxed) {
            limits.header
        } else {
            limits.idle
        };
        let since = now.wrapping_sub(self.since_ms.load(Relaxed));
        if u128::from(since) >= limit.as_millis() {
            self.tell(OVERDUE);
        }
    }

    fn is_between_requests(&self) -> bool {
        self.requests.load(Relaxed) == 0
    }

    /// Bytes came in while no request is under way: they are the next one's head, whose time runs
    /// from its first byte. Whether these are the first.
    fn head_arrives(&self) -> bool {
        let begins = !self.reading_head.swap(true, Relaxed);
        if begins {
            self.touch();
        }
        begins
    }

    fn touch(&self) {
        self.since_ms.store(self.clock.now_ms.load(Relaxed), Relaxed);
    }
}

/// A request under way on a watched connection.
pub struct Underway(Arc<Watch>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Relaxed);
        self.0.touch();
    }
}

/// A caller's socket that tells its watch when bytes arrive.
pub struct Watched<S> {
    socket: S,
    watch: Arc<Watch>,
    /// Present where heads are lines of text: on HTTP/1.
    lines: Option<Lines>,
}

impl<S> Watched<S> {
    /// Puts an HTTP/1 socket under `watch`; it refuses heads that can be read in two ways.
    pub fn http1(socket: S, watch: Arc<Watch>) -> Self {
        Self { socket, watch, lines: Some(Lines::default()) }
    }

    /// Puts an HTTP/2 socket under `watch`.
    pub fn http2(socket: S, watch: Arc<Watch>) -> Self {
        Self { socket, watch, lines: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.socket).poll_read(cx, buf);
        let arrived = buf.filled().get(before..).unwrap_or_default();
        if !arrived.is_empty() && self.watch.is_between_requests() {
            let begins = self.watch.head_arrives();
            if let Some(lines) = &mut self.lines {
                if begins {
                    *lines = Lines::default();
                }
                if !lines.take(arrived) {
                    return Poll::Ready(Err(std::io::Error::other("a line of the head ends in a bare LF")));
                }
            }
        }
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        crate::gather::poll_write(Pin::new(&mut self.socket), cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Order, Watch, Watches};
    use crate::config::ServerTimeouts;
    use std::sync::Arc;
    use std::time::Duration;

    const LIMITS: ServerTimeouts = ServerTimeouts {
        header: Duration::from_secs(10),
        idle: Duration::from_secs(75),
        body: Duration::from_secs(60),
        total: Duration::from_secs(900),
        drain: Duration::from_secs(30),
    };

    /// Whether the sweep finds the connection overdue this many seconds after the last touch.
    fn check(prepare: impl Fn(&Arc<Watch>), seconds: u32, expected: Option<Order>) {
        let watch = Watches::new().watch();
        prepare(&watch);
        watch.judge(seconds * 1000, &LIMITS);
        assert_eq!(watch.order(), expected, "{seconds} s");
    }

    #[test]
    fn an_idle_connection_may_idle() {
        check(|_| {}, 74, None);
        check(|_| {}, 75, Some(Order::Finish));
    }

    #[test]
    fn a_head_has_less_time_than_an_idle_connection() {
        check(|watch| assert!(watch.head_arrives()), 9, None);
        check(|watch| assert!(watch.head_arrives()), 10, Some(Order::Close));
    }

    #[test]
    fn a_request_has_the_total() {
        let begin = |watch: &Arc<Watch>| std::mem::forget(watch.request_begins());
        check(begin, 899, None);
        check(begin, 900, Some(Order::Close));
    }

    #[test]
    fn a_request_that_ended_leaves_an_idle_connection() {
        let pass = |watch: &Arc<Watch>| {
            watch.head_arrives();
            drop(watch.request_begins());
        };
        check(pass, 20, None);
        check(pass, 75, Some(Order::Finish));
    }

    #[test]
    fn leaving_lets_a_request_finish() {
        let watches = Watches::new();
        let before = watches.watch();
        let underway = before.request_begins();
        watches.leave();
        assert_eq!(before.order(), Some(Order::Finish));
        assert_eq!(watches.watch().order(), Some(Order::Finish));
        drop(underway);
    }

    #[test]
    fn a_closed_connection_is_forgotten() {
        let watches = Watches::new();
        drop(watches.watch());
        watches.sweep(&LIMITS);
        assert!(watches.watched.lock().unwrap().is_empty());
    }
}
