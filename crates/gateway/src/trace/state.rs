//! `tracestate`, as the W3C Recommendation *Trace Context* (23 November 2021, 3.3) has it: read only to know whether
//! it may go on. Nothing is added to it here, so that it goes on as it came.

use super::context::TRACESTATE;
use http::{HeaderMap, HeaderValue};

/// Most members.
const MEMBERS_MAX: usize = 32;
/// Longest key and longest value, in characters.
const CHARS_MAX: usize = 256;
/// Longest tenant and longest system of a key that has both.
const TENANT_CHARS_MAX: usize = 241;
const SYSTEM_CHARS_MAX: usize = 14;

/// What the head of a request says, several lines joined to one; `None` where it says nothing, or anything of it is
/// not well formed.
pub fn of(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut values = headers.get_all(TRACESTATE).iter();
    let first = values.next()?;
    let mut rest = values.peekable();
    if rest.peek().is_none() {
        return is_well_formed(first.as_bytes()).then(|| first.clone());
    }
    let all: Vec<&[u8]> = std::iter::once(first).chain(rest).map(HeaderValue::as_bytes).collect();
    let joined = all.join(&b","[..]);
    is_well_formed(&joined).then(|| HeaderValue::from_bytes(&joined).ok()).flatten()
}

/// Whether it is a list of members, some of which may be empty, but not all.
pub fn is_well_formed(list: &[u8]) -> bool {
    let mut members = 0;
    for member in list.split(|byte| *byte == b',').map(trim).filter(|member| !member.is_empty()) {
        members += 1;
        if members > MEMBERS_MAX || !is_member(member) {
            return false;
        }
    }
    members > 0
}

/// Without the white space that HTTP allows around it.
pub(super) fn trim(bytes: &[u8]) -> &[u8] {
    let is_text = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let Some(start) = bytes.iter().position(is_text) else { return &[] };
    let end = bytes.iter().rposition(is_text).map_or(0, |last| last + 1);
    bytes.get(start..end).unwrap_or_default()
}

fn is_member(member: &[u8]) -> bool {
    let Some(at) = member.iter().position(|byte| *byte == b'=') else { return false };
    let (key, value) = (&member[..at], &member[at + 1..]);
    is_key(key) && is_value(value)
}

/// `simple`, or `tenant@system`, of which the tenant may begin with a digit.
fn is_key(key: &[u8]) -> bool {
    let begins = |part: &[u8], digit: bool| {
        part.first().is_some_and(|byte| byte.is_ascii_lowercase() || digit && byte.is_ascii_digit())
    };
    let plain = |part: &[u8]| {
        part.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(byte))
    };
    match key.iter().position(|byte| *byte == b'@') {
        None => key.len() <= CHARS_MAX && begins(key, false) && plain(key),
        Some(at) => {
            let (tenant, system) = (&key[..at], &key[at + 1..]);
            let fits = tenant.len() <= TENANT_CHARS_MAX && system.len() <= SYSTEM_CHARS_MAX;
            fits && begins(tenant, true) && plain(tenant) && begins(system, false) && plain(system)
        }
    }
}

/// Printable ASCII without `,` and `=`; the space at its end is gone by now.
fn is_value(value: &[u8]) -> bool {
    let plain = |byte: &u8| matches!(byte, b' '..=b'~') && !b",=".contains(byte);
    !value.is_empty() && value.len() <= CHARS_MAX && value.iter().all(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn many(count: usize) -> String {
        (0..count).map(|index| format!("k{index}=v")).collect::<Vec<_>>().join(",")
    }

    #[test]
    fn a_list_is_judged_as_the_recommendation_says() {
        let long = |chars: usize| "a".repeat(chars);
        let cases = [
            ("foo=1".to_owned(), true),
            ("foo=1,bar=2".to_owned(), true),
            ("foo=1 \t , \t bar=2, \t baz=3".to_owned(), true),
            ("foo=1,".to_owned(), true),
            ("foo=1,,,bar=2".to_owned(), true),
            // Which of two is right is for whoever reads them.
            ("foo=1,foo=2".to_owned(), true),
            ("foo= a b".to_owned(), true),
            ("0t-_*/@s-_*/=1".to_owned(), true),
            (format!("{}=1", long(256)), true),
            (format!("{}=1", long(257)), false),
            (format!("{}@{}=1", long(241), long(14)), true),
            (format!("{}@{}=1", long(242), long(1)), false),
            (format!("{}@{}=1", long(1), long(15)), false),
            (format!("k={}", long(256)), true),
            (format!("k={}", long(257)), false),
            (many(32), true),
            (many(33), false),
            (String::new(), false),
            (" ,".to_owned(), false),
            ("foo".to_owned(), false),
            ("foo=".to_owned(), false),
            ("=1".to_owned(), false),
            ("FOO=1".to_owned(), false),
            ("0foo=1".to_owned(), false),
            ("foo =1".to_owned(), false),
            ("foo.bar=1".to_owned(), false),
            ("foo=bar=baz".to_owned(), false),
            ("foo=1;bar=2".to_owned(), false),
            ("foo@=1,bar=2".to_owned(), false),
            ("@foo=1,bar=2".to_owned(), false),
            ("foo@@bar=1,bar=2".to_owned(), false),
            ("foo@1bar=1".to_owned(), false),
            ("foo=\u{7f}".to_owned(), false),
        ];
        for (list, expected) in cases {
            assert_eq!(is_well_formed(list.as_bytes()), expected, "{list}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let said = |rows: &[&str]| {
            let mut headers = HeaderMap::new();
            for row in rows {
                headers.append(TRACESTATE, HeaderValue::from_str(row).unwrap());
            }
            of(&headers).map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(said(&[]), None);
        assert_eq!(said(&["a=1", "b=2"]), Some("a=1,b=2".to_owned()));
        assert_eq!(said(&["a=1", ""]), Some("a=1,".to_owned()));
        assert_eq!(said(&["a=1", "B=2"]), None);
        assert_eq!(said(&[&many(20), &many(20)]), None);
    }
}
