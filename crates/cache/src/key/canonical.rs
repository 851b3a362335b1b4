//! A JSON text, fed to the hash so that only what it means counts.
//!
//! One walk over the text notes where each token stands (16 bytes a token, no copy of the text); then the
//! canonical text is fed: no white space, an object's members sorted by name, every string with the fewest
//! escapes that JSON allows. It is JSON itself, so that two texts that mean different things are never fed as
//! the same bytes. Whatever comes that way already is fed as it stands: nearly all strings, and the messages of
//! most callers, since names are sorted from the last to the first (`role` before `content`, `type` before
//! `text`). So are numbers: `1` and `1.0` are two keys, which costs a hit at most and never gives one to the
//! wrong request.

use super::Fault;
use super::sink::Sink;
use super::walk::{Kind, Node, order, walk};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;
use wire::json;

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

struct Feeder<'a> {
    text: &'a str,
    nodes: &'a [Node],
    hole: Option<&'a Range<usize>>,
}

/// A member of an object.
struct Member<'a> {
    /// See [`order`].
    order: u64,
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
            Kind::String if self.is_hole(node) => sink.push(b"_"),
            _ if leave_out.is_empty() && self.is_fed_as_it_stands(node) => sink.push(self.slice(node.span())),
            Kind::String => self.string(sink, node),
            Kind::Object => self.object(sink, at, node, leave_out)?,
            Kind::Array => self.array(sink, at, node)?,
            Kind::Bare => sink.push(self.slice(node.span())),
        }
        Ok(())
    }

    fn array(&self, sink: &mut Sink, at: usize, node: &Node) -> Result<(), Fault> {
        sink.push(b"[");
        let mut child = at + 1;
        while child < at + node.size as usize {
            if child > at + 1 {
                sink.push(b",");
            }
            self.value(sink, child, &[])?;
            child += self.node(child)?.size as usize;
        }
        sink.push(b"]");
        Ok(())
    }

    fn object(&self, sink: &mut Sink, at: usize, node: &Node, leave_out: &[&str]) -> Result<(), Fault> {
        let mut members = Members::new();
        self.gather(&mut members, at, node)?;
        members.sort_unstable_by(|a, b| b.order.cmp(&a.order).then_with(|| b.name.cmp(&a.name)));
        if members.windows(2).any(|pair| matches!(pair, [a, b] if a.order == b.order && a.name == b.name)) {
            return Err(Fault::DuplicateKey);
        }
        let mut between: &[u8] = b"{";
        for member in members.iter().filter(|member| !leave_out.contains(&&*member.name)) {
            sink.push(between);
            self.member(sink, member.at)?;
            between = b",";
        }
        sink.push(if between == b"{" { b"{}" } else { b"}" });
        Ok(())
    }

    /// Feeds the member whose name is node `at`: in one piece where it is canonical as it stands.
    fn member(&self, sink: &mut Sink, at: usize) -> Result<(), Fault> {
        let (name, value) = (self.node(at)?, self.node(at + 1)?);
        let (name_span, value_span) = (name.span(), value.span());
        if name.canonical && name_span.end + 1 == value_span.start && self.is_fed_as_it_stands(value) {
            sink.push(self.slice(name_span.start..value_span.end));
        } else {
            self.string(sink, name);
            sink.push(b":");
            self.value(sink, at + 1, &[])?;
        }
        Ok(())
    }

    /// Finds the members of the object at node `at`.
    fn gather(&self, members: &mut Members<'a>, at: usize, node: &Node) -> Result<(), Fault> {
        let end = at + node.size as usize;
        let mut at = at + 1;
        while at < end {
            let name = self.node(at)?;
            if name.kind != Kind::String || at + 1 >= end {
                return Err(Fault::Malformed);
            }
            let member = if name.canonical {
                let order = order(self.text.as_bytes(), name.start as usize..name.end as usize);
                Member { order, name: Cow::Borrowed(self.raw(name)), at }
            } else {
                let name = rewrite(self.raw(name));
                Member { order: order(name.as_bytes(), 0..name.len()), name: Cow::Owned(name), at }
            };
            members.push(member);
            at += 1 + self.node(at + 1)?.size as usize;
        }
        Ok(())
    }

    fn string(&self, sink: &mut Sink, node: &Node) {
        if node.canonical {
            return sink.push(self.slice(node.span()));
        }
        sink.push(b"\"");
        rewrite_each(self.raw(node), |piece| sink.push(piece.as_bytes()));
        sink.push(b"\"");
    }

    fn is_hole(&self, node: &Node) -> bool {
        self.hole.is_some_and(|hole| *hole == node.span())
    }

    /// Whether the text of a node is canonical, with no hole in it.
    fn is_fed_as_it_stands(&self, node: &Node) -> bool {
        let span = node.span();
        node.canonical && !self.hole.is_some_and(|hole| span.start <= hole.start && hole.end <= span.end)
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
