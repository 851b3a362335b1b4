//! Mail to a server that wants it secured: from the first byte on, or by STARTTLS, and a log-in.

use super::*;
use crate::alerts::mail;
use crate::config::{Mail, Secret};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A certificate for `localhost` that vouches for itself, in a file; and who serves with it.
fn secured(folder: &Path) -> (TlsAcceptor, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let file = folder.join("ca.pem");
    std::fs::write(&file, made.cert.pem()).unwrap();
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), file)
}

/// Answers each line until one asks for TLS or says good-bye; gives what was said, and the stream.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(stream: S, greets: bool, offers: &str) -> (Vec<String>, S) {
    let mut stream = BufReader::new(stream);
    if greets {
        stream.write_all(b"220 localhost\r\n").await.unwrap();
    }
    let (mut said, mut in_letter) = (Vec::new(), false);
    loop {
        let mut line = String::new();
        // Who leaves without a word leaves all the same.
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return (said, stream.into_inner());
        }
        let line = line.trim_end().to_owned();
        said.push(line.clone());
        let answer = match line.split([' ', ':']).next().unwrap_or_default() {
            _ if in_letter && line != "." => continue,
            "EHLO" => format!("250-localhost\r\n250 {offers}"),
            "STARTTLS" => "220 go on".to_owned(),
            "AUTH" => "235 welcome".to_owned(),
            "DATA" => "354 go on".to_owned(),
            "QUIT" => "221 good-bye".to_owned(),
            _ => "250 well".to_owned(),
        };
        in_letter = line == "DATA";
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        if line == "STARTTLS" {
            return (said, stream.into_inner());
        }
    }
}

fn to(port: u16, implicit: bool, ca_file: Option<PathBuf>) -> Mail {
    let server = BaseUrl {
        https: implicit,
        host: "localhost".into(),
        port,
        path: String::new(),
        named_by_operator: true,
    };
    let login = Some(("me".to_owned(), Secret::new("hunter2")));
    let (from, to) = ("t@example.com".parse().unwrap(), vec!["o@example.com".parse().unwrap()]);
    Mail { server, starttls: !implicit, ca_file, login, from, to }
}

async fn send(stand: &Stand, mail: &Mail) -> Result<String, receiver::Fault> {
    let lookups = stand.gateway.metrics.shard(0).pool("alerts");
    mail::send(mail, "Grüße", "text\n.\nmore".to_owned(), Duration::from_secs(5), lookups).await
}

#[tokio::test]
async fn a_letter_goes_secured_either_way_after_a_log_in() {
    let (stand, folder) = (Stand::start(""), tempfile::tempdir().unwrap());
    let (acceptor, file) = secured(folder.path());
    for implicit in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mail = to(listener.local_addr().unwrap().port(), implicit, Some(file.clone()));
        let serve = async {
            let (stream, _) = listener.accept().await.unwrap();
            if implicit {
                return talk(acceptor.accept(stream).await.unwrap(), true, "AUTH PLAIN").await.0;
            }
            let (before, stream) = talk(stream, true, "STARTTLS").await;
            assert!(
                !before.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")),
                "{before:?}"
            );
            talk(acceptor.accept(stream).await.unwrap(), false, "AUTH PLAIN").await.0
        };
        let (said, sent) = tokio::join!(serve, send(&stand, &mail));
        assert_eq!(sent.unwrap(), "the server answered 250", "implicit: {implicit}");
        let has = |start: &str| said.iter().any(|line| line.starts_with(start));
        for start in
            ["AUTH PLAIN ", "MAIL FROM:<t@example.com>", "RCPT TO:<o@example.com>", "Subject: =?utf-8?"]
        {
            assert!(has(start), "{start} is not in {said:?}");
        }
        assert!(has(".."), "a line of a dot alone ends nothing: {said:?}");
    }
}

#[tokio::test]
async fn nothing_is_said_to_a_server_that_is_not_who_it_should_be_or_offers_no_tls() {
    let (stand, folder) = (Stand::start(""), tempfile::tempdir().unwrap());
    let (acceptor, _) = secured(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let stranger = async {
        let (stream, _) = listener.accept().await.unwrap();
        let (said, stream) = talk(stream, true, "STARTTLS").await;
        assert!(acceptor.accept(stream).await.is_err(), "its certificate is not trusted");
        said
    };
    let (said, sent) = tokio::join!(stranger, async { send(&stand, &to(port, false, None)).await });
    assert!(sent.is_err() && said.len() == 2, "{said:?}");
    let plain = async {
        let (stream, _) = listener.accept().await.unwrap();
        talk(stream, true, "AUTH PLAIN").await.0
    };
    let (said, sent) = tokio::join!(plain, async { send(&stand, &to(port, false, None)).await });
    assert!(sent.is_err() && !said.iter().any(|line| line.starts_with("AUTH")), "{said:?}");
}
