//! The local verifier: whether two questions ask the same, told from their words alone.
//!
//! It aligns the two readings: their forms must agree, and every content word of either must be explained by
//! one of the other, under the same preposition and in the same order. What is left unexplained on either
//! side refuses. It can say *the same* only of what it understands whole, and errs by refusing.
//!
//! What may differ: words of one group of synonyms; the order of a phrase before and after its question;
//! `from … to …` and `to … from …`; the two sides of a comparison; `the capital of Kenya` and `Kenya's
//! capital`; active and passive where the form tells who acts; articles, and who asks, where it is how.
//!
//! Known to be given up for that: paraphrases that say the same by other notions (`lose weight`, `drop some
//! pounds`), and words whose equality no list here knows.

#[cfg(test)]
mod tests;

use super::lexicon;
use super::reading::{Article, Auxiliary, Chunk, Form, NAME, Reading, Shape, Tense, Term};

/// Why two questions are not taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// They ask for other things: who, when, how; or what is for what happens.
    Form,
    /// One is over, or to come, and the other is not.
    Tense,
    /// They speak of what is another's.
    Owner,
    /// One means a certain thing, or one thing, and the other any.
    Article,
    /// A word or its place is left unexplained.
    Content,
}

/// Whether `a` and `b` ask the same; symmetric, and true of equal readings.
pub(super) fn verify(a: &Reading, b: &Reading) -> Result<(), Refusal> {
    let checks = [
        (forms_agree(a, b) && auxiliaries_agree(a, b), Refusal::Form),
        (!differ_in_tense(a.tense, b.tense), Refusal::Tense),
        (owners_agree(a, b), Refusal::Owner),
        (articles_agree(a, b), Refusal::Article),
        (content_agrees(a, b), Refusal::Content),
    ];
    checks.into_iter().find(|(agrees, _)| !agrees).map_or(Ok(()), |(_, refusal)| Err(refusal))
}

/// Equal, or a few words without a question word beside what they name, or a request for *the* thing that is
/// asked for.
fn forms_agree(a: &Reading, b: &Reading) -> bool {
    let (a, b) = if a.form <= b.form { (a, b) } else { (b, a) };
    let names = |reading: &Reading| reading.chunks.iter().any(|chunk| chunk.role == "of");
    match (a.form, b.form) {
        (one, other) if one == other => true,
        (Form::Task, Form::What) => names(a),
        (Form::What, Form::List) => a.article == Article::Definite && b.article == Article::Definite,
        _ => false,
    }
}

/// What something is, is not what it does; but what it costs is its price.
fn auxiliaries_agree(a: &Reading, b: &Reading) -> bool {
    let known = a.auxiliary != Auxiliary::None && b.auxiliary != Auxiliary::None;
    let says = |reading: &Reading| reading.terms().any(lexicon::is_attribute);
    a.auxiliary == b.auxiliary || !known || (a.form.max(b.form) == Form::What && says(a) && says(b))
}

/// Past and future show; whether the present does is a matter of style.
fn differ_in_tense(a: Tense, b: Tense) -> bool {
    a != b && a.max(b) > Tense::Present
}

/// How something is done is told to anyone alike, but not of mine and of yours; other answers depend on
/// whose it is.
fn owners_agree(a: &Reading, b: &Reading) -> bool {
    let (one, two) = (a.owners, b.owners);
    let crossed = (one.mine && two.yours) || (one.yours && two.mine);
    let few_words = a.terms().take(2).count() < 2;
    match a.form.max(b.form) {
        Form::How => !crossed && (!few_words || a.subject == b.subject),
        Form::Task => !crossed,
        _ => one == two,
    }
}

/// `What is the time` is not `what is time`, and one joke is not some jokes.
fn articles_agree(a: &Reading, b: &Reading) -> bool {
    let short = |reading: &Reading| reading.chunks.len() == 1 && reading.terms().count() <= 2;
    let definite = |reading: &Reading| reading.article == Article::Definite;
    match a.form.max(b.form) {
        Form::What if short(a) && short(b) => definite(a) == definite(b),
        Form::Task | Form::List => a.indefinite == b.indefinite,
        _ => true,
    }
}

/// Whether every word is explained, in one of the ways in which the same is usually said.
fn content_agrees(a: &Reading, b: &Reading) -> bool {
    let verb_first = matches!(a.form, Form::How | Form::When | Form::Where | Form::Who);
    a.terms().next().is_some()
        && FOLDS.iter().any(|fold| {
            let (ways_a, ways_b) = (ways(a, b.fronted, *fold), ways(b, a.fronted, *fold));
            ways_a.iter().any(|one| ways_b.iter().any(|other| rows_agree(one, other, verb_first)))
        })
}

