//! The HTTP client of commands that speak to a running gateway. It asks for one whole answer at a time, over
//! HTTP/1.1, at an address that the operator named.
//!
//! It is not [`upstream`](crate::upstream), which serves requests and guards against the addresses that a
//! stranger could lead it to, and not the load generator's, which measures and must share no code with what it
//! measures.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rig::load::Url;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_util::task::TaskTracker;

use crate::config::Secret;
use crate::upstream::{describe, tls};

#[cfg(test)]
mod tests;

/// For a connection, TLS included.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longest answer read.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A server, and what is said to it with each request.
pub(super) struct Client {
    url: Url,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    headers: HeaderMap,
    /// For a whole answer.
    patience: Duration,
    connections: TaskTracker,
}

/// A connection that is kept from one request to the next, or the place for one.
#[derive(Default)]
pub(super) struct Line(Option<SendRequest<Full<Bytes>>>);

/// A whole answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status.
    pub(super) status: StatusCode,
    /// Its headers.
    pub(super) headers: HeaderMap,
    /// Its body.
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nobody there, or nobody whom TLS trusts.
    #[error("cannot connect to {url}: {why}")]
    Unreachable {
        /// Where.
        url: Url,
        /// What the system or TLS said.
        why: String,
    },
    /// Somebody there who does not speak TLS.
    #[error("cannot connect to {0}: what listens there speaks no TLS; is it http or https?")]
    Plain(Url),
    /// Somebody there, but the answer did not come, or not to its end.
    #[error("no answer from {url}: {why}")]
    Broken {
        /// From where.
        url: Url,
        /// What became of it.
        why: String,
    },
    /// A header, a name or a file that cannot be used. It does not repeat a header's value.
    #[error("{0}")]
    Option(String),
}

/// What a connection carries bytes over: TCP, or TLS on it.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

impl Client {
    /// A client of the server at `url`; connects to nothing yet.
    ///
    /// # Errors
    /// [`Error::Option`] where `key` cannot stand in a header or `ca_file` holds no certificates.
    pub(super) fn new(
        url: Url,
        key: Option<&Secret>,
        ca_file: Option<&Path>,
        patience: Duration,
    ) -> Result<Self, Error> {
        let json = HeaderValue::from_static("application/json");
        let agent = HeaderValue::from_static(concat!("tidegate/", env!("CARGO_PKG_VERSION")));
        let mut client = Self {
            tls: url.https().then(|| connector(&url, ca_file)).transpose()?,
            headers: HeaderMap::from_iter([
                (HOST, value("host", &url.authority())?),
                (CONTENT_TYPE, json.clone()),
                (ACCEPT, json),
                (USER_AGENT, agent),
            ]),
            url,
            patience,
            connections: TaskTracker::new(),
        };
        if let Some(key) = key {
            let mut bearer = value("key", &format!("Bearer {}", key.expose()))?;
            bearer.set_sensitive(true);
            client.headers.insert(AUTHORIZATION, bearer);
        }
        Ok(client)
    }

