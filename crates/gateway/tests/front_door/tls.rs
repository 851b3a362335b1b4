//! TLS and HTTP/2 on both sides.

use crate::client::{chat, post, post_tls};
use crate::gateway::Gateway;
use crate::provider::{Certificates, TlsProvider};
use http::StatusCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

fn provider(port: u16, extra: &str) -> String {
    warmed(port, 0, extra)
}

fn warmed(port: u16, warm: usize, extra: &str) -> String {
    format!(
        "[providers.far]\npreset = \"openai-compatible\"\nbase_url = \"https://localhost:{port}/v1\"\napi_key = \"k\"\nconnections = {{ warm = {warm} }}\n{extra}"
    )
}

#[tokio::test]
async fn a_provider_is_trusted_by_its_own_ca_file_and_not_without() {
    let certificates = Certificates::make();
    let far = TlsProvider::start(&certificates, &[b"http/1.1"]).await;
    let trusting = format!("ca_file = {:?}\n", certificates.ca());
    let gateway = Gateway::start(&provider(far.address.port(), &trusting));
    let (status, body) = post(gateway.data, chat("far/instant")).await;
    assert_eq!(status, StatusCode::OK, "{body}");

    let gateway = Gateway::start(&provider(far.address.port(), ""));
    let (status, body) = post(gateway.data, chat("far/instant")).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{body}");
    assert!(body.contains("could not be reached"), "{body}");
}

#[tokio::test]
async fn http2_shares_one_connection_where_the_provider_offers_it() {
    let certificates = Certificates::make();
    let far = TlsProvider::start(&certificates, &[b"h2", b"http/1.1"]).await;
    let trusting = format!("ca_file = {:?}\n[server]\nworkers = 1\n", certificates.ca());
    let gateway = Gateway::start(&provider(far.address.port(), &trusting));
    // The first opens the connection; those at once after it share it.
    post(gateway.data, chat("far/instant")).await;
    let requests: Vec<_> = (0..16).map(|_| tokio::spawn(post(gateway.data, chat("far/fast")))).collect();
    for request in requests {
        let (status, body) = request.await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    assert_eq!(far.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn http2_is_not_offered_where_the_configuration_says_so() {
    let certificates = Certificates::make();
    let far = TlsProvider::start(&certificates, &[b"h2", b"http/1.1"]).await;
    let config = format!("ca_file = {:?}\nhttp2 = false\n[server]\nworkers = 1\n", certificates.ca());
    let gateway = Gateway::start(&provider(far.address.port(), &config));
    let requests: Vec<_> = (0..4).map(|_| tokio::spawn(post(gateway.data, chat("far/slow")))).collect();
    for request in requests {
        assert_eq!(request.await.unwrap().0, StatusCode::OK);
    }
    assert_eq!(far.connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn callers_may_speak_tls_in_both_protocols() {
    let certificates = Certificates::make();
    let config =
        format!("[server]\ntls = {{ cert = {:?}, key = {:?} }}\n", certificates.cert(), certificates.key());
    let gateway = Gateway::start(&config);
    for alpn in [b"h2".as_slice(), b"http/1.1"] {
        let (status, body) = post_tls(gateway.data, &certificates.ca(), alpn, chat("sim/instant")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}

#[tokio::test]
async fn connections_are_open_before_the_first_request() {
    let certificates = Certificates::make();
    for (protocols, expected) in
        [([b"http/1.1".as_slice()].as_slice(), 3), ([b"h2".as_slice()].as_slice(), 1)]
    {
        let far = TlsProvider::start(&certificates, protocols).await;
        let config = format!("ca_file = {:?}\n[server]\nworkers = 1\n", certificates.ca());
        let gateway = Gateway::start(&warmed(far.address.port(), 3, &config));
        let open = || far.connections.load(Ordering::SeqCst);
        for _ in 0..500 {
            if open() >= expected {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let (status, body) = post(gateway.data, chat("far/instant")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        assert_eq!(open(), expected, "the request came on one of them");
    }
}
