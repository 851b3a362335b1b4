//! One connection to a server that the operator names and that is no provider, kept from one message to the next:
//! for one who sends now and then, one message at a time.

use super::dial::{Dialer, Dialled};
use super::names::Names;
use super::post::{Message, Reply};
use super::{Error, describe, tls};
use crate::config::BaseUrl;
use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderValue};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use measure::metrics::PoolMetrics;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::TaskTracker;

/// The way to one server. It belongs to the runtime that sends on it.
pub struct Line {
    dialer: Dialer,
    url: BaseUrl,
    /// Whether it speaks HTTP/2, and nothing else.
    http2: bool,
    sender: Option<Sender>,
    tasks: TaskTracker,
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Line {
    /// A line to `url`, which is not opened yet; where `http2`, that is spoken from the first byte on.
    /// Certificates of `ca_file` are trusted besides the system's. Its lookups are counted by `lookups`.
    ///
    /// # Errors
    /// Where the CA file cannot be used, or the host can have no certificate.
    pub fn new(
        url: &BaseUrl,
        http2: bool,
        ca_file: Option<&Path>,
        connect: Duration,
        lookups: PoolMetrics,
    ) -> Result<Self, Error> {
        let tls = url.https.then(|| tls::client(ca_file, http2)).transpose()?;
        let names = Arc::new(Names::new(url, lookups));
        let dialer = Dialer::new(url, names, tls, connect)?;
        Ok(Self { dialer, url: url.clone(), http2, sender: None, tasks: TaskTracker::new() })
    }

    /// Sends a message and reads the answer, up to so many bytes of it, and what comes behind its body. There is no
    /// time limit here but for the connection; a message whose future is dropped costs the connection.
    ///
    /// # Errors
    /// See [`Error`]. The message is sent at most once.
    pub async fn send(
        &mut self,
        message: Message,
        body_bytes_max: usize,
    ) -> Result<(Reply, HeaderMap), Error> {
        let request = self.request(message)?;
        // Taken out, so that it is not used again where this is not waited for to its end.
        let mut sender = match self.sender.take() {
            Some(sender) => sender.ready().await,
            None => None,
        };
        if sender.is_none() {
            sender = self.open().await?.ready().await;
        }
        let mut sender = sender.ok_or_else(|| Error::Cut("closed as soon as it was open".into()))?;
        let answer = match &mut sender {
            Sender::Http1(sender) => sender.send_request(request).await,
            Sender::Http2(sender) => sender.send_request(request).await,
        };
        let answer = answer.map_err(|error| Error::Cut(describe(&error)))?;
        let read = read(answer, body_bytes_max).await?;
        self.sender = Some(sender);
        Ok(read)
    }

    fn request(&self, message: Message) -> Result<Request<Full<Bytes>>, Error> {
        let bad = |fault: String| Error::Unreachable(format!("bad address: {fault}"));
        let authority = self.url.authority();
        let target = match (self.http2, self.url.https) {
            (false, _) => message.target,
            (true, https) => {
                format!("{}://{authority}{}", if https { "https" } else { "http" }, message.target)
            }
        };
        let mut request = Request::new(Full::new(message.body));
        *request.method_mut() = message.method;
        *request.uri_mut() = Uri::try_from(target).map_err(|fault| bad(fault.to_string()))?;
        *request.headers_mut() = message.headers;
        if !self.http2 {
            let host = HeaderValue::try_from(authority).map_err(|fault| bad(fault.to_string()))?;
            request.headers_mut().insert(HOST, host);
        }
        Ok(request)
    }

    async fn open(&self) -> Result<Sender, Error> {
        match self.dialer.dial().await? {
            Dialled::Plain(stream) => self.speak(stream).await,
            Dialled::Tls { stream, http2 } if http2 == self.http2 => self.speak(stream).await,
            Dialled::Tls { .. } => Err(Error::Tls(format!("{}: it offers no HTTP/2", self.url.host))),
        }
    }

    async fn speak<S>(&self, stream: S) -> Result<Sender, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let io = TokioIo::new(stream);
        let cut = |error: hyper::Error| Error::Cut(describe(&error));
        // What goes wrong on the connection is told to the message that is on it.
        if self.http2 {
            let (sender, connection) =
                http2::Builder::new(TokioExecutor::new()).handshake(io).await.map_err(cut)?;
            self.tasks.spawn(connection);
            Ok(Sender::Http2(sender))
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(cut)?;
            self.tasks.spawn(connection);
            Ok(Sender::Http1(sender))
        }
    }
}

impl Sender {
    /// Itself, once a message may be sent; `None` where the other side has closed it.
    async fn ready(mut self) -> Option<Self> {
        let ready = match &mut self {
            Self::Http1(sender) => sender.ready().await,
            Self::Http2(sender) => sender.ready().await,
        };
        ready.ok().map(|()| self)
    }
}

async fn read(answer: Response<Incoming>, body_bytes_max: usize) -> Result<(Reply, HeaderMap), Error> {
    let (head, body) = answer.into_parts();
    let body = match Limited::new(body, body_bytes_max).collect().await {
        Ok(body) => body,
        Err(error) if error.is::<LengthLimitError>() => return Err(Error::TooLarge(body_bytes_max)),
        Err(error) => return Err(Error::Cut(describe(&*error))),
    };
    let trailers = body.trailers().cloned().unwrap_or_default();
    Ok((Reply { status: head.status, headers: head.headers, body: body.to_bytes() }, trailers))
}
