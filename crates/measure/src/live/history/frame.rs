//! The form of a history's file, and the only place that knows it.
//!
//! ```text
//! file   8 bytes: "TGh", the version, four zero bytes
//!        frames
//! frame  4 bytes: length of the body (little-endian)
//!        4 bytes: CRC-32 of the body (little-endian)
//!        body
//! body   number: minutes since 1970
//!        byte:   kind of scope
//!        number: length of the name; the name
//!        seven times, for the tally and each figure: number: length of the pairs; the pairs
//! ```
//!
//! A frame is one scope's minute and needs no other, so that what is torn or rotten costs what follows it on its
//! day and nothing before. Numbers and pairs are those of [`slot`](crate::live::slot).

use crate::live::minute::Entry;
use crate::live::names::Kind;
use crate::live::scope::Track;
use crate::live::slot::{Pairs, read_bytes, read_number, write_number};
use std::io::{self, ErrorKind, Read};

/// What a file begins with. The fourth byte is the version.
pub(super) const HEAD: [u8; 8] = *b"TGh\x01\0\0\0\0";

/// Length and checksum.
const PREFIX_BYTES: usize = 8;
/// Most bytes of a body: every bucket of every figure, with counts of five bytes.
const BODY_BYTES_MAX: usize = 1 << 16;

/// One scope's minute, as it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) at: u32,
    pub(super) kind: Kind,
    pub(super) name: &'a str,
    tracks: [&'a [u8]; Track::ALL.len()],
}

/// Writes one.
pub(super) fn write(out: &mut Vec<u8>, at: u32, entry: &Entry) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    write_number(out, at.into());
    out.push(entry.kind as u8);
    for bytes in std::iter::once(entry.name.as_bytes()).chain(entry.tracks.iter().map(|track| &**track)) {
        write_number(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
    let (prefix, body) = out[start..].split_at_mut(PREFIX_BYTES);
    prefix[..4].copy_from_slice(&(body.len() as u32).to_le_bytes());
    prefix[4..].copy_from_slice(&crc32fast::hash(body).to_le_bytes());
}

impl<'a> Frame<'a> {
    fn parse(mut body: &'a [u8]) -> Option<Self> {
        let at = u32::try_from(read_number(&mut body)?).ok()?;
        let (&kind, mut body) = body.split_first()?;
        let kind = *Kind::ALL.get(usize::from(kind))?;
        let mut next = || {
            let length = read_number(&mut body)?;
            read_bytes(&mut body, length)
        };
        let name = std::str::from_utf8(next()?).ok()?;
        let mut tracks: [&[u8]; Track::ALL.len()] = Default::default();
        for track in &mut tracks {
            *track = next()?;
        }
        Some(Self { at, kind, name, tracks })
    }

    pub(super) fn pairs(&self, track: Track) -> Pairs<'a> {
        let index = Track::ALL.iter().position(|one| *one == track).unwrap_or_default();
        Pairs::new(self.tracks[index])
    }

    pub(super) fn to_entry(self) -> Entry {
        Entry { kind: self.kind, name: self.name.into(), tracks: self.tracks.map(Into::into) }
    }
}

/// The frames of one file, as far as they are whole.
#[derive(Debug)]
pub(super) struct Frames<R> {
    input: R,
    body: Vec<u8>,
    whole: u64,
}

impl<R: Read> Frames<R> {
    /// Reads the head; gives nothing where it is of another version, or not of ours at all.
    pub(super) fn open(mut input: R) -> io::Result<Option<Self>> {
        let mut head = [0; HEAD.len()];
        let found = fill(&mut input, &mut head)? && head == HEAD;
        Ok(found.then_some(Self { input, body: Vec::new(), whole: HEAD.len() as u64 }))
    }

    /// How many bytes of the file are whole, as far as it was read.
    pub(super) fn whole(&self) -> u64 {
        self.whole
    }

    /// The next frame; `None` at the end, and at the first that is not whole.
    pub(super) fn next(&mut self) -> io::Result<Option<Frame<'_>>> {
        let mut prefix = [0; PREFIX_BYTES];
        if !fill(&mut self.input, &mut prefix)? {
            return Ok(None);
        }
        let [a, b, c, d, crc @ ..] = prefix;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        // Zeroes, which a file may end in after a crash, are no frame although their checksum is right.
        if !(1..=BODY_BYTES_MAX).contains(&length) {
            return Ok(None);
        }
        self.body.resize(length, 0);
        if !fill(&mut self.input, &mut self.body)? || crc32fast::hash(&self.body) != u32::from_le_bytes(crc) {
            return Ok(None);
        }
        let frame = Frame::parse(&self.body);
        if frame.is_some() {
            self.whole += (PREFIX_BYTES + length) as u64;
        }
        Ok(frame)
    }
}

/// Fills `bytes`; says no where the input ends before.
fn fill(input: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
