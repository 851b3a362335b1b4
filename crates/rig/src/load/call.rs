//! The life of one request: take a connection, send, read the answer to its end, judge it.

use std::cell::RefCell;
use std::time::Instant;

use http::StatusCode;
use hyper::body::{Body, Incoming};

use super::connection::{Connection, NotSent};
use super::events::{Events, TooLong};
use super::fault::{Failed, Fault};
use super::lane::Lane;
use super::payload::Payload;
use super::tally::{Held, Tally};

/// The largest whole answer that is read.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// The largest error answer that is read to its end, to keep its connection.
const ERROR_BYTES_MAX: usize = 1 << 20;

/// Makes one request and counts it; its time counts `from` an instant, which in an open loop lies
/// before the call. Says which fault it met, if any.
pub(super) async fn call(lane: &Lane, tally: &RefCell<Tally>, from: Instant) -> Option<Fault> {
    tally.borrow_mut().unfinished += 1;
    let exchange = exchange(lane, tally, from);
    let ended = match tokio::time::timeout(lane.target.timeout, exchange).await {
        Ok(ended) => ended,
        Err(_) => Err(Failed::new(Fault::Timeout, format!("no end within {:?}", lane.target.timeout))),
    };
    let mut tally = tally.borrow_mut();
    tally.unfinished -= 1;
    match ended {
        Ok(held) => {
            tally.succeed(from, Instant::now(), held);
            None
        }
        Err(failed) => {
            let fault = failed.fault;
            tally.fail(failed);
            Some(fault)
        }
    }
}

async fn exchange(lane: &Lane, tally: &RefCell<Tally>, from: Instant) -> Result<Held, Failed> {
    let mut connection = lane.take().await?;
    let request = lane.target.request();
    let sent = request.body().size_hint().exact().unwrap_or_default();
    let answer = match connection.send(request).await {
        // The server closed an idle connection just then: nothing was sent, so nothing is lost.
        Err(NotSent::Unsent) => {
            connection = lane.open().await?;
            connection.send(lane.target.request()).await
        }
        other => other,
    };
    tally.borrow_mut().bytes_sent += sent;
    let answer = answer.map_err(|not_sent| match not_sent {
        NotSent::Broken(failed) => failed,
        NotSent::Unsent => Failed::new(Fault::Reset, "closed as soon as it was open"),
    })?;
    let status = answer.status();
    let mut reader = Reader { connection: &mut connection, body: answer.into_body(), tally };
    let judged = if !status.is_success() {
        reader.refusal(status).await?
    } else if lane.target.stream {
        reader.stream(from).await?
    } else {
        reader.whole().await?
    };
    lane.give_back(connection);
    judged
}

/// Reads an answer's body. The outer error of its methods means that the connection is spent, the
/// inner one that the answer was read to its end and is bad.
struct Reader<'a> {
    connection: &'a mut Connection,
    body: Incoming,
    tally: &'a RefCell<Tally>,
}

type Judged = Result<Result<Held, Failed>, Failed>;

impl Reader<'_> {
    /// The next piece of data, counted.
    async fn piece(&mut self) -> Result<Option<bytes::Bytes>, Failed> {
        while let Some(frame) = self.connection.next(&mut self.body).await {
            if let Ok(data) = frame?.into_data() {
                self.tally.borrow_mut().bytes_received += data.len() as u64;
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    async fn gather(&mut self, bytes_max: usize) -> Result<Vec<u8>, Failed> {
        let mut gathered = Vec::new();
        while let Some(piece) = self.piece().await? {
            if gathered.len() + piece.len() > bytes_max {
                let detail = format!("an answer of more than {bytes_max} bytes");
                return Err(Failed::new(Fault::Oversize, detail));
            }
            gathered.extend_from_slice(&piece);
        }
        Ok(gathered)
    }

    async fn refusal(&mut self, status: StatusCode) -> Judged {
        let fault = Fault::Status(status.as_u16());
        let told = self.gather(ERROR_BYTES_MAX).await;
        let told = told.map_err(|failed| Failed::new(fault, failed.detail))?;
        let told = match told.as_slice() {
            [] => status.to_string().into(),
            told => String::from_utf8_lossy(told),
        };
        Ok(Err(Failed::new(fault, told)))
    }

    async fn whole(&mut self) -> Judged {
        let answer = self.gather(ANSWER_BYTES_MAX).await?;
        let payload = match Payload::read(&answer) {
            Ok(payload) => payload,
            Err(error) => return Ok(Err(bad_json(&error, &answer))),
        };
        if payload.has_error() {
            return Ok(Err(error_event(&answer)));
        }
        Ok(Ok(Held { frames: 0, usage: payload.usage }))
    }

    async fn stream(&mut self, from: Instant) -> Judged {
        let mut events = Events::default();
        let mut stream = Stream::new(from);
        while let Some(piece) = self.piece().await? {
            let now = Instant::now();
            let tally = &mut *self.tally.borrow_mut();
            events.push(&piece, |data| stream.take(data, now, tally))?;
        }
        Ok(stream.end())
    }
}

/// What was seen of a stream so far.
struct Stream {
    from: Instant,
    last_content: Option<Instant>,
    /// Of usage the last that was told: some providers tell it in every frame, grown.
    held: Held,
    error: Option<Failed>,
    done: bool,
}

impl Stream {
    fn new(from: Instant) -> Self {
        Self { from, last_content: None, held: Held::default(), error: None, done: false }
    }

    fn take(&mut self, data: &[u8], now: Instant, tally: &mut Tally) -> Result<(), Failed> {
        if self.done {
            return Ok(());
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Ok(());
        }
        let payload = Payload::read(data).map_err(|error| bad_json(&error, data))?;
        if payload.has_error() {
            self.error.get_or_insert_with(|| error_event(data));
            return Ok(());
        }
        tally.frames += 1;
        self.held.frames += 1;
        if payload.has_content() {
            match self.last_content.replace(now) {
                None => tally.first_token.record(now.saturating_duration_since(self.from)),
                Some(last) => tally.between_tokens.record(now.saturating_duration_since(last)),
            }
        }
        self.held.usage = payload.usage.or(self.held.usage);
        Ok(())
    }

    fn end(self) -> Result<Held, Failed> {
        match self.error {
            Some(error) => Err(error),
            None if self.done => Ok(self.held),
            None => Err(Failed::new(Fault::Truncated, "the stream ended without [DONE]")),
        }
    }
}

fn error_event(data: &[u8]) -> Failed {
    Failed::new(Fault::ErrorEvent, String::from_utf8_lossy(data))
}

fn bad_json(error: &serde_json::Error, data: &[u8]) -> Failed {
    let begin = &data[..data.len().min(80)];
    let detail = format!("{error}: {}", String::from_utf8_lossy(begin));
    Failed::new(Fault::BadJson, detail)
}

impl From<TooLong> for Failed {
    fn from(_: TooLong) -> Self {
        Self::new(Fault::Oversize, "an event of more than 1 MiB")
    }
}
