//! The walk over the words of a question, phrase by phrase.

use super::prepare::longest;
use super::{
    Article, Auxiliary, Chunk, Form, Measure, NAME, Owners, Reading, Shape, Subject, Tense, Term, role_of,
};
use crate::semantic::lexicon::{self, Phrase};
use crate::semantic::words::{Kind, Word};

/// What was read so far.
#[derive(Default)]
pub(super) struct Reader {
    form: Option<Form>,
    tense: Tense,
    /// A past form of a verb; it counts where no auxiliary says otherwise.
    past_verb: bool,
    /// A form of `be` was read, so that a participle is a passive.
    passive: bool,
    /// The one who acts stands before the verb, though the voice is passive: `by whom was it built`.
    turns: bool,
    /// The form was read and nothing else since.
    after_marker: bool,
    owners: Owners,
    auxiliary: Auxiliary,
    subject: Subject,
    article: Article,
    indefinite: u8,
    chunks: Vec<Chunk>,
    /// How many of them stand before the question word.
    fronted: usize,
    main: Chunk,
    /// The chunk that words go to: the main one where there is none.
    open: Option<Chunk>,
    breaks: usize,
    plain: Vec<String>,
}

impl Reader {
    /// A reader of a question, or of one that is embedded in another and asks for yes or no.
    pub fn new(embedded: bool) -> Self {
        Self { form: embedded.then_some(Form::YesNo), ..Self::default() }
    }

