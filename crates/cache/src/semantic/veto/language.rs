//! The languages that a text is in, and those that it asks for.

use crate::semantic::question::Question;
use crate::semantic::words::Word;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    asked(a) != asked(b) || written_in(a) != written_in(b)
}

fn asked(question: &Question) -> Vec<&str> {
    let mut asked: Vec<&str> =
        question.plain().filter(|word| LANGUAGES.split_whitespace().any(|name| name == *word)).collect();
    asked.sort_unstable();
    asked.dedup();
    asked
}

const LANGUAGES: &str = "english french german spanish italian portuguese dutch swedish norwegian danish finnish \
    icelandic polish czech slovak hungarian romanian bulgarian serbian croatian slovenian greek turkish russian \
    ukrainian arabic hebrew persian farsi hindi urdu bengali tamil telugu punjabi gujarati marathi thai vietnamese \
    indonesian malay tagalog filipino chinese mandarin cantonese japanese korean latin esperanto swahili welsh irish \
    gaelic catalan basque galician estonian latvian lithuanian british american deutsch francais castellano";

/// The language of a text by its commonest words, or its script; `None` for a text that does not say.
fn written_in(question: &Question) -> Option<&'static str> {
    if let Some(script) = script(question.text()) {
        return Some(script);
    }
    let count = |words: &str| {
        let known =
            |word: &&Word| word.is_plain() && words.split_whitespace().any(|known| known == word.text);
        question.words.iter().filter(known).count()
    };
    let best = COMMON.iter().map(|(name, words)| (count(words), *name)).max_by_key(|(count, _)| *count)?;
    // English is what a text with none of these words is taken for: names and technical words are.
    (best.0 > 0 && best.1 != "english").then_some(best.1)
}

const COMMON: [(&str, &str); 6] = [
    (
        "spanish",
        "el los las una del por para que como es cual donde cuando quien cu\u{e1}l c\u{f3}mo qu\u{e9} mi su",
    ),
    ("french", "le les une des du est comment quelle quel pourquoi mon ma dans avec que qui je"),
    ("german", "der die das ein eine ist wie ich mein meine und nicht wo wann warum den dem was"),
    ("italian", "il lo gli una di \u{e8} come perch\u{e9} quale dove quando mio mia con che"),
    ("portuguese", "o os uma do da \u{e9} como por qual onde quando meu minha com que"),
    // Last: of equal counts the last is taken.
    ("english", "the a an is are how what why when where who do does i my of to in for and can it no me as"),
];

/// Scripts that are not Latin.
fn script(text: &str) -> Option<&'static str> {
    let count =
        |range: std::ops::RangeInclusive<u32>| text.chars().filter(|c| range.contains(&(*c as u32))).count();
    let scripts = [
        ("cyrillic", count(0x400..=0x4ff)),
        ("greek", count(0x370..=0x3ff)),
        ("hebrew", count(0x590..=0x5ff)),
        ("arabic", count(0x600..=0x6ff)),
        ("devanagari", count(0x900..=0x97f)),
        ("thai", count(0xe00..=0xe7f)),
        ("kana", count(0x3040..=0x30ff)),
        ("han", count(0x4e00..=0x9fff)),
        ("hangul", count(0xac00..=0xd7af)),
    ];
    scripts.into_iter().find(|(_, count)| *count > 2).map(|(name, _)| name)
}
