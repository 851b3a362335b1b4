//! A JSON text, fed to the hash so that only what it means counts.
//!
//! One walk over the text notes where each token stands (16 bytes a token, no copy of the text); then the
//! tokens are fed in order, an object's members sorted by their decoded names. Strings are fed as they
//! stand, unless they have escapes, which are decoded. Numbers are fed as they are written: `1` and `1.0`
//! are two keys, which costs a hit at most and never gives one to the wrong request.
//!
//! The walk trusts the text to be JSON (it comes from a reader that has checked it) and so refuses only what
//! it stumbles over; it always ends and never reads outside the text.

use smallvec::SmallVec;
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
#[derive(Clone, Copy)]
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
    String,
    Escaped,
    /// Numbers and literals.
    Bare,
}

type Nodes = SmallVec<[Node; 96]>;

/// Feeds `text`, without the members of its top level named in `leave_out` and without what stands at
/// `hole`.
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
    let hole = hole.map(|hole| hole.start as u32 + 1);
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
                let (end, escaped) = string_end(text, at + 1)?;
                let kind = if escaped { Kind::Escaped } else { Kind::String };
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

/// Where a string that begins at `at` has its closing quote, and whether it has an escape.
fn string_end(text: &[u8], mut at: usize) -> Result<(usize, bool), Fault> {
    let mut escaped = false;
    loop {
        let rest = text.get(at..).ok_or(Fault::Malformed)?;
        let found = at + memchr::memchr2(b'"', b'\\', rest).ok_or(Fault::Malformed)?;
        if text.get(found) == Some(&b'"') {
            return Ok((found, escaped));
        }
        escaped = true;
        at = found + 2;
    }
}

struct Feeder<'a> {
    text: &'a str,
    nodes: &'a [Node],
    hole: Option<u32>,
}

impl<'a> Feeder<'a> {
    /// Feeds the value at node `at`. Recursion is bounded by the depth that [`walk`] allows.
    fn value(&self, sink: &mut Sink, at: usize, leave_out: &[&str]) -> Result<(), Fault> {
        let node = self.node(at)?;
        match node.kind {
            Kind::Object => self.object(sink, at, node, leave_out),
            Kind::Array => {
                sink.mark(b'[');
                let mut child = at + 1;
                while child < at + node.size as usize {
                    self.value(sink, child, &[])?;
                    child += self.node(child)?.size as usize;
                }
                sink.mark(b']');
                Ok(())
            }
            Kind::String | Kind::Escaped if self.hole == Some(node.start) => {
                sink.mark(b'_');
                Ok(())
            }
            Kind::String => {
                sink.text(b's', self.raw(node));
                Ok(())
            }
            Kind::Escaped => {
                sink.text(b's', &json::decode(self.raw(node)));
                Ok(())
            }
            Kind::Bare => {
                sink.text(b'n', self.raw(node));
                Ok(())
            }
        }
    }

    fn object(&self, sink: &mut Sink, at: usize, node: Node, leave_out: &[&str]) -> Result<(), Fault> {
        let mut members = SmallVec::<[(std::borrow::Cow<'a, str>, usize); 16]>::new();
        let mut child = at + 1;
        while child < at + node.size as usize {
            let name = self.node(child)?;
            let name: std::borrow::Cow<str> = match name.kind {
                Kind::String => self.raw(name).into(),
                Kind::Escaped => json::decode(self.raw(name)).into(),
                _ => return Err(Fault::Malformed),
            };
            let value = child + 1;
            if value >= at + node.size as usize {
                return Err(Fault::Malformed);
            }
            if !leave_out.contains(&&*name) {
                members.push((name, value));
            }
            child = value + self.node(value)?.size as usize;
        }
        members.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        if members.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
            return Err(Fault::DuplicateKey);
        }
        sink.mark(b'{');
        for (name, value) in members {
            sink.text(b'k', &name);
            self.value(sink, value, &[])?;
        }
        sink.mark(b'}');
        Ok(())
    }

    fn node(&self, at: usize) -> Result<Node, Fault> {
        self.nodes.get(at).copied().filter(|node| node.size > 0).ok_or(Fault::Malformed)
    }

    fn raw(&self, node: Node) -> &'a str {
        self.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }
}

/// The hash, with small pieces gathered before it: a call to it costs more than a short copy.
pub(super) struct Sink {
    hasher: blake3::Hasher,
    gathered: SmallVec<[u8; GATHERED_BYTES]>,
}

const GATHERED_BYTES: usize = 1024;

impl Sink {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self { hasher: blake3::Hasher::new_keyed(key), gathered: SmallVec::new() }
    }

    /// A part with its length before it.
    pub(super) fn part(&mut self, bytes: &[u8]) {
        self.push(&(bytes.len() as u64).to_le_bytes());
        self.push(bytes);
    }

    fn mark(&mut self, mark: u8) {
        self.push(&[mark]);
    }

    fn text(&mut self, mark: u8, text: &str) {
        let mut head = [mark; 9];
        head[1..].copy_from_slice(&(text.len() as u64).to_le_bytes());
        self.push(&head);
        self.push(text.as_bytes());
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.gathered.len() + bytes.len() > GATHERED_BYTES {
            self.hasher.update(&self.gathered);
            self.gathered.clear();
        }
        if bytes.len() > GATHERED_BYTES {
            self.hasher.update(bytes);
        } else {
            self.gathered.extend_from_slice(bytes);
        }
    }

    pub(super) fn finish(mut self) -> [u8; 32] {
        self.hasher.update(&self.gathered);
        *self.hasher.finalize().as_bytes()
    }
}
