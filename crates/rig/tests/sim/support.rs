//! Requests, replies and a socket.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use rig::sim::{Body, Reset, Settings, Sim};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

pub(crate) fn sim() -> Sim {
    Sim::new(Settings::default())
}

pub(crate) fn post(path: &str, body: &Value) -> Request<Bytes> {
    Request::post(path).body(body.to_string().into()).unwrap()
}

pub(crate) fn get(path: &str) -> Request<Bytes> {
    Request::get(path).body(Bytes::new()).unwrap()
}

/// A chat with one message; `members` are added to it.
pub(crate) fn chat(message: &str, members: Value) -> Value {
    let mut body = json!({"model": "instant", "messages": [{"role": "user", "content": message}]});
    let Value::Object(members) = members else { panic!("members are an object") };
    body.as_object_mut().unwrap().extend(members);
    body
}

pub(crate) async fn call(sim: &Sim, request: Request<Bytes>) -> Response<Body> {
    sim.call(request).await.unwrap()
}

pub(crate) async fn read(response: Response<Body>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

/// The bytes that came before the body broke, if it did.
pub(crate) async fn read_broken(response: Response<Body>) -> (Vec<u8>, Option<Reset>) {
    let (mut body, mut bytes) = (response.into_body(), Vec::new());
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().unwrap()),
            Err(reset) => return (bytes, Some(reset)),
        }
    }
    (bytes, None)
}

/// A whole reply to a chat.
pub(crate) async fn ask(sim: &Sim, message: &str, members: Value) -> Value {
    let response = call(sim, post("/v1/chat/completions", &chat(message, members))).await;
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&read(response).await).unwrap()
}

/// The data of a stream's frames, without the last, which is `[DONE]`.
pub(crate) fn frames(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut data: Vec<&str> =
        text.split_terminator("\n\n").map(|frame| frame.strip_prefix("data: ").unwrap()).collect();
    assert_eq!(data.pop(), Some("[DONE]"));
    data.into_iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// The frames of a streamed chat.
pub(crate) async fn stream(sim: &Sim, message: &str, mut members: Value) -> Vec<Value> {
    members["stream"] = json!(true);
    let response = call(sim, post("/v1/chat/completions", &chat(message, members))).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    frames(&read(response).await)
}

/// A mock on a free port.
pub(crate) struct Mock {
    pub(crate) address: SocketAddr,
    pub(crate) sim: Sim,
    pub(crate) drain: CancellationToken,
    pub(crate) task: tokio::task::JoinHandle<std::io::Result<()>>,
}

pub(crate) async fn mock() -> Mock {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, sim, drain) = (listener.local_addr().unwrap(), sim(), CancellationToken::new());
    let task = tokio::spawn(rig::mock::serve(listener, sim.clone(), drain.clone()));
    Mock { address, sim, drain, task }
}

impl Mock {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A connection over which a request was sent.
    pub(crate) async fn send(&self, method: Method, path: &str, body: &str) -> TcpStream {
        let mut stream = self.connect().await;
        stream.write_all(raw(&method, path, body).as_bytes()).await.unwrap();
        stream
    }

    pub(crate) async fn send_chat(&self, message: &str, members: Value) -> TcpStream {
        self.send(Method::POST, "/v1/chat/completions", &chat(message, members).to_string()).await
    }

    /// A reply's status and body, over a connection of its own.
    pub(crate) async fn exchange(&self, method: Method, path: &str, body: &str) -> (u16, Value) {
        let mut stream = self.send(method, path, body).await;
        let (head, body) = read_reply(&mut stream).await;
        (status(&head), serde_json::from_slice(&body).unwrap())
    }

    /// Waits until the log says how the last request ended; by a task that
    /// keeps asking, for the server says nothing of itself.
    pub(crate) async fn last_outcome(&self) -> rig::sim::Entry {
        loop {
            if let Some(entry) = self.sim.log().pop().filter(|entry| entry.outcome.is_some()) {
                return entry;
            }
            tokio::task::yield_now().await;
        }
    }
}

pub(crate) fn raw(method: &Method, path: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: sim\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

pub(crate) fn status(head: &str) -> u16 {
    head.split(' ').nth(1).unwrap().parse().unwrap()
}

/// One reply that declares its length: its head and its body.
pub(crate) async fn read_reply(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, body)
}

/// Everything until the peer ends or breaks the connection.
pub(crate) async fn read_to_end(stream: &mut TcpStream) -> (Vec<u8>, std::io::Result<()>) {
    let mut bytes = Vec::new();
    let ended = stream.read_to_end(&mut bytes).await.map(|_| ());
    (bytes, ended)
}
