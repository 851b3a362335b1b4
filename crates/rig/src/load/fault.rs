//! The ways in which one request fails: a closed list, so that a table of them stays small. Not
//! what keeps a run from starting: that is [`Error`](super::Error).

use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind;

/// What became of a request that was not answered well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No connection, or no TLS on it.
    Connect,
    /// Not finished within the time-out.
    Timeout,
    /// Answered with a status other than 2xx.
    Status(u16),
    /// The connection broke before the answer's head, or was reset.
    Reset,
    /// The answer ended early: a body cut short, or a stream without `[DONE]`.
    Truncated,
    /// An answer of 200 that carries an error: an error event in a stream, or an `error` member.
    ErrorEvent,
    /// The body, or a frame's data, is not the JSON it should be.
    BadJson,
    /// The answer is not HTTP/1.1.
    BadHttp,
    /// The answer is larger than the generator is willing to hold.
    Oversize,
    /// Open loop only: not sent, because the generator had as many under way as it may, or was
    /// late by more than the time-out.
    ClientOverflow,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Status(code) => return write!(f, "status_{code}"),
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::ErrorEvent => "error_event",
            Self::BadJson => "bad_json",
            Self::BadHttp => "bad_http",
            Self::Oversize => "oversize",
            Self::ClientOverflow => "client_overflow",
        })
    }
}

/// A fault together with what was seen, for the example that the report shows.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) fault: Fault,
    pub(super) detail: String,
}

impl Failed {
    pub(super) fn new(fault: Fault, detail: impl Into<String>) -> Self {
        Self { fault, detail: detail.into() }
    }

    /// Reads hyper's error. `answered` tells whether the head of the answer had arrived: a
    /// connection that just ends is a broken one before it and a truncated answer after it.
    pub(super) fn from_http(error: &hyper::Error, answered: bool) -> Self {
        let ended = if answered { Fault::Truncated } else { Fault::Reset };
        let fault = match io_kind(error) {
            Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => Fault::Reset,
            Some(ErrorKind::UnexpectedEof) => ended,
            _ if error.is_parse() => Fault::BadHttp,
            // A chunk size that is no number reaches us as a body error of this kind.
            Some(ErrorKind::InvalidInput | ErrorKind::InvalidData) => Fault::BadHttp,
            _ => ended,
        };
        Self::new(fault, describe(error))
    }
}

/// The kind of the I/O error that lies under an error, if one does.
fn io_kind(error: &hyper::Error) -> Option<ErrorKind> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(io.kind());
        }
        next = error.source();
    }
    None
}

/// An error and its causes on one line.
fn describe(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
