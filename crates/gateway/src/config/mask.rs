//! Hides what may be secret in the text of a configuration file before a line of it is drawn.
//!
//! A file that parsed is masked where the shape check says so: values whose schema is `writeOnly`, values
//! under unknown keys, URLs with more than an address. A file with a syntax fault never gets that far, so
//! there every value is masked, whatever it is. Every byte keeps its place, so spans stay right.

use std::ops::Range;

/// How the well-known kinds of key begin: found even where a comment holds them.
const SECRET_PREFIXES: [&str; 8] = ["sk-", "tg-", "gsk_", "xai-", "pplx-", "csk-", "nvapi-", "AIza"];
/// Shorter words than this are no secret in themselves.
const SECRET_BYTES_MIN: usize = 16;

/// What to hide of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// These spans.
    Spans(Vec<Range<usize>>),
    /// Every value: nothing is known of which is which.
    Values,
}

impl Mask {
    /// The text with what is to be hidden, and whatever else looks like a key, replaced by asterisks.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        if let Self::Spans(spans) = self {
            for span in spans {
                blot(&mut bytes, span.clone());
            }
        }
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            let keys = words(line).filter(|word| is_well_known(&line[word.clone()]));
            let values = if *self == Self::Values { values(line) } else { Vec::new() };
            for span in keys.chain(values) {
                blot(&mut bytes, start + span.start..start + span.end);
            }
            start += line.len();
        }
        // Blotting replaces whole characters by ASCII, so this cannot fail; were it to, nothing is shown.
        String::from_utf8(bytes).unwrap_or_default()
    }
}

/// Replaces a span's characters, but for what gives a value its form.
fn blot(bytes: &mut [u8], span: Range<usize>) {
    let end = span.end.min(bytes.len());
    let Some(bytes) = bytes.get_mut(span.start.min(end)..end) else { return };
    for byte in bytes {
        if !b"\r\n\t \"'[]{},:=".contains(byte) {
            *byte = b'*';
        }
    }
}

/// The spans of a line that may be values: all after the first sign of assignment, else all from the first
/// quote on, else all long words.
fn values(line: &str) -> Vec<Range<usize>> {
    let assigned = line.find(['=', ':']).map(|sign| sign + 1);
    let start = assigned.or_else(|| line.find(['"', '\'']));
    words(line)
        .filter(|word| start.map_or(word.len() >= SECRET_BYTES_MIN, |start| word.end > start))
        .collect()
}

fn is_well_known(word: &str) -> bool {
    word.len() >= SECRET_BYTES_MIN && SECRET_PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// The spans of a line's words, as keys and tokens are written.
fn words(line: &str) -> impl Iterator<Item = Range<usize>> {
    let in_word = |c: char| c.is_alphanumeric() || "-_.+/".contains(c);
    let base = line.as_ptr() as usize;
    line.split(move |c| !in_word(c)).filter(|word| !word.is_empty()).map(move |word| {
        let start = word.as_ptr() as usize - base;
        start..start + word.len()
    })
}
