//! Why a provider gave no answer, and what the caller reads of it.

use super::Bound;
use std::time::Duration;
use wire::failure::{Failure, Kind, Retry};

/// When to come again where as many connections are open as may be: nobody knows when one is given back.
const STARVED_AFTER: Duration = Duration::from_secs(1);

/// Why a provider gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No address: the name does not resolve.
    #[error("cannot resolve {0}")]
    Unresolved(String),
    /// No connection, or none that could be used.
    #[error("cannot connect: {0}")]
    Unreachable(String),
    /// No TLS, or a certificate that is not trusted.
    #[error("TLS with {0}")]
    Tls(String),
    /// The name leads to an address that is not public, and the operator did not name the host.
    #[error(
        "{host} resolves to private addresses only; set `base_url` to it in the configuration to allow that"
    )]
    Forbidden {
        /// The host's name.
        host: Box<str>,
    },
    /// No connection in time.
    #[error("no connection in time")]
    ConnectTimeout,
    /// As many connections were open as we may have, and none was given back in time. The provider is not at
    /// fault: it was not asked.
    #[error("no connection was given back in time, and as many are open as `{}` allows", .0.key())]
    Starved(Bound),
    /// The connection broke before or within the answer. The provider may have accepted the
    /// request.
    #[error("the connection broke: {0}")]
    Cut(String),
    /// The answer is larger than may be held.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

impl Error {
    /// What the caller reads of it; the detail stays in the log.
    pub fn failure(&self, provider: &str) -> Failure {
        let (kind, code, public) = match self {
            Self::Unresolved(_) | Self::Unreachable(_) | Self::Tls(_) | Self::Forbidden { .. } => (
                Kind::Provider,
                "provider_unreachable",
                format!("The provider '{provider}' could not be reached."),
            ),
            Self::ConnectTimeout => (
                Kind::ProviderTimeout,
                "provider_timeout",
                format!("The provider '{provider}' could not be reached in time."),
            ),
            Self::Starved(_) => (
                Kind::Overloaded,
                "connections_exhausted",
                format!(
                    "The gateway has as many connections to the provider '{provider}' as it may; ask again later."
                ),
            ),
            Self::Cut(_) => (
                Kind::Provider,
                "provider_disconnected",
                format!("The provider '{provider}' broke the connection before its answer was complete."),
            ),
            Self::TooLarge(_) => (
                Kind::Provider,
                "provider_bad_answer",
                format!("The provider '{provider}' sent an answer that is too large."),
            ),
        };
        let failure = Failure::new(kind, public).with_code(code).with_detail(self.to_string());
        match self {
            Self::Starved(_) => failure.with_retry(Retry::After(STARVED_AFTER)),
            _ => failure,
        }
    }
}
