//! Spares an HTTP/1.1 connection the wake-up that comes of reading a body to its end.
//!
//! hyper hands a body over through a channel of one place, and whoever takes something out of it wakes whoever puts
//! something in (as of 1.12 always). Behind the last bytes of an announced length nothing is put in any more: the
//! connection would look at everything that it is about, a caller's at the whole of its request, and find nothing to
//! do. Most bodies come in one piece, so that this is one look in three.
//!
//! The connection is polled with a waker of its own kind. While the last piece of a body is taken, that kind of waker
//! is held instead of heard; any other wake-up goes its way. HTTP/2 is left alone: there the reader's wake-up has
//! room announced to the other side.

use hyper::body::{Body as _, Bytes, Frame, Incoming};
use std::cell::Cell;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

/// A connection that is not woken for nothing, as far as its bodies are read by [`poll_frame`].
pub struct Spared<C> {
    connection: C,
    wakers: Option<Wakers>,
}

/// The task's own waker, and the one that stands in for it.
struct Wakers {
    task: Waker,
    ours: Waker,
}

impl<C> Spared<C> {
    /// The same connection, spared.
    pub fn new(connection: C) -> Self {
        Self { connection, wakers: None }
    }

    /// The connection itself.
    pub fn connection(&mut self) -> Pin<&mut C>
    where
        C: Unpin,
    {
        Pin::new(&mut self.connection)
    }
}

impl<C: Future + Unpin> Future for Spared<C> {
    type Output = C::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C::Output> {
        let Self { connection, wakers } = &mut *self;
        let wakers = match wakers {
            Some(wakers) if wakers.task.will_wake(cx.waker()) => wakers,
            stale => stale.insert(Wakers::of(cx.waker())),
        };
        Pin::new(connection).poll(&mut Context::from_waker(&wakers.ours))
    }
}

impl Wakers {
    fn of(task: &Waker) -> Self {
        let ours = Arc::new(StandIn(task.clone())).into();
        Self { task: task.clone(), ours }
    }
}

/// Wakes its task, unless the thread is hushed.
struct StandIn(Waker);

impl Wake for StandIn {
    fn wake(self: Arc<Self>) {
        match HUSH.replace(Hush::No) {
            Hush::No => self.0.wake_by_ref(),
            Hush::Yes => HUSH.set(Hush::Held(self)),
            Hush::Held(other) => {
                other.0.wake_by_ref();
                HUSH.set(Hush::Held(self));
            }
        }
    }
}

/// Whether wake-ups of this kind are held just now, and which was.
enum Hush {
    No,
    Yes,
    Held(Arc<StandIn>),
}

thread_local! {
    static HUSH: Cell<Hush> = const { Cell::new(Hush::No) };
}

/// What `body` brings next. Where that is its last, the connection that it came on is not woken for it.
pub fn poll_frame(
    body: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    HUSH.set(Hush::Yes);
    let frame = Pin::new(&mut *body).poll_frame(cx);
    if let Hush::Held(waker) = HUSH.replace(Hush::No)
        && !(frame.is_ready() && body.is_end_stream())
    {
        waker.wake();
    }
    frame
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Spared, poll_frame};
    use bytes::Bytes;
    use http_body_util::Empty;
    use hyper::body::{Body, Frame, Incoming};
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Error, Request, Response};
    use hyper_util::rt::TokioIo;
    use std::convert::Infallible;
    use std::future::{pending, poll_fn};
    use std::pin::{Pin, pin};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Poll, Wake, Waker};
    use tokio::io::AsyncWriteExt;

    type Read = fn(&mut Incoming, &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>>;

    /// A task that counts how often it was woken.
    #[derive(Default)]
    struct Task(AtomicUsize);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// The body that a caller's connection brings in `arrivals`, read by `read`, and how often the connection's task
    /// was woken for other reasons than those.
    async fn brought(arrivals: &[&str], read: Read) -> (String, usize) {
        let (mut caller, socket) = tokio::io::duplex(1 << 10);
        let whole = Arc::new(Mutex::new(Vec::new()));
        let service = service_fn(|mut request: Request<Incoming>| {
            let whole = Arc::clone(&whole);
            async move {
                while !request.body().is_end_stream()
                    && let Some(frame) = poll_fn(|cx| read(request.body_mut(), cx)).await
                {
                    whole.lock().unwrap().extend_from_slice(frame.unwrap().data_ref().unwrap());
                }
                pending::<Result<Response<Empty<Bytes>>, Infallible>>().await
            }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        let mut connection = pin!(Spared::new(connection));
        let (task, mut woken) = (Arc::new(Task::default()), 0);
        let waker = Waker::from(Arc::clone(&task));
        for arrival in arrivals {
            caller.write_all(arrival.as_bytes()).await.unwrap();
            task.0.store(1, Ordering::SeqCst);
            while task.0.swap(0, Ordering::SeqCst) > 0 {
                woken += 1;
                assert!(connection.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            }
        }
        let whole = String::from_utf8(whole.lock().unwrap().clone()).unwrap();
        (whole, woken - arrivals.len())
    }

    #[tokio::test]
    async fn nobody_is_woken_for_a_body_that_has_been_read() {
        let all_at_once = "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nall of it";
        assert_eq!(brought(&[all_at_once], poll_frame).await, ("all of it".to_owned(), 0));
        let plainly: Read = |body, cx| Pin::new(body).poll_frame(cx);
        let (_, woken) = brought(&[all_at_once], plainly).await;
        assert_eq!(woken, 1, "hyper does so no longer: this module has served its purpose");
    }

    #[tokio::test]
    async fn what_is_still_to_come_is_waited_for() {
        let head = "POST / HTTP/1.1\r\nhost: a\r\n";
        let announced = &format!("{head}content-length: 9\r\n\r\n");
        let chunked = &format!("{head}transfer-encoding: chunked\r\n\r\n");
        let asking = &format!("{head}expect: 100-continue\r\ncontent-length: 9\r\n\r\n");
        for arrivals in [
            [announced, "all ", "of it"],
            [chunked, "4\r\nall \r\n", "5\r\nof it\r\n0\r\n\r\n"],
            [asking, "all ", "of it"],
        ] {
            assert_eq!(brought(&arrivals, poll_frame).await.0, "all of it", "{arrivals:?}");
        }
    }
}
