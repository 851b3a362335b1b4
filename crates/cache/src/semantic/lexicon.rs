//! What is known of English words: phrases, synonyms, opposites, irregular forms. Read once from the text
//! files beside this one, which say what belongs in each.

#[cfg(test)]
mod tests;

use super::reading::Shape;
use super::stem::stem;
use foldhash::fast::FixedState;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

type Map<K, V> = HashMap<K, V, FixedState>;

/// Phrases under their first word, each list with the longest first.
static PHRASES: LazyLock<Map<&str, Vec<Phrase>>> = LazyLock::new(|| {
    let mut phrases = Map::<&str, Vec<Phrase>>::default();
    for line in lines(include_str!("lexicon/phrases.txt")) {
        let Some((left, right)) = line.split_once('>') else { continue };
        let instead: Vec<&str> = right.split_whitespace().collect();
        for said in left.split('|') {
            let said: Vec<&str> = said.split_whitespace().collect();
            let Some(first) = said.first() else { continue };
            phrases.entry(first).or_default().push(Phrase { said, instead: instead.clone() });
        }
    }
    for list in phrases.values_mut() {
        list.sort_by_key(|phrase| std::cmp::Reverse(phrase.said.len()));
    }
    phrases
});

static FILLERS: LazyLock<Fillers> = LazyLock::new(|| {
    let text = include_str!("lexicon/fillers.txt");
    let of = |kind: &str| {
        let mut found: Vec<Vec<&str>> = lines(text)
            .filter_map(|line| line.strip_prefix(kind))
            .map(|line| line.split_whitespace().collect())
            .collect();
        found.sort_by_key(|phrase| std::cmp::Reverse(phrase.len()));
        found
    };
    Fillers { head: of("head:"), tail: of("tail:") }
});

/// The head of each word's group of synonyms, by stem.
static SYNONYMS: LazyLock<Map<String, String>> = LazyLock::new(|| {
    let mut heads = Map::default();
    for line in lines(include_str!("lexicon/synonyms.txt")) {
        let mut group = line.split_whitespace().map(stem);
        let Some(head) = group.next() else { continue };
        for word in group {
            heads.entry(word).or_insert_with(|| head.clone());
        }
        heads.entry(head.clone()).or_insert(head);
    }
    heads
});

/// For each word, by stem, the numbers of the pairs it stands in and on which side.
static ANTONYMS: LazyLock<Map<String, Vec<(u16, bool)>>> = LazyLock::new(|| {
    let mut sides = Map::<String, Vec<(u16, bool)>>::default();
    for (number, line) in (0..).zip(lines(include_str!("lexicon/antonyms.txt"))) {
        let Some((left, right)) = line.split_once('|') else { continue };
        for (side, words) in [(false, left), (true, right)] {
            for word in words.split_whitespace() {
                sides.entry(stem(word)).or_default().push((number, side));
            }
        }
    }
    sides
});

static MISSPELLINGS: LazyLock<Map<&str, &str>> = LazyLock::new(|| {
    let mut right = Map::default();
    for line in lines(include_str!("lexicon/misspellings.txt")) {
        let mut words = line.split_whitespace();
        let Some(word) = words.next() else { continue };
        right.extend(words.map(|wrong| (wrong, word)));
    }
    right
});

static IRREGULAR: LazyLock<Map<&str, Irregular>> = LazyLock::new(|| {
    let mut forms = Map::default();
    for line in lines(include_str!("lexicon/irregular.txt")) {
        let mut words = line.split_whitespace();
        let Some(base) = words.next() else { continue };
        for form in words {
            let shape = if form.ends_with("ing") {
                Shape::Ing
            } else if form.ends_with('s') {
                Shape::Plain
            } else {
                Shape::Past
            };
            forms.insert(form, Irregular { base, shape });
        }
    }
    for line in lines(include_str!("lexicon/plurals.txt")) {
        if let Some((base, plural)) = line.split_once(' ') {
            forms.insert(plural, Irregular { base, shape: Shape::Plain });
        }
    }
    forms
});

