//! The only code that dials out: one [`Upstream`] for each configured provider, with its
//! connections, its credentials and its addresses. It knows HTTP; what the bytes mean, whether to
//! try again and what the caller is told is decided elsewhere.
//!
//! A caller cannot reach anything from here but the paths that the configuration makes: the
//! request line, the host and the credentials are all built when the configuration loads.

mod answer;
mod dial;
mod payload;
mod pool;
mod probe;
pub mod tls;

pub use answer::Answer;

use crate::config;
use crate::gather::Gathering;
use crate::worker::Worker;
use answer::Lease;
use bytes::Bytes;
use dial::{Dialer, Dialled};
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT,
};
use http::{Method, Request, Response, Uri};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use payload::Payload;
use pool::{Pool, Sender};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wire::failure::{Failure, Kind};
use wire::operation::Operation;
use wire::preset::Auth;
use wire::splice::Spliced;

/// How often a request moves on to another connection because the provider had closed the one it
/// was to go out on. Each time it is known that nothing of it was sent.
const STALE_MAX: usize = 4;
/// An HTTP/2 connection on which nothing answers for this long is given up.
const HTTP2_KEEPALIVE: Duration = Duration::from_secs(20);

/// Why a provider gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No address: the name does not resolve.
    #[error("cannot resolve {0}")]
    Unresolved(String),
    /// No connection, or none that could be used.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// No TLS, or a certificate that is not trusted.
    #[error("TLS with {0}")]
    Tls(String),
    /// The name leads to an address that is not public, and the operator did not name the host.
    #[error(
        "{host} resolves to private addresses only; set `base_url` to it in the configuration to allow that"
    )]
    Forbidden {
        /// The host's name.
        host: Box<str>,
    },
    /// No connection in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// The connection broke before or within the answer. The provider may have accepted the
    /// request.
    #[error("the connection broke: {0}")]
    Cut(String),
    /// The answer is larger than may be held.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Error {
    /// What the caller reads of it; the detail stays in the log.
    pub fn failure(&self, provider: &str) -> Failure {
        let (kind, code, public) = match self {
            Self::Unresolved(_) | Self::Unreachable(_) | Self::Tls(_) | Self::Forbidden { .. } => (
                Kind::Provider,
                "provider_unreachable",
                format!("The provider '{provider}' could not be reached."),
            ),
            Self::ConnectTimeout => (
                Kind::ProviderTimeout,
                "provider_timeout",
                format!("The provider '{provider}' could not be reached in time."),
            ),
            Self::Cut(_) => (
                Kind::Provider,
                "provider_disconnected",
                format!("The provider '{provider}' broke the connection before its answer was complete."),
            ),
            Self::TooLarge(_) => (
                Kind::Provider,
                "provider_bad_answer",
                format!("The provider '{provider}' sent an answer that is too large."),
            ),
        };
        Failure::new(kind, public).with_code(code).with_detail(self.to_string())
    }
}

/// What is to be sent.
pub struct Call {
    /// Decides the path.
    pub operation: Operation,
    /// The body, JSON.
    pub body: Spliced,
    /// Sent on, so that both sides' logs can be joined.
    pub request_id: HeaderValue,
    /// The caller's trace, where there is one.
    pub traceparent: Option<HeaderValue>,
}

/// A provider as the configuration describes it, ready to be called from one worker: a connection is
/// driven by the runtime that opened it, so that each worker has its own.
pub struct Upstream {
    settings: config::Provider,
    backend: Backend,
    /// Connections that this worker keeps warm: its part of the configured number.
    warm: usize,
}

enum Backend {
    Http(Box<Http>),
    Sim(rig::sim::Sim),
}

struct Http {
    dialer: Dialer,
    endpoints: Endpoints,
    /// Everything that is the same for each request, credentials among it, with a place for the
    /// request's id: a clone of it is filled in without growing.
    headers: HeaderMap,
    pool: Pool,
}

/// Where each operation is found, in both forms: HTTP/1.1 sends the path, HTTP/2 the whole.
struct Endpoints([Endpoint; 4]);

struct Endpoint {
    path: Uri,
    whole: Uri,
}

impl Upstream {
    /// Prepares a provider for one of so many workers; connects to nothing yet.
    ///
    /// # Errors
    /// Where a CA file cannot be read, or the credentials are no header value.
    pub fn new(settings: config::Provider, workers: usize) -> Result<Self, Error> {
        let backend = match &settings.base_url {
            Some(url) => Backend::Http(Box::new(Http::new(&settings, url)?)),
            None => Backend::Sim(rig::sim::Sim::new(settings.sim.clone())),
        };
        let warm = settings.connections.warm.div_ceil(workers.max(1));
        Ok(Self { settings, backend, warm })
    }

