//! The base URL that a load goes to, parsed once. Not a general URL: only what a base URL needs.

use std::fmt;
use std::str::FromStr;

use http::uri::Scheme;
use serde::{Deserialize, Serialize};

/// A base URL such as `http://127.0.0.1:4000/v1`: scheme, host, port and a path without a slash at
/// its end. Credentials, queries and fragments are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Url {
    https: bool,
    host: String,
    port: u16,
    path: String,
}

/// Why a text is not a base URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a base URL: {why}; write it like http://127.0.0.1:4000/v1")]
pub struct UrlError {
    text: String,
    why: &'static str,
}

impl UrlError {
    /// What is wrong with it, without an example of what would be right.
    #[must_use]
    pub fn why(&self) -> &'static str {
        self.why
    }
}

impl Url {
    /// Whether the URL asks for TLS.
    #[must_use]
    pub fn https(&self) -> bool {
        self.https
    }

    /// The host: a name or an address, IPv6 without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port: as written, or the scheme's own.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The base path, empty or beginning with a slash, and never ending with one.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Host and port as they stand in a `Host` header: the scheme's own port is left out.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.https) { host } else { format!("{host}:{}", self.port) }
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let refuse = |why| UrlError { text: redact(text), why };
        if text.contains('#') {
            return Err(refuse("a fragment has no place in it"));
        }
        let uri: http::Uri = text.parse().map_err(|_| refuse("it cannot be parsed as a URL"))?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(_) => return Err(refuse("only http and https are spoken")),
            None => return Err(refuse("the scheme is missing")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("the host is missing"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("credentials have no place in it"));
        }
        if uri.query().is_some() {
            return Err(refuse("a query has no place in it"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        if host.is_empty() {
            return Err(refuse("the host is missing"));
        }
        // `http` reads `host:99999` as a host without a port, which must not become port 80.
        let port = match authority.port() {
            Some(port) => port.as_u16(),
            None if names_a_port(authority.as_str()) => {
                return Err(refuse("its port is not a port"));
            }
            None => default_port(https),
        };
        let path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { https, host, port, path })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

impl TryFrom<String> for Url {
    type Error = UrlError;

    fn try_from(text: String) -> Result<Self, UrlError> {
        text.parse()
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.to_string()
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

fn names_a_port(authority: &str) -> bool {
    let after_host = authority.rsplit(']').next().unwrap_or(authority);
    after_host.contains(':')
}

/// The text without what may be a password: an error is printed, and lands in logs.
fn redact(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if scheme + 3 <= at => {
            format!("{}***{}", &text[..scheme + 3], &text[at..])
        }
        (None, Some(at)) => format!("***{}", &text[at..]),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_base_url_is_taken_apart_and_put_together_again() {
        let check = |text: &str, host: &str, port: u16, path: &str, again: &str| {
            let url: Url = text.parse().expect(text);
            assert_eq!((url.host(), url.port(), url.path()), (host, port, path), "{text}");
            assert_eq!(url.to_string(), again, "{text}");
        };
        check("http://127.0.0.1:4000/v1", "127.0.0.1", 4000, "/v1", "http://127.0.0.1:4000/v1");
        check("http://h", "h", 80, "", "http://h");
        check("https://h/", "h", 443, "", "https://h");
        check("https://h:80/a/b/", "h", 80, "/a/b", "https://h:80/a/b");
        check("http://[::1]:8/v1", "::1", 8, "/v1", "http://[::1]:8/v1");
        check("http://[::1]/v1", "::1", 80, "/v1", "http://[::1]/v1");
    }

    #[test]
    fn what_is_not_a_base_url_is_refused_with_the_reason() {
        for (text, why) in [
            ("127.0.0.1:4000", "scheme is missing"),
            ("localhost", "scheme is missing"),
            ("ftp://h/v1", "only http and https"),
            ("http://h/v1?x=1", "a query"),
            ("http://h/v1#x", "a fragment"),
            ("http://h:99999/v1", "not a port"),
            ("http://h:x/v1", "not a port"),
            ("http:///v1", "cannot be parsed"),
            ("", "cannot be parsed"),
        ] {
            let told = text.parse::<Url>().map(|url| url.to_string());
            let told = told.expect_err(text).to_string();
            assert!(told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        let told = "http://me:hunter2@h/v1".parse::<Url>().unwrap_err();
        assert!(told.to_string().contains("credentials"), "{told}");
        assert!(!told.to_string().contains("hunter2"), "{told}");
    }
}
