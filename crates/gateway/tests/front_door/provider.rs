//! The simulated provider behind TLS, with a certificate authority of the test's own; and servers
//! that answer one thing.

use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rig::sim::{Settings, Sim};
use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

/// A certificate authority and a leaf for `localhost`, as PEM files.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn make() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf =
            CertificateParams::new(vec!["localhost".into()]).unwrap().signed_by(&key, &authority).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        std::fs::write(folder.path().join("cert.pem"), leaf.pem()).unwrap();
        std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self { folder }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(crate) fn cert(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.folder.path().join("key.pem")
    }

    fn server(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        use rustls_pki_types::pem::PemObject;
        use rustls_pki_types::{CertificateDer, PrivateKeyDer};
        let chain = CertificateDer::pem_file_iter(self.cert()).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(self.key()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Serves HTTP/1.1 or HTTP/2, as `protocols` have it by ALPN, over TLS: `begun` is told of each connection on which the
/// two have agreed, `ended` when it is over or never began.
pub(crate) async fn serve_tls<S, B>(
    certificates: &Certificates,
    protocols: &[&[u8]],
    service: S,
    begun: impl Fn() + Clone + Send + 'static,
    ended: impl Fn() + Clone + Send + 'static,
) -> SocketAddr
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    S::Future: Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let acceptor = certificates.server(protocols);
    listening(move |stream| {
        let (acceptor, service) = (acceptor.clone(), service.clone());
        let (begun, ended) = (begun.clone(), ended.clone());
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                begun();
                let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let io = TokioIo::new(stream);
                let _ = match http2 {
                    true => http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await,
                    false => http1::Builder::new().serve_connection(io, service).await,
                };
            }
            ended();
        }
    })
    .await
}

/// Listens for as long as the test runs, and has `serve` see to each connection.
async fn listening<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = TaskTracker::new();
    TaskTracker::new().spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream));
        }
    });
    address
}

/// The simulated provider behind TLS; counts its connections.
pub(crate) struct TlsProvider {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl TlsProvider {
    /// Offers `protocols` by ALPN.
    pub(crate) async fn start(certificates: &Certificates, protocols: &[&[u8]]) -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let begun = move || {
            count.fetch_add(1, Ordering::SeqCst);
        };
        let sim = Sim::new(Settings::default());
        let service = service_fn(move |request| answer(sim.clone(), request));
        let address = serve_tls(certificates, protocols, service, begun, || {}).await;
        Self { address, connections }
    }
}

async fn answer(sim: Sim, request: Request<Incoming>) -> Result<Response<rig::sim::Body>, rig::sim::Reset> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    sim.call(Request::from_parts(parts, body)).await
}

/// A plain server that gives every request the same answer.
pub(crate) async fn fixed(
    response: impl Fn() -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> SocketAddr {
    judging(move |_| response()).await
}

/// A plain server that answers by a request's head.
pub(crate) async fn judging(
    judge: impl Fn(&Parts) -> Response<Full<Bytes>> + Clone + Send + Sync + 'static,
) -> SocketAddr {
    listening(move |stream| {
        let judge = judge.clone();
        async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let (head, body) = request.into_parts();
                let response = judge(&head);
                async move {
                    let _ = body.collect().await;
                    Ok::<_, Infallible>(response)
                }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        }
    })
    .await
}

/// A listener that answers nothing and remembers what it is sent.
pub(crate) struct Canary {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
}

impl Canary {
    pub(crate) async fn start() -> Self {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let address = listening(move |mut stream| {
            count.fetch_add(1, Ordering::SeqCst);
            async move {
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n").await;
            }
        })
        .await;
        Self { address, connections }
    }
}

/// What a [`Fickle`] provider does with a connection once it has read a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Whim {
    /// Answers, promises to keep the connection, and closes it.
    AnswerAndClose,
    /// Closes without a word.
    Close,
    /// Answers half of what it announced, and closes.
    CutShort,
}

/// A provider that closes connections; counts the requests that reached it.
pub(crate) struct Fickle {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<AtomicUsize>,
}

impl Fickle {
    pub(crate) async fn start(whim: Whim) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let address = listening(move |stream| serve_fickly(stream, whim, Arc::clone(&count))).await;
        Self { address, requests }
    }
}

async fn serve_fickly(mut stream: TcpStream, whim: Whim, requests: Arc<AtomicUsize>) {
    const BODY: &str = r#"{"choices":[]}"#;
    let mut seen = Vec::new();
    // A request of these tests ends with its body's brackets.
    while !seen.ends_with(b"]}") {
        if stream.read_buf(&mut seen).await.unwrap_or(0) == 0 {
            break;
        }
    }
    if seen.is_empty() {
        return;
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let head = format!("HTTP/1.1 200 OK\r\nconnection: keep-alive\r\ncontent-length: {}\r\n\r\n", BODY.len());
    let answer = match whim {
        Whim::Close => return,
        Whim::AnswerAndClose => head + BODY,
        Whim::CutShort => head + &BODY[..7],
    };
    let _ = stream.write_all(answer.as_bytes()).await;
}
