//! The gateway that a command speaks to: asked one thing after another, with what it says of a refusal.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::commands::caller::{CallerArgs, hopeless};
use crate::commands::client::{Answer, Client, Error, Line};
use crate::commands::refusal::Refusal;
use crate::config::Environment;

/// For a whole answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A gateway's workflows.
pub(super) struct Remote {
    client: Client,
    /// A second one where what is said is not JSON.
    toml: Client,
    line: Line,
    runtime: Runtime,
    /// Before each path: `/v1`, unless the URL has it.
    version: &'static str,
}

impl Remote {
    /// The one that the command line names; `key` is the idempotency key of what is said to it.
    ///
    /// # Errors
    /// Wrong usage: a key, a header or a file that cannot be used.
    pub(super) fn new(args: &CallerArgs, key: Option<&str>) -> Result<Self, Refusal> {
        let environment = Environment::of_process();
        let client = || args.client(&environment, PATIENCE);
        let usage = |error: Error| Refusal::Usage(error.to_string());
        let toml = client()?.with_header("content-type", "application/toml").map_err(usage)?;
        let client = match key {
            Some(key) => client()?.with_header("idempotency-key", key).map_err(usage)?,
            None => client()?,
        };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Refusal::Failed(error.to_string()))?;
        Ok(Self { client, toml, line: Line::default(), runtime, version: args.version() })
    }

    /// Looks at something below `/v1/workflows`.
    ///
    /// # Errors
    /// Why it is not shown.
    pub(super) fn get(&mut self, path: &str) -> Result<Value, Refusal> {
        let answer = self.exchange(Method::GET, path, Bytes::new());
        self.read(answer)
    }

    /// The same for as long as nobody says why not: `None` where the gateway is away, and perhaps not for long.
    ///
    /// # Errors
    /// Why it is not shown.
    pub(super) fn glance(&mut self, path: &str) -> Result<Option<Value>, Refusal> {
        match self.exchange(Method::GET, path, Bytes::new()) {
            Err(Error::Unreachable { .. } | Error::Broken { .. }) => Ok(None),
            Ok(answer) if is_away(answer.status) => Ok(None),
            answer => self.read(answer).map(Some),
        }
    }

    /// Says something.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn post(&mut self, path: &str, body: &Value) -> Result<Value, Refusal> {
        let answer = self.exchange(Method::POST, path, body.to_string().into());
        self.read(answer)
    }

    /// Hands a definition over, as it was written.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) fn define(&mut self, name: &str, source: &str, is_json: bool) -> Result<Value, Refusal> {
        let client = if is_json { &self.client } else { &self.toml };
        let (path, body) = (format!("{}/workflows/{name}", self.version), source.to_owned().into());
        let answer = self.runtime.block_on(client.ask(&mut self.line, Method::PUT, &path, body));
        self.read(answer)
    }

    /// Lets time pass.
    pub(super) fn wait(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }

    fn exchange(&mut self, method: Method, path: &str, body: Bytes) -> Result<Answer, Error> {
        let path = format!("{}/workflows{path}", self.version);
        self.runtime.block_on(self.client.ask(&mut self.line, method, &path, body))
    }

    fn read(&self, answer: Result<Answer, Error>) -> Result<Value, Refusal> {
        if let Some(why) = hopeless(&self.client, &answer) {
            return Err(Refusal::Failed(why));
        }
        let answer = answer.map_err(|error| Refusal::Failed(error.to_string()))?;
        match serde_json::from_slice(&answer.body) {
            Ok(said) if answer.status.is_success() => Ok(said),
            _ => Err(Refusal::Failed(format!("{} answers {}", self.client.url(), answer.complaint()))),
        }
    }
}

/// Whether it may be there again in a moment.
fn is_away(status: StatusCode) -> bool {
    matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT)
}
