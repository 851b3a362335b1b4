//! A provider's files and batches: calls that are few, long and large, each on a connection of its own, to the
//! addresses and with the credentials that every call to that provider has. No body is ever held whole.
//!
//! It knows HTTP; what a file or a batch is, is known to whoever asks.

use super::dial::{Dialer, Dialled};
use super::names::Names;
use super::outline::{fixed_headers, header_value};
use super::{Error, describe, tls};
use crate::config;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use measure::metrics::PoolMetrics;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// Bytes that an answer may have which is read whole.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// A provider's office.
pub struct Office<'a> {
    /// The provider.
    pub settings: &'a config::Provider,
    /// Where its lookups are counted.
    pub lookups: PoolMetrics,
}

/// What is asked.
pub struct Asked {
    method: Method,
    /// Behind the provider's base: `/files`.
    path: String,
    kind: HeaderValue,
}

/// An answer that is read whole.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// When it wants to be asked again.
    pub after: Option<Duration>,
    /// Its body.
    pub body: Bytes,
}

impl Asked {
    /// What has no body.
    pub fn plain(method: Method, path: impl Into<String>) -> Self {
        Self::with(method, path, HeaderValue::from_static("application/json"))
    }

    /// What has a body of this kind.
    pub fn with(method: Method, path: impl Into<String>, kind: HeaderValue) -> Self {
        Self { method, path: path.into(), kind }
    }
}

impl Office<'_> {
    /// Asks, and reads the answer.
    ///
    /// # Errors
    /// See [`Error`]. It is asked once at most.
    pub async fn ask(&self, asked: Asked, body: Bytes) -> Result<Reply, Error> {
        self.send(asked, Full::new(body), whole).await
    }

    /// The same with a body that comes as it is made.
    ///
    /// # Errors
    /// As [`ask`](Self::ask); where the body fails, nothing of it counts.
    pub async fn bring<B>(&self, asked: Asked, body: B) -> Result<Reply, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        self.send(asked, body, whole).await
    }

    /// Asks, and hands over the answer's body as it comes; where it is no good one, it is given instead.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub async fn fetch(&self, asked: Asked, to: mpsc::Sender<Vec<u8>>) -> Result<Option<Reply>, Error> {
        self.send(asked, Full::new(Bytes::new()), async move |answer: Response<Incoming>| {
            if !answer.status().is_success() {
                return whole(answer).await.map(Some);
            }
            let mut body = answer.into_body();
            while let Some(frame) = body.frame().await {
                let frame = frame.map_err(|error| Error::Cut(describe(&error)))?;
                // Where nobody reads any more, nobody wants the rest.
                if let Ok(bytes) = frame.into_data()
                    && to.send(bytes.to_vec()).await.is_err()
                {
                    break;
                }
            }
            Ok(None)
        })
        .await
    }

    async fn send<B, T>(
        &self,
        asked: Asked,
        body: B,
        read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, Error>,
    ) -> Result<T, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: std::error::Error + Send + Sync,
    {
        let settings = self.settings;
        let Some(url) = &settings.base_url else {
            return Err(Error::Unreachable("it has no address".to_owned()));
        };
        let bad = |fault: http::uri::InvalidUri| Error::Unreachable(format!("bad address: {fault}"));
        let mut request = Request::new(body);
        *request.method_mut() = asked.method;
        let target = format!("{}{}", url.path.trim_end_matches('/'), asked.path);
        *request.uri_mut() = Uri::try_from(target).map_err(bad)?;
        *request.headers_mut() = self.headers(&url.authority(), asked.kind)?;
        let tls = url.https.then(|| tls::client(settings.ca_file.as_deref(), false)).transpose()?;
        let names = Arc::new(Names::new(url, self.lookups.clone()));
        match Dialer::new(url, names, tls, settings.timeouts.connect)?.dial().await? {
            Dialled::Plain(stream) => exchange(stream, request, read).await,
            Dialled::Tls { stream, .. } => exchange(stream, request, read).await,
        }
    }

    fn headers(&self, host: &str, kind: HeaderValue) -> Result<HeaderMap, Error> {
        let mut headers = fixed_headers(self.settings, header_value(host)?)?;
        headers.insert(CONTENT_TYPE, kind);
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        Ok(headers)
    }
}

/// Drives the connection while the answer is read.
async fn exchange<S, B, T>(
    stream: S,
    request: Request<B>,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, Error>,
) -> Result<T, Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: std::error::Error + Send + Sync,
{
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| Error::Cut(describe(&error)))?;
    let mut answer = std::pin::pin!(async {
        let answer = sender.send_request(request).await.map_err(|error| Error::Cut(describe(&error)))?;
        read(answer).await
    });
    tokio::select! {
        biased;
        answered = &mut answer => answered,
        // What it has heard before its end it has handed over.
        _ = connection => answer.await,
    }
}

/// All of an answer.
async fn whole(answer: Response<Incoming>) -> Result<Reply, Error> {
    let (head, mut body) = answer.into_parts();
    let value = |name: &str| head.headers.get(name).map(HeaderValue::as_bytes);
    let after = wire::retry_after::parse(value("retry-after-ms"), value("retry-after"), SystemTime::now());
    let mut bytes = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Error::Cut(describe(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > ANSWER_BYTES_MAX {
            return Err(Error::TooLarge(ANSWER_BYTES_MAX));
        }
        bytes.extend_from_slice(&data);
    }
    Ok(Reply { status: head.status, after, body: bytes.freeze() })
}
