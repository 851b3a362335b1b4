//! `Accept-Encoding`: what a caller can read, and what it would rather read (RFC 9110, section 12.5.3).

use super::coding::Coding;
use http::header::{ACCEPT_ENCODING, HeaderMap};

/// The coding that a caller likes best, ours first where it likes several as well; `None`: the bytes as they
/// are.
///
/// A caller who says nothing gets the bytes as they are: the RFC would allow any coding then, but who cannot
/// read one does not say so either. Bytes as they are cannot be refused (`identity;q=0`) where no coding of
/// ours is accepted: an answer that may be unreadable is worth more than none.
#[must_use]
pub fn negotiate(headers: &HeaderMap) -> Option<Coding> {
    let wishes = Wishes::of(headers)?;
    let plain = wishes.plain();
    // The last of equals wins.
    let best = Coding::ALL.into_iter().rev().max_by_key(|coding| wishes.weight(*coding))?;
    let weight = wishes.weight(best);
    (weight > 0 && weight >= plain).then_some(best)
}

/// Whether a caller can read this coding, whatever else it would rather have.
#[must_use]
pub fn accepts(headers: &HeaderMap, coding: Coding) -> bool {
    Wishes::of(headers).is_some_and(|wishes| wishes.weight(coding) > 0)
}

/// What a caller said of each coding, as thousandths of a q-value; `None`: not a word. Of a coding named
/// twice the last word holds.
#[derive(Default)]
struct Wishes {
    /// In [`Coding`]'s order.
    codings: [Option<u16>; Coding::ALL.len()],
    identity: Option<u16>,
    /// `*`: whatever is not named.
    any: Option<u16>,
}

impl Wishes {
    /// `None` where there is no such header.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(ACCEPT_ENCODING).iter().peekable();
        lines.peek()?;
        let mut wishes = Self::default();
        for member in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
            if let Some((name, weight)) = parse(member) {
                wishes.take(name, weight);
            }
        }
        Some(wishes)
    }

    fn take(&mut self, name: &[u8], weight: u16) {
        if name == b"*" {
            self.any = Some(weight);
        } else if name.eq_ignore_ascii_case(b"identity") {
            self.identity = Some(weight);
        } else if let Some(coding) = Coding::named(name) {
            self.codings[coding as usize] = Some(weight);
        }
    }

    /// Zero: not accepted.
    fn weight(&self, coding: Coding) -> u16 {
        self.codings[coding as usize].or(self.any).unwrap_or(0)
    }

    /// Bytes as they are need not be named to be accepted, but then anything named is liked better.
    fn plain(&self) -> u16 {
        self.identity.or(self.any).unwrap_or(0)
    }
}

