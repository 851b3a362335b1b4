//! The graph of a workflow for a terminal: a line for each step, below all that it needs, with rails from
//! what is needed to what needs it.
//!
//! ```text
//! ●   fetch   http                     done
//! ├─◑ parts   map of model, 4 at once  spread 3/10, 1 failed
//! ● │ title   model                    done
//! ○─╯ digest  model                    waiting
//! ```
//!
//! Steps stand in layers: a step's layer is the longest way to it. A need that another need implies is not
//! drawn. A rail that passes behind a line breaks it: `─│─` are not joined, `─┼─` are.

mod label;
mod rails;

use super::definition::Definition;
use super::status::{Mark, Status};

use self::rails::Rails;

/// With which characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Box characters.
    #[default]
    Unicode,
    /// None beyond ASCII.
    Ascii,
}

/// A line of a drawing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The whole line, without colour.
    pub text: String,
    /// The step that it shows, by its place.
    pub step: usize,
    /// Where that stands, if a run is shown: for a colour.
    pub mark: Option<Mark>,
    /// The bytes of the text where its symbol stands.
    pub symbol: std::ops::Range<usize>,
}

/// Draws a definition, and where a run of it stands.
#[must_use]
pub fn draw(definition: &Definition, status: Option<&Status>, style: Style) -> Vec<Line> {
    let steps = definition.steps();
    let mut rails = Rails::new(definition);
    let mut rows = Vec::with_capacity(steps.len());
    while let Some(step) = rails.next_step() {
        let mark = status.map(|status| status.mark(step));
        rows.push((step, mark, rails.draw(step, symbol(mark, style), style)));
    }
    let width = rows.iter().map(|(_, _, row)| row.cells.chars().count()).max().unwrap_or(0);
    let labels = label::Columns::new(definition, status, style);
    rows.into_iter()
        .map(|(step, mark, row)| {
            let pad = " ".repeat(width - row.cells.chars().count());
            let text = format!("{}{pad} {}", row.cells, labels.of(step)).trim_end().to_owned();
            Line { text, step, mark, symbol: row.symbol }
        })
        .collect()
}

/// How a step is marked that stands so; `None`: no run is shown.
#[must_use]
pub fn symbol(mark: Option<Mark>, style: Style) -> char {
    let (unicode, ascii) = match mark.unwrap_or(Mark::Waiting) {
        Mark::Waiting => ('○', 'o'),
        Mark::Started => ('◐', '>'),
        Mark::Later => ('↻', 'r'),
        Mark::Asleep => ('◌', 'z'),
        Mark::Listening => ('◎', '?'),
        Mark::Spread => ('◑', '%'),
        Mark::Child => ('◈', '@'),
        Mark::Done => ('●', '*'),
        Mark::Skipped => ('◇', '-'),
        Mark::Failed => ('✗', 'x'),
        Mark::Cancelled => ('⊘', '/'),
        Mark::Undone => ('↶', 'u'),
    };
    match style {
        Style::Unicode => unicode,
        Style::Ascii => ascii,
    }
}

#[cfg(test)]
mod tests;
