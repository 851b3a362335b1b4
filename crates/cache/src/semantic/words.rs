//! A text taken apart into words, with what their shape says: numbers, code, quotations, capitals.
//!
//! Nothing is judged here. Contractions are spelt out, numbers written as digits, units and currency signs
//! parted from their numbers, arrows read as `to`; everything else is kept as it was written.

use super::lexicon;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Lower case, unless it is code or quoted.
    pub text: String,
    pub kind: Kind,
    /// It begins with a capital.
    pub capital: bool,
    /// It begins a sentence.
    pub initial: bool,
    /// It stands in quotation marks or backticks.
    pub quoted: bool,
    /// It has a possessive ending.
    pub possessive: bool,
    /// A comma, colon or full stop stands before it.
    pub broken: bool,
}

/// What a word looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters.
    Plain,
    /// Digits, perhaps with letters: `3.11`, `v17`, `Q1`.
    Number,
    /// Identifiers, paths, flags, operators.
    Code,
}

impl Word {
    /// A word that was not written but is meant.
    pub fn implied(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            kind: if text.starts_with(|c: char| c.is_ascii_digit()) { Kind::Number } else { Kind::Plain },
            capital: false,
            initial: false,
            quoted: false,
            possessive: false,
            broken: false,
        }
    }

    /// Whether it is letters and not quoted, so that it may be read as language.
    pub fn is_plain(&self) -> bool {
        self.kind == Kind::Plain && !self.quoted
    }
}

/// Takes a text apart.
pub(super) fn split(text: &str) -> Vec<Word> {
    let text = text
        .replace(['\u{2019}', '\u{2018}'], "'")
        .replace(['\u{201c}', '\u{201d}', '\u{ab}', '\u{bb}'], "\"");
    let text = text.replace("->", " to ").replace(['\u{2192}', '\u{21d2}'], " to ");
    let shouting = is_shouting(&text);
    let formula = text.split_whitespace().any(|piece| matches!(piece, "+" | "*" | "/" | "=" | "^"));
    let mut splitter =
        Splitter { words: Vec::new(), quote: None, broken: false, initial: true, shouting, formula };
    for piece in text.split_whitespace() {
        splitter.piece(piece);
    }
    splitter.words
}

/// Whether capitals say nothing, as all letters are.
fn is_shouting(text: &str) -> bool {
    let upper = text.chars().filter(|c| c.is_uppercase()).count();
    upper >= 8 && !text.chars().any(char::is_lowercase)
}

struct Splitter {
    words: Vec<Word>,
    /// The mark that ends the quotation we are in.
    quote: Option<char>,
    broken: bool,
    initial: bool,
    shouting: bool,
    /// Brackets and lone signs are part of a formula.
    formula: bool,
}

impl Splitter {
    /// Takes what stands between two spaces.
    fn piece(&mut self, piece: &str) {
        let mut rest = piece;
        while let Some(first) = rest.chars().next() {
            if self.quote.is_none() && matches!(first, '"' | '`' | '\'') && rest.len() > 1 {
                self.quote = Some(first);
            } else if self.formula || !matches!(first, '(' | '[' | '{' | '\u{bf}' | '\u{a1}') {
                break;
            }
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
        let (core, tail) = cut_tail(rest, self.formula);
        if !core.is_empty() {
            self.core(core);
        }
        for mark in tail.chars() {
            match mark {
                _ if self.quote == Some(mark) => self.quote = None,
                '.' | '?' | '!' => (self.broken, self.initial) = (true, true),
                ',' | ';' | ':' => self.broken = true,
                _ => {}
            }
        }
    }

    fn core(&mut self, core: &str) {
        if self.quote.is_some() {
            return self.push(core.to_owned(), core, kind_of(core));
        }
        if !self.formula && matches!(core, "-" | "--" | "\u{2013}" | "\u{2014}" | "/") {
            self.broken = true;
            return;
        }
        match kind_of(core) {
            Kind::Code => self.push(core.to_owned(), core, Kind::Code),
            Kind::Number => self.number(core),
            Kind::Plain => {
                for part in core.split(['-', '\u{2013}', '\u{2014}']).filter(|part| !part.is_empty()) {
                    match kind_of(part) {
                        Kind::Number => self.number(part),
                        kind => self.plain(part, kind),
                    }
                }
            }
        }
    }

    /// Parts units and currency signs from digits, and hyphenated words: `10km`, `15%`, `$5`, `16-character`.
    fn number(&mut self, core: &str) {
        let lower = core.to_lowercase();
        if let Some(sign) = lower.chars().next().filter(|c| !c.is_ascii())
            && let Some(currency) = lexicon::currency(sign)
        {
            self.push(lower.trim_start_matches(sign).to_owned(), core, Kind::Number);
            return self.push(currency.to_owned(), "", Kind::Plain);
        }
        if let Some(amount) = lower.strip_prefix('$') {
            self.push(amount.to_owned(), core, Kind::Number);
            return self.push("dollar".to_owned(), "", Kind::Plain);
        }
        let digits = lower.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',').unwrap_or(lower.len());
        let (amount, unit) = lower.split_at(digits);
        let unit = unit.trim_start_matches('-');
        let unit = if unit == "%" { "percent" } else { unit };
        let amount = amount.replace(',', "");
        if unit.is_empty() {
            self.push(amount, core, Kind::Number);
        } else if !amount.is_empty() && (lexicon::is_unit(unit) || lower[digits..].starts_with('-')) {
            self.push(amount, core, Kind::Number);
            let kind = kind_of(unit);
            self.push(unit.to_owned(), "", kind);
        } else {
            self.push(lower, core, Kind::Number);
        }
    }

