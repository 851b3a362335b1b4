//! Where a webhook goes, as a caller wrote it.

use crate::config::BaseUrl;

/// Longest address, in bytes.
const BYTES_MAX: usize = 2048;

/// An address that may be tried. Whether what it resolves to may be called is judged by whoever connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Scheme, host and port.
    pub base: BaseUrl,
    /// The path and the query, as the request line has them.
    pub target: String,
}

/// Why text is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

impl Address {
    /// Reads an address. `private`: whether one that is not public may be called.
    ///
    /// # Errors
    /// Where it is no `https://` or `http://` URL with nothing but a host, a path and a query.
    pub fn read(text: &str, private: bool) -> Result<Self, Unusable> {
        let unusable = |why: String| Unusable(format!("not an address for a webhook: {why}"));
        if text.len() > BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unusable(format!("no more than {BYTES_MAX} plain characters are taken")));
        }
        if text.contains('#') {
            return Err(unusable("the URL holds a fragment".to_owned()));
        }
        let (before, query) =
            text.split_once('?').map_or((text, None), |(before, query)| (before, Some(query)));
        let base = BaseUrl::parse(before).map_err(|fault| unusable(fault.to_string()))?;
        let path = before.splitn(4, '/').nth(3).unwrap_or_default();
        let target = match query {
            Some(query) => format!("/{path}?{query}"),
            None => format!("/{path}"),
        };
        if http::Uri::try_from(&target).is_err() {
            return Err(unusable("its path or its query holds what does not belong there".to_owned()));
        }
        Ok(Self { base: BaseUrl { named_by_operator: private, ..base }, target })
    }

    /// Whether it can be told without asking anybody that it is no address that may be called.
    #[must_use]
    pub fn is_plainly_private(&self) -> bool {
        let literal = self.base.host.parse().ok();
        let is_private = literal.is_some_and(|address| !guard::address::is_public(address));
        !self.base.named_by_operator && (is_private || self.base.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Address;

    #[test]
    fn an_address_is_a_host_a_path_and_a_query() {
        for (text, expected) in [
            ("https://app.example/hooks/tidegate?a=b&c", Some(("app.example", 443, "/hooks/tidegate?a=b&c"))),
            ("http://app.example:8080", Some(("app.example", 8080, "/"))),
            ("https://app.example/end/", Some(("app.example", 443, "/end/"))),
            ("https://app.example?only", Some(("app.example", 443, "/?only"))),
            ("https://user:secret@app.example/", None),
            ("https://app.example/#part", None),
            ("https://app.example/a b", None),
            ("https://app.example/?a\"b", None),
            ("ftp://app.example/", None),
            ("app.example", None),
            ("", None),
        ] {
            let found = Address::read(text, false).ok();
            let found =
                found.as_ref().map(|found| (found.base.host.as_str(), found.base.port, &*found.target));
            assert_eq!(found, expected, "{text}");
        }
        for (text, private, plainly) in [
            ("http://127.0.0.1/", false, true),
            ("http://127.0.0.1/", true, false),
            ("http://[::1]/", false, true),
            ("http://10.0.0.1/", false, true),
            ("http://169.254.169.254/", false, true),
            ("http://localhost:1/", false, true),
            ("http://93.184.216.34/", false, false),
            ("http://app.example/", false, false),
        ] {
            let address = Address::read(text, private).unwrap();
            assert_eq!(address.is_plainly_private(), plainly, "{text}");
            assert_eq!(address.base.named_by_operator, private, "{text}");
        }
    }
}
