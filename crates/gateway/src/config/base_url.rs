//! A provider's address, taken apart once.
//!
//! It is stricter than the URL standard on purpose: no credentials, no query, no fragment, no dot segments,
//! no host that only some resolvers read as a number. Whether the host's addresses may be connected to is
//! judged by whoever connects.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Longest URL taken, in bytes.
const BYTES_MAX: usize = 2048;

/// Where a provider is: `https://api.openai.com/v1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// Over TLS.
    pub https: bool,
    /// A name in lower case, or an address; IPv6 without its brackets.
    pub host: String,
    /// The port, written or by the scheme.
    pub port: u16,
    /// What stands before the operation's own path: empty, or `/v1` without a slash at its end.
    pub path: String,
    /// Whether the operator chose this host (or a preset of theirs lives on loopback), so that private
    /// addresses are meant.
    pub named_by_operator: bool,
}

/// Why text is no base URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// Neither `http://` nor `https://`.
    #[error("the URL does not begin with https:// or http://")]
    Scheme,
    /// Characters that no URL has, or too many of them.
    #[error("the URL holds characters that do not belong in one, or too many")]
    Characters,
    /// `user:password@`.
    #[error("the URL holds credentials")]
    Credentials,
    /// `?…`.
    #[error("the URL holds a query")]
    Query,
    /// `#…`.
    #[error("the URL holds a fragment")]
    Fragment,
    /// No host, or none that could be looked up.
    #[error("the URL has no valid host")]
    Host,
    /// Not a number from 1 to 65535.
    #[error("the URL has no valid port")]
    Port,
    /// `.` or `..`.
    #[error("the URL's path holds `.` or `..`")]
    Dots,
}

impl Malformed {
    /// What to do about it.
    pub(super) fn mend(self) -> &'static str {
        match self {
            Self::Credentials => "put the key into `api_key`, or into `headers`",
            Self::Query => "leave the query out; a key belongs into `api_key`",
            Self::Fragment => "leave the fragment out",
            Self::Port => "write a port from 1 to 65535, or none",
            _ => "write it as https://host/v1",
        }
    }
}

impl BaseUrl {
    /// Takes a URL apart.
    pub(crate) fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > BYTES_MAX
            || text.bytes().any(|byte| !byte.is_ascii_graphic() || br#"\"<>^`{|}"#.contains(&byte))
        {
            return Err(Malformed::Characters);
        }
        let (scheme, rest) = text.split_once("://").ok_or(Malformed::Scheme)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(Malformed::Scheme),
        };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Malformed::Credentials);
        }
        if path.contains('?') {
            return Err(Malformed::Query);
        }
        if path.contains('#') {
            return Err(Malformed::Fragment);
        }
        let decoded = path.to_ascii_lowercase().replace("%2e", ".");
        if decoded.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(Malformed::Dots);
        }
        let (host, port) = host_and_port(authority)?;
        let port = port.unwrap_or(if https { 443 } else { 80 });
        let path = path.trim_end_matches('/').to_owned();
        Ok(Self { https, host, port, path, named_by_operator: false })
    }

    /// The host and, unless it is the scheme's own, the port: what the `Host` header says.
    #[must_use]
    pub fn authority(&self) -> String {
        let brackets = if self.host.contains(':') { ("[", "]") } else { ("", "") };
        let host = format!("{}{}{}", brackets.0, self.host, brackets.1);
        let usual = if self.https { 443 } else { 80 };
        if self.port == usual { host } else { format!("{host}:{}", self.port) }
    }

    /// Whether the host is this machine, by its name or its address.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost"
            || self.host.ends_with(".localhost")
            || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// A host, and a port where one is written.
pub(super) fn host_and_port(authority: &str) -> Result<(String, Option<u16>), Malformed> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (address, after) = rest.split_once(']').ok_or(Malformed::Host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| Malformed::Host)?;
        let port = match after.strip_prefix(':') {
            None if after.is_empty() => None,
            None => return Err(Malformed::Port),
            port => port,
        };
        (address.to_string(), port)
    } else {
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        };
        (host_name(host).ok_or(Malformed::Host)?, port)
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port > 0).ok_or(Malformed::Port)?)
        }
        Some(_) => return Err(Malformed::Port),
    };
    Ok((host, port))
}

