//! What a caller's headers say of the cache.

use crate::http::head;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderName};
use std::time::Duration;
use wire::failure::{Failure, Kind};

const X_TTL: HeaderName = HeaderName::from_static("x-tidegate-cache-ttl");
const X_SCOPE: HeaderName = HeaderName::from_static("x-tidegate-cache-scope");
const X_TAGS: HeaderName = HeaderName::from_static("x-tidegate-tags");

/// Longest scope and tag, in bytes.
const NAME_BYTES_MAX: usize = 128;
/// Most tags of a request.
const TAGS_MAX: usize = 16;
/// Longest life that a caller may ask for: 30 days.
const TTL_SECONDS_MAX: u64 = 30 * 86_400;

/// One request's terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms<'a> {
    /// Neither look it up nor keep it.
    pub no_store: bool,
    /// Fetch it anew, and keep that.
    pub no_cache: bool,
    /// The oldest answer that will do.
    pub max_age: Option<Duration>,
    /// How long the answer may be served to others.
    pub ttl: Option<Duration>,
    /// The circle within the tenant that shares the answer.
    pub scope: &'a str,
    /// Names by which the answer can be invalidated, with commas between; checked.
    tags: &'a str,
}

impl<'a> Terms<'a> {
    /// Reads `Cache-Control`, `x-tidegate-cache-ttl`, `x-tidegate-cache-scope` and `x-tidegate-tags`.
    ///
    /// # Errors
    /// 400 where one of Tidegate's own cannot be read. Directives of `Cache-Control` that mean nothing here
    /// are ignored, as RFC 9111 asks.
    pub fn read(headers: &'a HeaderMap) -> Result<Self, Failure> {
        let mut terms = Self::default();
        for value in headers.get_all(CACHE_CONTROL) {
            terms.directives(value.as_bytes());
        }
        if !head::is_addressed(headers) {
            return Ok(terms);
        }
        if let Some(ttl) = text(headers, &X_TTL)? {
            let seconds = ttl.trim().parse().ok().filter(|seconds| *seconds <= TTL_SECONDS_MAX);
            let seconds = seconds.ok_or_else(|| {
                bad(&X_TTL, format!("must be a whole number of seconds, at most {TTL_SECONDS_MAX}"))
            })?;
            terms.ttl = Some(Duration::from_secs(seconds));
        }
        if let Some(scope) = text(headers, &X_SCOPE)? {
            if !is_name(scope) {
                return Err(bad(&X_SCOPE, format!("must be 1 to {NAME_BYTES_MAX} bytes")));
            }
            terms.scope = scope;
        }
        if let Some(tags) = text(headers, &X_TAGS)? {
            let names = tags.split(',').map(str::trim);
            if names.clone().count() > TAGS_MAX || !names.clone().all(is_name) {
                let what = format!(
                    "must be at most {TAGS_MAX} names of 1 to {NAME_BYTES_MAX} bytes, with commas between"
                );
                return Err(bad(&X_TAGS, what));
            }
            terms.tags = tags;
        }
        Ok(terms)
    }

    /// The names by which the answer can be invalidated.
    pub fn tags(&self) -> impl Iterator<Item = &'a str> {
        self.tags.split(',').map(str::trim).filter(|tag| !tag.is_empty())
    }

    /// Whether an answer of this age will do. None will where the caller allows no age at all, not even one of
    /// this very millisecond.
    #[must_use]
    pub fn accepts(&self, age: Duration) -> bool {
        self.max_age.is_none_or(|max| !max.is_zero() && age <= max)
    }

    fn directives(&mut self, value: &[u8]) {
        for directive in value.split(|byte| *byte == b',') {
            let directive = directive.trim_ascii();
            if directive.eq_ignore_ascii_case(b"no-store") {
                self.no_store = true;
            } else if directive.eq_ignore_ascii_case(b"no-cache") {
                self.no_cache = true;
            } else if let Some((name, seconds)) = directive.split_at_checked(8)
                && name.eq_ignore_ascii_case(b"max-age=")
            {
                // What cannot be read counts as stale (RFC 9111, section 4.2.1).
                let seconds = std::str::from_utf8(seconds).ok();
                let seconds = seconds.and_then(|text| text.trim_matches('"').parse().ok()).unwrap_or(0);
                let age = Duration::from_secs(seconds);
                self.max_age = Some(self.max_age.map_or(age, |other| other.min(age)));
            }
        }
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Failure> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| bad(name, "must be plain text"))
}

fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
}

fn bad(header: &HeaderName, what: impl std::fmt::Display) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("The header '{header}' {what}."))
        .with_param(header.to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::Terms;
    use http::{HeaderMap, HeaderName};
    use std::time::Duration;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn directives_are_read_in_any_case_and_on_any_line() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let plain = Terms::default();
        for (value, expected) in [
            ("no-store", Terms { no_store: true, ..plain.clone() }),
            ("No-Cache", Terms { no_cache: true, ..plain.clone() }),
            ("max-age=60", Terms { max_age: seconds(60), ..plain.clone() }),
            ("MAX-AGE=\"60\" , max-age=7", Terms { max_age: seconds(7), ..plain.clone() }),
            ("max-age=soon", Terms { max_age: seconds(0), ..plain.clone() }),
            ("private, no-transform, x=1", plain.clone()),
            ("no-store,no-cache", Terms { no_store: true, no_cache: true, ..plain.clone() }),
        ] {
            assert_eq!(Terms::read(&headers(&[("cache-control", value)])).unwrap(), expected, "{value}");
        }
        let two = headers(&[("cache-control", "no-cache"), ("cache-control", "max-age=1")]);
        let terms = Terms::read(&two).unwrap();
        assert!(terms.no_cache && terms.max_age == seconds(1));
    }

    #[test]
    fn our_own_headers_are_read_or_refused() {
        let given = headers(&[
            ("x-tidegate-cache-ttl", "90"),
            ("x-tidegate-cache-scope", "user-7"),
            ("x-tidegate-tags", "docs, release-3"),
        ]);
        let terms = Terms::read(&given).unwrap();
        assert_eq!((terms.ttl, terms.scope), (Some(Duration::from_secs(90)), "user-7"));
        assert_eq!(terms.tags().collect::<Vec<_>>(), ["docs", "release-3"]);
        let long = "x".repeat(129);
        for (name, value) in [
            ("x-tidegate-cache-ttl", "-1"),
            ("x-tidegate-cache-ttl", "1h"),
            ("x-tidegate-cache-ttl", "99999999999"),
            ("x-tidegate-cache-scope", ""),
            ("x-tidegate-cache-scope", &long),
            ("x-tidegate-tags", "a,,b"),
            ("x-tidegate-tags", &"a,".repeat(17)),
        ] {
            let failure = Terms::read(&headers(&[(name, value)])).unwrap_err();
            assert!(failure.public().contains(name), "{name}: {value}");
        }
    }

    #[test]
    fn an_answer_older_than_the_caller_allows_will_not_do() {
        let terms = Terms { max_age: Some(Duration::from_secs(5)), ..Terms::default() };
        assert!(terms.accepts(Duration::from_secs(5)) && !terms.accepts(Duration::from_secs(6)));
        assert!(Terms::default().accepts(Duration::MAX));
        let terms = Terms { max_age: Some(Duration::ZERO), ..Terms::default() };
        assert!(!terms.accepts(Duration::ZERO));
    }
}
