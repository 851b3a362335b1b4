//! What can, must, should or will be. Within `how` a `can` or `should` says nothing of its own.

use crate::semantic::question::Question;
use crate::semantic::reading::Form;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mood {
    Possible,
    Needed,
    Advised,
    Perhaps,
    Supposed,
    Future,
}

pub(super) fn differ(a: &Question, b: &Question) -> bool {
    moods(a) != moods(b)
}

fn moods(question: &Question) -> Vec<Mood> {
    let says_nothing = matches!(question.form(), Form::How | Form::Task | Form::What | Form::Where);
    let mut moods: Vec<Mood> = Vec::new();
    for term in question.reading.terms() {
        let mood = match term {
            "can" | "able" | "could" => Mood::Possible,
            "must" | "need" | "require" | "requir" | "mandatori" | "need to" => Mood::Needed,
            "should" | "ought" | "recommend" | "wise" | "suggest" => Mood::Advised,
            "might" | "may" => Mood::Perhaps,
            "would" => Mood::Supposed,
            "will" => Mood::Future,
            "legal" => Mood::Possible,
            _ => continue,
        };
        if !(says_nothing && mood == Mood::Possible && question.form() == Form::How) {
            moods.push(mood);
        }
    }
    moods.sort_unstable();
    moods.dedup();
    moods
}