    /// Sends this header with each request.
    ///
    /// # Errors
    /// [`Error::Option`] where it is none.
    pub(super) fn with_header(mut self, name: &str, text: &str) -> Result<Self, Error> {
        let header = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::Option(format!("{name:?} cannot be a header's name")))?;
        self.headers.insert(header, value(name, text)?);
        Ok(self)
    }

    /// What requests say under a header's name.
    #[cfg(test)]
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Where the server is.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether requests carry a key.
    pub(super) fn has_key(&self) -> bool {
        self.headers.contains_key(AUTHORIZATION)
    }

    /// Sends one request to `path` below the server's own and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// Where there is no whole answer in time. A request goes out twice only where it is known that nothing of
    /// the first was sent.
    pub(super) async fn ask(
        &self,
        line: &mut Line,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, Error> {
        let path = format!("{}{path}", self.url.path());
        let uri = Uri::try_from(&path)
            .map_err(|_| Error::Option(format!("{path} cannot be the path of a request")))?;
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        match timeout(self.patience, self.exchange(line, request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.broken(format!("nothing whole within {:?}", self.patience))),
        }
    }

    async fn exchange(&self, line: &mut Line, request: Request<Full<Bytes>>) -> Result<Answer, Error> {
        let request = match line.0.take() {
            None => request,
            Some(mut kept) => match send(&mut kept, request).await {
                Sent::Answer(head) => return self.whole(line, kept, head).await,
                Sent::Not(request) => request,
                Sent::Broken(why) => return Err(self.broken(why)),
            },
        };
        let mut fresh = self.open().await?;
        match send(&mut fresh, request).await {
            Sent::Answer(head) => self.whole(line, fresh, head).await,
            Sent::Not(_) => Err(self.broken("the connection was closed at once".to_owned())),
            Sent::Broken(why) => Err(self.broken(why)),
        }
    }

    /// Reads an answer to its end and keeps its connection.
    async fn whole(
        &self,
        line: &mut Line,
        sender: SendRequest<Full<Bytes>>,
        head: Response<Incoming>,
    ) -> Result<Answer, Error> {
        let (head, body) = head.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| self.broken(describe(&*error)))?.to_bytes();
        line.0 = Some(sender);
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    async fn open(&self) -> Result<SendRequest<Full<Bytes>>, Error> {
        let opened = timeout(CONNECT_MAX, self.connect()).await;
        let io = opened.map_err(|_| self.unreachable(format!("no connection within {CONNECT_MAX:?}")))??;
        let (sender, connection) =
            http1::handshake(TokioIo::new(io)).await.map_err(|error| self.unreachable(describe(&error)))?;
        self.connections.spawn(async move {
            // What goes wrong on it is told to the request that is on it.
            drop(connection.await);
        });
        Ok(sender)
    }

    async fn connect(&self) -> Result<Box<dyn Duplex>, Error> {
        let refused = |error: std::io::Error| self.unreachable(error.to_string());
        let place = (self.url.host(), self.url.port());
        #[expect(clippy::disallowed_methods, reason = "the operator names the gateway; no caller does")]
        let tcp = TcpStream::connect(place).await.map_err(refused)?;
        tcp.set_nodelay(true).map_err(refused)?;
        match &self.tls {
            None => Ok(Box::new(tcp)),
            Some((connector, name)) => {
                let refused = |error: std::io::Error| match speaks_no_tls(&error) {
                    true => Error::Plain(self.url.clone()),
                    false => refused(error),
                };
                Ok(Box::new(connector.connect(name.clone(), tcp).await.map_err(refused)?))
            }
        }
    }

    fn unreachable(&self, why: String) -> Error {
        Error::Unreachable { url: self.url.clone(), why }
    }

    fn broken(&self, why: String) -> Error {
        Error::Broken { url: self.url.clone(), why }
    }
}

impl Answer {
    /// What the server said of a refusal: its error's message, or its first line.
    pub(super) fn complaint(&self) -> String {
        let said: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let message = said.as_ref().and_then(|said| said["error"]["message"].as_str());
        let text = String::from_utf8_lossy(&self.body);
        let text = message.or_else(|| text.lines().next()).unwrap_or_default();
        let status = self.status;
        if text.is_empty() {
            status.to_string()
        } else {
            format!("{}: {}", status.as_u16(), text.chars().take(300).collect::<String>())
        }
    }
}

/// What became of a request.
enum Sent {
    Answer(Response<Incoming>),
    /// Not a byte of it was sent.
    Not(Request<Full<Bytes>>),
    Broken(String),
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, request: Request<Full<Bytes>>) -> Sent {
    if sender.ready().await.is_err() {
        return Sent::Not(request);
    }
    match sender.try_send_request(request).await {
        Ok(head) => Sent::Answer(head),
        Err(mut refused) => match refused.take_message() {
            Some(request) => Sent::Not(request),
            None => Sent::Broken(describe(refused.error())),
        },
    }
}

/// Whether the first bytes that came back were none of TLS: those of HTTP, mostly.
fn speaks_no_tls(error: &std::io::Error) -> bool {
    let told = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(told, Some(rustls::Error::InvalidMessage(_)))
}

fn connector(url: &Url, ca_file: Option<&Path>) -> Result<(TlsConnector, ServerName<'static>), Error> {
    let name = ServerName::try_from(url.host().to_owned())
        .map_err(|error| Error::Option(format!("{}: {error}", url.host())))?;
    let config = tls::client(ca_file, false).map_err(|error| Error::Option(error.to_string()))?;
    Ok((TlsConnector::from(config), name))
}

fn value(name: &str, text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text)
        .map_err(|_| Error::Option(format!("the {name} has characters that no header may have")))
}
