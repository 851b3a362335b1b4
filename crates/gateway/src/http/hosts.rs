//! Which hosts and origins a request may name.
//!
//! A gateway on loopback without keys trusts whoever reaches it. A web page cannot reach it by
//! address without saying so in `Origin`, and not by a name of its own that it points at loopback
//! (DNS rebinding) without saying so in `Host`: both are refused.

use crate::config::{Admin, Server};
use http::header::{HOST, ORIGIN};
use http::{Request, Uri};
use std::net::{IpAddr, SocketAddr};
use wire::failure::{Failure, Kind};

/// What one of the two planes serves.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Names it serves beside its address'.
    pub hosts: &'a [String],
    /// The setting that those are in.
    pub setting: &'static str,
}

impl<'a> Served<'a> {
    /// The data plane.
    pub fn data(Server { listen, hosts, .. }: &'a Server) -> Self {
        Self { listen: *listen, hosts, setting: "server.hosts" }
    }

    /// The admin plane.
    pub fn admin(Admin { listen, hosts, .. }: &'a Admin) -> Self {
        Self { listen: *listen, hosts, setting: "admin.hosts" }
    }
}

/// Checks `Host` (or HTTP/2's authority) and `Origin`.
///
/// # Errors
/// 403 where either is foreign.
pub fn check<B>(served: Served<'_>, request: &Request<B>) -> Result<(), Failure> {
    let headers = request.headers();
    let host = match headers.get(HOST) {
        Some(host) => host.as_bytes(),
        None => request.uri().host().unwrap_or_default().as_bytes(),
    };
    if !allowed(served, name_of(host)) {
        return Err(forbidden("Host", served.setting));
    }
    let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
    let known = Uri::try_from(origin.as_bytes())
        .is_ok_and(|origin| origin.host().is_some_and(|host| allowed(served, host.as_bytes())));
    if known { Ok(()) } else { Err(forbidden("Origin", served.setting)) }
}

/// A host without its port.
fn name_of(host: &[u8]) -> &[u8] {
    match host.iter().rposition(|byte| *byte == b':') {
        // The colons of an IPv6 literal stand within its brackets.
        Some(colon) if !host[colon..].contains(&b']') => &host[..colon],
        _ => host,
    }
}

fn allowed(Served { listen, hosts, .. }: Served<'_>, name: &[u8]) -> bool {
    if !listen.ip().is_loopback() && hosts.is_empty() {
        // Callers have keys there, and the name is whatever the network calls this machine.
        return true;
    }
    name.eq_ignore_ascii_case(b"localhost")
        || literal(name).is_some_and(|ip| ip.is_loopback() || ip == listen.ip())
        || hosts.iter().any(|host| host == "*" || name.eq_ignore_ascii_case(host.as_bytes()))
}

fn literal(name: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(name).ok()?;
    text.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn forbidden(header: &str, setting: &str) -> Failure {
    Failure::new(
        Kind::Forbidden,
        format!(
            "The '{header}' header names a host that this listener does not serve; allow it in '{setting}'."
        ),
    )
    .with_code("foreign_host")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{Served, check};
    use http::Request;
    use wire::failure::Failure;

    fn asked(listen: &str, hosts: &[&str], host: &str, origin: Option<&str>) -> Result<(), Failure> {
        let mut request = Request::builder().uri("/").header("host", host);
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
        let served = Served { listen: listen.parse().unwrap(), hosts: &hosts, setting: "this.hosts" };
        check(served, &request.body(()).unwrap())
    }

    fn verdict(listen: &str, hosts: &[&str], host: &str, origin: Option<&str>) -> bool {
        asked(listen, hosts, host, origin).is_ok()
    }

    #[test]
    fn loopback_serves_loopback_names_only() {
        for host in ["localhost", "LOCALHOST:4000", "127.0.0.1:4000", "127.1.2.3", "[::1]:4000", "[::1]"] {
            assert!(verdict("127.0.0.1:4000", &[], host, None), "{host}");
        }
        for host in
            ["evil.example", "evil.example:4000", "localhost.evil.example", "10.0.0.1", "", "[::1].evil"]
        {
            assert!(!verdict("127.0.0.1:4000", &[], host, None), "{host}");
        }
    }

    #[test]
    fn a_foreign_origin_is_refused_even_with_the_right_host() {
        assert!(verdict("127.0.0.1:4000", &[], "localhost", Some("http://localhost:3000")));
        for origin in ["https://evil.example", "null", "http://127.0.0.1.evil.example"] {
            assert!(!verdict("127.0.0.1:4000", &[], "localhost", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn further_hosts_are_those_configured() {
        assert!(verdict(
            "127.0.0.1:4000",
            &["gateway.test"],
            "gateway.test:4000",
            Some("https://gateway.test")
        ));
        assert!(!verdict("127.0.0.1:4000", &["gateway.test"], "other.test", None));
        assert!(verdict("127.0.0.1:4000", &["*"], "other.test", None));
        assert!(verdict("0.0.0.0:4000", &[], "anything.test", None));
        assert!(!verdict("0.0.0.0:4000", &["gateway.test"], "anything.test", None));
    }

    #[test]
    fn a_refusal_names_the_setting_of_the_plane_that_refuses() {
        for (host, origin) in [("evil.example", None), ("localhost", Some("https://evil.example"))] {
            let refused = asked("127.0.0.1:4000", &[], host, origin).unwrap_err();
            assert!(refused.to_string().contains("'this.hosts'"), "{refused}");
        }
    }
}
