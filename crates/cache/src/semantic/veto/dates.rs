//! Days, months, seasons, parts of the day, and words such as `yesterday`.

use super::marks;
use crate::semantic::lexicon::canonical;
use crate::semantic::question::Question;
use crate::semantic::reading::is_month;
use crate::semantic::words::Kind;

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    dates(a) != dates(b) || half_days(a) != half_days(b)
}

/// `am` and `pm` after a number.
fn half_days(question: &Question) -> Vec<&str> {
    let pairs = question.words.iter().zip(question.words.iter().skip(1));
    let after_number =
        pairs.filter(|(before, _)| before.kind == Kind::Number).map(|(_, word)| word.text.as_str());
    after_number.filter(|text| matches!(*text, "am" | "pm" | "a.m" | "p.m")).collect()
}

fn dates(question: &Question) -> Vec<String> {
    marks(question, |word| {
        let is_date = WORDS.split_whitespace().any(|date| date == word)
            || (is_month(word) && !matches!(word, "may" | "march" | "mar" | "dec" | "second"));
        is_date.then(|| canonical(word))
    })
}

const WORDS: &str = "monday tuesday wednesday thursday friday saturday sunday mon tue tues wed thu thurs fri sun \
    weekday weekdays weekend weekends today tomorrow yesterday tonight now currently current previous past \
    former next last recent recently upcoming future spring summer autumn fall winter morning noon \
    afternoon evening night midnight daily weekly monthly yearly annual annually hourly quarterly christmas \
    easter thanksgiving eve fiscal q1 q2 q3 q4 century decade ago later already still yet soon";
