//! One HTTP/1.1 connection, driven by whoever uses it.
//!
//! hyper's driver is usually a task of its own. Here the caller polls it together with its own
//! future: an answer is then read in the same turn in which its bytes arrive, without a second
//! task's wake-up inside the measured time, and dropping the connection is all it takes to cancel.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::fault::{Failed, Fault};
use super::target::Target;

/// What a connection carries bytes over: TCP, or TLS on it.
trait Duplex: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Duplex for T {}

type Body = Full<Bytes>;
type Wire = TokioIo<Box<dyn Duplex>>;

/// An open connection with at most one request under way.
pub(super) struct Connection {
    sender: SendRequest<Body>,
    driver: Driver,
}

/// A request that did not get its answer's head.
pub(super) enum NotSent {
    /// Not a byte of it was written, so another may be sent in its place.
    Unsent,
    Broken(Failed),
}

impl Connection {
    pub(super) async fn open(target: &Target) -> Result<Self, Failed> {
        let refused = |error: std::io::Error| Failed::new(Fault::Connect, error.to_string());
        #[expect(clippy::disallowed_methods, reason = "the operator names what is loaded; no caller does")]
        let tcp = TcpStream::connect(target.address).await.map_err(refused)?;
        tcp.set_nodelay(true).map_err(refused)?;
        let wire: Box<dyn Duplex> = match &target.tls {
            None => Box::new(tcp),
            Some(tls) => {
                let tls = tls.connector.connect(tls.name.clone(), tcp).await;
                Box::new(tls.map_err(refused)?)
            }
        };
        let (sender, connection) = http1::handshake(TokioIo::new(wire))
            .await
            .map_err(|error| Failed::new(Fault::Connect, error.to_string()))?;
        Ok(Self { sender, driver: Driver(Some(connection)) })
    }

    /// Waits until the connection can take a request; false if it cannot any more, as when the
    /// server has closed it meanwhile.
    pub(super) async fn ready(&mut self) -> bool {
        self.driver.during(self.sender.ready()).await.is_ok()
    }

    /// Sends a request and gives the head of its answer.
    pub(super) async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, NotSent> {
        let answer = self.sender.try_send_request(request);
        let answer = self.driver.during(answer).await;
        answer.map_err(|mut refused| match refused.take_message() {
            Some(_) => NotSent::Unsent,
            None => NotSent::Broken(Failed::from_http(refused.error(), false)),
        })
    }

    /// The next piece of an answer's body; `None` at its end.
    pub(super) async fn next(&mut self, body: &mut Incoming) -> Option<Result<Frame<Bytes>, Failed>> {
        let frame = self.driver.during(body.frame()).await?;
        Some(frame.map_err(|error| Failed::from_http(&error, true)))
    }
}

/// The connection's own side, until it has ended.
struct Driver(Option<http1::Connection<Wire, Body>>);

impl Driver {
    /// Awaits `future` and moves the connection's bytes meanwhile.
    async fn during<F: Future>(&mut self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|cx| {
            self.turn(cx);
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(output);
            }
            // What the future has just handed over (a request, room for another piece) goes on to
            // the socket in this turn. If that completes the future, it wakes this very task.
            self.turn(cx);
            Poll::Pending
        })
        .await
    }

    /// A driver that has ended is dropped, for only then does hyper tell whoever waits for it. Its
    /// error, if any, reaches the request or the body that it interrupted; it is not looked at here.
    fn turn(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.0
            && Pin::new(connection).poll(cx).is_ready()
        {
            self.0 = None;
        }
    }
}
