//! The words of a reply: sentences about a harbour, drawn from a word list.
//!
//! A reply opens with a sentence of its own, drawn word by word from the
//! reply's key (a thousand million of them), so that two prompts hardly ever
//! get the same answer. The rest is copied from a text that is written once
//! for the whole process: a reply of a kilobyte costs one copy, not two
//! hundred draws. All of it is ASCII without a character that JSON escapes.

use super::key::{Draws, Key};
use super::token;
use std::sync::LazyLock;

const ADVERBS: &[&str] = &[
    "Usually",
    "Today",
    "Later",
    "Quietly",
    "Often",
    "Slowly",
    "Tonight",
    "Again",
    "Elsewhere",
    "Inland",
    "Offshore",
    "Meanwhile",
    "Yesterday",
    "Sometimes",
    "Eventually",
    "Clearly",
    "Perhaps",
    "Indeed",
    "Typically",
    "Carefully",
    "Gradually",
    "Naturally",
    "Rarely",
    "Lately",
    "Upstream",
    "Downstream",
    "Outside",
    "Nearby",
    "Tomorrow",
    "Finally",
    "Overnight",
    "Seasonally",
];
const ADJECTIVES: &[&str] = &[
    "quiet",
    "narrow",
    "old",
    "silver",
    "patient",
    "northern",
    "distant",
    "careful",
    "broad",
    "early",
    "hidden",
    "calm",
    "restless",
    "bright",
    "cold",
    "shallow",
    "steady",
    "empty",
    "southern",
    "wooden",
    "grey",
    "tidal",
    "gentle",
    "late",
    "western",
    "heavy",
    "salted",
    "weathered",
    "modern",
    "rising",
    "falling",
    "eastern",
    "curious",
    "deep",
    "foggy",
    "green",
    "humble",
    "inner",
    "jagged",
    "keen",
    "lonely",
    "misty",
    "nimble",
    "outer",
    "painted",
    "rusty",
    "sandy",
    "tall",
    "useful",
    "vivid",
    "windy",
    "young",
    "austere",
    "brisk",
    "chalky",
    "dim",
    "earnest",
    "faint",
    "granite",
    "honest",
    "idle",
    "lively",
    "modest",
    "open",
];
const NOUNS: &[&str] = &[
    "tide",
    "harbour",
    "keeper",
    "river",
    "lantern",
    "pilot",
    "gate",
    "channel",
    "bridge",
    "estuary",
    "ferry",
    "wharf",
    "current",
    "signal",
    "engineer",
    "barge",
    "lock",
    "mooring",
    "chart",
    "gull",
    "storm",
    "market",
    "cargo",
    "beacon",
    "crew",
    "dredger",
    "island",
    "ledger",
    "captain",
    "shore",
    "anchor",
    "basin",
    "cable",
    "deck",
    "engine",
    "fleet",
    "gauge",
    "hull",
    "inlet",
    "jetty",
    "kelp",
    "lagoon",
    "marsh",
    "net",
    "oar",
    "pier",
    "quay",
    "reef",
    "sail",
    "tower",
    "valve",
    "warehouse",
    "yard",
    "buoy",
    "crane",
    "dock",
    "embankment",
    "fog",
    "gangway",
    "heron",
    "ice",
    "mast",
    "rope",
    "sluice",
];
const VERBS: &[&str] = &[
    "follows", "watches", "carries", "opens", "meets", "measures", "guides", "leaves", "finds", "crosses",
    "raises", "keeps", "answers", "turns", "holds", "reads", "counts", "lowers", "passes", "shelters",
    "draws", "mends", "reaches", "closes", "lifts", "warns", "feeds", "steadies", "marks", "clears", "joins",
    "tows",
];
const PHRASES: &[&str] = &[
    "before dawn",
    "at high water",
    "after the rain",
    "in the early light",
    "with the morning ebb",
    "by the old wall",
    "under a low sky",
    "for most of the year",
    "on the way home",
    "without a sound",
    "near the outer bank",
    "as the charts foretold",
    "until the lamps are lit",
    "along the western shore",
    "in good order",
    "at slack water",
    "against the wind",
    "once the ice has gone",
    "behind the salt works",
    "for an hour or two",
    "when the bell rings",
    "with great care",
    "in plain view",
    "at the turn of the tide",
    "from the far side",
    "over the sand bar",
    "between two storms",
    "as far as the locks",
    "in every season",
    "to the last rope",
    "beside the customs house",
    "while others sleep",
];

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
    let shape = draws.below(4);
    let mut word = |list: &[&'static str]| draws.pick(list).copied().unwrap_or_default();
    let parts: &[&str] = match shape {
        0 => &[
            "The ",
            word(ADJECTIVES),
            " ",
            word(NOUNS),
            " ",
            word(VERBS),
            " the ",
            word(NOUNS),
            " ",
            word(PHRASES),
        ],
        1 => &[
            "Every ",
            word(NOUNS),
            " ",
            word(VERBS),
            " a ",
            word(NOUNS),
            ", and the ",
            word(NOUNS),
            " ",
            word(VERBS),
            " it",
        ],
        2 => &[
            "The ",
            word(NOUNS),
            " ",
            word(VERBS),
            " the ",
            word(ADJECTIVES),
            " ",
            word(NOUNS),
            " while the ",
            word(NOUNS),
            " ",
            word(VERBS),
            " the ",
            word(NOUNS),
        ],
        _ => return opener(into, draws),
    };
    parts.iter().for_each(|part| into.push_str(part));
    into.push('.');
}

/// The sentence that a key draws for itself.
fn opener(into: &mut String, draws: &mut Draws) {
    let mut word = |list: &[&'static str]| draws.pick(list).copied().unwrap_or_default();
    let parts = [
        word(ADVERBS),
        ", the ",
        word(ADJECTIVES),
        " ",
        word(NOUNS),
        " ",
        word(VERBS),
        " the ",
        word(NOUNS),
        ".",
    ];
    parts.iter().for_each(|part| into.push_str(part));
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
    let mut word = |list: &[&'static str]| draws.pick(list).copied().unwrap_or_default();
    [word(ADJECTIVES), " ", word(NOUNS)].concat()
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
