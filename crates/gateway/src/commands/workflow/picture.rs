//! The drawing of a workflow as a terminal shows it: with colours where it is one and wants them.

use std::io::IsTerminal;

use work::workflow::drawing::{Line, Style, draw};
use work::workflow::status::Mark;
use work::workflow::{Definition, Status};

use crate::config::Environment;

/// How a drawing is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub(super) struct Look {
    /// Draw with no characters beyond ASCII.
    #[arg(long)]
    ascii: bool,
}

/// Whether what is written there is read by a person who wants colours (<https://no-color.org>).
pub(super) fn on_terminal(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && Environment::of_process().get("NO_COLOR").is_none_or(str::is_empty)
}

impl Look {
    /// Draws a definition, and where a run of it stands.
    pub(super) fn draw(self, definition: &Definition, status: Option<&Status>, colour: bool) -> String {
        let style = if self.ascii { Style::Ascii } else { Style::Unicode };
        let lines = draw(definition, status, style);
        lines.iter().map(|line| if colour { painted(line) } else { line.text.clone() } + "\n").collect()
    }
}

/// A line whose symbol has the colour of where its step stands.
fn painted(line: &Line) -> String {
    let Some(code) = line.mark.and_then(code) else { return line.text.clone() };
    let (before, rest) = line.text.split_at(line.symbol.start);
    let (symbol, after) = rest.split_at(line.symbol.len());
    format!("{before}\u{1b}[{code}m{symbol}\u{1b}[0m{after}")
}

/// The colour of a mark, as ECMA-48 numbers it.
fn code(mark: Mark) -> Option<u8> {
    const DIM: u8 = 2;
    const RED: u8 = 31;
    const GREEN: u8 = 32;
    const YELLOW: u8 = 33;
    const MAGENTA: u8 = 35;
    const CYAN: u8 = 36;
    match mark {
        Mark::Waiting => None,
        Mark::Started | Mark::Spread | Mark::Child => Some(YELLOW),
        Mark::Asleep | Mark::Listening => Some(CYAN),
        Mark::Later | Mark::Undone => Some(MAGENTA),
        Mark::Done => Some(GREEN),
        Mark::Failed => Some(RED),
        Mark::Skipped | Mark::Cancelled => Some(DIM),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    #[test]
    fn only_the_symbol_has_a_colour() {
        let line = |mark| Line { text: "├─● b".to_owned(), step: 0, mark, symbol: 6..9 };
        assert_eq!(painted(&line(Some(Mark::Done))), "├─\u{1b}[32m●\u{1b}[0m b");
        assert_eq!(painted(&line(Some(Mark::Waiting))), "├─● b");
        assert_eq!(painted(&line(None)), "├─● b");
    }
}