static CONTAINERS: LazyLock<HashSet<String, FixedState>> = LazyLock::new(|| {
    const WORDS: &str = "cup glass bottle box bag can jar bowl pot pack packet piece slice spoon teaspoon tablespoon \
        bucket tank barrel basket kind type sort lot couple pair dozen fear love hatred day master state king queen";
    WORDS.split_whitespace().map(stem).collect()
});

/// Words said together that mean one thing.
pub(super) struct Phrase {
    /// As they are said.
    pub said: Vec<&'static str>,
    /// What is read instead.
    pub instead: Vec<&'static str>,
}

struct Fillers {
    head: Vec<Vec<&'static str>>,
    tail: Vec<Vec<&'static str>>,
}

struct Irregular {
    base: &'static str,
    shape: Shape,
}

/// Lines that are neither empty nor comments.
fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The phrases that begin with a word, the longest first.
pub(super) fn phrases(first: &str) -> &'static [Phrase] {
    PHRASES.get(first).map_or(&[], Vec::as_slice)
}

/// Phrases that may be dropped at a question's beginning, the longest first.
pub(super) fn head_fillers() -> &'static [Vec<&'static str>] {
    &FILLERS.head
}

/// Phrases that may be dropped at its end.
pub(super) fn tail_fillers() -> &'static [Vec<&'static str>] {
    &FILLERS.tail
}

/// The stem that stands for a word and all its synonyms.
pub(super) fn canonical(word: &str) -> String {
    let stem = stem(word);
    SYNONYMS.get(&stem).cloned().unwrap_or(stem)
}

/// Whether two stems are opposites, or alike only to a sentence model.
pub(super) fn are_opposites(a: &str, b: &str) -> bool {
    let (Some(a), Some(b)) = (ANTONYMS.get(a), ANTONYMS.get(b)) else { return false };
    let together = a.iter().any(|side| b.contains(side));
    !together && a.iter().any(|(pair, side)| b.contains(&(*pair, !side)))
}

/// The word that a frequent misspelling stands for, or the word itself.
pub(super) fn right_spelling(word: &str) -> &str {
    MISSPELLINGS.get(word).copied().unwrap_or(word)
}

/// The base form of an irregular one.
pub(super) fn base_form(word: &str) -> Option<&'static str> {
    IRREGULAR.get(word).map(|form| form.base)
}

/// The ending of a word: what its stem no longer shows.
pub(super) fn shape(word: &str) -> Shape {
    if let Some(form) = IRREGULAR.get(word) {
        return form.shape;
    }
    let strips = stem(word) != word;
    if word.ends_with("ing") && word.len() > 4 && strips {
        Shape::Ing
    } else if word.len() > 4 && word.ends_with("ed") && !word.ends_with("eed") && strips {
        Shape::Past
    } else {
        Shape::Plain
    }
}

/// Whether something has it by being or by doing: its price is what it costs.
pub(super) fn is_attribute(stem: &str) -> bool {
    matches!(stem, "pric" | "mean" | "weigh" | "weight")
}

/// Whether a thing can hold or measure another, by its stem: a cup of coffee is no coffee cup.
pub(super) fn is_container(stem: &str) -> bool {
    CONTAINERS.contains(stem)
}

/// What is meant by letters that are another word in lower case.
pub(super) fn abbreviation(lower: &str, after_number: bool) -> Option<&'static str> {
    match lower {
        "us" | "u.s" => Some("usa"),
        "it" => Some("informatics"),
        "who" => Some("worldhealth"),
        "ml" if !after_number => Some("machinelearning"),
        _ => None,
    }
}