    /// The settings it was made from.
    pub fn settings(&self) -> &config::Provider {
        &self.settings
    }

    /// The provider's name in the configuration.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Whether it is asked over the network.
    pub fn is_remote(&self) -> bool {
        matches!(self.backend, Backend::Http(_))
    }

    /// Sends one request and gives the answer's head, its body still to come. There is no time
    /// limit here but for the connection. Dropping the future or the answer ends the call at the
    /// provider.
    ///
    /// # Errors
    /// See [`Error`]. A request is sent at most once; it moves to another connection only where
    /// nothing of it has left.
    pub async fn send(self: &Arc<Self>, worker: &Worker, call: &Call) -> Result<Response<Answer>, Error> {
        match &self.backend {
            Backend::Http(http) => self.send_http(http, worker, call).await,
            // Boxed: it is large, and it is not the path that is measured.
            Backend::Sim(sim) => Box::pin(send_sim(sim, call)).await,
        }
    }

    async fn send_http(
        self: &Arc<Self>,
        http: &Http,
        worker: &Worker,
        call: &Call,
    ) -> Result<Response<Answer>, Error> {
        for _ in 0..STALE_MAX {
            let Some(sender) = http.pool.take() else { break };
            if let Some(result) = self.try_on(http, sender, call).await {
                return result;
            }
        }
        let sender = Box::pin(self.open(http, worker)).await?;
        match self.try_on(http, sender, call).await {
            Some(result) => result,
            None => Err(Error::Unreachable("a new connection was closed before the request was sent".into())),
        }
    }

    /// `None` where the connection had been closed and nothing was sent.
    async fn try_on(
        self: &Arc<Self>,
        http: &Http,
        sender: Sender,
        call: &Call,
    ) -> Option<Result<Response<Answer>, Error>> {
        match sender {
            Sender::Http1(mut sender) => {
                sender.ready().await.ok()?;
                match sender.try_send_request(http.request_http1(call)).await {
                    Ok(response) => Some(Ok(response.map(|body| {
                        let lease = Lease { sender, upstream: Arc::clone(self) };
                        Answer::http(body, Some(lease))
                    }))),
                    Err(error) if error.message().is_some() => None,
                    Err(error) => Some(Err(Error::Cut(describe(&error.into_error())))),
                }
            }
            Sender::Http2(mut sender) => {
                sender.ready().await.ok()?;
                match sender.try_send_request(http.request_http2(call)).await {
                    Ok(response) => Some(Ok(response.map(|body| Answer::http(body, None)))),
                    Err(error) if error.message().is_some() => None,
                    Err(error) => Some(Err(Error::Cut(describe(&error.into_error())))),
                }
            }
        }
    }

    async fn open(&self, http: &Http, worker: &Worker) -> Result<Sender, Error> {
        match http.dialer.dial().await? {
            Dialled::Plain(stream) => open_http1(TokioIo::new(Gathering(stream)), worker).await,
            Dialled::Tls { stream, http2: false } => open_http1(TokioIo::new(stream), worker).await,
            Dialled::Tls { stream, http2: true } => {
                let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                    .timer(TokioTimer::new())
                    .keep_alive_interval(HTTP2_KEEPALIVE)
                    .handshake(TokioIo::new(stream))
                    .await
                    .map_err(|error| Error::Unreachable(describe(&error)))?;
                worker.background.spawn(drive(connection));
                http.pool.share(sender.clone());
                Ok(Sender::Http2(sender))
            }
        }
    }

    /// Housekeeping: closes connections that have been idle too long and opens others until the
    /// configured number is warm. A provider that cannot be reached is not reported here: the first
    /// request will tell.
    pub async fn maintain(self: Arc<Self>, worker: &Worker) {
        let Backend::Http(http) = &self.backend else { return };
        let settings = &self.settings.connections;
        let open = http.pool.sweep(settings.idle, Instant::now());
        for _ in open..self.warm {
            match self.open(http, worker).await {
                Ok(Sender::Http1(sender)) => http.pool.give_back(sender, settings.per_host, Instant::now()),
                Ok(Sender::Http2(_)) => break,
                Err(error) => {
                    tracing::debug!(provider = self.name(), %error, "no connection warmed");
                    break;
                }
            }
        }
    }

    fn give_back(&self, sender: http1::SendRequest<Payload>) {
        if let Backend::Http(http) = &self.backend {
            http.pool.give_back(sender, self.settings.connections.per_host, Instant::now());
        }
    }
}

