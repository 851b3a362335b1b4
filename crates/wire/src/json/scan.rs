//! The one pass: recursive descent over bytes. Whether they are UTF-8 is asked afterwards, and only of a text
//! with bytes beyond ASCII, which strings alone may have and tell of.
//!
//! Recursion is bounded by [`super::DEPTH_MAX`]. The scanner remembers offsets only; the caller's
//! text is never copied, except for keys written with escapes.

use std::ops::Range;

use smallvec::SmallVec;

use super::fault::{Cause, Fault, Stop};
use super::keys::{Keys, Siblings};
use super::{BYTES_MAX, DEPTH_MAX, Data, Kind, Object, data, strings, tokens};

/// Whose text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rules {
    /// A caller's: no key twice, no half surrogate pairs.
    Strict,
    /// A provider's, or one that has been checked already.
    Tolerant,
}

/// A value's kind and, for a container, the kinds of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) holds: Kinds,
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(super) fn only(self, kinds: &[Kind]) -> bool {
        self.0 & !kinds.iter().fold(0, |set, kind| set | 1 << (*kind as u8)) == 0
    }

    fn add(&mut self, kind: Kind) {
        self.0 |= 1 << (kind as u8);
    }
}

/// Where a member's key and value stand. Offsets are 32 bits: see [`BYTES_MAX`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    key_start: u32,
    key_end: u32,
    pub(super) value_start: u32,
    pub(super) value_end: u32,
    pub(super) shape: Shape,
    pub(super) escaped: bool,
}

impl Member {
    fn new(key: Range<usize>, value: Range<usize>, shape: Shape, escaped: bool) -> Self {
        Self {
            key_start: key.start as u32,
            key_end: key.end as u32,
            value_start: value.start as u32,
            value_end: value.end as u32,
            shape,
            escaped,
        }
    }

    /// The key's span, without its quotes.
    pub(super) fn key(&self) -> Range<usize> {
        self.key_start as usize..self.key_end as usize
    }
}

/// Reads a text whose top level must be an object.
pub(super) fn object(body: &[u8], rules: Rules) -> Result<Object<'_>, Fault> {
    let mut members = SmallVec::new();
    let (text, (end, data)) = whole(body, rules, |scanner| {
        let end = scanner.whole_object(|member| members.push(member))?;
        Ok((end, scanner.data))
    })?;
    Ok(Object { text, members, end, data })
}

/// Reads such a text for some of its members alone: those under `keys`, of each the last one where there are several.
pub(super) fn members<'a, const N: usize>(
    body: &'a [u8],
    rules: Rules,
    keys: [&str; N],
) -> Result<(&'a str, [Option<Member>; N]), Fault> {
    whole(body, rules, |scanner| {
        let mut found = [None; N];
        scanner.whole_object(|member| {
            let written = body.get(member.key()).unwrap_or_default();
            let is_it = |key: &&str| match member.escaped {
                true => decoded(written) == **key,
                false => written == key.as_bytes(),
            };
            for (found, _) in found.iter_mut().zip(&keys).filter(|(_, key)| is_it(key)) {
                *found = Some(member);
            }
        })?;
        Ok(found)
    })
}

/// Checks a text whose top level may be anything.
pub(super) fn any(body: &[u8], rules: Rules) -> Result<(), Fault> {
    whole(body, rules, Scanner::whole_value).map(|_| ())
}

/// Scans all of a body. Bytes that are not UTF-8 are the fault that counts, wherever they stand.
///
/// # Errors
/// The first fault of the text, with the place where it stands.
#[inline(always)]
fn whole<'a, T: Copy>(
    body: &'a [u8],
    rules: Rules,
    scan: impl FnOnce(&mut Scanner<'a>) -> Result<T, Stop>,
) -> Result<(&'a str, T), Fault> {
    if body.len() > BYTES_MAX {
        return Err(Fault::locate(body, Stop::new(0, Cause::Length)));
    }
    let mut scanner = Scanner::new(body, rules);
    let scanned = scan(&mut scanner);
    if let (Ok(found), false) = (&scanned, scanner.high) {
        return Ok((ascii(body), *found));
    }
    match (simdutf8::basic::from_utf8(body), scanned) {
        (Ok(text), Ok(found)) => Ok((text, found)),
        (Ok(_), Err(stop)) => Err(Fault::locate(body, stop)),
        (Err(_), _) => Err(Fault::locate(body, Stop::new(valid_up_to(body), Cause::Utf8))),
    }
}