/// What a contraction stands for.
pub(super) fn contraction(word: &str) -> Option<&'static str> {
    Some(match word {
        "what's" | "whats" => "what is",
        "who's" | "whos" => "who is",
        "where's" | "wheres" => "where is",
        "how's" | "hows" => "how is",
        "when's" => "when is",
        "why's" => "why is",
        "that's" => "that is",
        "it's" => "it is",
        "there's" => "there is",
        "here's" => "here is",
        "let's" => "let us",
        "what're" => "what are",
        "how're" => "how are",
        "i'm" => "i am",
        "you're" => "you are",
        "we're" => "we are",
        "they're" => "they are",
        "i've" => "i have",
        "i'll" => "i will",
        "i'd" => "i would",
        "you'd" => "you would",
        "what'll" => "what will",
        "can't" | "cannot" | "cant" => "can not",
        "won't" => "will not",
        "don't" | "dont" => "do not",
        "doesn't" | "doesnt" => "does not",
        "didn't" | "didnt" => "did not",
        "isn't" | "isnt" => "is not",
        "aren't" => "are not",
        "wasn't" => "was not",
        "weren't" => "were not",
        "hasn't" => "has not",
        "haven't" => "have not",
        "hadn't" => "had not",
        "shouldn't" => "should not",
        "wouldn't" => "would not",
        "couldn't" => "could not",
        "mustn't" => "must not",
        "needn't" => "need not",
        _ => return None,
    })
}

/// A number word as digits.
pub(super) fn digits(word: &str) -> Option<&'static str> {
    Some(match word {
        "zero" => "0",
        "one" | "single" => "1",
        "two" => "2",
        "three" => "3",
        "four" => "4",
        "five" => "5",
        "six" => "6",
        "seven" => "7",
        "eight" => "8",
        "nine" => "9",
        "ten" => "10",
        "eleven" => "11",
        "twelve" | "dozen" => "12",
        "thirteen" => "13",
        "fourteen" => "14",
        "fifteen" => "15",
        "sixteen" => "16",
        "seventeen" => "17",
        "eighteen" => "18",
        "nineteen" => "19",
        "twenty" => "20",
        "thirty" => "30",
        "forty" => "40",
        "fifty" => "50",
        "sixty" => "60",
        "seventy" => "70",
        "eighty" => "80",
        "ninety" => "90",
        "hundred" => "100",
        "thousand" => "1000",
        "million" => "1000000",
        "billion" => "1000000000",
        "first" => "1st",
        "second" => "2nd",
        "third" => "3rd",
        "fourth" => "4th",
        "fifth" => "5th",
        "sixth" => "6th",
        "seventh" => "7th",
        "eighth" => "8th",
        "ninth" => "9th",
        "tenth" => "10th",
        "once" => "1x",
        "twice" => "2x",
        "half" => "0.5",
        _ => return None,
    })
}

/// The name of a currency by its sign.
pub(super) fn currency(sign: char) -> Option<&'static str> {
    Some(match sign {
        '\u{20ac}' => "eur",
        '\u{a3}' => "gbp",
        '\u{a5}' => "yen",
        '\u{20b9}' => "rupee",
        _ => return None,
    })
}

/// Whether a word measures: of length, weight, time, data, money and the like.
pub(super) fn is_unit(word: &str) -> bool {
    const UNITS: &str = " mm cm m km inch in ft foot feet yard mile mg g kg ton tonne lb lbs pound oz ounce stone \
        ml cl l liter litre gallon pint cup teaspoon tablespoon tbsp tsp ms s sec second min minute mins h hr hour \
        day week month year decade century b kb mb gb tb kib mib gib byte bit kbps mbps gbps hz khz mhz ghz \
        c f k celsius fahrenheit kelvin degree v volt w watt kw kwh mah amp percent am pm mph kph kmh knot \
        usd eur gbp jpy yen euro dollar cent rupee yuan franc krona peso won bitcoin meter metre kilometer \
        kilometre centimeter millimeter kilogram gram milligram milliliter kilobyte megabyte gigabyte terabyte \
        acre hectare calorie kcal kj joule pascal psi bar px pt em dpi fps x ";
    let singular = word.strip_suffix('s').unwrap_or(word);
    let is = |word: &str| UNITS.split(' ').any(|unit| unit == word);
    !word.is_empty() && (is(word) || is(singular))
}
