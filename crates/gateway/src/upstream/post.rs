//! One call to an application at an address that a caller gave: its own connection, no credentials of ours, no
//! redirect, and of the answer only as much as was asked for.

use super::dial::{Dialer, Dialled};
use super::names::Names;
use super::{Error, describe, tls};
use crate::config::BaseUrl;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use measure::metrics::PoolMetrics;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};

/// What an application said.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its head.
    pub headers: HeaderMap,
    /// Its body, if that was asked for.
    pub body: Bytes,
}

/// What an application is told.
pub struct Message {
    /// How.
    pub method: Method,
    /// The path and the query.
    pub target: String,
    /// The head, but for what says where the message goes and how long it is.
    pub headers: HeaderMap,
    /// The body; may be empty.
    pub body: Bytes,
}

impl Reply {
    /// When it wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = |name: &str| self.headers.get(name).map(HeaderValue::as_bytes);
        wire::retry_after::parse(value("retry-after-ms"), value("retry-after"), SystemTime::now())
    }
}

/// Posts `body` to `target` at `url`, and reads the answer's head alone. There is no time limit here but for the
/// connection. Its lookups are counted by `lookups`.
///
/// # Errors
/// See [`Error`]. The body is sent at most once.
pub async fn post(
    url: &BaseUrl,
    target: &str,
    headers: HeaderMap,
    body: Bytes,
    connect: Duration,
    lookups: PoolMetrics,
) -> Result<Reply, Error> {
    send(url, Message { method: Method::POST, target: target.to_owned(), headers, body }, connect, 0, lookups)
        .await
}

/// Sends a message to `url`, and reads the answer with up to so many bytes of its body; with 0 of them it is not
/// read. There is no time limit here but for the connection.
///
/// # Errors
/// See [`Error`]. The message is sent at most once.
pub async fn send(
    url: &BaseUrl,
    message: Message,
    connect: Duration,
    body_bytes_max: usize,
    lookups: PoolMetrics,
) -> Result<Reply, Error> {
    let bad = |fault: String| Error::Unreachable(format!("bad address: {fault}"));
    let mut request = Request::new(Full::new(message.body));
    *request.method_mut() = message.method;
    *request.uri_mut() = Uri::try_from(message.target).map_err(|fault| bad(fault.to_string()))?;
    *request.headers_mut() = message.headers;
    let host = HeaderValue::try_from(url.authority()).map_err(|fault| bad(fault.to_string()))?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let tls = url.https.then(|| tls::client(None, false)).transpose()?;
    let names = Arc::new(Names::new(url, lookups));
    match Dialer::new(url, names, tls, connect)?.dial().await? {
        Dialled::Plain(stream) => exchange(stream, request, body_bytes_max).await,
        Dialled::Tls { stream, .. } => exchange(stream, request, body_bytes_max).await,
    }
}

/// Drives the connection while the answer is read.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>, body_bytes_max: usize) -> Result<Reply, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| Error::Cut(describe(&error)))?;
    let mut answer = std::pin::pin!(async {
        let answer = sender.send_request(request).await.map_err(|error| Error::Cut(describe(&error)))?;
        read(answer, body_bytes_max).await
    });
    tokio::select! {
        biased;
        answered = &mut answer => answered,
        // What it has heard before its end it has handed over.
        _ = connection => answer.await,
    }
}

async fn read(answer: Response<Incoming>, body_bytes_max: usize) -> Result<Reply, Error> {
    let (head, body) = answer.into_parts();
    let body = match body_bytes_max {
        0 => Bytes::new(),
        most if body.size_hint().lower() > most as u64 => return Err(Error::TooLarge(most)),
        most => match Limited::new(body, most).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Error::TooLarge(most)),
            Err(error) => return Err(Error::Cut(describe(&*error))),
        },
    };
    Ok(Reply { status: head.status, headers: head.headers, body })
}
