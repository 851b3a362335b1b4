//! Whether a provider is there, asked at no price.

use super::{Call, Error, Upstream};
use crate::trace::Carried;
use crate::worker::Worker;
use http::{HeaderValue, StatusCode};
use std::time::Instant;
use wire::operation::Operation;
use wire::splice::Spliced;

/// Of a longer list the rest is not read, which costs its connection.
const LIST_BYTES_MAX: usize = 1 << 20;

impl Upstream {
    /// Asks for the list of models, as a caller's request would be asked: by the same connections, with the same
    /// credentials. There is no time limit here but for the connection, and nobody waits for one beyond `due`.
    ///
    /// # Errors
    /// As [`Upstream::send`].
    pub async fn probe(&self, worker: &Worker, due: Instant) -> Result<StatusCode, Error> {
        let call = Call {
            operation: Operation::Models,
            body: Spliced::default(),
            request_id: HeaderValue::from_static("tidegate-probe"),
            carried: Carried::default(),
        };
        let (head, answer) = self.send(worker, &call, due).await?.into_parts();
        match answer.collect(LIST_BYTES_MAX).await {
            Ok(_) | Err(Error::TooLarge(_)) => Ok(head.status),
            Err(error) => Err(error),
        }
    }
}
