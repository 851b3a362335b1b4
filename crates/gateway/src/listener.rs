//! Callers' connections: accepted, dealt to a worker, secured, served, timed, and closed in peace.
//!
//! The accept loop is our own because a server's time-outs are: for a head, for an idle connection,
//! for a whole request. What is answered is handed in as a function.

mod lines;
pub mod tls;
pub mod watch;

use crate::spurious::Spared;
use crate::worker::{Dealer, Held};
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use measure::metrics::Metrics;
use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener, TcpStream as StdStream};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use watch::{Order, Underway, Watch, Watched, Watches};

/// Connections that the kernel completes for us before we accept them.
const BACKLOG: i32 = 4096;
/// A pause after an accept that failed for want of descriptors or memory.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Header lines in a request.
const HEADERS_MAX: usize = 100;
/// What is buffered of a connection at most: enough for a large body to come in few reads.
const BUFFER_BYTES_MAX: usize = 256 << 10;
/// Requests at once on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 256;

/// A connection accepted, on its way to a worker.
pub struct Accepted {
    stream: StdStream,
    _load: Held,
}

/// The bounds of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of a request's head.
    pub header_bytes_max: usize,
    /// For a TLS handshake.
    pub handshake: Duration,
}

/// Binds `address`.
///
/// # Errors
/// Where it is taken, or not this machine's.
pub fn bind(address: SocketAddr) -> io::Result<StdListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM.nonblocking(),
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Accepts until `stop`, and deals what it accepts. `connections_max` bounds what is open at once;
/// a connection beyond it is told so and closed.
///
/// # Errors
/// Where the runtime cannot watch the socket.
pub async fn accept(
    listener: StdListener,
    dealer: &Dealer<Accepted>,
    metrics: &Metrics,
    connections_max: usize,
    stop: &CancellationToken,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return Ok(()),
        };
        // Let go by this thread's runtime: the worker's will watch it.
        match accepted.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => {
                if usize::try_from(metrics.connections.get()).is_ok_and(|open| open >= connections_max) {
                    metrics.connections_refused.inc();
                    refuse(&stream);
                } else if dealer.deal(|load| Accepted { stream, _load: load }).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// As good as can be done without a place to wait: the few bytes fit into an empty send buffer.
fn refuse(stream: &StdStream) {
    const REPLY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 105\r\n\r\n{\"error\":{\"message\":\"Too many connections are open.\",\"type\":\"overloaded_error\",\"param\":null,\"code\":null}}";
    let _ = stream.set_nonblocking(true);
    let _ = io::Write::write(&mut &*stream, REPLY);
}

/// Serves one connection to its end with `handle`.
pub async fn serve<B, H, Fut>(
    accepted: Accepted,
    acceptor: Option<&TlsAcceptor>,
    bounds: Bounds,
    watches: &Arc<Watches>,
    handle: H,
) where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    H: Fn(Request<Incoming>, Underway) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
{
    let watch = watches.watch();
    let Ok(stream) = prepare(accepted.stream) else { return };
    match acceptor {
        None => serve_http1(Watched::http1(stream, Arc::clone(&watch)), bounds, watch, handle).await,
        // Boxed: it is several times as large, and should not make every plain connection so.
        Some(acceptor) => Box::pin(serve_tls(stream, acceptor, bounds, watch, handle)).await,
    }
}

async fn serve_tls<B, H, Fut>(
    stream: TcpStream,
    acceptor: &TlsAcceptor,
    bounds: Bounds,
    watch: Arc<Watch>,
    handle: H,
) where
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    H: Fn(Request<Incoming>, Underway) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
{
    let secured = match tokio::time::timeout(bounds.handshake, acceptor.accept(stream)).await {
        Ok(Ok(secured)) => secured,
        Ok(Err(error)) => return tracing::debug!(%error, "a TLS handshake failed"),
        Err(_) => return tracing::debug!("a TLS handshake took too long"),
    };
    let http2 = secured.get_ref().1.alpn_protocol() == Some(b"h2");
    if http2 {
        serve_http2(Watched::http2(secured, Arc::clone(&watch)), bounds, watch, handle).await;
    } else {
        serve_http1(Watched::http1(secured, Arc::clone(&watch)), bounds, watch, handle).await;
    }
}

fn prepare(stream: StdStream) -> io::Result<TcpStream> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    TcpStream::from_std(stream)
}

async fn serve_http1<S, B, H, Fut>(socket: S, bounds: Bounds, watch: Arc<Watch>, handle: H)
where
    S: AsyncRead + AsyncWrite + Send + Unpin,
    B: http_body::Body<Data = Bytes, Error = Infallible> + 'static,
    H: Fn(Request<Incoming>, Underway) -> Fut,
    Fut: Future<Output = Result<Response<B>, Infallible>>,
{
    let service = service_fn(|request| handle(request, watch.request_begins()));
    let connection = http1::Builder::new()
        .max_headers(HEADERS_MAX)
        .max_header_size(bounds.header_bytes_max)
        .max_buf_size(BUFFER_BYTES_MAX.max(bounds.header_bytes_max))
        // Our own watch is the timer: see `watch`.
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(socket), service);
    let finish = |connection: Pin<&mut Spared<_>>| {
        http1::Connection::graceful_shutdown(connection.get_mut().connection());
    };
    drive(pin!(Spared::new(connection)), &watch, finish).await;
}

async fn serve_http2<S, B, H, Fut>(socket: S, bounds: Bounds, watch: Arc<Watch>, handle: H)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
    H: Fn(Request<Incoming>, Underway) -> Fut + Send + 'static,
    Fut: Future<Output = Result<Response<B>, Infallible>> + Send + 'static,
{
    let service = service_fn(|request| handle(request, watch.request_begins()));
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(HTTP2_STREAMS_MAX)
        .max_header_list_size(u32::try_from(bounds.header_bytes_max).unwrap_or(u32::MAX))
        .serve_connection(TokioIo::new(socket), service);
    drive(pin!(connection), &watch, http2::Connection::graceful_shutdown).await;
}

/// Drives a connection to its end while obeying its watch.
async fn drive<C>(mut connection: Pin<&mut C>, watch: &Watch, finish: impl Fn(Pin<&mut C>))
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut registered = false;
    let mut finishing = false;
    let ended = std::future::poll_fn(|cx: &mut Context<'_>| {
        if !registered {
            watch.register(cx.waker());
            registered = true;
        }
        match watch.order() {
            None => {}
            Some(Order::Close) => return Poll::Ready(Ok(())),
            Some(Order::Finish) if finishing => {}
            Some(Order::Finish) => {
                finishing = true;
                finish(connection.as_mut());
            }
        }
        connection.as_mut().poll(cx)
    })
    .await;
    if let Err(error) = ended {
        tracing::debug!(%error, "a caller's connection ended");
    }
}