    /// Reads all words.
    pub fn read(&mut self, words: &[Word]) {
        let mut at = 0;
        while let Some(word) = words.get(at) {
            if word.broken && at > 0 {
                self.break_off();
            }
            let clause = at == 0 || word.broken || self.after_marker;
            let Some(phrase) = longest(words, at).filter(|phrase| self.admits(phrase, clause)) else {
                let next = words.get(at + 1);
                let ends = next.is_none_or(|next| next.broken || role_of(&next.text).is_some());
                // `what should I do` asks for a deed; elsewhere `do` is an auxiliary.
                if ends && word.text == "do" {
                    self.term("do".to_owned(), Shape::Plain);
                } else {
                    self.word(word);
                }
                at += 1;
                continue;
            };
            for instead in &phrase.instead {
                self.instead(instead, phrase);
            }
            at += phrase.said.len();
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

    /// What is read instead of a phrase.
    fn instead(&mut self, word: &str, phrase: &Phrase) {
        match word {
            "~past" => self.tense = self.tense.max(Tense::Past),
            "~future" => self.tense = self.tense.max(Tense::Future),
            "~passive" => (self.passive, self.auxiliary) = (true, Auxiliary::Be),
            "~do" => self.auxiliary = Auxiliary::Do,
            "~turn" => self.turns = true,
            "~the" => self.article = Article::Definite,
            _ => match form_of(word) {
                Some(form) => self.marker(form, phrase),
                None => self.word(&Word::implied(word)),
            },
        }
    }

    fn marker(&mut self, form: Form, phrase: &Phrase) {
        self.close();
        if !self.main.terms.is_empty() {
            let before = std::mem::take(&mut self.main);
            self.chunks.push(Chunk { role: "before".to_owned(), ..before });
        }
        self.fronted = self.chunks.len();
        self.subject = subject_of(phrase);
        (self.form, self.passive, self.after_marker) = (Some(form), false, true);
        self.auxiliary = Auxiliary::None;
    }

    fn word(&mut self, word: &Word) {
        let text = word.text.as_str();
        if word.quoted || word.kind != Kind::Plain {
            return self.named_term(text.to_owned(), Shape::Plain, word);
        }
        if self.auxiliary(text) || self.determiner(text) {
            return;
        }
        self.plain.push(text.to_owned());
        if let Some(role) = role_of(text) {
            self.close();
            self.after_marker = false;
            self.open = Some(Chunk { role: role.to_owned(), ..Chunk::default() });
        } else {
            let shape = match lexicon::shape(text) {
                Shape::Past if self.passive => Shape::Passive,
                shape => shape,
            };
            self.past_verb |= shape == Shape::Past;
            self.named_term(lexicon::canonical(text), shape, word);
        }
    }

    /// Whether the word only carries the tense, or the voice.
    fn auxiliary(&mut self, text: &str) -> bool {
        let (tense, passive) = match text {
            "is" | "are" | "am" => (Tense::Present, true),
            "do" | "does" => (Tense::Present, false),
            "was" | "were" => (Tense::Past, true),
            "did" => (Tense::Past, false),
            "will" | "shall" => (Tense::Future, false),
            "be" | "been" | "being" => (Tense::Unknown, true),
            _ => return false,
        };
        self.tense = self.tense.max(tense);
        self.passive |= passive;
        if self.auxiliary == Auxiliary::None {
            self.auxiliary = if passive { Auxiliary::Be } else { Auxiliary::Do };
        }
        true
    }

    /// Whether the word only says which, or whose.
    fn determiner(&mut self, text: &str) -> bool {
        let first = self.main.terms.is_empty() && self.open.is_none();
        match text {
            "the" if first => self.article = Article::Definite,
            "a" | "an" => {
                self.indefinite = self.indefinite.saturating_add(1);
                if first {
                    self.article = Article::Indefinite;
                }
            }
            "the" | "please" | "really" | "actually" | "exactly" => {}
            "my" | "our" => self.owners.mine = true,
            "your" => self.owners.yours = true,
            _ => return false,
        }
        true
    }

    fn named_term(&mut self, text: String, shape: Shape, word: &Word) {
        let chunk = self.open.as_mut().unwrap_or(&mut self.main);
        if chunk.terms.is_empty() {
            chunk.named = word.capital && !word.initial;
        }
        self.term(text, shape);
        let chunk = self.open.as_mut().unwrap_or(&mut self.main);
        if word.possessive
            && let Some(term) = chunk.terms.last_mut()
        {
            let under = if word.capital && !word.initial { NAME } else { "of" };
            under.clone_into(&mut term.under);
        }
    }

    fn term(&mut self, text: String, shape: Shape) {
        self.after_marker = false;
        let chunk = self.open.as_mut().unwrap_or(&mut self.main);
        chunk.terms.push(Term { text, shape, under: String::new() });
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

    /// The reading of all that was read.
    pub fn finish(mut self) -> Reading {
        let by = self.open.as_ref().is_some_and(|open| open.role == "by" && open.terms.is_empty());
        let by = by && self.passive && self.form == Some(Form::Who);
        if by {
            self.open = None;
        }
        let ends_main = self.open.is_none() && self.chunks.len() == self.fronted;
        self.close();
        let turns = by || self.turns || matches!(self.form, Some(Form::How | Form::When | Form::Where));
        if turns && ends_main {
            self.turn_active();
        }
        let tense = match self.tense {
            Tense::Unknown if self.past_verb => Tense::Past,
            tense => tense,
        };
        // `In Python, how do I sort a list` → `how do I sort a list in Python`.
        self.chunks.rotate_left(self.fronted);
        self.chunks.insert(0, self.main);
        let mut reading = Reading {
            form: self.form.unwrap_or(Form::Task),
            tense,
            owners: self.owners,
            auxiliary: self.auxiliary,
            subject: self.subject,
            article: self.article,
            indefinite: self.indefinite,
            chunks: self.chunks,
            fronted: self.fronted,
            plain: self.plain,
        };
        settle_form(&mut reading);
        reading.chunks.iter_mut().for_each(settle_negation);
        reading
    }

    /// `how is cheese made` → `how make cheese`: the verb goes where the active voice has it.
    fn turn_active(&mut self) {
        let passive = self.main.terms.last().is_some_and(|last| last.shape == Shape::Passive);
        if passive && self.main.terms.len() > 1 {
            self.main.terms.rotate_right(1);
            if let Some(verb) = self.main.terms.first_mut() {
                verb.shape = Shape::Plain;
            }
            self.auxiliary = Auxiliary::None;
        }
    }
}

/// Forms that are told by a content word: `how much does it weigh` is its weight, and differences and
/// comparisons have no order.
fn settle_form(reading: &mut Reading) {
    let is = |term: &str, word: &str| term == lexicon::canonical(word);
    let has = |reading: &Reading, word: &str| reading.terms().any(|term| is(term, word));
    if reading.form == Form::Measure(Measure::Much) && (has(reading, "price") || has(reading, "weight")) {
        reading.form = Form::What;
    }
    let open = matches!(reading.form, Form::How | Form::What | Form::Task | Form::List);
    let form = if open && has(reading, "difference") {
        Form::Difference
    } else if open && reading.terms().next().is_some_and(|term| is(term, "compare")) {
        Form::Comparison
    } else {
        return;
    };
    reading.form = form;
    for chunk in &mut reading.chunks {
        chunk.terms.retain(|term| !is(&term.text, "difference") && !is(&term.text, "compare"));
    }
    let between = reading.chunks.iter().position(|chunk| chunk.role == "between");
    let first = between.unwrap_or(0);
    let joins = |role: &str| match between {
        Some(_) => matches!(role, "and" | "or"),
        None => matches!(role, "and" | "vs" | "from" | "with" | "to"),
    };
    let second = reading.chunks.iter().skip(first + 1).position(|chunk| joins(&chunk.role));
    for at in [Some(first), second.map(|after| first + 1 + after)].into_iter().flatten() {
        if let Some(chunk) = reading.chunks.get_mut(at) {
            "among".clone_into(&mut chunk.role);
        }
    }
    if between.is_some()
        && reading.chunks.first().is_some_and(|main| main.terms.is_empty() && main.negations == 0)
    {
        reading.chunks.remove(0);
    }
}

/// One `not` may stand anywhere among its words (`isn't my printer working`), unless there is something else
/// that its place decides about.
fn settle_negation(chunk: &mut Chunk) {
    const PLACED: [&str; 12] =
        ["can", "should", "must", "would", "might", "all", "everi", "each", "some", "onli", "most", "both"];
    let is_not = |term: &&Term| term.text == "not";
    let placed = chunk.terms.iter().filter(|term| PLACED.contains(&term.text.as_str())).count();
    let decides = placed > 1 || chunk.terms.iter().any(|term| PLACED[5..].contains(&term.text.as_str()));
    if !decides && chunk.terms.iter().filter(is_not).count() == 1 {
        chunk.terms.retain(|term| term.text != "not");
        chunk.negations = 1;
    }
}

/// Who does it, by the words of the phrase that asks.
fn subject_of(phrase: &Phrase) -> Subject {
    let says = |words: [&str; 2]| phrase.said.iter().any(|said| words.contains(said));
    if says(["i", "we"]) {
        Subject::Me
    } else if says(["you", "your"]) {
        Subject::You
    } else if says(["people", "they"]) || says(["one", "one"]) {
        Subject::Anyone
    } else {
        Subject::Unsaid
    }
}

fn form_of(marker: &str) -> Option<Form> {
    Some(match marker.strip_prefix('@')? {
        "how" => Form::How,
        "what" => Form::What,
        "list" => Form::List,
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
