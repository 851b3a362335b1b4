//! A bare hyper server: it reads each request to its end and answers with the same head and bytes.
//!
//! `cargo run --release -p tidegate-rig --example bare_hyper -- PORT HEAD_FILE BODY_FILE WORKERS`
//!
//! `scripts/bench` loads it beside a gateway that answers from memory: what it spares is what parsing, keying,
//! looking up and counting cost. It is therefore built as the gateway is, its connections included: the same
//! hyper, the same allocator, a runtime on each worker's thread, no timer in hyper. It is no server to learn
//! from, as it has no time-outs and no bounds.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::error::Error;
use std::fs::{read, read_to_string};
use std::net::{Ipv4Addr, TcpListener, TcpStream as StdStream};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Connections that were accepted and wait for their worker.
const HANDOVER_MAX: usize = 1024;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What every request is answered with.
struct Answer {
    head: HeaderMap,
    body: Bytes,
}

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, head, body, workers] = arguments.as_slice() else {
        return Err("usage: bare_hyper PORT HEAD_FILE BODY_FILE WORKERS".into());
    };
    let answer = Arc::new(Answer { head: parse_head(&read_to_string(head)?)?, body: read(body)?.into() });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.parse()?))?;
    let senders = (0..workers.parse()?).map(|_| start_worker(&answer)).collect::<Outcome<Vec<_>>>()?;
    for sender in senders.iter().cycle() {
        let (stream, _) = listener.accept()?;
        sender.blocking_send(stream)?;
    }
    Err("no workers: give 1 or more".into())
}

/// `name: value` lines.
fn parse_head(text: &str) -> Outcome<HeaderMap> {
    let mut head = HeaderMap::new();
    for line in text.lines() {
        let (name, value) = line.split_once(": ").ok_or("a line of the head is not `name: value`")?;
        head.insert(name.parse::<HeaderName>()?, value.parse::<HeaderValue>()?);
    }
    Ok(head)
}

/// A thread with a runtime of its own that serves whatever connections are sent to it.
fn start_worker(answer: &Arc<Answer>) -> Outcome<mpsc::Sender<StdStream>> {
    let (sender, mut receiver) = mpsc::channel(HANDOVER_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = Arc::clone(answer);
    std::thread::Builder::new().name("worker".into()).spawn(move || {
        runtime.block_on(async {
            let connections = TaskTracker::new();
            while let Some(stream) = receiver.recv().await {
                let answer = Arc::clone(&answer);
                connections.spawn(async move {
                    if let Err(error) = serve(stream, &answer).await {
                        eprintln!("a connection ended: {error}");
                    }
                });
            }
        });
    })?;
    Ok(sender)
}

async fn serve(stream: StdStream, answer: &Answer) -> Result<(), Box<dyn Error + Send + Sync>> {
    stream.set_nonblocking(true)?;
    stream.set_nodelay(true)?;
    let socket = TokioIo::new(TcpStream::from_std(stream)?);
    let service = service_fn(|request| respond(request, answer));
    Ok(http1::Builder::new().header_read_timeout(None).serve_connection(socket, service).await?)
}

async fn respond(request: Request<Incoming>, answer: &Answer) -> hyper::Result<Response<Full<Bytes>>> {
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame?;
    }
    let mut response = Response::new(Full::new(answer.body.clone()));
    *response.headers_mut() = answer.head.clone();
    Ok(response)
}
