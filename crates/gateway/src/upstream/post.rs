//! One call to an application at an address that a caller gave: its own connection, no credentials of ours, no
//! redirect, and of the answer only as much as tells whether it was taken.

use super::dial::{Dialer, Dialled};
use super::names::Names;
use super::{Error, describe, tls};
use crate::config::BaseUrl;
use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderMap, HeaderValue};
use http::{Method, Request, StatusCode, Uri};
use http_body_util::Full;
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
}

impl Reply {
    /// When it wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        let value = |name: &str| self.headers.get(name).map(HeaderValue::as_bytes);
        wire::retry_after::parse(value("retry-after-ms"), value("retry-after"), SystemTime::now())
    }
}

/// Posts `body` to `target` at `url`. There is no time limit here but for the connection.
/// Its lookups are counted by `lookups`.
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
    let bad = |fault: String| Error::Unreachable(format!("bad address: {fault}"));
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::try_from(target).map_err(|fault| bad(fault.to_string()))?;
    *request.headers_mut() = headers;
    let host = HeaderValue::try_from(url.authority()).map_err(|fault| bad(fault.to_string()))?;
    request.headers_mut().insert(HOST, host);
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let tls = url.https.then(|| tls::client(None, false)).transpose()?;
    let names = Arc::new(Names::new(url, lookups));
    match Dialer::new(url, names, tls, connect)?.dial().await? {
        Dialled::Plain(stream) => exchange(stream, request).await,
        Dialled::Tls { stream, .. } => exchange(stream, request).await,
    }
}

/// Drives the connection while the answer's head is waited for; what follows the head is not read.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Reply, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let cut = |error: hyper::Error| Error::Cut(describe(&error));
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(cut)?;
    let mut answer = std::pin::pin!(sender.send_request(request));
    let answered = tokio::select! {
        biased;
        answered = &mut answer => answered,
        // What it has heard before its end it has handed over.
        _ = connection => answer.await,
    };
    let (head, _) = answered.map_err(cut)?.into_parts();
    Ok(Reply { status: head.status, headers: head.headers })
}
