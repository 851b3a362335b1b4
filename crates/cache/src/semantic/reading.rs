//! What a question says, with how it says it taken away.
//!
//! A reading is the question's form (how, what, who, …), its tense, whose it is, and its content in chunks:
//! the main one, and one for each preposition or conjunction, which is the chunk's role. Greetings, articles
//! and auxiliaries are gone, words are their group's stem. Whatever is not known is content and is kept as it
//! stands, so that a language other than English is read as a row of words that all count.

#[cfg(test)]
mod tests;

use super::lexicon::{self, Phrase};
use super::words::{Kind, Word};

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// A task to be done, or a few words that may be one.
    Task,
    /// How something is done or works.
    How,
    /// What something is, or a list.
    What,
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

/// When it is, as far as auxiliaries say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tense {
    #[default]
    Unknown,
    Present,
    Future,
    Past,
}

/// A row of content words under one preposition.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chunk {
    /// The preposition; empty for the main chunk.
    pub role: String,
    pub terms: Vec<String>,
    /// How often `not` stands in it.
    pub negations: u8,
}

/// What a question says.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub form: Form,
    pub tense: Tense,
    /// It speaks of what is mine or ours.
    pub mine: bool,
    /// It speaks of what is yours.
    pub yours: bool,
    pub chunks: Vec<Chunk>,
    /// Words that are language and that count, prepositions among them, before stemming.
    pub plain: Vec<String>,
}

impl Reading {
    /// Reads words; takes away those that are said around the question.
    pub fn of(words: &mut Vec<Word>) -> Self {
        let embedded = drop_fillers(words);
        join_particles(words);
        order_dates(words);
        let mut reader = Reader::default();
        if embedded {
            reader.form = Some(Form::YesNo);
        }
        reader.read(words);
        reader.finish()
    }

    /// All content words.
    pub fn terms(&self) -> impl Iterator<Item = &str> {
        self.chunks.iter().flat_map(|chunk| &chunk.terms).map(String::as_str)
    }
}

/// Drops what is said around the question. Gives whether what is left is an embedded yes-or-no question.
fn drop_fillers(words: &mut Vec<Word>) -> bool {
    let mut dropped = false;
    loop {
        let is_here = |filler: &[&str]| filler.len() < words.len() && says(words, 0, filler);
        let known = longest(words, 0).map_or(0, |phrase| phrase.said.len());
        let filler = lexicon::head_fillers().iter().find(|filler| is_here(filler.as_slice()));
        let Some(filler) = filler.filter(|filler| filler.len() > known) else { break };
        words.drain(..filler.len());
        dropped = true;
    }
    loop {
        let is_here =
            |filler: &[&str]| filler.len() < words.len() && says(words, words.len() - filler.len(), filler);
        let Some(filler) = lexicon::tail_fillers().iter().find(|filler| is_here(filler.as_slice())) else {
            break;
        };
        words.truncate(words.len() - filler.len());
    }
    let embedded =
        dropped && words.first().is_some_and(|word| matches!(word.text.as_str(), "if" | "whether"));
    if embedded {
        words.remove(0);
    }
    embedded
}

/// Brings `turn … off` and its like together.
fn join_particles(words: &mut Vec<Word>) {
    let Some(verb) = words.iter().position(|word| matches!(word.text.as_str(), "turn" | "switch")) else {
        return;
    };
    let particle =
        words.iter().skip(verb + 1).take(4).position(|word| matches!(word.text.as_str(), "on" | "off"));
    let Some(at) = particle.map(|after| verb + 1 + after) else { return };
    let ends = words.get(at + 1).is_none_or(|next| next.broken || role_of(&next.text).is_some());
    if ends {
        let particle = words.remove(at);
        words.insert(verb + 1, particle);
    }
}

/// Writes `4 July, 1776` as `July 4 1776`.
fn order_dates(words: &mut [Word]) {
    let mut after_month = false;
    for at in 1..words.len() {
        let (head, tail) = words.split_at_mut(at);
        let (Some(first), Some(second)) = (head.last_mut(), tail.first_mut()) else { break };
        let day = first.kind == Kind::Number && first.text.len() <= 2;
        if day && is_month(&second.text) {
            std::mem::swap(&mut first.text, &mut second.text);
            std::mem::swap(&mut first.kind, &mut second.kind);
        } else if after_month && first.kind == Kind::Number && second.text.len() == 4 {
            second.broken = false;
        }
        after_month = is_month(&first.text);
    }
}

