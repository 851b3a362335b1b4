//! Draws one fault with the line it is about, by miette.

use std::ops::Range;

use miette::{
    GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, MietteError, MietteSpanContents,
    Report, SourceCode, SourceSpan, SpanContents,
};

use super::{line_end, position};

/// Columns a drawing may take.
const WIDTH: usize = 110;

/// Adds a fault's drawing to a text. `source` is the file's name and its text, masked where it may hold secrets;
/// the span is within it.
pub(crate) fn draw(
    drawing: &mut String,
    what: &str,
    mend: &str,
    span: Option<&Range<usize>>,
    source: Option<(&str, &str)>,
    colour: bool,
) {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_links(false)
        .with_width(WIDTH)
        .with_context_lines(1)
        .without_syntax_highlighting();
    let diagnostic = MietteDiagnostic::new(what).with_help(mend);
    let report = match (source, span) {
        (Some((name, text)), Some(span)) => {
            let line = Line::around(span.start, name, text);
            let label = LabeledSpan::underline(line.visible(span));
            Report::new(diagnostic.with_label(label)).with_source_code(line)
        }
        _ => Report::new(diagnostic),
    };
    // Drawing fails only where writing to a string fails, which it does not; the plain words are no loss.
    if handler.render_report(drawing, report.as_ref()).is_err() {
        drawing.push_str(what);
    }
    drawing.push('\n');
}

/// The one line of a file that a drawing shows, or the part of it round the fault if it is long. (The
/// library's own sources show either neighbours as well or the span alone.)
#[derive(Debug)]
struct Line {
    file: String,
    text: String,
    /// Where the text begins in the file, in bytes.
    start: usize,
    /// Line and column of the fault, from zero.
    position: (usize, usize),
}

impl Line {
    /// Longest part shown before a fault, and behind its beginning, in bytes.
    const REACH: usize = 100;

    fn around(at: usize, file: &str, text: &str) -> Self {
        let at = text.floor_char_boundary(at);
        let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let start = text.ceil_char_boundary(line_start.max(at.saturating_sub(Self::REACH)));
        let end = line_end(text, at..text.floor_char_boundary(at + Self::REACH));
        let (line, column) = position(text, at);
        Self {
            file: file.to_owned(),
            text: text[start..end].to_owned(),
            start,
            position: (line - 1, column - 1),
        }
    }

    /// The part of a span that the line shows. One of nothing is moved onto the character before it, for
    /// under the end of a line nothing can be drawn.
    fn visible(&self, span: &Range<usize>) -> Range<usize> {
        let end = self.start + self.text.len();
        if span.start >= end {
            let last = self.text.char_indices().next_back().map_or(0, |(index, _)| index);
            return self.start + last..end;
        }
        span.start..span.end.clamp(span.start, end)
    }
}

impl SourceCode for Line {
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        lines_before: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (line, column) = self.position;
        // Asked without context, it is asked for the position alone; otherwise for what to draw.
        let column = if lines_before == 0 { column } else { 0 };
        let span = SourceSpan::new(self.start.into(), self.text.len());
        let text = self.text.as_bytes();
        Ok(Box::new(MietteSpanContents::new_named(self.file.clone(), text, span, line, column, 1)))
    }
}
