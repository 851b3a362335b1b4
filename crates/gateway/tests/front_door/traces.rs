//! Traces on their way to a collector behind TLS.

use crate::client::{chat, post};
use crate::gateway::Gateway;
use crate::provider::{Certificates, serve_tls};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use std::convert::Infallible;
use tokio::sync::mpsc;

/// A request to the collector.
type Asked = (Parts, Bytes);

/// A collector that offers `protocols` by ALPN and takes everything: each request, and nothing where a connection
/// has ended.
async fn collector(certificates: &Certificates, protocols: &[&[u8]]) -> (u16, mpsc::Receiver<Option<Asked>>) {
    let (taken, asked) = mpsc::channel(8);
    let over = taken.clone();
    let ended = move || {
        // Nobody may listen any more.
        let _ = over.try_send(None);
    };
    let service = service_fn(move |request| take(request, taken.clone()));
    (serve_tls(certificates, protocols, service, || {}, ended).await.port(), asked)
}

async fn take(
    request: Request<Incoming>,
    taken: mpsc::Sender<Option<Asked>>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let _ = taken.send(Some((head, body))).await;
    let mut response = Response::new(Full::default());
    response.headers_mut().insert("grpc-status", "0".parse().unwrap());
    Ok(response)
}

fn traces(port: u16, protocol: &str, more: &str) -> String {
    format!(
        "[traces]\nendpoint = \"https://localhost:{port}\"\nprotocol = \"{protocol}\"\nratio = 1.0\ncompress = false\n{more}"
    )
}

#[tokio::test]
async fn a_collector_is_spoken_to_over_tls_in_both_protocols() {
    let certificates = Certificates::make();
    let service = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    for (protocol, version, path, media, begins) in [
        // Five bytes of gRPC, then the message, whose first field begins.
        ("grpc", Version::HTTP_2, service, "application/grpc", 5),
        ("http", Version::HTTP_11, "/v1/traces", "application/x-protobuf", 0),
    ] {
        let (port, mut asked) = collector(&certificates, &[b"h2", b"http/1.1"]).await;
        let more =
            format!("ca_file = {:?}\nheaders = {{ authorization = \"Bearer t\" }}\n", certificates.ca());
        let gateway = Gateway::start(&traces(port, protocol, &more));
        post(gateway.data, chat("sim/instant")).await;
        let (head, body) = asked.recv().await.unwrap().unwrap();
        assert_eq!((head.version, head.uri.path()), (version, path));
        assert_eq!(head.headers["content-type"], media);
        assert_eq!(head.headers["authorization"], "Bearer t");
        assert_eq!(body[begins], 0x0a, "{protocol}: {:?}", &body[..8]);
    }
}

#[tokio::test]
async fn a_collector_that_is_not_trusted_or_has_no_http2_for_grpc_gets_nothing() {
    let certificates = Certificates::make();
    let trusting = format!("ca_file = {:?}\n", certificates.ca());
    for (protocols, more) in [(&[&b"h2"[..]][..], ""), (&[&b"http/1.1"[..]][..], &trusting)] {
        let (port, mut asked) = collector(&certificates, protocols).await;
        let gateway = Gateway::start(&traces(port, "grpc", more));
        post(gateway.data, chat("sim/instant")).await;
        assert!(asked.recv().await.unwrap().is_none(), "{protocols:?}");
    }
}