/// Whether a word names a month.
pub(super) fn is_month(word: &str) -> bool {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    const NAMES: &str = " january february march april may june july august september october november december \
        sept ";
    word.len() >= 3
        && word.is_ascii()
        && (MONTHS.contains(&word) || NAMES.split_whitespace().any(|name| name == word))
}

/// Whether these words stand at `at`, as language and without a break between.
fn says(words: &[Word], at: usize, phrase: &[&str]) -> bool {
    let Some(here) = words.get(at..at + phrase.len()) else { return false };
    let last = phrase.len() - 1;
    here.iter().zip(phrase).enumerate().all(|(index, (word, said))| {
        word.text == *said
            && !word.quoted
            && word.kind != Kind::Code
            && (index == 0 || !word.broken)
            && (index == last || !word.possessive)
    })
}

/// The longest phrase known that stands at `at`.
fn longest(words: &[Word], at: usize) -> Option<&'static Phrase> {
    let first = words.get(at)?;
    lexicon::phrases(&first.text).iter().find(|phrase| says(words, at, &phrase.said))
}

#[derive(Default)]
struct Reader {
    form: Option<Form>,
    tense: Tense,
    /// A past form of a verb; it counts where no auxiliary says otherwise.
    past_verb: bool,
    /// The form's auxiliary may be a passive's.
    passive: bool,
    /// The main chunk's last word may be a participle.
    participle: bool,
    /// The form was read and nothing else since.
    after_marker: bool,
    mine: bool,
    yours: bool,
    chunks: Vec<Chunk>,
    /// How many of them stand before the question word.
    fronted: usize,
    main: Chunk,
    plain: Vec<String>,
    /// The chunk that words go to: the main one where there is none.
    open: Option<Chunk>,
    breaks: usize,
}

impl Reader {
    fn read(&mut self, words: &[Word]) {
        let mut at = 0;
        while let Some(word) = words.get(at) {
            if word.broken && at > 0 {
                self.break_off();
            }
            let clause = at == 0 || word.broken || self.after_marker;
            match longest(words, at).filter(|phrase| self.admits(phrase, clause)) {
                Some(phrase) => {
                    for instead in &phrase.instead {
                        self.instead(instead);
                    }
                    at += phrase.said.len();
                }
                None => {
                    let next = words.get(at + 1);
                    let ends = next.is_none_or(|next| next.broken || role_of(&next.text).is_some());
                    // `what should I do` asks for a deed; elsewhere `do` is an auxiliary.
                    if ends && word.text == "do" {
                        self.term("do".to_owned())
                    } else {
                        self.word(word)
                    }
                    at += 1;
                }
            }
        }
    }

    /// Whether a phrase may be read here. One that gives the form must begin a clause, or be a `how`.
    fn admits(&self, phrase: &Phrase, clause: bool) -> bool {
        if !phrase.instead.iter().any(|word| word.starts_with('@')) {
            return true;
        }
        let asks = phrase.instead.first() == Some(&"@yesno");
        let free = self.form.is_none() || (self.after_marker && !asks);
        free && (clause || phrase.said.first() == Some(&"how"))
    }

    fn instead(&mut self, word: &str) {
        match word {
            "~past" => self.tense = self.tense.max(Tense::Past),
            "~present" => self.tense = self.tense.max(Tense::Present),
            "~future" => self.tense = self.tense.max(Tense::Future),
            "~passive" => self.passive = true,
            _ => match form_of(word) {
                Some(form) => self.marker(form),
                None => self.word(&Word::implied(word)),
            },
        }
    }

    fn marker(&mut self, form: Form) {
        self.close();
        if !self.main.terms.is_empty() {
            let before = std::mem::take(&mut self.main);
            self.chunks.push(Chunk { role: "before".to_owned(), ..before });
        }
        self.fronted = self.chunks.len();
        (self.form, self.passive, self.after_marker) = (Some(form), false, true);
    }

    fn word(&mut self, word: &Word) {
        if word.quoted || word.kind == Kind::Code {
            return self.term(word.text.to_owned());
        }
        let text = word.text.as_str();
        if self.auxiliary(text) {
            return;
        }
        match text {
            "a" | "an" | "the" | "please" | "really" | "actually" | "exactly" => return,
            "i" | "me" | "my" | "we" | "our" | "us" => return self.mine = true,
            "you" | "your" => return self.yours = true,
            "not" => {
                self.plain.push(text.to_owned());
                let chunk = self.open.as_mut().unwrap_or(&mut self.main);
                return chunk.negations = chunk.negations.saturating_add(1);
            }
            _ => {}
        }
        if word.kind == Kind::Plain {
            self.plain.push(text.to_owned());
        }
        if word.kind == Kind::Plain
            && let Some(role) = role_of(text)
        {
            self.close();
            self.after_marker = false;
            self.open = Some(Chunk { role: role.to_owned(), ..Chunk::default() });
            return;
        }
        if word.kind == Kind::Plain {
            self.past_verb |= lexicon::is_irregular_past(text);
            self.participle = lexicon::is_participle(text);
            self.term(lexicon::canonical(text));
        } else {
            self.term(text.to_owned());
        }
    }

