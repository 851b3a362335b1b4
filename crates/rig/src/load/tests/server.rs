//! A raw TCP server that plays a script for each request: real sockets, and every fault that a
//! well-behaved HTTP library would not let happen.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use crate::load::Url;

/// What the server does in answer to a request, one after the other.
#[derive(Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Say nothing more until the caller has gone.
    Hang,
    /// Close the connection in good order.
    Close,
    /// Break the connection.
    Reset,
}

/// A request as the server saw it.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

type Script = dyn Fn(usize) -> Vec<Step> + Send + Sync;

/// A listening server. Its threads end with the connections, and those with the test's process.
pub(super) struct Server {
    port: u16,
    pub(super) accepted: Arc<AtomicUsize>,
    /// Connections that are over, the generator's first look among them.
    pub(super) closed: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Plays `script(n)` for the n-th request, from 0.
    pub(super) fn start(script: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::over(|tcp| tcp, script)
    }

    /// The same over what `wrap` makes of a TCP stream.
    pub(super) fn over<S: Carries>(
        wrap: impl Fn(TcpStream) -> S + Send + 'static,
        script: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::<AtomicUsize>::default();
        let closed = Arc::<AtomicUsize>::default();
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let script: Arc<Script> = Arc::new(script);
        let (count, over, log) = (accepted.clone(), closed.clone(), seen.clone());
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let stream = wrap(tcp.unwrap());
                let (script, log) = (script.clone(), log.clone());
                let (count, over) = (count.clone(), over.clone());
                thread::spawn(move || {
                    serve(stream, &*script, &log, &count);
                    over.fetch_add(1, Ordering::Release);
                });
            }
        });
        Self { port, accepted, closed, seen }
    }

    pub(super) fn url(&self) -> Url {
        self.url_as("http", "127.0.0.1")
    }

    pub(super) fn url_as(&self, scheme: &str, host: &str) -> Url {
        format!("{scheme}://{host}:{}/v1", self.port).parse().unwrap()
    }

    pub(super) fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// A byte stream with a socket under it.
pub(super) trait Carries: Read + Write + Send + 'static {
    fn socket(&self) -> &TcpStream;
}

impl Carries for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

impl Carries for rustls::StreamOwned<rustls::ServerConnection, TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.sock
    }
}

fn serve<S: Carries>(stream: S, script: &Script, log: &Mutex<Vec<Seen>>, accepted: &AtomicUsize) {
    stream.socket().set_nodelay(true).unwrap();
    let mut stream = BufReader::new(stream);
    let mut first = true;
    while let Some(request) = read_request(&mut stream) {
        // The generator's first look connects and says nothing: no connection in use.
        accepted.fetch_add(usize::from(std::mem::take(&mut first)), Ordering::Relaxed);
        let number = {
            let mut log = log.lock().unwrap();
            log.push(request);
            log.len() - 1
        };
        for step in script(number) {
            let alive = match step {
                Step::Send(bytes) => {
                    let out = stream.get_mut();
                    out.write_all(&bytes).and_then(|()| out.flush()).is_ok()
                }
                Step::Wait(time) => {
                    #[expect(clippy::disallowed_methods, reason = "a thread for each connection")]
                    thread::sleep(time);
                    true
                }
                Step::Hang => {
                    let _ = stream.read(&mut [0]);
                    false
                }
                Step::Close => false,
                Step::Reset => {
                    let socket = SockRef::from(stream.get_ref().socket());
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                    false
                }
            };
            if !alive {
                return;
            }
        }
    }
}

fn read_request(stream: &mut impl BufRead) -> Option<Seen> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if head[before..].trim_end().is_empty() {
            break;
        }
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    let mut body = vec![0; length.trim().parse().unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Seen { head, body })
}

/// A whole answer of a status.
pub(super) fn answer(status: u16, body: &str) -> Step {
    Step::Send(
        format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )
}

/// A plain chat completion of 3 tokens in and 5 out.
pub(super) fn completion() -> Vec<Step> {
    vec![answer(
        200,
        r#"{"choices":[{"message":{"role":"assistant","content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#,
    )]
}

/// The head of a stream.
pub(super) fn stream_head() -> Step {
    Step::Send(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n".to_vec(),
    )
}

/// One chunk of a stream.
pub(super) fn chunk(text: &str) -> Step {
    Step::Send(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

/// One frame of a stream.
pub(super) fn frame(json: &str) -> Step {
    chunk(&format!("data: {json}\n\n"))
}

/// A frame with one word of content.
pub(super) fn word() -> Step {
    frame(r#"{"choices":[{"delta":{"content":"a"}}]}"#)
}

/// The end of a body.
pub(super) fn body_end() -> Step {
    Step::Send(b"0\r\n\r\n".to_vec())
}

/// A stream of a role, `words` words, a finish, usage and the end.
pub(super) fn stream(words: usize) -> Vec<Step> {
    let mut steps =
        vec![stream_head(), frame(r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#)];
    steps.extend((0..words).map(|_| word()));
    steps.push(frame(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#));
    steps.push(frame(&format!(
        r#"{{"choices":[],"usage":{{"prompt_tokens":3,"completion_tokens":{words}}}}}"#
    )));
    steps.push(chunk("data: [DONE]\n\n"));
    steps.push(body_end());
    steps
}