/// A body that the scanner went through from one end to the other, and met no byte of 0x80 or more.
#[inline]
#[expect(unsafe_code, reason = "a long prompt is not read once more to learn what is known")]
fn ascii(body: &[u8]) -> &str {
    debug_assert!(body.is_ascii(), "the scanner tells of every high byte");
    // SAFETY: outside strings every byte was found equal to one of JSON's own, which are ASCII; within strings
    // the scanner tells of every byte that is not, and told of none. ASCII is UTF-8.
    unsafe { std::str::from_utf8_unchecked(body) }
}

/// The members of the object whose brace stands at `start` of a checked text.
pub(super) fn members_at(text: &str, start: usize) -> Option<Object<'_>> {
    let mut members = SmallVec::new();
    let (end, data) = each_at(text, start, |member| members.push(member))?;
    Some(Object { text, members, end: end - 1, data })
}

/// The same, one after the other; the offset behind the closing brace.
#[inline(always)]
pub(super) fn each_at(text: &str, start: usize, each: impl FnMut(Member)) -> Option<(usize, Data)> {
    // Depth was checked the first time, from further out.
    let mut scanner = Scanner::checked(text);
    let (end, _) = scanner.object(start + 1, 0, each).ok()?;
    Some((end, scanner.data))
}

/// The element of a checked array that begins at `at` or behind the comma there; and its shape.
/// `None` at the closing bracket.
pub(super) fn element_at(text: &str, at: usize) -> Option<(Range<usize>, Shape)> {
    let bytes = text.as_bytes();
    let mut next = tokens::next(bytes, at);
    if next.1 == b',' {
        next = tokens::next(bytes, next.0 + 1);
    }
    let (end, shape) = Scanner::checked(text).value(next, 0).ok()?;
    Some((next.0..end, shape))
}

struct Scanner<'a> {
    bytes: &'a [u8],
    rules: Rules,
    keys: Keys,
    data: Data,
    /// Whether a string may have had a byte of 0x80 or more. Elsewhere there is none.
    high: bool,
}

impl<'a> Scanner<'a> {
    fn new(bytes: &'a [u8], rules: Rules) -> Self {
        Self { bytes, rules, keys: Keys::default(), data: Data::default(), high: false }
    }

    /// A scanner for a text that has been checked.
    fn checked(text: &'a str) -> Self {
        Self::new(text.as_bytes(), Rules::Tolerant)
    }

    /// Gives the offset of the closing brace.
    #[inline(always)]
    fn whole_object(&mut self, each: impl FnMut(Member)) -> Result<usize, Stop> {
        let (at, byte) = tokens::next(self.bytes, 0);
        if byte != b'{' {
            return Err(Stop::new(at, Cause::Object));
        }
        let (end, _) = self.object(at + 1, 1, each)?;
        self.nothing_from(end)?;
        Ok(end - 1)
    }

    fn whole_value(&mut self) -> Result<(), Stop> {
        let (end, _) = self.value(tokens::next(self.bytes, 0), 0)?;
        self.nothing_from(end)
    }

    fn nothing_from(&self, at: usize) -> Result<(), Stop> {
        let (at, _) = tokens::next(self.bytes, at);
        if at == self.bytes.len() { Ok(()) } else { Err(Stop::new(at, Cause::EndOfText)) }
    }

    /// The value that begins at an offset with a byte, within `depth` containers: the offset behind
    /// it.
    #[inline(always)]
    fn value(&mut self, (at, byte): (usize, u8), depth: usize) -> Result<(usize, Shape), Stop> {
        let bytes = self.bytes;
        let (end, kind) = match byte {
            b'"' => {
                let (end, _) = self.string(at + 1)?;
                if end - at > data::LONG {
                    self.data.look_at(bytes.get(at + 1..end - 1).unwrap_or_default());
                }
                (end, Kind::String)
            }
            b'{' | b'[' => return self.container((at, byte), depth),
            b'-' | b'0'..=b'9' => (tokens::number(bytes, at)?, Kind::Number),
            b't' => (tokens::literal(bytes, at, b"true")?, Kind::Bool),
            b'f' => (tokens::literal(bytes, at, b"false")?, Kind::Bool),
            b'n' => (tokens::literal(bytes, at, b"null")?, Kind::Null),
            _ => return Err(Stop::new(at, Cause::Value)),
        };
        Ok((end, Shape { kind, holds: Kinds::default() }))
    }

