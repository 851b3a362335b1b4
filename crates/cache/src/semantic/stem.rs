//! A word without its endings, so that forms of one word meet.
//!
//! Far lighter than Porter's stemmer, as two words that wrongly share a stem are a wrong answer: plurals,
//! `-ing` and `-ed` go, comparatives, adverbs and derived nouns stay. A stem is compared, never shown.

use super::lexicon;

/// The stem of a word in lower case.
pub(super) fn stem(word: &str) -> String {
    if let Some(base) = lexicon::base_form(word) {
        return finish(base.to_owned());
    }
    if word.len() < 4 || !word.is_ascii() || is_kept(word) {
        return finish(word.to_owned());
    }
    finish(strip(word))
}

/// Takes off one ending.
fn strip(word: &str) -> String {
    if let Some(rest) = word.strip_suffix("ing").filter(|rest| has_vowel(rest)) {
        return restore(rest);
    }
    if let Some(rest) = word.strip_suffix("ied").filter(|rest| rest.len() >= 2) {
        return format!("{rest}i");
    }
    if let Some(rest) = word.strip_suffix("ed")
        && rest.len() >= 3
        && has_vowel(rest)
        && !rest.ends_with('e')
    {
        return restore(rest);
    }
    let sibilant = ["xes", "ches", "shes", "sses"].iter().any(|ending| word.ends_with(ending));
    if sibilant && word != "aches" && word != "caches" {
        return word.strip_suffix("es").unwrap_or(word).to_owned();
    }
    let keeps_s =
        is_kept(word) || ["ss", "us", "is", "ous", "ics"].iter().any(|ending| word.ends_with(ending));
    if !keeps_s && let Some(rest) = word.strip_suffix('s') {
        return rest.to_owned();
    }
    word.to_owned()
}

/// Words whose ending is part of them, or makes them another word: clothes are not cloth.
fn is_kept(word: &str) -> bool {
    const WORDS: &str = "nothing something anything everything during morning evening ceiling embed hundred wedding \
        sibling shilling naked sacred hatred news lens always perhaps series species canvas alias atlas clothes \
        glasses goods arms customs savings earnings contents premises shorts jeans stairs spirits pants odds";
    WORDS.split_whitespace().any(|kept| kept == word)
}

/// A verb without its ending, with the doubled letter or the silent e that the ending changed undone.
fn restore(rest: &str) -> String {
    let bytes = rest.as_bytes();
    if let [.., before, last] = bytes
        && before == last
        && !matches!(last, b'l' | b's' | b'z' | b'f' | b'e' | b'o')
    {
        return rest.get(..rest.len() - 1).unwrap_or(rest).to_owned();
    }
    // Of three letters, a closed syllable would have doubled its last: `making` comes from `make`.
    let closed = match bytes {
        [first, middle, last] => !is_vowel(*first) && is_vowel(*middle) && is_closing(*last),
        [middle, last] => is_vowel(*middle) && is_closing(*last),
        _ => false,
    };
    if closed { format!("{rest}e") } else { rest.to_owned() }
}

fn is_closing(letter: u8) -> bool {
    !is_vowel(letter) && !matches!(letter, b'w' | b'x' | b'y')
}

/// What is done to every word last, so that a base form and a stripped one meet.
fn finish(mut word: String) -> String {
    if word.len() >= 6 && word.ends_with("ll") {
        word.pop();
    }
    if word.len() >= 5 && word.ends_with('e') && !word.ends_with("ee") {
        word.pop();
    }
    let consonant_before =
        word.len() >= 3 && word.as_bytes().iter().rev().nth(1).is_some_and(|letter| !is_vowel(*letter));
    if consonant_before && word.ends_with('y') {
        word.pop();
        word.push('i');
    }
    word
}

fn has_vowel(text: &str) -> bool {
    text.bytes().any(is_vowel)
}

fn is_vowel(letter: u8) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn forms_of_one_word_meet() {
        for forms in [
            "make makes making made",
            "delete deletes deleting deleted",
            "run runs running ran",
            "apply applies applied applying",
            "puppy puppies",
            "movie movies",
            "box boxes",
            "cache caches caching cached",
            "cancel cancels cancelled cancelling canceled",
            "install installs installing installed",
            "write writes writing wrote written",
            "code codes coding coded",
            "bacterium bacteria",
            "image images",
            "store stores storing stored",
            "use uses using used",
            "embed embeds embedding",
            "care cares caring cared",
        ] {
            let stems: Vec<String> = forms.split(' ').map(stem).collect();
            assert!(stems.windows(2).all(|pair| pair[0] == pair[1]), "{forms}: {stems:?}");
        }
    }

    #[test]
    fn other_words_stay_apart() {
        for words in [
            "car care",
            "new news",
            "fast faster fastest",
            "organ organize organization",
            "universe university",
            "safe safely safety",
            "thing th",
            "need ne",
            "virus viru",
            "analysis analysi",
            "form from",
            "hop hope",
            "wed wedding",
            "even evening",
        ] {
            let mut stems: Vec<String> = words.split(' ').map(stem).collect();
            let count = stems.len();
            stems.sort();
            stems.dedup();
            assert_eq!(stems.len(), count, "{words}: {stems:?}");
        }
    }
}