/// One member of the list, `gzip;q=0.5`; `None` where it is not written as the RFC has it.
fn parse(member: &[u8]) -> Option<(&[u8], u16)> {
    let mut parts = member.splitn(2, |byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next()?;
    let weight = match parts.next() {
        None => 1000,
        Some([b'q' | b'Q', b'=', value @ ..]) => thousandths(value)?,
        Some(_) => return None,
    };
    Some((name, weight))
}

/// A q-value: from 0 to 1 with three decimals at most (RFC 9110, section 12.4.2).
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, decimals) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut sum = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return None,
    };
    for (digit, worth) in decimals.iter().zip([100, 10, 1]) {
        sum += u16::from(digit.is_ascii_digit().then(|| digit - b'0')?) * worth;
    }
    (sum <= 1000).then_some(sum)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::{accepts, negotiate};
    use crate::http::compress::Coding::{self, Brotli, Deflate, Gzip, Zstd};
    use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
    use proptest::prelude::*;

    fn asked(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        headers
    }

    fn check(lines: &[&str], expected: Option<Coding>) {
        assert_eq!(negotiate(&asked(lines)), expected, "{lines:?}");
    }

    #[test]
    fn the_caller_s_wish_comes_first_and_ours_decides_among_equals() {
        for (line, expected) in [
            ("gzip", Some(Gzip)),
            ("deflate", Some(Deflate)),
            ("br", Some(Brotli)),
            ("zstd", Some(Zstd)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip, deflate, br", Some(Brotli)),
            ("deflate, gzip", Some(Gzip)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Gzip)),
            ("zstd;q=0.001, deflate;q=0.002", Some(Deflate)),
            ("gzip;q=0.5,br;q=0.500", Some(Brotli)),
            ("GZip", Some(Gzip)),
            ("x-gzip", Some(Gzip)),
            ("gzip ; q=0.5", Some(Gzip)),
            ("gzip;\tQ=0.5", Some(Gzip)),
            (" , gzip ,, ", Some(Gzip)),
            ("compress, gzip", Some(Gzip)),
            ("gzip, gzip;q=0", None),
        ] {
            check(&[line], expected);
        }
    }

    #[test]
    fn zero_refuses_and_an_asterisk_stands_for_what_is_not_named() {
        for (line, expected) in [
            ("", None),
            ("gzip;q=0", None),
            ("gzip;q=0.000", None),
            ("*", Some(Zstd)),
            ("*;q=0", None),
            ("*;q=0.5", Some(Zstd)),
            ("zstd;q=0, *", Some(Brotli)),
            ("*, zstd;q=0, br;q=0", Some(Gzip)),
            ("gzip;q=0.3, *;q=0.5", Some(Zstd)),
            ("gzip, *;q=0", Some(Gzip)),
            ("compress", None),
        ] {
            check(&[line], expected);
        }
    }

    #[test]
    fn bytes_as_they_are_may_be_liked_better_or_refused() {
        for (line, expected) in [
            ("identity", None),
            ("identity, gzip", Some(Gzip)),
            ("identity, gzip;q=0.9", None),
            ("identity;q=0.5, gzip;q=0.9", Some(Gzip)),
            ("identity;q=0, gzip;q=0.1", Some(Gzip)),
            ("identity;q=0", None),
            ("identity;q=0, compress", None),
            ("identity;q=0, *;q=0.1", Some(Zstd)),
            ("*, gzip;q=0.5, zstd;q=0, br;q=0, deflate;q=0", None),
        ] {
            check(&[line], expected);
        }
    }

    #[test]
    fn a_member_that_is_not_well_formed_is_as_if_it_were_not_there() {
        for member in [
            "zstd;q=1.001",
            "zstd;q=2",
            "zstd;q=-1",
            "zstd;q=0.5000",
            "zstd;q=.5",
            "zstd;q=",
            "zstd;q",
            "zstd;",
            "zstd;q = 1",
            "zstd;q=\"1\"",
            "zstd;q=0.x",
            "zstd;q=1;q=1",
            "zstd;level=3",
            "zstd gzip",
            "br;callers-own",
        ] {
            check(&[member], None);
            check(&[&format!("{member}, gzip;q=0.1")], Some(Gzip));
        }
        // A point without a digit behind it is allowed.
        check(&["gzip;q=1."], Some(Gzip));
    }

    #[test]
    fn several_lines_are_one_list() {
        check(&["gzip;q=0.5", "br;q=0.6"], Some(Brotli));
        check(&["gzip", "zstd, gzip;q=0"], Some(Zstd));
        check(&["\u{1F310}", "gzip"], Some(Gzip));
        check(&[], None);
    }

    #[test]
    fn what_can_be_read_is_more_than_what_is_liked_best() {
        for (lines, expected) in [
            (&[][..], false),
            (&["zstd"], true),
            (&["gzip, zstd;q=0.1"], true),
            (&["identity, zstd;q=0.1"], true),
            (&["*;q=0.1"], true),
            (&["*, zstd;q=0"], false),
            (&["gzip"], false),
        ] {
            assert_eq!(accepts(&asked(lines), Zstd), expected, "{lines:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn whatever_is_chosen_is_accepted(line in r"((zstd|br|gzip|deflate|identity|\*|other)(;q=[01](\.[0-9]{1,3})?)?[, ;]{1,2}){0,6}") {
            let headers = asked(&[&line]);
            if let Some(coding) = negotiate(&headers) {
                prop_assert!(accepts(&headers, coding));
            }
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                headers.insert(ACCEPT_ENCODING, value);
            }
            let _ = negotiate(&headers);
        }
    }
}
