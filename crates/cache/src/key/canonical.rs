//! A JSON text, fed to the hash so that only what it means counts.
//!
//! One walk over the text notes where each token stands (16 bytes a token, no copy of the text); then the
//! canonical text is fed: no white space, an object's members sorted by name, every string with the fewest
//! escapes that JSON allows. But for a comma after every last member it is JSON itself, so that two texts
//! that mean different things are never fed as the same bytes. Strings that come that way already, as nearly
//! all do, are fed as they stand. So are numbers: `1` and `1.0` are two keys, which costs a hit at most and
//! never gives one to the wrong request.
//!
//! The walk trusts the text to be JSON (it comes from a reader that has checked it) and so refuses only what
//! it stumbles over; it always ends and never reads outside the text.

use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;
use wire::json;

/// Why a text has no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not JSON.
    #[error("the text is not JSON")]
    Malformed,
    /// Two members of one object have one name.
    #[error("an object has a key twice")]
    DuplicateKey,
    /// Deeper than [`json::DEPTH_MAX`], or longer than [`json::BYTES_MAX`].
    #[error("the text is nested too deeply or too long")]
    TooLarge,
}

/// One token and, of a container, everything in it.
struct Node {
    kind: Kind,
    /// Where its text stands: without the quotes of a string, all of anything else.
    start: u32,
    end: u32,
    /// Nodes of the container, itself included.
    size: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    Array,
    /// A string with no escapes but the shortest of what needs one.
    String,
    /// A string with others.
    Escaped,
    /// Numbers and literals.
    Bare,
}

impl Node {
    /// Where all of its text stands, a string's quotes included.
    fn span(&self) -> Range<usize> {
        let quote = usize::from(matches!(self.kind, Kind::String | Kind::Escaped));
        (self.start as usize).saturating_sub(quote)..self.end as usize + quote
    }
}

type Nodes = SmallVec<[Node; 96]>;

/// Feeds `text`, without the members of its top level named in `leave_out` and without the string that
/// stands at `hole`.
pub(super) fn feed(
    sink: &mut Sink,
    text: &str,
    leave_out: &[&str],
    hole: Option<&Range<usize>>,
) -> Result<(), Fault> {
    if text.len() > json::BYTES_MAX {
        return Err(Fault::TooLarge);
    }
    let nodes = walk(text.as_bytes())?;
    Feeder { text, nodes: &nodes, hole }.value(sink, 0, leave_out)
}

/// Notes every token of the text.
fn walk(text: &[u8]) -> Result<Nodes, Fault> {
    let mut nodes = Nodes::new();
    let mut open = SmallVec::<[u32; 16]>::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => at += 1,
            b'"' => {
                let (end, kind) = string_end(text, at + 1)?;
                nodes.push(Node { kind, start: at as u32 + 1, end: end as u32, size: 1 });
                at = end + 1;
            }
            b'{' | b'[' => {
                if open.len() >= json::DEPTH_MAX {
                    return Err(Fault::TooLarge);
                }
                let kind = if *byte == b'{' { Kind::Object } else { Kind::Array };
                open.push(nodes.len() as u32);
                nodes.push(Node { kind, start: at as u32, end: 0, size: 0 });
                at += 1;
            }
            b'}' | b']' => {
                let opened = open.pop().ok_or(Fault::Malformed)?;
                let size = nodes.len() as u32 - opened;
                let node = nodes.get_mut(opened as usize).ok_or(Fault::Malformed)?;
                if (node.kind == Kind::Object) != (*byte == b'}') {
                    return Err(Fault::Malformed);
                }
                (node.size, node.end) = (size, at as u32 + 1);
                at += 1;
            }
            _ => {
                let bare = text.get(at..).unwrap_or_default();
                let is_end = |byte: &u8| {
                    matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r')
                };
                let length = bare.iter().position(is_end).unwrap_or(bare.len());
                nodes.push(Node { kind: Kind::Bare, start: at as u32, end: (at + length) as u32, size: 1 });
                at += length;
            }
        }
    }
    let whole = nodes.first().is_some_and(|root| root.size as usize == nodes.len());
    if whole && open.is_empty() { Ok(nodes) } else { Err(Fault::Malformed) }
}

