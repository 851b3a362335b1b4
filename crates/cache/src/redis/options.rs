//! What the tier is told: where Redis is, and how long anything may take.

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionInfo, IntoConnectionInfo};
use std::fmt;
use std::time::Duration;

/// A silent connection is probed after this, and given up when three probes bring nothing.
const KEEPALIVE: Duration = Duration::from_secs(15);
/// What was sent and is not acknowledged after this ends the connection.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(10);
/// A cluster's node must answer within this, or it is asked where the slot went.
const NODE_ANSWER_MAX: Duration = Duration::from_millis(500);
/// A cluster's node must take a connection within this: its client waits for it before anything else.
const NODE_CONNECT_MAX: Duration = Duration::from_secs(1);

/// Where Redis is and how it is used.
#[derive(Clone)]
pub struct Options {
    /// One URL: `redis://`, `rediss://` (TLS by the machine's roots) or `unix:`, with credentials and the
    /// number of the database as usual. Several, separated by commas, are nodes of one cluster.
    pub url: String,
    /// Whether a single URL is a node of a cluster too.
    pub cluster: bool,
    /// Most connections. Each carries many calls at once, and a further one is opened only when all are
    /// busy, so that a few are usually enough.
    pub connections: usize,
    /// What every key and channel begins with. Neither empty nor with a brace or white space.
    pub namespace: String,
    /// Nothing is kept longer than this.
    pub ttl: Duration,
    /// Bodies longer than this are compressed, in bytes.
    pub compress_above: usize,
    /// A call takes no longer than this, up to three tries together.
    pub budget: Duration,
    /// Opening a connection takes no longer than this. It happens in the background: no call waits so long.
    pub connect_timeout: Duration,
    /// How often a connection that looks well is asked whether it is.
    pub check_every: Duration,
    /// How long what is held here is trusted when nothing is heard of other replicas' invalidations.
    pub age_max_when_away: Duration,
    /// Calls that may stand in line before one connection.
    pub pipeline_buffer: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            url: "redis://127.0.0.1:6379".to_owned(),
            cluster: false,
            connections: 20,
            namespace: "tidegate".to_owned(),
            ttl: Duration::from_secs(3600),
            compress_above: 1000,
            budget: Duration::from_millis(30),
            connect_timeout: Duration::from_secs(5),
            check_every: Duration::from_secs(30),
            age_max_when_away: Duration::from_secs(2),
            pipeline_buffer: 1024,
        }
    }
}

impl fmt::Debug for Options {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("cluster", &self.cluster)
            .field("connections", &self.connections)
            .field("namespace", &self.namespace)
            .field("ttl", &self.ttl)
            .field("budget", &self.budget)
            .finish_non_exhaustive()
    }
}

/// Options that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not a URL of Redis. The URL itself is left out, as it may hold a password.
    #[error(
        "give Redis as redis://, rediss:// or unix:, several nodes of a cluster separated by commas: {0}"
    )]
    Url(String),
    /// A prefix that cannot be told from the rest of a key.
    #[error("the namespace is neither empty nor has braces or white space")]
    Namespace,
}

/// Redis, parsed but not yet connected to.
pub(super) struct Nodes {
    /// The one server, or the cluster's nodes one by one for what a cluster's client cannot do.
    pub(super) clients: Vec<Client>,
    pub(super) cluster: Option<ClusterClient>,
}

impl Nodes {
    pub(super) fn new(options: &Options) -> Result<Self, Fault> {
        let namespace = &options.namespace;
        if namespace.is_empty() || namespace.contains(|c: char| c.is_whitespace() || "{}".contains(c)) {
            return Err(Fault::Namespace);
        }
        let infos: Vec<ConnectionInfo> = options.url.split(',').map(info).collect::<Result<_, _>>()?;
        let clients: Result<Vec<_>, _> = infos.iter().map(|info| Client::open(info.clone())).collect();
        let cluster = (options.cluster || infos.len() > 1).then(|| {
            ClusterClientBuilder::new(infos)
                .tcp_settings(tcp())
                .connection_timeout(options.connect_timeout.min(NODE_CONNECT_MAX))
                .response_timeout(NODE_ANSWER_MAX)
                .retries(2)
                .min_retry_wait(1)
                .max_retry_wait(10)
                .build()
        });
        Ok(Self { clients: clients.map_err(url)?, cluster: cluster.transpose().map_err(url)? })
    }

    /// A node to subscribe at; another one at every attempt, where there are several.
    pub(super) fn node(&self, attempt: usize) -> Option<&Client> {
        self.clients.get(attempt % self.clients.len().max(1))
    }

    /// Where they are, for people: hosts and ports, or the path of a socket, and no credentials.
    pub(super) fn places(&self) -> String {
        let place = |client: &Client| client.get_connection_info().addr().to_string();
        self.clients.iter().map(place).collect::<Vec<_>>().join(", ")
    }
}

fn info(text: &str) -> Result<ConnectionInfo, Fault> {
    Ok(text.trim().into_connection_info().map_err(url)?.set_tcp_settings(tcp()))
}

fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 3).with_retries(3);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED_MAX);
    settings
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn url(error: redis::RedisError) -> Fault {
    Fault::Url(error.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn where_redis_is_is_told_without_what_opens_it() {
        for (url, places) in [
            ("redis://127.0.0.1", "127.0.0.1:6379"),
            ("rediss://user:CANARY@cache.internal:7000/3", "cache.internal:7000"),
            ("redis://:CANARY@one:1, redis://:CANARY@two:2", "one:1, two:2"),
            ("unix:///run/redis.sock?pass=CANARY", "/run/redis.sock"),
        ] {
            let nodes = Nodes::new(&Options { url: url.to_owned(), ..Options::default() }).unwrap();
            assert_eq!(nodes.places(), places, "{url}");
        }
    }
}