impl Http {
    fn new(settings: &config::Provider, url: &config::BaseUrl) -> Result<Self, Error> {
        let tls = url.https.then(|| tls::client(settings.ca_file.as_deref(), settings.http2)).transpose()?;
        let authority = url.authority();
        Ok(Self {
            dialer: Dialer::new(url, tls, settings.timeouts.connect)?,
            endpoints: Endpoints::new(url, &authority)?,
            headers: fixed_headers(settings, header_value(&authority)?)?,
            pool: Pool::default(),
        })
    }

    fn request_http1(&self, call: &Call) -> Request<Payload> {
        self.request(call, self.endpoints.of(call.operation).path.clone())
    }

    fn request_http2(&self, call: &Call) -> Request<Payload> {
        let mut request = self.request(call, self.endpoints.of(call.operation).whole.clone());
        // HTTP/2 names the host in the request's `:authority`.
        request.headers_mut().remove(HOST);
        request
    }

    fn request(&self, call: &Call, uri: Uri) -> Request<Payload> {
        let mut request = Request::new(Payload::of(&call.body));
        *request.method_mut() = match call.operation {
            Operation::Models => Method::GET,
            _ => Method::POST,
        };
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        let headers = request.headers_mut();
        headers.insert(X_REQUEST_ID, call.request_id.clone());
        if let Some(traceparent) = &call.traceparent {
            headers.insert(TRACEPARENT, traceparent.clone());
        }
        request
    }
}

impl Endpoints {
    fn new(url: &config::BaseUrl, authority: &str) -> Result<Self, Error> {
        let scheme = if url.https { "https" } else { "http" };
        let base = url.path.trim_end_matches('/');
        let endpoint = |operation: Operation| -> Result<Endpoint, Error> {
            let path = format!("{base}{}", operation.path());
            let whole = format!("{scheme}://{authority}{path}");
            let parse = |text: String| {
                Uri::try_from(text).map_err(|error| Error::Unreachable(format!("bad base_url: {error}")))
            };
            Ok(Endpoint { path: parse(path)?, whole: parse(whole)? })
        };
        Ok(Self([
            endpoint(Operation::ChatCompletions)?,
            endpoint(Operation::Completions)?,
            endpoint(Operation::Embeddings)?,
            endpoint(Operation::Models)?,
        ]))
    }

    fn of(&self, operation: Operation) -> &Endpoint {
        match operation {
            Operation::Completions => &self.0[1],
            Operation::Embeddings => &self.0[2],
            // No caller's: the gateway answers those itself.
            Operation::Models => &self.0[3],
            Operation::ChatCompletions => &self.0[0],
        }
    }
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

fn fixed_headers(settings: &config::Provider, host: HeaderValue) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(HOST, host);
    headers.insert(X_REQUEST_ID, HeaderValue::from_static("-"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in &settings.headers {
        let name = HeaderName::try_from(name)
            .map_err(|_| Error::Unreachable(format!("'{name}' is no header's name")))?;
        headers.insert(name, header_value(value)?);
    }
    if let Some(key) = &settings.api_key {
        let (name, text) = match settings.preset.auth {
            Auth::Bearer => (AUTHORIZATION, format!("Bearer {}", key.expose())),
            Auth::Header(name) => (HeaderName::from_static(name), key.expose().to_owned()),
            Auth::None => return Ok(headers),
        };
        let mut value = header_value(&text)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The text itself is not repeated in the error: it may be a credential.
fn header_value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::try_from(text)
        .map_err(|_| Error::Unreachable("a header of this provider has characters that HTTP forbids".into()))
}

async fn send_sim(sim: &rig::sim::Sim, call: &Call) -> Result<Response<Answer>, Error> {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = Uri::from_static(call.operation.path());
    request.headers_mut().insert(X_REQUEST_ID, call.request_id.clone());
    *request.body_mut() = call.body.clone().into_bytes();
    match sim.call(request).await {
        Ok(response) => Ok(response.map(Answer::sim)),
        Err(reset) => Err(Error::Cut(reset.to_string())),
    }
}

async fn open_http1<S>(io: TokioIo<S>, worker: &Worker) -> Result<Sender, Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let (sender, connection) =
        http1::Builder::new().handshake(io).await.map_err(|error| Error::Unreachable(describe(&error)))?;
    worker.background.spawn(drive(connection));
    Ok(Sender::Http1(sender))
}

/// A connection's own task. What goes wrong on it is told to the request that is on it, so that
/// nothing is left to say here but for the curious.
async fn drive(connection: impl Future<Output = hyper::Result<()>>) {
    if let Err(error) = connection.await {
        tracing::debug!(error = %describe(&error), "an upstream connection ended");
    }
}

/// An error with its causes, in one line.
pub fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