    /// Spells out contractions and takes off possessive endings.
    fn plain(&mut self, part: &str, kind: Kind) {
        let lower = part.to_lowercase();
        let lower = lexicon::right_spelling(&lower);
        let is_upper = part.len() > 1 && !part.chars().any(char::is_lowercase) && !self.shouting;
        let after_number = self.words.last().is_some_and(|before| before.kind == Kind::Number);
        if is_upper && let Some(name) = lexicon::abbreviation(lower, after_number) {
            return self.push(name.to_owned(), part, kind);
        }
        if let Some(words) = lexicon::contraction(lower) {
            for word in words.split(' ') {
                self.push(word.to_owned(), part, kind);
            }
            return;
        }
        let bare = lower.strip_suffix("'s").or_else(|| lower.strip_suffix('\''));
        match bare {
            // `what's` and `who's` are contractions, known above; the rest is possession.
            Some(bare) => {
                self.push(bare.to_owned(), part, kind);
                if let Some(word) = self.words.last_mut() {
                    word.possessive = true;
                }
            }
            None => self.push(lexicon::digits(lower).unwrap_or(lower).to_owned(), part, kind),
        }
    }

    fn push(&mut self, text: String, raw: &str, kind: Kind) {
        let is_number = text.starts_with(|c: char| c.is_ascii_digit());
        self.words.push(Word {
            kind: if kind == Kind::Plain && is_number { Kind::Number } else { kind },
            text,
            capital: !self.shouting && raw.starts_with(char::is_uppercase),
            initial: self.initial,
            quoted: self.quote.is_some(),
            possessive: false,
            broken: std::mem::take(&mut self.broken),
        });
        self.initial = false;
    }
}

/// Parts the punctuation at the end of `piece` from it. A closing bracket belongs to what it opened in.
fn cut_tail(piece: &str, formula: bool) -> (&str, &str) {
    let mut end = piece.len();
    while let Some(last) = piece.get(..end).and_then(|head| head.chars().next_back()) {
        let head = piece.get(..end).unwrap_or_default();
        let is_tail = match last {
            // 5! is no 5.
            '!' => !head.trim_end_matches('!').ends_with(|c: char| c.is_ascii_digit()),
            '.' | ',' | ';' | ':' | '?' | '"' | '`' | '\u{2026}' => true,
            '\'' => !head.ends_with("s'"),
            ')' => !formula && !head.contains('('),
            ']' => !head.contains('['),
            '}' => !head.contains('{'),
            _ => false,
        };
        if !is_tail {
            break;
        }
        end -= last.len_utf8();
    }
    piece.split_at(end)
}

fn kind_of(core: &str) -> Kind {
    let is_currency = |c: char| c == '$' || (!c.is_ascii() && lexicon::currency(c).is_some());
    let amount = core.trim_start_matches(is_currency).trim_end_matches('%');
    let starts_as_number = amount.starts_with(|c: char| c.is_ascii_digit());
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | ',' | '-' | ':');
    if starts_as_number && amount.chars().all(allowed) {
        return Kind::Number;
    }
    let inner_dot = core.trim_end_matches('.').contains('.') && !is_initials(core);
    if core.starts_with('-')
        || inner_dot
        || !core
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '\'' | '.' | '\u{2013}' | '\u{2014}'))
    {
        return Kind::Code;
    }
    let has_digit = core.chars().any(|c| c.is_ascii_digit());
    if has_digit && !core.contains('-') { Kind::Number } else { Kind::Plain }
}

/// `U.S`, `e.g`, `a.m`: single letters with dots between.
fn is_initials(core: &str) -> bool {
    core.split('.').all(|part| part.chars().count() <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let words: Vec<String> = split(text)
            .into_iter()
            .map(|word| {
                let kind = match word.kind {
                    Kind::Plain => "",
                    Kind::Number => "#",
                    Kind::Code => "$",
                };
                let quoted = if word.quoted { "\"" } else { "" };
                let possessive = if word.possessive { "'s" } else { "" };
                format!("{kind}{quoted}{}{possessive}", word.text)
            })
            .collect();
        assert_eq!(words.join(" "), expected, "{text}");
    }

    #[test]
    fn words_are_lower_case_and_contractions_spelt_out() {
        check("What's the Capital of Peru?", "what is the capital of peru");
        check("I can't, won't and shouldn\u{2019}t.", "i can not will not and should not");
        check("Kenya's capital; the users' list", "kenya's capital the users's list");
        check("How do I recieve mail", "how do i receive mail");
    }

    #[test]
    fn numbers_are_parted_from_units() {
        check("15% of $80, 10km", "#15 percent of #80 dollar #10 km");
        check("a 16-character password", "a #16 character password");
        check("seven 1,000 3.11 v17 Q1", "#7 #1000 #3.11 #v17 #q1");
        check("5 pm, 500 mg", "#5 pm #500 mg");
    }

    #[test]
    fn code_is_kept_as_it_is() {
        check("What does git reset --soft do?", "what does git reset $--soft do");
        check("edit config.yaml in /etc/app", "edit $config.yaml in $/etc/app");
        check("call getUser()? C++ and a && b", "call $getUser() $C++ and a $&& b");
        check("is 3 === 3", "is #3 $=== #3");
        check("Node.js and SELECT COUNT(*)", "$Node.js and select $COUNT(*)");
    }

    #[test]
    fn quotations_are_marked() {
        check("Say \"break a leg\" now", "say \"break \"a \"leg now");
        check("use `git rebase`?", "use \"git \"rebase");
        check("don't 'quote me' please", "do not \"quote \"me please");
    }

    #[test]
    fn directions_and_initials_are_read() {
        check("EN->FR: hello", "en to fr hello");
        check("in the US, for IT, from us", "in the usa for informatics from us");
        check("WHAT IS THE CAPITAL OF PERU", "what is the capital of peru");
    }
}
