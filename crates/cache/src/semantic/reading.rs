//! What a question says, with how it says it taken away.
//!
//! A reading is the question's form (how, what, who, …), its tense, whose it is, and its content in chunks:
//! the main one, and one for each preposition or conjunction, which is the chunk's role. Greetings, articles
//! and auxiliaries are gone, words are their group's stem. Whatever is not known is content and is kept as it
//! stands, so that a language other than English is read as a row of words that all count.

mod prepare;
mod reader;
#[cfg(test)]
mod tests;

use super::words::Word;
pub(super) use prepare::is_month;
use reader::Reader;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// A task to be done, or a few words that may be one.
    Task,
    /// How something is done or works.
    How,
    /// What something is.
    What,
    /// Something that is to be given or listed.
    List,
    /// What is to be told about something.
    Describe,
    /// Why.
    Why,
    /// When.
    When,
    /// Where.
    Where,
    /// Who.
    Who,
    /// A count, amount, distance, duration or rate.
    Measure(Measure),
    /// Yes or no.
    YesNo,
    /// The difference between things.
    Difference,
    /// A comparison of things.
    Comparison,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Measure {
    /// How many.
    Many,
    /// How much.
    Much,
    /// How often.
    Often,
    /// How long.
    Long,
    /// How far.
    Far,
}

impl Form {
    /// Its name in metrics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::How => "how",
            Self::What => "what",
            Self::List => "list",
            Self::Describe => "describe",
            Self::Why => "why",
            Self::When => "when",
            Self::Where => "where",
            Self::Who => "who",
            Self::Measure(_) => "measure",
            Self::YesNo => "yes_no",
            Self::Difference => "difference",
            Self::Comparison => "comparison",
        }
    }
}

/// When it is, as far as auxiliaries and irregular verbs say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tense {
    #[default]
    Unknown,
    Present,
    Future,
    Past,
}

/// Whose things a question speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Owners {
    /// What is mine or ours.
    pub mine: bool,
    /// What is yours.
    pub yours: bool,
}

/// The auxiliary of the question: `is the door open` is not `does the door open`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Auxiliary {
    #[default]
    None,
    Be,
    Do,
}

/// Who does what `how` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Subject {
    #[default]
    Unsaid,
    Me,
    You,
    Anyone,
}

/// The article before the first noun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Article {
    #[default]
    None,
    Definite,
    Indefinite,
}

/// The ending that a word had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shape {
    /// None that matters: the base form, the plural.
    #[default]
    Plain,
    Ing,
    Past,
    /// A participle after a form of `be`.
    Passive,
}

/// A content word.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Term {
    /// The stem of its group of synonyms; code, numbers and quotations as they stand.
    pub text: String,
    pub shape: Shape,
    /// What it stood under before it was made part of a compound: a preposition; `of` for a possessive;
    /// [`NAME`] for a name under `of`.
    pub under: String,
}

/// Stands for `of` or nothing: `the population of Paris`, `Paris's population`, `Paris population`.
pub(super) const NAME: &str = "of a name";

/// A row of content words under one preposition.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chunk {
    /// The preposition; empty for the main chunk.
    pub role: String,
    pub terms: Vec<Term>,
    /// How often `not` stands in it.
    pub negations: u8,
    /// Its first word is a capitalised name.
    pub named: bool,
}

/// What a question says.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub form: Form,
    pub tense: Tense,
    pub owners: Owners,
    pub auxiliary: Auxiliary,
    pub subject: Subject,
    pub article: Article,
    /// How many things are spoken of as one of many: `a joke about a cat`.
    pub indefinite: u8,
    /// The main chunk, then the others as they were said; those that stood before the question word last.
    pub chunks: Vec<Chunk>,
    /// How many stood before the question word.
    pub fronted: usize,
    /// Words that are language and that count, prepositions among them, before stemming.
    pub plain: Vec<String>,
}

impl Reading {
    /// Reads words; takes away those that are said around the question.
    pub fn of(words: &mut Vec<Word>) -> Self {
        let embedded = prepare::drop_fillers(words);
        prepare::join_particles(words);
        prepare::order_dates(words);
        let mut reader = Reader::new(embedded);
        reader.read(words);
        reader.finish()
    }

    /// All content words.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.chunks.iter().flat_map(|chunk| &chunk.terms).map(|term| term.text.as_str())
    }
}

/// The role that a preposition or conjunction gives to what follows it.
pub(super) fn role_of(word: &str) -> Option<&'static str> {
    Some(match word {
        "of" => "of",
        "in" | "inside" => "in",
        "on" | "upon" => "on",
        "at" => "at",
        "for" => "for",
        "about" => "about",
        "to" | "into" | "onto" => "to",
        "from" => "from",
        "with" | "using" => "with",
        "by" | "via" | "through" => "by",
        "without" => "without",
        "before" => "before it",
        "after" => "after",
        "since" => "since",
        "until" | "till" => "until",
        "during" => "during",
        "than" => "than",
        "over" => "over",
        "under" => "under",
        "above" => "above",
        "below" => "below",
        "between" => "between",
        "among" => "among",
        "against" => "against",
        "except" => "except",
        "per" => "per",
        "as" => "as",
        "if" => "if",
        "when" => "when",
        "while" => "while",
        "because" => "because",
        "unless" => "unless",
        "and" => "and",
        "or" => "or",
        "but" => "but",
        "vs" | "versus" => "vs",
        "that" | "which" | "who" => "that",
        _ => return None,
    })
}
