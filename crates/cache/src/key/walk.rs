//! Where each token of a JSON text stands, and which of its containers are canonical as they stand.
//!
//! The walk trusts the text to be JSON (it comes from a reader that has checked it) and so refuses only what
//! it stumbles over; it always ends and never reads outside the text.

use super::Fault;
use smallvec::SmallVec;
use std::ops::Range;
use wire::json;

/// One token and, of a container, everything in it.
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Whether its text is canonical as it stands.
    pub(super) canonical: bool,
    /// Where its text stands: without the quotes of a string, all of anything else.
    pub(super) start: u32,
    pub(super) end: u32,
    /// Nodes of the container, itself included.
    pub(super) size: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    /// Numbers and literals.
    Bare,
}

impl Node {
    /// Where all of its text stands, a string's quotes included.
    pub(super) fn span(&self) -> Range<usize> {
        let quote = usize::from(self.kind == Kind::String);
        (self.start as usize).saturating_sub(quote)..self.end as usize + quote
    }
}

pub(super) type Nodes = SmallVec<[Node; 96]>;

/// Notes every token of the text.
pub(super) fn walk(text: &[u8]) -> Result<Nodes, Fault> {
    let mut walk = Walk { text, nodes: Nodes::new(), open: SmallVec::new() };
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at = match byte {
            b'"' => walk.string(at)?,
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => at + 1,
            b'{' => walk.open(at, Kind::Object)?,
            b'[' => walk.open(at, Kind::Array)?,
            b'}' => walk.close(at, Kind::Object)?,
            b']' => walk.close(at, Kind::Array)?,
            _ => walk.bare(at),
        };
    }
    let whole = walk.nodes.first().is_some_and(|root| root.size as usize == walk.nodes.len());
    if whole && walk.open.is_empty() { Ok(walk.nodes) } else { Err(Fault::Malformed) }
}

/// By which an object's members are ordered before their names are: the name's first eight bytes.
#[inline]
pub(super) fn order(text: &[u8], name: Range<usize>) -> u64 {
    let length = name.len();
    match text.get(name.start..).and_then(<[u8]>::first_chunk) {
        // Almost always: a name is followed by its quote, a colon and a value.
        Some(word) if length >= 8 => u64::from_be_bytes(*word),
        Some(word) => u64::from_be_bytes(*word) & !(u64::MAX >> (8 * length)),
        None => {
            let mut word = [0; 8];
            word.iter_mut().zip(text.get(name).unwrap_or_default()).for_each(|(to, from)| *to = *from);
            u64::from_be_bytes(word)
        }
    }
}

struct Walk<'a> {
    text: &'a [u8],
    nodes: Nodes,
    /// The containers that the walk is in, innermost last. They stay where they are: a copy of what was just
    /// written piece by piece waits until all of it is.
    open: SmallVec<[Open; 10]>,
}

/// A container that has not ended yet.
struct Open {
    /// Its node.
    node: u32,
    /// Of what it holds: how many there are and how long they are together, with one byte behind each.
    holds: u32,
    bytes: u32,
    /// Of an object: how many names there are, and how the last one is ordered.
    names: u32,
    order: u64,
    /// Whether all it holds is canonical, and every name comes in its order.
    canonical: bool,
}

impl Open {
    fn new(node: u32) -> Self {
        // No name's order: UTF-8 has no such bytes.
        Self { node, holds: 0, bytes: 0, names: 0, order: u64::MAX, canonical: true }
    }

    #[inline]
    fn hold(&mut self, bytes: usize, canonical: bool) {
        self.holds += 1;
        self.bytes += bytes as u32 + 1;
        self.canonical &= canonical;
    }
}

impl Walk<'_> {
    #[inline]
    fn string(&mut self, at: usize) -> Result<usize, Fault> {
        let (end, canonical) = json::string_end(self.text, at + 1).ok_or(Fault::Malformed)?;
        self.nodes.push(Node {
            kind: Kind::String,
            canonical,
            start: at as u32 + 1,
            end: end as u32,
            size: 1,
        });
        let Some(open) = self.open.last_mut() else { return Ok(end + 1) };
        open.hold(end + 1 - at, canonical);
        if self.text.get(end + 1) != Some(&b':') {
            return Ok(end + 1);
        }
        let order = order(self.text, at + 1..end);
        // Names with one beginning are left to whoever compares them to their ends.
        open.canonical &= order < open.order;
        open.order = order;
        open.names += 1;
        Ok(end + 2)
    }

    fn bare(&mut self, at: usize) -> usize {
        let bare = self.text.get(at..).unwrap_or_default();
        let is_end =
            |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r');
        let length = bare.iter().position(is_end).unwrap_or(bare.len());
        let end = at + length;
        self.nodes.push(Node {
            kind: Kind::Bare,
            canonical: true,
            start: at as u32,
            end: end as u32,
            size: 1,
        });
        self.hold(length, true);
        end
    }

    fn open(&mut self, at: usize, kind: Kind) -> Result<usize, Fault> {
        if self.open.len() >= json::DEPTH_MAX {
            return Err(Fault::TooLarge);
        }
        self.open.push(Open::new(self.nodes.len() as u32));
        self.nodes.push(Node { kind, canonical: false, start: at as u32, end: 0, size: 0 });
        Ok(at + 1)
    }

    fn close(&mut self, at: usize, kind: Kind) -> Result<usize, Fault> {
        let open = self.open.last().ok_or(Fault::Malformed)?;
        let size = self.nodes.len() as u32 - open.node;
        let node = self.nodes.get_mut(open.node as usize).ok_or(Fault::Malformed)?;
        if node.kind != kind {
            return Err(Fault::Malformed);
        }
        (node.size, node.end) = (size, at as u32 + 1);
        let bytes = node.end - node.start;
        // With no white space there is one byte between any two that it holds.
        let is_dense = bytes == 2 + open.bytes.saturating_sub(1);
        let is_paired = kind == Kind::Array || open.holds == 2 * open.names;
        let canonical = open.canonical && is_dense && is_paired;
        node.canonical = canonical;
        self.open.truncate(self.open.len() - 1);
        self.hold(bytes as usize, canonical);
        Ok(at + 1)
    }

    #[inline]
    fn hold(&mut self, bytes: usize, canonical: bool) {
        if let Some(open) = self.open.last_mut() {
            open.hold(bytes, canonical);
        }
    }
}