/// Where a string that begins at `at` has its closing quote, and which kind it is.
fn string_end(text: &[u8], mut at: usize) -> Result<(usize, Kind), Fault> {
    let mut kind = Kind::String;
    loop {
        let rest = text.get(at..).ok_or(Fault::Malformed)?;
        let found = at + memchr::memchr2(b'"', b'\\', rest).ok_or(Fault::Malformed)?;
        if text.get(found) == Some(&b'"') {
            return Ok((found, kind));
        }
        if !matches!(text.get(found + 1), Some(b'"' | b'\\' | b'n' | b't' | b'r' | b'b' | b'f')) {
            kind = Kind::Escaped;
        }
        at = found + 2;
    }
}

struct Feeder<'a> {
    text: &'a str,
    nodes: &'a [Node],
    hole: Option<&'a Range<usize>>,
}

/// A member of an object.
struct Member<'a> {
    /// As it is fed, without its quotes.
    name: Cow<'a, str>,
    /// Where its name is among the nodes; its value follows.
    at: usize,
}

/// An object's members; not more than a few objects of a request have more than these.
type Members<'a> = SmallVec<[Member<'a>; 12]>;

impl<'a> Feeder<'a> {
    /// Feeds the value at node `at`. Recursion is bounded by the depth that [`walk`] allows.
    fn value(&self, sink: &mut Sink, at: usize, leave_out: &[&str]) -> Result<(), Fault> {
        let node = self.node(at)?;
        match node.kind {
            Kind::Object => return self.object(sink, at, node, leave_out),
            Kind::Array => return self.array(sink, at, node),
            Kind::String | Kind::Escaped if self.is_hole(node) => sink.push(b"_"),
            Kind::String | Kind::Escaped => self.string(sink, node),
            Kind::Bare => sink.push(self.slice(node.span())),
        }
        Ok(())
    }

    fn array(&self, sink: &mut Sink, at: usize, node: &Node) -> Result<(), Fault> {
        sink.push(b"[");
        let mut child = at + 1;
        while child < at + node.size as usize {
            self.value(sink, child, &[])?;
            sink.push(b",");
            child += self.node(child)?.size as usize;
        }
        sink.push(b"]");
        Ok(())
    }

    fn object(&self, sink: &mut Sink, at: usize, node: &Node, leave_out: &[&str]) -> Result<(), Fault> {
        let mut members = Members::new();
        self.gather(&mut members, at, node)?;
        members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        if members.windows(2).any(|pair| matches!(pair, [a, b] if a.name == b.name)) {
            return Err(Fault::DuplicateKey);
        }
        sink.push(b"{");
        for member in &members {
            if leave_out.contains(&&*member.name) {
                continue;
            }
            self.member(sink, member.at)?;
        }
        sink.push(b"}");
        Ok(())
    }

    /// Feeds the member whose name is node `at`: in one piece where it is canonical as it stands.
    fn member(&self, sink: &mut Sink, at: usize) -> Result<(), Fault> {
        let (name, value) = (self.node(at)?, self.node(at + 1)?);
        let (name_span, value_span) = (name.span(), value.span());
        if name.kind == Kind::String
            && matches!(value.kind, Kind::String | Kind::Bare)
            && name_span.end + 1 == value_span.start
            && !self.is_hole(value)
        {
            sink.push(self.slice(name_span.start..value_span.end));
        } else {
            self.string(sink, name);
            sink.push(b":");
            self.value(sink, at + 1, &[])?;
        }
        sink.push(b",");
        Ok(())
    }

    /// Finds the members of the object at node `at`.
    fn gather(&self, members: &mut Members<'a>, at: usize, node: &Node) -> Result<(), Fault> {
        let end = at + node.size as usize;
        let mut at = at + 1;
        while at < end {
            let name = self.node(at)?;
            let name = match name.kind {
                Kind::String => Cow::Borrowed(self.raw(name)),
                Kind::Escaped => Cow::Owned(rewrite(self.raw(name))),
                _ => return Err(Fault::Malformed),
            };
            if at + 1 >= end {
                return Err(Fault::Malformed);
            }
            members.push(Member { name, at });
            at += 1 + self.node(at + 1)?.size as usize;
        }
        Ok(())
    }