fn rows_agree(a: &[Chunk], b: &[Chunk], verb_first: bool) -> bool {
    let agree = |(a, b): (&Chunk, &Chunk)| {
        let at_verb = verb_first && a.role.is_empty();
        let terms = a.terms.iter().zip(&b.terms).enumerate();
        a.role == b.role
            && a.negations == b.negations
            && a.terms.len() == b.terms.len()
            && terms.into_iter().all(|(at, (a, b))| terms_agree(a, b, at_verb && at == 0))
    };
    a.len() == b.len() && a.iter().zip(b).all(agree)
}

/// The same word in the same form; a verb may be named by its base form or in `-ing`.
fn terms_agree(a: &Term, b: &Term, verb: bool) -> bool {
    let shapes = a.shape == b.shape
        || (verb && a.shape.max(b.shape) < Shape::Passive && a.shape.min(b.shape) == Shape::Plain);
    let meet = |one: &str, other: &str| match one {
        "" => matches!(other, "in" | "for" | NAME),
        "of" => other == NAME,
        _ => false,
    };
    let under = a.under == b.under || meet(&a.under, &b.under) || meet(&b.under, &a.under);
    a.text == b.text && shapes && under
}

/// How prepositional phrases are read as the first part of a compound.
#[derive(Clone, Copy)]
struct Fold {
    /// Not only `capital of Kenya` → `Kenya capital`, but `list in Python` → `Python list`, and `food for
    /// dogs` → `dog food`.
    weak: bool,
    /// To the beginning of the compound (`gold melting point`) rather than before its last word
    /// (`replace the car battery`).
    front: bool,
}

const FOLDS: [Fold; 4] = [
    Fold { weak: false, front: false },
    Fold { weak: false, front: true },
    Fold { weak: true, front: false },
    Fold { weak: true, front: true },
];

/// The chunks in a row, in each of the ways that they may have been said: what stood before the question word
/// at the end, or after the main chunk.
fn ways(reading: &Reading, other_fronted: usize, fold: Fold) -> Vec<Vec<Chunk>> {
    let last = reading.chunks.clone();
    let mut ways = vec![last];
    let others = reading.chunks.len().saturating_sub(1);
    // Where both put something first, it must be the same.
    if reading.fronted > 0 && other_fronted == 0 && reading.fronted < others {
        let mut first = reading.chunks.clone();
        if let Some(others) = first.get_mut(1..) {
            others.rotate_right(reading.fronted);
        }
        ways.push(first);
    }
    ways.into_iter().map(|chunks| normal(fold.apply(reading.form, chunks))).collect()
}

/// Brings what has no order of its own into one.
fn normal(mut chunks: Vec<Chunk>) -> Vec<Chunk> {
    let count = |chunks: &[Chunk], role: &str| chunks.iter().filter(|chunk| chunk.role == role).count();
    let one_way = count(&chunks, "from") == 1 && count(&chunks, "to") == 1;
    let two_sides = count(&chunks, "among") == 2;
    for at in 1..chunks.len() {
        let [left, right] = &chunks[at - 1..=at] else { break };
        let from_to = one_way && left.role == "to" && right.role == "from";
        let sides = two_sides && left.role == "among" && right.role == "among" && right.terms < left.terms;
        if from_to || sides {
            chunks.swap(at - 1, at);
        }
    }
    chunks
}

impl Fold {
    /// Folds from the right: `president of the bank of France` is the France bank president.
    fn apply(self, form: Form, chunks: Vec<Chunk>) -> Vec<Chunk> {
        let mut folded: Vec<Chunk> = Vec::with_capacity(chunks.len());
        for mut chunk in chunks.into_iter().rev() {
            while let Some(mut right) = folded.pop_if(|right| self.applies(form, &chunk, right)) {
                let is_name = names_first(form) || !chunk.role.is_empty();
                let head = if self.front && is_name { 0 } else { chunk.terms.len() - 1 };
                let is_attribute = chunk.terms.last().is_some_and(|head| lexicon::is_attribute(&head.text));
                let under =
                    if right.role == "of" && (right.named || is_attribute) { NAME } else { &*right.role };
                for term in right.terms.iter_mut().filter(|term| term.under.is_empty()) {
                    under.clone_into(&mut term.under);
                }
                chunk.terms.splice(head..head, right.terms);
            }
            folded.push(chunk);
        }
        folded.reverse();
        folded
    }

    /// Whether `right` is a part of what `left` ends with.
    fn applies(self, form: Form, left: &Chunk, right: &Chunk) -> bool {
        let Some(head) = left.terms.last() else { return false };
        let has_verb = names_first(form) || left.terms.len() > 1 || !left.role.is_empty();
        let folds = match right.role.as_str() {
            "of" => !lexicon::is_container(&head.text),
            "for" => self.weak && has_verb,
            // `a list in Python` is a Python list; `milk in chocolate` is not chocolate milk.
            "in" => self.weak && has_verb && right.named,
            _ => false,
        };
        folds && left.role != "before" && !right.terms.is_empty() && right.negations == 0
    }
}

/// Whether the main chunk begins with a name, not with a verb.
fn names_first(form: Form) -> bool {
    !matches!(form, Form::How | Form::Task | Form::YesNo | Form::Why)
}
