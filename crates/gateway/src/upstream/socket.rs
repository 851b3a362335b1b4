//! A connection to a server that speaks no HTTP, as one for mail: opened as every other, to an address that was
//! judged.

use super::Error;
use super::dial::{Dialer, Dialled};
use super::names::Names;
use super::tls;
use crate::config::BaseUrl;
use measure::metrics::PoolMetrics;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The connection.
pub enum Socket {
    /// In plain text, to be secured by its own protocol.
    Plain(TcpStream),
    /// Secured from the first byte on.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Opens a connection to the host and port of `url`, secured where it says so. Its lookups are counted by `lookups`.
///
/// # Errors
/// See [`Error`].
pub async fn open(
    url: &BaseUrl,
    ca_file: Option<&Path>,
    connect: Duration,
    lookups: PoolMetrics,
) -> Result<Socket, Error> {
    let tls = url.https.then(|| tls::client(ca_file, false)).transpose()?;
    let names = Arc::new(Names::new(url, lookups));
    Ok(match Dialer::new(url, names, tls, connect)?.dial().await? {
        Dialled::Plain(stream) => Socket::Plain(stream),
        Dialled::Tls { stream, .. } => Socket::Tls(stream),
    })
}
