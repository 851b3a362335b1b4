//! One connection: requests in, replies out, and a real reset where the
//! simulator breaks it.

use super::control;
use super::reply::Reply;
use crate::sim::{Reset, Sim};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The longest body read.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Serves a connection until it ends or, once `drain` is cancelled, until the
/// reply under way has.
pub(super) async fn serve(stream: TcpStream, sim: Sim, drain: CancellationToken) {
    // A frame must not wait for the acknowledgement of the one before it.
    let _ = stream.set_nodelay(true);
    let link = Arc::new(Link::default());
    let io = TokioIo::new(Io { stream, link: Arc::clone(&link) });
    let service = service_fn(|request| answer(&sim, &link, request));
    // Copied into one buffer: head and body in one write, and of a stream what
    // is due together; a list of buffers would be flushed every few frames.
    let mut connection = pin!(http1::Builder::new().writev(false).serve_connection(io, service));
    // Errors are the peer's leaving or our own reset: nothing to do but end.
    if drain.run_until_cancelled(connection.as_mut()).await.is_none() {
        connection.as_mut().graceful_shutdown();
        let _ = connection.await;
    }
}

async fn answer(sim: &Sim, link: &Arc<Link>, request: Request<Incoming>) -> Result<Response<Reply>, Reset> {
    let (head, body) = request.into_parts();
    let body = match read(body).await {
        Ok(body) => body,
        Err(status) => return Ok(control::refused(status)),
    };
    let request = Request::from_parts(head, body);
    if let Some(response) = control::answer(sim, &request) {
        return Ok(response);
    }
    match sim.call(request).await {
        Ok(response) => Ok(response.map(|body| Reply::simulated(body, Arc::clone(link)))),
        Err(reset) => {
            link.reset();
            Err(reset)
        }
    }
}

/// The whole of a request's body, copied only where it comes in pieces.
async fn read(mut body: Incoming) -> Result<Bytes, StatusCode> {
    let expected = body.size_hint().lower();
    let mut first = Bytes::new();
    let mut rest: Option<BytesMut> = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
        let length = first.len().max(rest.as_ref().map_or(0, BytesMut::len)) + data.len();
        if length > BODY_BYTES_MAX || expected > BODY_BYTES_MAX as u64 {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        match &mut rest {
            Some(rest) => rest.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut all = BytesMut::with_capacity(length.max(expected as usize));
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
                rest = Some(all);
            }
        }
    }
    Ok(rest.map_or(first, BytesMut::freeze))
}

/// What a connection's socket and its replies have to tell one another.
#[derive(Default)]
pub(super) struct Link {
    reset: AtomicBool,
    flushed: AtomicBool,
    /// The reply that waits for a flush. Only a reply about to break does, so
    /// the lock is for it alone.
    awaited: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Link {
    /// The connection, once dropped, goes down with a reset and not with an
    /// orderly end.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Ready once all that was written before had reached the system.
    pub(super) fn poll_flushed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.flushed.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        *lock(&self.waiting) = Some(cx.waker().clone());
        self.awaited.store(true, Ordering::Relaxed);
        Poll::Pending
    }

    /// hyper flushes only once it has written all that it holds.
    fn flush(&self) {
        if self.awaited.load(Ordering::Relaxed) {
            self.flushed.store(true, Ordering::Relaxed);
            if let Some(waker) = lock(&self.waiting).take() {
                waker.wake();
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The socket. Told so, it ends in a reset.
struct Io {
    stream: TcpStream,
    link: Arc<Link>,
}

impl Drop for Io {
    fn drop(&mut self) {
        if self.link.reset.load(Ordering::Relaxed) {
            // Closing a socket that may not linger sends RST (see socket(7)).
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Io {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.link.flush();
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