/// A DNS name or an IPv4 address in four parts, in lower case.
pub(super) fn host_name(host: &str) -> Option<String> {
    if host.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some(host.to_owned());
    }
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    // `127.1`, `2130706433` and `0x7f000001` are names to us and loopback to some resolvers.
    let last = name.rsplit('.').next()?;
    let numeric = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x");
    (name.len() <= 253 && name.split('.').all(is_label) && !numeric).then_some(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let cases = [
            ("https://api.openai.com/v1", (true, "api.openai.com", 443, "/v1")),
            ("https://api.openai.com/v1/", (true, "api.openai.com", 443, "/v1")),
            ("HTTPS://API.OpenAI.com", (true, "api.openai.com", 443, "")),
            ("http://localhost:8000", (false, "localhost", 8000, "")),
            ("http://127.0.0.1:11434/v1", (false, "127.0.0.1", 11434, "/v1")),
            ("http://[::1]:80/a/b", (false, "::1", 80, "/a/b")),
            ("https://[2001:DB8::1]", (true, "2001:db8::1", 443, "")),
            ("https://my_host.internal./openai", (true, "my_host.internal", 443, "/openai")),
        ];
        for (text, expected) in cases {
            let url = BaseUrl::parse(text).unwrap();
            assert_eq!((url.https, url.host.as_str(), url.port, url.path.as_str()), expected, "{text}");
            assert_eq!(BaseUrl::parse(&url.to_string()).unwrap(), url, "{text}");
        }
    }

    #[test]
    fn what_could_mislead_is_refused() {
        let cases = [
            ("api.openai.com/v1", Malformed::Scheme),
            ("ftp://host", Malformed::Scheme),
            ("https://", Malformed::Host),
            ("https:///v1", Malformed::Host),
            ("https://user:pass@host/v1", Malformed::Credentials),
            ("https://host@evil", Malformed::Credentials),
            ("https://host/v1?key=abc", Malformed::Query),
            ("https://host?x", Malformed::Query),
            ("https://host/v1#x", Malformed::Fragment),
            ("https://host/a/../b", Malformed::Dots),
            ("https://host:0/", Malformed::Port),
            ("https://host:65536/", Malformed::Port),
            ("https://host:+80/", Malformed::Port),
            ("https://host:", Malformed::Port),
            ("https://[::1", Malformed::Host),
            ("https://[::1]x", Malformed::Port),
            ("https://127.1", Malformed::Host),
            ("https://2130706433", Malformed::Host),
            ("https://0x7f000001", Malformed::Host),
            ("https://a..b", Malformed::Host),
            ("https://-a", Malformed::Host),
            ("https://ho st", Malformed::Characters),
            ("https://host/\r\nx: y", Malformed::Characters),
            ("https://höst", Malformed::Characters),
            ("https://host\\@evil", Malformed::Characters),
        ];
        for (text, expected) in cases {
            assert_eq!(BaseUrl::parse(text), Err(expected), "{text}");
        }
    }

    #[test]
    fn loopback_is_known_by_name_and_address() {
        let cases = [
            ("http://localhost", true),
            ("http://x.localhost", true),
            ("http://127.8.8.8", true),
            ("http://[::1]", true),
            ("http://10.0.0.1", false),
            ("http://localhost.evil.com", false),
        ];
        for (text, expected) in cases {
            assert_eq!(BaseUrl::parse(text).unwrap().is_loopback(), expected, "{text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_parses_is_printed_as_it_parses(text in "https?://[a-z0-9.:\\[\\]@-]{0,20}(/[a-z.]{0,4}){0,3}[?#]?") {
            if let Ok(url) = BaseUrl::parse(&text) {
                prop_assert_eq!(BaseUrl::parse(&url.to_string()), Ok(url));
            }
        }
    }
}
