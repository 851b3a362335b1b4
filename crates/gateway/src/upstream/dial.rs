//! Opens connections to one provider: to the addresses that its [names](super::names) lead to, TLS where
//! the provider speaks it, HTTP/2 where it offers that.
//!
//! It connects to the very address that was judged: there is no second resolution for a rebinding
//! name server to answer differently.

use super::Error;
use super::names::Names;
use crate::config::BaseUrl;
use rustls_pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Idle time after which the kernel probes a connection, so that a peer lost behind a firewall is
/// noticed before a request is sent into the void.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A connection just opened.
pub(super) enum Dialled {
    Plain(TcpStream),
    Tls { stream: Box<TlsStream<TcpStream>>, http2: bool },
}

/// Everything needed to open a connection to one host.
pub(super) struct Dialer {
    names: Arc<Names>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    connect_timeout: Duration,
}

impl Dialer {
    /// A dialer to `url`, where `names` lead; `tls` is given exactly where the URL is https.
    pub(super) fn new(
        url: &BaseUrl,
        names: Arc<Names>,
        tls: Option<Arc<rustls::ClientConfig>>,
        connect_timeout: Duration,
    ) -> Result<Self, Error> {
        let host = url.host.as_str();
        let tls = match tls {
            None => None,
            Some(config) => {
                let name = ServerName::try_from(host.to_owned())
                    .map_err(|error| Error::Tls(format!("{host}: no name for it: {error}")))?;
                Some((TlsConnector::from(config), name))
            }
        };
        Ok(Self { names, tls, connect_timeout })
    }

    /// Opens a connection within the connect time-out, TLS handshake included.
    pub(super) async fn dial(&self) -> Result<Dialled, Error> {
        match tokio::time::timeout(self.connect_timeout, self.connect()).await {
            Ok(result) => result,
            Err(_) => Err(Error::ConnectTimeout),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that the ban leaves")]
    async fn connect(&self) -> Result<Dialled, Error> {
        let addresses = self.names.addresses().await?;
        let mut last = None;
        for address in addresses.iter() {
            match TcpStream::connect(address).await {
                Ok(stream) => return self.secure(stream).await,
                Err(error) => last = Some(format!("{address}: {error}")),
            }
        }
        // Perhaps the addresses have moved.
        self.names.doubt();
        Err(Error::Unreachable(last.unwrap_or_else(|| format!("{} has no address", self.names.host()))))
    }

    async fn secure(&self, stream: TcpStream) -> Result<Dialled, Error> {
        tune(&stream);
        let Some((connector, name)) = &self.tls else { return Ok(Dialled::Plain(stream)) };
        let stream = connector
            .connect(name.clone(), stream)
            .await
            .map_err(|error| Error::Tls(format!("{}: {error}", self.names.host())))?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok(Dialled::Tls { stream: Box::new(stream), http2 })
    }
}

/// Small frames leave at once, and a dead peer is noticed. A kernel that refuses an option costs
/// latency, not correctness, so failures are let pass.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Dialer, Dialled};
    use crate::config::BaseUrl;
    use crate::upstream::Error;
    use crate::upstream::names::Names;
    use measure::metrics::Metrics;
    use std::sync::Arc;
    use std::time::Duration;

    fn dialer(host: &str, port: u16, named_by_operator: bool) -> Dialer {
        let url = BaseUrl { https: false, host: host.into(), port, path: String::new(), named_by_operator };
        let names = Arc::new(Names::new(&url, Metrics::new("0", 1).shard(0).pool("p")));
        Dialer::new(&url, names, None, Duration::from_secs(5)).unwrap()
    }

    #[tokio::test]
    async fn a_private_address_is_reached_only_where_the_operator_named_the_host() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1"] {
            assert!(matches!(dialer(host, port, true).dial().await, Ok(Dialled::Plain(_))), "{host}");
            assert!(matches!(dialer(host, port, false).dial().await, Err(Error::Forbidden { .. })), "{host}");
        }
    }

    #[tokio::test]
    async fn a_refused_connection_says_which_address_refused() {
        let port = {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            listener.local_addr().unwrap().port()
        };
        match dialer("127.0.0.1", port, true).dial().await {
            Err(Error::Unreachable(detail)) => assert!(detail.contains(&port.to_string()), "{detail}"),
            _ => panic!("nobody listens there"),
        }
    }
}