    fn string(&self, sink: &mut Sink, node: &Node) {
        if node.kind == Kind::String {
            return sink.push(self.slice(node.span()));
        }
        sink.push(b"\"");
        rewrite_each(self.raw(node), |piece| sink.push(piece.as_bytes()));
        sink.push(b"\"");
    }

    fn is_hole(&self, node: &Node) -> bool {
        self.hole.is_some_and(|hole| *hole == node.span())
    }

    /// The node at `at`. By reference: a copy in an `Option` is put together byte by byte.
    fn node(&self, at: usize) -> Result<&'a Node, Fault> {
        self.nodes.get(at).filter(|node| node.size > 0).ok_or(Fault::Malformed)
    }

    /// A string's text between its quotes.
    fn raw(&self, node: &Node) -> &'a str {
        self.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    fn slice(&self, span: Range<usize>) -> &'a [u8] {
        self.text.as_bytes().get(span).unwrap_or_default()
    }
}

/// What stands between a string's quotes, with the fewest escapes that JSON allows.
fn rewrite(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len());
    rewrite_each(raw, |piece| out.push_str(piece));
    out
}

/// The same, piece by piece.
fn rewrite_each(raw: &str, mut take: impl FnMut(&str)) {
    json::decode_each(raw, |decoded, written| match decoded.as_bytes() {
        b"\"" => take("\\\""),
        b"\\" => take("\\\\"),
        b"\n" => take("\\n"),
        b"\t" => take("\\t"),
        b"\r" => take("\\r"),
        b"\x08" => take("\\b"),
        b"\x0c" => take("\\f"),
        &[control @ ..0x20] => take(&format!("\\u{control:04x}")),
        // All halves of surrogate pairs decode to this: only what is written tells them apart.
        b"\xef\xbf\xbd" if !written.eq_ignore_ascii_case("\\ufffd") => take(written),
        _ => take(decoded),
    });
}

/// The hash, with pieces gathered before it: a call costs more than a short copy, and many chunks in one
/// call are hashed side by side.
pub(super) struct Sink {
    key: [u8; 32],
    gathered: Vec<u8>,
    /// Where more than [`GATHERED_BYTES`] came.
    hasher: Option<blake3::Hasher>,
}

/// Sixteen of BLAKE3's chunks: as many as the widest vectors hash at once.
const GATHERED_BYTES: usize = 16 << 10;

impl Sink {
    /// A hash with `key`, of about `expected` bytes.
    pub(super) fn new(key: &[u8; 32], expected: usize) -> Self {
        Self { key: *key, gathered: Vec::with_capacity(expected.min(GATHERED_BYTES)), hasher: None }
    }

    /// A part with its length before it.
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.push(&(bytes.len() as u64).to_le_bytes());
        self.push(bytes);
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() <= GATHERED_BYTES {
            self.gathered.extend_from_slice(bytes);
        } else {
            self.push_on(bytes);
        }
    }

    #[cold]
    fn push_on(&mut self, bytes: &[u8]) {
        let hasher = self.hasher.get_or_insert_with(|| blake3::Hasher::new_keyed(&self.key));
        let (first, rest) = bytes.split_at(GATHERED_BYTES - self.gathered.len());
        self.gathered.extend_from_slice(first);
        hasher.update(&self.gathered);
        self.gathered.clear();
        if rest.len() < GATHERED_BYTES {
            self.gathered.extend_from_slice(rest);
        } else {
            hasher.update(rest);
        }
    }

    pub(super) fn finish(self) -> [u8; 32] {
        let hash = match self.hasher {
            None => blake3::keyed_hash(&self.key, &self.gathered),
            Some(mut hasher) => hasher.update(&self.gathered).finalize(),
        };
        *hash.as_bytes()
    }
}
