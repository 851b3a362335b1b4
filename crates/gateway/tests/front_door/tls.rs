//! TLS and HTTP/2 on both sides.

use crate::client::{chat, post, post_tls, trusts};
use crate::gateway::Gateway;
use crate::provider::{Certificates, TlsProvider};
use http::StatusCode;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;

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
async fn requests_that_come_before_any_connection_is_open_share_one_on_each_worker() {
    let certificates = Certificates::make();
    let far = TlsProvider::start(&certificates, &[b"h2", b"http/1.1"]).await;
    let trusting = format!("ca_file = {:?}\n[server]\nworkers = 2\n", certificates.ca());
    let gateway = Gateway::start(&provider(far.address.port(), &trusting));
    let requests: Vec<_> = (0..64).map(|_| tokio::spawn(post(gateway.data, chat("far/slow")))).collect();
    for request in requests {
        let (status, body) = request.await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    let connections = far.connections.load(Ordering::SeqCst);
    assert!((1..=2).contains(&connections), "{connections}");
}

#[tokio::test]
async fn those_who_wait_for_the_first_connection_share_its_failure() {
    const CALLERS: usize = 16;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (ended, mut tried) = tokio::sync::oneshot::channel::<()>();
    // A provider that hangs up once everybody waits, and counts how often it was tried.
    let tries = tokio::spawn(async move {
        let mut count = 0;
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    count += 1;
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    drop(accepted);
                }
                _ = &mut tried => return count,
            }
        }
    });
    let gateway = Gateway::start(&provider(port, "[server]\nworkers = 1\n[guard]\nenabled = false\n"));
    let requests: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(post(gateway.data, chat("far/fast")))).collect();
    for request in requests {
        let (status, body) = request.await.unwrap();
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{body}");
    }
    drop(ended);
    let tries = tries.await.unwrap();
    assert!((1..CALLERS).contains(&tries), "{tries}");
}

#[tokio::test]
async fn each_request_has_a_connection_of_its_own_where_either_side_does_not_speak_http2() {
    let certificates = Certificates::make();
    let both: &[&[u8]] = &[b"h2", b"http/1.1"];
    for (theirs, ours) in [(both, false), (&both[1..], true)] {
        let far = TlsProvider::start(&certificates, theirs).await;
        let config = format!("ca_file = {:?}\nhttp2 = {ours}\n[server]\nworkers = 1\n", certificates.ca());
        let gateway = Gateway::start(&provider(far.address.port(), &config));
        let requests: Vec<_> = (0..4).map(|_| tokio::spawn(post(gateway.data, chat("far/slow")))).collect();
        for request in requests {
            assert_eq!(request.await.unwrap().0, StatusCode::OK);
        }
        assert_eq!(far.connections.load(Ordering::SeqCst), 4, "{ours}");
    }
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
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let (first, second) = (Certificates::make(), Certificates::make());
    let files = format!("{{ cert = {:?}, key = {:?} }}", first.cert(), first.key());
    let gateway = Gateway::start(&format!("[server]\ntls = {files}\n[admin]\ntls = {files}\n"));
    for plane in [gateway.data, gateway.admin] {
        assert!(trusts(plane, &first.ca()).await && !trusts(plane, &second.ca()).await);
    }
    // Between the two the pair does not fit: that is refused, and looked at again.
    std::fs::copy(second.cert(), first.cert()).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(trusts(gateway.data, &first.ca()).await);
    std::fs::copy(second.key(), first.key()).unwrap();
    for plane in [gateway.data, gateway.admin] {
        assert!(comes_to_trust(plane, &second.ca()).await && !trusts(plane, &first.ca()).await);
    }
}

#[tokio::test]
async fn the_certificate_in_use_is_renewed_whatever_the_configuration_says() {
    let (used, other) = (Certificates::make(), Certificates::make());
    let tls =
        |of: &Certificates| format!("[server]\ntls = {{ cert = {:?}, key = {:?} }}\n", of.cert(), of.key());
    let gateway = Gateway::start(&tls(&used));
    for config in [format!("{}[server", tls(&used)), tls(&other)] {
        gateway.rewrite(&config);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        let renewed = Certificates::make();
        std::fs::copy(renewed.cert(), used.cert()).unwrap();
        std::fs::copy(renewed.key(), used.key()).unwrap();
        assert!(comes_to_trust(gateway.data, &renewed.ca()).await, "{config}");
    }
}

/// Whether it shows, now or in a while, a certificate that this authority has signed.
async fn comes_to_trust(plane: SocketAddr, authority: &Path) -> bool {
    for _ in 0..500 {
        if trusts(plane, authority).await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
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

#[tokio::test]
async fn those_who_wait_for_room_share_the_http2_connection_that_takes_it() {
    let certificates = Certificates::make();
    let far = TlsProvider::start(&certificates, &[b"h2", b"http/1.1"]).await;
    // Two workers: the requests of one borrow the other's connection.
    let config = format!(
        "[providers.far]\npreset = \"openai-compatible\"\nbase_url = \"https://localhost:{}/v1\"\napi_key = \"k\"\n\
         connections = {{ warm = 0, max = 1 }}\nca_file = {:?}\n[server]\nworkers = 2\n",
        far.address.port(),
        certificates.ca(),
    );
    let gateway = Gateway::start(&config);
    let requests: Vec<_> = (0..16).map(|_| tokio::spawn(post(gateway.data, chat("far/fast")))).collect();
    for request in requests {
        let (status, body) = request.await.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    assert_eq!(far.connections.load(Ordering::SeqCst), 1);
}
