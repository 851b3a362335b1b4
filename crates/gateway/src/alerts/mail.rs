//! Mail by SMTP (RFC 5321): one connection a message, to an address that was judged as every other.

use super::receiver::Fault;
use crate::config::Mail;
use crate::upstream::socket::{self, Socket};
use lettre::Message;
use lettre::message::header::ContentType;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, TlsParameters, TlsParametersBuilder,
};
use lettre::transport::smtp::extension::ClientId;
use measure::metrics::PoolMetrics;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The ways to log in, the better first.
const MECHANISMS: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

/// Sends a message of plain text. There is no time limit here but for the connection.
pub async fn send(
    mail: &Mail,
    subject: &str,
    text: String,
    connect: Duration,
    lookups: PoolMetrics,
) -> Result<String, Fault> {
    let message = compose(mail, subject, text)?;
    let mut connection = open(mail, connect, lookups).await?;
    if let Some((username, password)) = &mail.login {
        let credentials = Credentials::new(username.clone(), password.expose().to_owned());
        connection.auth(&MECHANISMS, &credentials).await.map_err(|error| refused(&error))?;
    }
    let answer = connection.send(message.envelope(), &message.formatted()).await;
    let answer = answer.map_err(|error| refused(&error))?;
    // It is taken; whether the server says good-bye makes no difference.
    let _ = connection.quit().await;
    Ok(format!("the server answered {}", answer.code()))
}

fn compose(mail: &Mail, subject: &str, text: String) -> Result<Message, Fault> {
    let head = Message::builder().from(mail.from.clone()).subject(subject).header(ContentType::TEXT_PLAIN);
    let head = mail.to.iter().fold(head, |head, to| head.to(to.clone()));
    head.body(text).map_err(|error| Fault::lasting(format!("no message can be made of it: {error}")))
}

async fn open(mail: &Mail, connect: Duration, lookups: PoolMetrics) -> Result<AsyncSmtpConnection, Fault> {
    let socket = socket::open(&mail.server, mail.ca_file.as_deref(), connect, lookups).await;
    let stream: Box<dyn AsyncTokioStream> = match socket.map_err(|error| Fault::unreached(&error))? {
        Socket::Plain(stream) => Box::new(stream),
        Socket::Tls(stream) => Box::new(Secured(stream)),
    };
    let hello = ClientId::default();
    let opened = AsyncSmtpConnection::connect_with_transport(stream, &hello).await;
    let mut connection = opened.map_err(|error| refused(&error))?;
    if mail.starttls {
        // Never on in plain text: where the server does not offer it, this fails.
        connection.starttls(tls(mail)?, &hello).await.map_err(|error| refused(&error))?;
    }
    Ok(connection)
}

fn tls(mail: &Mail) -> Result<TlsParameters, Fault> {
    let fault = |what: String| Fault::passing(format!("TLS: {what}"));
    let mut builder = TlsParametersBuilder::new(mail.server.host.clone());
    if let Some(path) = &mail.ca_file {
        let pem = std::fs::read(path).map_err(|error| fault(format!("{}: {error}", path.display())))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| fault(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(|error| fault(error.to_string()))
}

fn refused(error: &Error) -> Fault {
    let words = crate::upstream::describe(error);
    if error.is_permanent() { Fault::lasting(words) } else { Fault::passing(words) }
}

/// A secured stream, as lettre wants to see one.
#[derive(Debug)]
struct Secured(Box<TlsStream<TcpStream>>);

impl AsyncTokioStream for Secured {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().0.peer_addr()
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
