//! What keeps a run from taking place. Not what goes wrong with a single request: that is a
//! [`Fault`](super::Fault), it is counted, and the run goes on.

use std::io;
use std::path::PathBuf;

/// Why a run could not be started or finished.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option has a value that cannot be used; the text says which and what would do.
    #[error("{0}")]
    Option(String),
    /// The host's name has no address.
    #[error("cannot find an address for {host}: {source}")]
    Resolve {
        /// The name as given.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// Nothing answers where the load should go. Said before any load, so that a mistyped port is
    /// not reported as a million failed requests.
    #[error("cannot connect to {url} ({source}); is the server running there?")]
    Connect {
        /// The URL as given.
        url: String,
        /// What the system said about the last address tried.
        source: io::Error,
    },
    /// TLS cannot be set up on this side: no trusted roots, a bad CA file or a bad server name.
    #[error("cannot set up TLS: {0}")]
    Tls(String),
    /// The CA file cannot be read.
    #[error("cannot read the CA file {}: {why}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A thread, runtime or timer could not be had from the system.
    #[error("the system refused a resource: {0}")]
    System(#[from] io::Error),
    /// The request's body could not be written as JSON.
    #[error("cannot write the request as JSON: {0}")]
    Body(#[from] serde_json::Error),
    /// A histogram could not be made or merged.
    #[error("cannot keep a histogram: {0}")]
    Histogram(String),
    /// A thread of the generator ended before its work was done.
    #[error("a thread of the load generator died")]
    Died,
}
