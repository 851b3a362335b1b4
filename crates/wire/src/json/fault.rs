//! Why a text is not JSON, and where.

use std::fmt;

/// What was wrong at an offset; becomes a [`Fault`] once, on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    pub(super) at: u32,
    pub(super) cause: Cause,
}

impl Stop {
    #[cold]
    pub(super) fn new(at: usize, cause: Cause) -> Self {
        Self { at: at as u32, cause }
    }
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Value,
    Key,
    FirstKeyOrEnd,
    Colon,
    CommaOrBrace,
    CommaOrBracket,
    EndOfText,
    Object,
    Digit,
    NumberRange,
    Quote,
    Control,
    Escape,
    Hex,
    Surrogate,
    Duplicate,
    Depth,
    Utf8,
    Length,
}

impl Cause {
    const fn words(self) -> &'static str {
        match self {
            Self::Value => "expected a value",
            Self::Key => "expected a key in double quotes",
            Self::FirstKeyOrEnd => "expected a key in double quotes or '}'",
            Self::Colon => "expected ':'",
            Self::CommaOrBrace => "expected ',' or '}'",
            Self::CommaOrBracket => "expected ',' or ']'",
            Self::EndOfText => "expected nothing after the value",
            Self::Object => "expected a JSON object",
            Self::Digit => "expected a digit",
            Self::NumberRange => "number out of range",
            Self::Quote => "expected the string's closing '\"'",
            Self::Control => "control character in a string (escape it)",
            Self::Escape => "unknown escape in a string",
            Self::Hex => "expected four hexadecimal digits",
            Self::Surrogate => "half a surrogate pair in a string",
            Self::Duplicate => "the same key twice in one object",
            Self::Depth => "nested deeper than 128 levels",
            Self::Utf8 => "invalid UTF-8",
            Self::Length => "text longer than 2 GiB",
        }
    }
}

/// Why a text is not JSON, and where: `expected ',' or '}' at line 1 column 18 (byte 17)`.
///
/// Quotes nothing of the text, so it may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    cause: Cause,
    offset: usize,
    line: usize,
    column: usize,
}

impl Fault {
    /// Finds the line and the column; `body` need not be UTF-8.
    #[cold]
    pub(super) fn locate(body: &[u8], stop: Stop) -> Self {
        let offset = (stop.at as usize).min(body.len());
        let before = body.get(..offset).unwrap_or(body);
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let starts_character = |byte: &&u8| **byte & 0xC0 != 0x80;
        Self {
            cause: stop.cause,
            offset,
            line: 1 + memchr::memchr_iter(b'\n', before).count(),
            column: 1 + before.iter().skip(line_start).filter(starts_character).count(),
        }
    }

    /// Offset in bytes of what was not understood; the text's length where it ended too soon.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Line, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// Column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.column
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cause, offset, line, column } = self;
        write!(f, "{} at line {line} column {column} (byte {offset})", cause.words())
    }
}

impl std::error::Error for Fault {}
