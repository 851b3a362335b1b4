//! Where a command finds the data plane of a running gateway, and as whom it calls. What it asks is the command's
//! own business.

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use rig::load::Url;
use wire::Operation;

use super::admin::key_file;
use super::bench::header;
use super::client::{Answer, Client, Error};
use super::refusal::Refusal;
use crate::config::{Environment, Secret};

/// Which gateway, and who calls it.
#[derive(Debug, clap::Args)]
pub(super) struct CallerArgs {
    /// The gateway's data plane.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:4000", help_heading = "Gateway")]
    url: Url,
    /// File that holds the caller's key. Without it: TIDEGATE_API_KEY.
    #[arg(long, value_name = "FILE", help_heading = "Gateway")]
    key_file: Option<PathBuf>,
    /// Further header, `NAME: VALUE`, such as x-tidegate-tags or x-tidegate-cache-ttl. May be given again.
    #[arg(long = "header", short = 'H', value_name = "HEADER", value_parser = header, help_heading = "Gateway")]
    headers: Vec<(String, String)>,
    /// PEM file of certificates to trust besides the system's.
    #[arg(long, value_name = "FILE", help_heading = "Gateway")]
    ca_file: Option<PathBuf>,
}

impl CallerArgs {
    /// A client that calls so, and waits so long for a whole answer.
    ///
    /// # Errors
    /// Wrong usage: a key, a header or a file that cannot be used.
    pub(super) fn client(&self, environment: &Environment, patience: Duration) -> Result<Client, Refusal> {
        let key = match &self.key_file {
            Some(path) => Some(key_file("--key-file", path)?),
            None => environment.get("TIDEGATE_API_KEY").filter(|key| !key.is_empty()).map(Secret::new),
        };
        let client = Client::new(self.url.clone(), key.as_ref(), self.ca_file.as_deref(), patience);
        let headers = self.headers.iter();
        headers
            .fold(client, |client, (name, text)| client.and_then(|client| client.with_header(name, text)))
            .map_err(|error| Refusal::Usage(error.to_string()))
    }

    /// Whether a header of this name is given.
    pub(super) fn says(&self, name: &str) -> bool {
        self.headers.iter().any(|(said, _)| said.eq_ignore_ascii_case(name))
    }

    /// Where below the URL an operation is asked. The base URL of an SDK, which ends with `/v1`, will do as well.
    pub(super) fn path(&self, operation: Operation) -> String {
        format!("{}{}", self.version(), operation.path())
    }

    /// What stands before every path below the URL: `/v1`, unless the URL ends with it.
    pub(super) fn version(&self) -> &'static str {
        if self.url.path().ends_with("/v1") { "" } else { "/v1" }
    }
}

/// What no other request would be spared: nobody there, or nobody who lets us in. With the mend.
pub(super) fn hopeless(client: &Client, answer: &Result<Answer, Error>) -> Option<String> {
    match answer {
        Err(error @ Error::Unreachable { .. }) => {
            Some(format!("{error}; is the gateway running there? another place is named with --url URL"))
        }
        Err(error @ Error::Plain(_)) => Some(error.to_string()),
        Ok(answer) if answer.status == StatusCode::UNAUTHORIZED && client.has_key() => {
            Some(format!("{} does not take this caller's key: {}", client.url(), answer.complaint()))
        }
        Ok(answer) if answer.status == StatusCode::UNAUTHORIZED => Some(format!(
            "{} wants a caller's key: set TIDEGATE_API_KEY, or name a file with --key-file",
            client.url()
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use clap::Parser;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: CallerArgs,
    }

    fn parsed(flags: &[&str]) -> Result<CallerArgs, clap::Error> {
        Line::try_parse_from(["tidegate"].iter().chain(flags)).map(|line| line.args)
    }

    #[test]
    fn the_local_gateway_is_asked_without_a_key_unless_one_is_said() {
        let check = |flags: &[&str], key: Option<&str>, url: &str, path: &str| {
            let args = parsed(flags).unwrap();
            let environment = key.map(|key| ("TIDEGATE_API_KEY", key)).into_iter().collect();
            let client = args.client(&environment, Duration::from_secs(1)).unwrap();
            assert_eq!(client.url().to_string(), url);
            assert_eq!(args.path(Operation::ChatCompletions), path);
            assert_eq!(client.has_key(), key.is_some_and(|key| !key.is_empty()));
        };
        check(&[], None, "http://127.0.0.1:4000", "/v1/chat/completions");
        check(&[], Some(""), "http://127.0.0.1:4000", "/v1/chat/completions");
        check(&["--url=http://h/v1/"], Some("k"), "http://h/v1", "/chat/completions");
    }

    #[test]
    fn a_header_that_cannot_be_is_wrong_usage() {
        assert!(parsed(&["--header=x"]).is_err() && parsed(&["--url=127.0.0.1"]).is_err());
        let broken = parsed(&["--header=x: \u{1}"]).unwrap();
        let client = broken.client(&Environment::default(), Duration::from_secs(1));
        assert!(matches!(client, Err(Refusal::Usage(_))));
        assert!(broken.says("X") && !broken.says("y"));
    }
}