    /// Whether the word only carries the tense.
    fn auxiliary(&mut self, text: &str) -> bool {
        let tense = match text {
            "is" | "are" | "am" | "do" | "does" => Tense::Present,
            "was" | "were" | "did" => Tense::Past,
            "will" | "shall" => Tense::Future,
            "be" | "been" | "being" => Tense::Unknown,
            _ => return false,
        };
        self.tense = self.tense.max(tense);
        true
    }

    fn term(&mut self, term: String) {
        self.after_marker = false;
        self.open.as_mut().unwrap_or(&mut self.main).terms.push(term);
    }

    /// A comma or full stop ends a chunk; what follows it without a preposition is a chunk of its own, whose
    /// place in the row counts.
    fn break_off(&mut self) {
        self.close();
        if !self.main.terms.is_empty() {
            self.breaks += 1;
            self.open = Some(Chunk { role: format!("then {}", self.breaks), ..Chunk::default() });
        }
    }

    fn close(&mut self) {
        let Some(chunk) = self.open.take() else { return };
        if !(chunk.terms.is_empty() && chunk.negations == 0 && chunk.role.starts_with("then")) {
            self.chunks.push(chunk);
        }
    }

    fn finish(mut self) -> Reading {
        // `was it built by` → `by it was built`: the verb goes where it stands in the active voice.
        if let Some(Chunk { role, terms, .. }) = &self.open
            && role == "by"
            && terms.is_empty()
            && self.form == Some(Form::Who)
            && self.passive
        {
            self.open = None;
        }
        let ends_main = self.open.is_none() && self.chunks.len() == self.fronted;
        self.close();
        if self.passive && self.participle && ends_main && self.main.terms.len() > 1 {
            self.main.terms.rotate_right(1);
        }
        let tense = match self.tense {
            Tense::Unknown if self.past_verb => Tense::Past,
            tense => tense,
        };
        let form = self.form.unwrap_or(Form::Task);
        let (mine, yours) = (self.mine, self.yours);
        // `In Python, how do I sort a list` → `how do I sort a list in Python`.
        self.chunks.rotate_left(self.fronted);
        self.chunks.insert(0, self.main);
        let mut reading = Reading { form, tense, mine, yours, chunks: self.chunks, plain: self.plain };
        reading.settle_form();
        reading
    }
}

impl Reading {
    /// Forms that are told by a content word: `how much does it weigh` is its weight, and differences and
    /// comparisons have no order.
    fn settle_form(&mut self) {
        let is = |term: &str, word: &str| term == lexicon::canonical(word);
        if self.form == Form::Measure(Measure::Much)
            && self.terms().any(|term| is(term, "price") || is(term, "weight"))
        {
            self.form = Form::What;
        }
        let open = matches!(self.form, Form::How | Form::What | Form::Task);
        let form = if open && self.terms().any(|term| is(term, "difference")) {
            Form::Difference
        } else if open && self.terms().next().is_some_and(|term| is(term, "compare")) {
            Form::Comparison
        } else {
            return;
        };
        self.form = form;
        for chunk in &mut self.chunks {
            chunk.terms.retain(|term| !is(term, "difference") && !is(term, "compare"));
            if matches!(chunk.role.as_str(), "" | "between" | "and" | "vs" | "from" | "with" | "to") {
                chunk.role = "among".to_owned();
            }
        }
        self.chunks.retain(|chunk| !chunk.terms.is_empty() || chunk.negations > 0);
    }
}

fn form_of(marker: &str) -> Option<Form> {
    Some(match marker.strip_prefix('@')? {
        "how" => Form::How,
        "what" => Form::What,
        "describe" => Form::Describe,
        "why" => Form::Why,
        "when" => Form::When,
        "where" => Form::Where,
        "who" => Form::Who,
        "howmany" => Form::Measure(Measure::Many),
        "howmuch" => Form::Measure(Measure::Much),
        "howoften" => Form::Measure(Measure::Often),
        "howlong" => Form::Measure(Measure::Long),
        "howfar" => Form::Measure(Measure::Far),
        _ => Form::YesNo,
    })
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
