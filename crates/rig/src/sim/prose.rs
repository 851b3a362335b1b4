//! The words of a reply: sentences about a harbour, drawn from a word list.
//!
//! A reply opens with a sentence of its own, drawn word by word from the
//! reply's key (a thousand million of them), so that two prompts hardly ever
//! get the same answer. The rest is copied from a text that is written once
//! for the whole process: a reply of a kilobyte costs one copy, not two
//! hundred draws. All of it is ASCII without a character that JSON escapes.

mod words;

use super::key::{Draws, Key};
use super::token;
use std::sync::LazyLock;
use words::{ADJECTIVES, ADVERBS, NOUNS, PHRASES, VERBS};

/// The bytes of the text that replies are copied from.
const STOCK_BYTES: usize = 64 * 1024;

/// Sentences ready to be copied.
struct Stock {
    text: String,
    /// Where each token begins in `text`; one more entry for its end.
    tokens: Vec<usize>,
    /// The tokens with which a sentence begins.
    sentences: Vec<usize>,
}

static STOCK: LazyLock<Stock> = LazyLock::new(|| {
    let mut draws = Key::new(0).draws(0x570c);
    let mut text = String::with_capacity(STOCK_BYTES + 256);
    let mut sentences = Vec::new();
    let mut count = 0;
    while text.len() < STOCK_BYTES {
        let start = text.len();
        // Each brings its own space, so that sentences join in any order.
        text.push(' ');
        sentence(&mut text, &mut draws);
        sentences.push(count);
        count += token::split(&text[start..]).count();
    }
    let ends = token::split(&text).scan(0, |end, token| {
        *end += token.len();
        Some(*end)
    });
    let tokens = std::iter::once(0).chain(ends).collect();
    Stock { text, tokens, sentences }
});

/// One sentence of four shapes, without a space before it.
fn sentence(into: &mut String, draws: &mut Draws) {
    let parts: &[&[&str]] = match draws.below(4) {
        0 => &[&["The"], ADJECTIVES, NOUNS, VERBS, &["the"], NOUNS, PHRASES],
        1 => &[&["Every"], NOUNS, VERBS, &["a"], NOUNS, &["as the"], NOUNS, VERBS, &["it"]],
        2 => &[
            &["The"],
            NOUNS,
            VERBS,
            &["the"],
            ADJECTIVES,
            NOUNS,
            &["while the"],
            NOUNS,
            VERBS,
            &["the"],
            NOUNS,
        ],
        _ => return opener(into, draws),
    };
    write(into, draws, parts);
}

/// The sentence that a key draws for itself.
fn opener(into: &mut String, draws: &mut Draws) {
    write(into, draws, &[ADVERBS]);
    into.pop();
    into.push_str(", ");
    write(into, draws, &[&["the"], ADJECTIVES, NOUNS, VERBS, &["the"], NOUNS]);
}

/// A word of each list, with spaces between and a full stop.
fn write(into: &mut String, draws: &mut Draws, parts: &[&[&str]]) {
    for (at, list) in parts.iter().enumerate() {
        if at > 0 {
            into.push(' ');
        }
        // A list of one is not a choice, and draws nothing.
        let word = if let &&[word] = list { Some(word) } else { draws.pick(list).copied() };
        into.push_str(word.unwrap_or_default());
    }
    into.push('.');
}

/// A text of exactly `tokens` tokens, which ends like a sentence.
pub(crate) fn of_tokens(key: Key, tokens: u32) -> String {
    let wanted = tokens as usize;
    let (mut text, mut at) = begin(key, wanted.saturating_mul(5));
    let opened = token::count(&text) as usize;
    if wanted <= opened {
        text.truncate(token::prefix(&text, tokens).len());
    }
    let mut left = wanted.saturating_sub(opened);
    let stock = &*STOCK;
    while left > 0 {
        let end = (at + left).min(stock.tokens.len() - 1);
        text.push_str(&stock.text[stock.tokens[at]..stock.tokens[end]]);
        left -= end - at;
        at = 0;
    }
    close(&mut text, wanted);
    text
}

/// A text of exactly `bytes` bytes.
pub(crate) fn of_bytes(key: Key, bytes: usize) -> String {
    let (mut text, at) = begin(key, bytes);
    let mut from = STOCK.tokens[at];
    while text.len() < bytes {
        let end = (from + bytes - text.len()).min(STOCK.text.len());
        text.push_str(&STOCK.text[from..end]);
        from = 0;
    }
    text.truncate(bytes);
    text
}

/// A few words for a field of generated data.
pub(crate) fn words(draws: &mut Draws) -> String {
    let mut words = String::new();
    write(&mut words, draws, &[ADJECTIVES, NOUNS]);
    words.pop();
    words
}

/// Nouns in a drawn order, none of them twice.
pub(crate) fn nouns(draws: &mut Draws) -> impl Iterator<Item = &'static str> + use<> {
    let start = draws.below(NOUNS.len() as u64) as usize;
    NOUNS.iter().cycle().skip(start).take(NOUNS.len()).copied()
}

/// The opening sentence, and the token of the stock that continues it.
fn begin(key: Key, bytes: usize) -> (String, usize) {
    let mut draws = key.draws(1);
    let mut text = String::with_capacity(bytes + 128);
    opener(&mut text, &mut draws);
    (text, draws.pick(&STOCK.sentences).copied().unwrap_or(0))
}

/// Ends a text with a full stop and leaves the number of its tokens as it is:
/// the last token becomes the stop, and where a sign stands before it, that
/// sign's place is taken by a word.
fn close(text: &mut String, tokens: usize) {
    if tokens < 2 || text.ends_with('.') {
        return;
    }
    let last = start_of_last_token(text);
    text.truncate(last);
    if text.ends_with(['.', ',']) {
        text.pop();
        text.push_str(" here");
    }
    text.push('.');
}

/// Texts here are ASCII and their tokens short: looking back is cheap.
fn start_of_last_token(text: &str) -> usize {
    let from = text.len().saturating_sub(32);
    let tail = text.get(from..).unwrap_or(text);
    from + token::split(tail).last().map_or(0, |last| tail.len() - last.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_exactly_the_tokens_asked_for() {
        for seed in 0..40 {
            for tokens in [0, 1, 2, 3, 8, 13, 14, 15, 16, 64, 100, 30_000] {
                let text = of_tokens(Key::new(seed), tokens);
                assert_eq!(token::count(&text), tokens, "{text}");
                assert!(tokens < 2 || text.ends_with('.'), "{text}");
                assert!(!text.ends_with(",.") && !text.ends_with(".."), "{text}");
            }
        }
    }

    #[test]
    fn a_text_has_exactly_the_bytes_asked_for() {
        for bytes in [0, 1, 40, 1024, 200_000] {
            assert_eq!(of_bytes(Key::new(3), bytes).len(), bytes);
        }
    }

    #[test]
    fn one_key_always_says_the_same_and_others_something_else() {
        assert_eq!(of_tokens(Key::new(5), 64), of_tokens(Key::new(5), 64));
        let texts: std::collections::HashSet<String> =
            (0..2000).map(|seed| of_tokens(Key::new(seed), 24)).collect();
        assert_eq!(texts.len(), 2000);
    }

    #[test]
    fn nothing_in_a_text_needs_escaping_in_json() {
        assert!(
            STOCK
                .text
                .bytes()
                .all(|byte| byte == b' ' || byte.is_ascii_alphabetic() || byte == b'.' || byte == b',')
        );
        let text = of_tokens(Key::new(5), 64);
        assert_eq!(serde_json::Value::from(text.as_str()).to_string().len(), text.len() + 2);
    }
}
