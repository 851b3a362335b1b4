//! Images, sounds and files in a text: long strings of base64, told from words by how they begin.
//!
//! Noticed in passing by the one reading that a body gets. A guess, for estimates: nothing is decoded, and
//! nothing is refused for it.

/// Shorter strings are not looked at: what they hold counts for little either way. In bytes, quotes included.
pub(super) const LONG: usize = 1024;

/// How much of a string is looked at. Words have a space or a mark within this, in any script.
const LOOK: usize = 128;

/// Encoded bytes within a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// Strings that hold them.
    pub pieces: u32,
    /// What these take in the text, in bytes.
    pub bytes: u32,
}

impl Data {
    /// Counts a long string, if it holds encoded bytes.
    #[cold]
    pub(super) fn look_at(&mut self, string: &[u8]) {
        if is_encoded(string) {
            // A text has at most 2³¹ bytes, see `BYTES_MAX`.
            self.pieces += 1;
            self.bytes += string.len() as u32;
        }
    }
}

/// Whether a string begins as base64 does, in either alphabet, alone or in a data URL (RFC 2397). Some writers
/// escape the slash.
fn is_encoded(string: &[u8]) -> bool {
    let head = string.get(..LOOK.min(string.len())).unwrap_or_default();
    let content = match head.strip_prefix(b"data:") {
        Some(url) => memchr::memchr(b',', url).map_or(0, |comma| b"data:".len() + comma + 1),
        None => 0,
    };
    let content = string.get(content..).unwrap_or_default();
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_=\\".contains(byte);
    content.iter().take(LOOK).all(is_digit)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use crate::json::object;

    #[test]
    fn encoded_bytes_are_told_from_words() {
        let long = |piece: &str| piece.repeat(2_000 / piece.len() + 1);
        let cases = [
            (format!("data:image/png;base64,{}", long("iVBORw0KGgo+/A")), true),
            (long("iVBORw0KGgo+/A"), true),
            (long("iVBORw0KGgo-_A"), true),
            (long(r"iVBORw0KGgo\/A"), true),
            // Too short to matter.
            ("iVBORw0KGgo+/A".repeat(20), false),
            (long("words and words. "), false),
            (long("https://example.com/a,"), false),
            (long("data: what we know of it"), false),
            (long("data:no comma here but words"), false),
            (long("潮の満ち引き"), false),
            (long(r#"{\"a\":[1,2]}"#), false),
            (long("fn main(){}"), false),
        ];
        for (string, encoded) in cases {
            let body = format!(r#"{{"a":[{{"b":"{string}"}},"{string}"],"c":"short"}}"#);
            let data = object(body.as_bytes()).unwrap().data();
            let expected = Data { pieces: 2, bytes: 2 * string.len() as u32 };
            let start: String = string.chars().take(30).collect();
            assert_eq!(data, if encoded { expected } else { Data::default() }, "{start}");
        }
    }

    #[test]
    fn an_object_within_knows_its_own() {
        let string = "A".repeat(2_000);
        let body = format!(r#"{{"a":{{"b":"{string}"}},"c":{{"d":1}}}}"#);
        let object = object(body.as_bytes()).unwrap();
        let pieces = |key| object.get(key).unwrap().object().unwrap().data().pieces;
        assert_eq!((object.data().pieces, pieces("a"), pieces("c")), (1, 1, 0));
    }
}
