//! Where a database is and how far it is trusted: `postgres://…` taken apart.
//!
//! tokio-postgres reads all of it but what says how its certificate is to be checked; that is read here. Of an
//! address that cannot be understood nothing is repeated, as any part of it may be part of the password.

use crate::{Error, Result};
use std::path::PathBuf;
use std::str::FromStr;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// A database's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Everything that tokio-postgres knows.
    pub(super) config: Config,
    /// How its certificate is checked.
    pub(super) trust: Trust,
}

/// What a server's certificate must show, in libpq's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing: `prefer` and `require` encrypt and ask no more.
    Anyone,
    /// That a known authority signed it: `verify-ca`, and `require` with a root of one's own.
    Signed(Roots),
    /// That a known authority signed it for this host: `verify-full`.
    Named(Roots),
}

/// Which authorities are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Roots {
    /// The system's.
    System,
    /// Those of `sslrootcert`, a file in PEM.
    File(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    /// # Errors
    /// [`Error::Address`] where it is none.
    fn from_str(url: &str) -> Result<Self> {
        let (rest, mode, roots) = split(url);
        let mut config = Config::from_str(&rest).map_err(|_| unclear())?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(unclear());
        }
        let (ssl, trust) = secure(mode.as_deref(), roots)?;
        config.ssl_mode(ssl);
        if config.get_application_name().is_none() {
            config.application_name("tidegate");
        }
        Ok(Self { config, trust })
    }
}

/// The address without `sslmode` and `sslrootcert`, and what they say.
fn split(url: &str) -> (String, Option<String>, Option<Roots>) {
    // A password may have a question mark.
    let host = url.find('@').unwrap_or(0);
    let Some(query) = url.get(host..).and_then(|rest| rest.find('?')).map(|at| host + at) else {
        return (url.to_owned(), None, None);
    };
    let (base, query) = (&url[..query], &url[query + 1..]);
    let (mut kept, mut mode, mut roots) = (Vec::new(), None, None);
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(value.to_owned()),
            Some(("sslrootcert", "system")) => roots = Some(Roots::System),
            Some(("sslrootcert", value)) => roots = Some(Roots::File(decode(value).into())),
            _ => kept.push(pair),
        }
    }
    let rest = if kept.is_empty() { base.to_owned() } else { format!("{base}?{}", kept.join("&")) };
    (rest, mode, roots)
}

/// libpq's table 34.1, "SSL Mode Descriptions".
fn secure(mode: Option<&str>, roots: Option<Roots>) -> Result<(SslMode, Trust)> {
    let known = |roots: Option<Roots>| roots.unwrap_or(Roots::System);
    Ok(match (mode.unwrap_or("prefer"), roots) {
        ("disable", _) => (SslMode::Disable, Trust::Anyone),
        // `allow` would try without first; nobody loses by the better.
        ("allow" | "prefer", _) => (SslMode::Prefer, Trust::Anyone),
        ("require", None) => (SslMode::Require, Trust::Anyone),
        ("require", Some(roots)) => (SslMode::Require, Trust::Signed(roots)),
        ("verify-ca", roots) => (SslMode::Require, Trust::Signed(known(roots))),
        ("verify-full", roots) => (SslMode::Require, Trust::Named(known(roots))),
        _ => {
            let words = "disable, prefer, require, verify-ca or verify-full";
            return Err(Error::Address(format!("sslmode is one of {words}")));
        }
    })
}

/// Percent-encoding undone. What is not well encoded stays as it is.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let coded = text.get(at + 1..at + 3).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match coded {
            Some(coded) if byte == b'%' => (plain.push(coded), at += 3).1,
            _ => (plain.push(byte), at += 1).1,
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn unclear() -> Error {
    Error::Address(
        "the database's address cannot be understood; percent-encode what is special in its user and password"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn the_mode_says_how_far_a_server_is_trusted() {
        let file = || Roots::File("/etc/my roots.pem".into());
        for (query, ssl, trust) in [
            ("", SslMode::Prefer, Trust::Anyone),
            ("?sslmode=disable", SslMode::Disable, Trust::Anyone),
            ("?sslmode=prefer&connect_timeout=3", SslMode::Prefer, Trust::Anyone),
            ("?sslmode=require", SslMode::Require, Trust::Anyone),
            ("?sslmode=require&sslrootcert=/etc/my%20roots.pem", SslMode::Require, Trust::Signed(file())),
            ("?sslmode=verify-ca", SslMode::Require, Trust::Signed(Roots::System)),
            ("?sslrootcert=system&sslmode=verify-full", SslMode::Require, Trust::Named(Roots::System)),
            ("?sslmode=verify-full&sslrootcert=/etc/my%20roots.pem", SslMode::Require, Trust::Named(file())),
        ] {
            let address: Address = format!("postgres://u:p@db.example:6432/tide{query}").parse().unwrap();
            assert_eq!((address.config.get_ssl_mode(), &address.trust), (ssl, &trust), "{query}");
            assert_eq!(address.config.get_ports(), [6432]);
            assert_eq!(address.config.get_dbname(), Some("tide"));
        }
    }

    #[test]
    fn a_password_may_have_what_is_special_elsewhere() {
        let address: Address = "postgres://u:a?sslmode=b/c@host/db?sslmode=require".parse().unwrap();
        assert_eq!(address.config.get_password(), Some(b"a?sslmode=b/c".as_slice()));
        assert_eq!(address.config.get_ssl_mode(), SslMode::Require);
    }

    #[test]
    fn an_address_that_is_none_is_not_repeated() {
        for url in [
            "postgres://u:s3cret@",
            "postgres://u:s3cret@host:port/db",
            "postgres://u:p@host/db?s3cret=1",
            "postgres://u:s3cret@host/db?sslmode=s3cret",
            "s3cret",
        ] {
            match url.parse::<Address>() {
                Err(error @ Error::Address(_)) => assert!(!error.to_string().contains("s3cret"), "{error}"),
                other => panic!("{url}: {other:?}"),
            }
        }
    }
}