    /// Behind the string whose opening quote stands before `at`; and whether it has escapes.
    #[inline(always)]
    fn string(&mut self, at: usize) -> Result<(usize, bool), Stop> {
        tokens::string(self.bytes, at, self.rules, &mut self.high)
    }

    /// The array or object whose bracket stands at an offset. The one place of recursion.
    fn container(&mut self, (at, byte): (usize, u8), depth: usize) -> Result<(usize, Shape), Stop> {
        if depth >= DEPTH_MAX {
            return Err(Stop::new(at, Cause::Depth));
        }
        let (kind, (end, holds)) = if byte == b'{' {
            (Kind::Object, self.object(at + 1, depth + 1, |_| ())?)
        } else {
            (Kind::Array, self.array(at + 1, depth + 1)?)
        };
        Ok((end, Shape { kind, holds }))
    }

    /// Members from `at` on and the closing brace.
    #[inline(always)]
    fn object(
        &mut self,
        at: usize,
        depth: usize,
        mut each: impl FnMut(Member),
    ) -> Result<(usize, Kinds), Stop> {
        let bytes = self.bytes;
        let mut siblings = self.keys.siblings();
        let mut holds = Kinds::default();
        let (mut at, mut byte) = tokens::next(bytes, at);
        if byte == b'}' {
            return Ok((at + 1, holds));
        }
        loop {
            if byte != b'"' {
                let cause = if holds.is_empty() { Cause::FirstKeyOrEnd } else { Cause::Key };
                return Err(Stop::new(at, cause));
            }
            let (key_end, escaped) = self.string(at + 1)?;
            let key = at + 1..key_end - 1;
            if self.rules == Rules::Strict && !self.is_new(&mut siblings, &key, escaped) {
                return Err(Stop::new(at, Cause::Duplicate));
            }
            (at, byte) = tokens::next(bytes, key_end);
            if byte != b':' {
                return Err(Stop::new(at, Cause::Colon));
            }
            let start = tokens::next(bytes, at + 1);
            let (end, shape) = self.value(start, depth)?;
            holds.add(shape.kind);
            each(Member::new(key, start.0..end, shape, escaped));
            (at, byte) = tokens::next(bytes, end);
            match byte {
                b',' => (at, byte) = tokens::next(bytes, at + 1),
                b'}' => break,
                _ => return Err(Stop::new(at, Cause::CommaOrBrace)),
            }
        }
        match self.keys.close(bytes, &siblings) {
            Some(at) => Err(Stop { at, cause: Cause::Duplicate }),
            None => Ok((at + 1, holds)),
        }
    }

    /// Notes a key; false where its object has it already.
    #[inline(always)]
    fn is_new(&mut self, siblings: &mut Siblings, key: &Range<usize>, escaped: bool) -> bool {
        if escaped {
            let decoded = decoded(self.bytes.get(key.clone()).unwrap_or_default());
            self.keys.add_decoded(self.bytes, siblings, key.start, &decoded)
        } else {
            self.keys.add(self.bytes, siblings, key)
        }
    }

    /// Elements from `at` on and the closing bracket.
    #[inline(always)]
    fn array(&mut self, at: usize, depth: usize) -> Result<(usize, Kinds), Stop> {
        let bytes = self.bytes;
        let mut holds = Kinds::default();
        let mut next = tokens::next(bytes, at);
        if next.1 == b']' {
            return Ok((next.0 + 1, holds));
        }
        loop {
            let (end, shape) = self.value(next, depth)?;
            holds.add(shape.kind);
            next = tokens::next(bytes, end);
            match next.1 {
                b',' => next = tokens::next(bytes, next.0 + 1),
                b']' => return Ok((next.0 + 1, holds)),
                _ => return Err(Stop::new(next.0, Cause::CommaOrBracket)),
            }
        }
    }
}

/// A key that is written with escapes. What of it is not UTF-8 is found at the end: see `whole`.
#[cold]
fn decoded(key: &[u8]) -> String {
    strings::decode(&String::from_utf8_lossy(key))
}

#[cold]
fn valid_up_to(body: &[u8]) -> usize {
    std::str::from_utf8(body).map_or_else(|error| error.valid_up_to(), str::len)
}
