//! What is wrong with a definition or an input: each fault with its place and its mend.

use std::fmt;
use std::ops::Range;

/// Most faults told at once; a file of garbage would have thousands.
const TOLD_MAX: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub mend: String,
    /// Which value, as a JSON pointer (RFC 6901); empty where it is about the whole.
    pub pointer: String,
    /// Line and column in the source, from one, columns in characters; `None` where it came from no text.
    pub place: Option<(usize, usize)>,
    /// The same in bytes of the source, on boundaries of characters.
    pub span: Option<Range<usize>>,
}

impl Fault {
    /// For machines: `pointer`, `line`, `column`, `message`, `mend`; what is unknown is null.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "pointer": self.pointer,
            "line": self.place.map(|place| place.0),
            "column": self.place.map(|place| place.1),
            "message": self.what,
            "mend": self.mend,
        })
    }
}

impl fmt::Display for Fault {
    /// One line: `line:column: what; mend (at pointer)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "{line}:{column}: ")?;
        }
        write!(f, "{}; {}", self.what, self.mend)?;
        if self.pointer.is_empty() { Ok(()) } else { write!(f, " (at {})", self.pointer) }
    }
}

/// Everything that is wrong, in the order of the source; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    faults: Vec<Fault>,
    /// Whether there are more than are told.
    pub more: bool,
}

impl Faults {
    /// The faults that are told.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// For machines: the faults as an array.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        self.faults.iter().map(Fault::to_json).collect()
    }
}

impl fmt::Display for Faults {
    /// A line each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{fault}")?;
        }
        if self.more { f.write_str("\nand more") } else { Ok(()) }
    }
}

impl std::error::Error for Faults {}

/// Faults while they are being found.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<(Fault, Range<usize>)>);

impl Findings {
    /// Keeps a fault at bytes of the source, if there is room.
    pub(super) fn add(&mut self, spot: &Spot, what: impl Into<String>, mend: impl Into<String>) {
        // Beyond what is told a few are kept, so that the first in the source are among them.
        if self.0.len() < TOLD_MAX * 10 {
            let (what, mend, pointer) = (what.into(), mend.into(), spot.pointer.clone());
            self.0.push((Fault { what, mend, pointer, place: None, span: None }, spot.span.clone()));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Resolves the places, in the order of the source.
    pub(super) fn told(mut self, text: Option<&str>) -> Faults {
        self.0.sort_by_key(|(_, span)| span.start);
        let more = self.0.len() > TOLD_MAX;
        let at = |fault, span: Range<usize>| match text {
            Some(text) => {
                let place = Some(position(text, span.start));
                Fault { place, span: Some(within(text, span)), ..fault }
            }
            None => fault,
        };
        let faults = self.0.into_iter().take(TOLD_MAX).map(|(fault, span)| at(fault, span)).collect();
        Faults { faults, more }
    }
}

/// A place while faults are being found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) pointer: String,
    pub(super) span: Range<usize>,
}

impl Spot {
    /// The place of something below this.
    pub(super) fn below(&self, key: impl fmt::Display, span: Range<usize>) -> Self {
        let key = key.to_string().replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{key}", self.pointer), span }
    }
}

/// Line and column of a byte, from one.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// The part of a span that lies within the text.
fn within(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start);
    start..text.ceil_char_boundary(span.end.clamp(start, text.len()))
}

/// The candidate that was probably meant.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A garbled or pasted word is no misspelling, and the measure is quadratic in length.
    if word.len() > 64 {
        return None;
    }
    let fold = |word: &str| word.to_lowercase().replace('-', "_");
    let word = fold(word);
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&word, &fold(candidate)), candidate))
        .filter(|(distance, candidate)| {
            *distance < candidate.len() && *distance <= (candidate.len() / 3).max(1)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean", or what may stand there; up to ten choices.
pub(super) fn suggest<'a>(word: &str, choices: impl IntoIterator<Item = &'a str>, none: &str) -> String {
    let choices: Vec<&str> = choices.into_iter().collect();
    match nearest(word, choices.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if choices.is_empty() => none.to_owned(),
        None => {
            let dots = if choices.len() > 10 { ", …" } else { "" };
            let shown: Vec<String> = choices.iter().take(10).map(|choice| format!("`{choice}`")).collect();
            format!("write one of {}{dots}", shown.join(", "))
        }
    }
}
