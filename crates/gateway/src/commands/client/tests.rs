//! What the client does with connections that servers close, cut or leave silent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const GOOD: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A server that answers so many requests on each connection with these bytes and then closes it; and how many
/// connections it was sent.
async fn server(bytes: &'static str, each: usize) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    TaskTracker::new().spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            for _ in 0..each {
                // A request without a body comes in one piece over loopback.
                if stream.read(&mut [0; 4096]).await.unwrap_or(0) == 0 {
                    break;
                }
                stream.write_all(bytes.as_bytes()).await.unwrap();
            }
        }
    });
    (url, connections)
}

fn client(url: &Url) -> Client {
    Client::new(url.clone(), None, None, Duration::from_millis(300)).unwrap()
}

async fn ask(client: &Client, line: &mut Line) -> Result<Answer, Error> {
    client.ask(line, Method::GET, "/x", Bytes::new()).await
}

#[tokio::test]
async fn a_connection_is_kept_and_one_that_was_closed_is_replaced() {
    for (each, connections) in [(9, 1), (1, 3)] {
        let (url, opened) = server(GOOD, each).await;
        let (client, mut line) = (client(&url), Line::default());
        for _ in 0..3 {
            let answer = ask(&client, &mut line).await.unwrap();
            assert_eq!((answer.status, &answer.body[..]), (StatusCode::OK, &b"{}"[..]));
        }
        assert_eq!(opened.load(Ordering::SeqCst), connections);
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_silent_or_no_http_is_told() {
    for (bytes, why) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}", "no answer from http://127.0.0.1"),
        ("SSH-2.0-OpenSSH\r\n\r\n", "no answer from http://127.0.0.1"),
        ("", "nothing whole within 300ms"),
    ] {
        // The silent one keeps its connection open.
        let (url, _) = server(bytes, if bytes.is_empty() { 2 } else { 1 }).await;
        let told = ask(&client(&url), &mut Line::default()).await.unwrap_err();
        assert!(matches!(told, Error::Broken { .. }) && told.to_string().contains(why), "{told}");
    }
}

#[tokio::test]
async fn nobody_there_is_told_with_the_place() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    drop(listener);
    let told = ask(&client(&url), &mut Line::default()).await.unwrap_err();
    assert!(
        matches!(told, Error::Unreachable { .. }) && told.to_string().contains(&url.to_string()),
        "{told}"
    );
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_apart_from_nobody() {
    let (url, _) = server(GOOD, 1).await;
    let url: Url = url.to_string().replace("http:", "https:").parse().unwrap();
    let told = ask(&client(&url), &mut Line::default()).await.unwrap_err();
    assert!(matches!(told, Error::Plain(_)) && told.to_string().ends_with("is it http or https?"), "{told}");
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_and_not_repeated() {
    let url: Url = "http://h".parse().unwrap();
    let key = Secret::new("canary\nsecret");
    let told = Client::new(url, Some(&key), None, CONNECT_MAX).err().unwrap().to_string();
    assert!(told.contains("key") && !told.contains("canary"), "{told}");
}

#[test]
fn a_refusal_is_told_in_the_servers_words() {
    let answer = |body: &'static str| Answer {
        status: StatusCode::BAD_REQUEST,
        headers: HeaderMap::new(),
        body: Bytes::from_static(body.as_bytes()),
    };
    assert_eq!(answer(r#"{"error":{"message":"No."}}"#).complaint(), "400: No.");
    assert_eq!(answer("<html>\nmore").complaint(), "400: <html>");
    assert_eq!(answer("").complaint(), "400 Bad Request");
}
