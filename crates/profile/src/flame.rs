//! A flame graph (Brendan Gregg, <https://www.brendangregg.com/flamegraphs.html>): each function a box as wide as its
//! share of the samples, on top of the function that called it. One SVG document, drawn without a script: browsers show
//! a box's title when it is pointed at.

use crate::Profile;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const WIDTH: f64 = 1200.0;
const ROW: f64 = 17.0;
const HEAD: f64 = 44.0;
/// A box narrower than this is not drawn: nobody sees it, and there are thousands.
const WIDTH_MIN: f64 = 0.3;
/// The width of a letter at most, so that names end before their boxes do.
const LETTER: f64 = 6.6;

/// A function, and what it called.
#[derive(Default)]
struct Node<'a> {
    count: u64,
    calls: BTreeMap<&'a str, Node<'a>>,
}

impl<'a> Node<'a> {
    fn add(&mut self, names: impl Iterator<Item = &'a str>, count: u64) {
        self.count += count;
        let mut node = self;
        for name in names {
            node = node.calls.entry(name).or_default();
            node.count += count;
        }
    }

    fn depth(&self) -> usize {
        self.calls.values().map(Node::depth).max().map_or(1, |deepest| deepest + 1)
    }
}

/// The document.
pub fn of(profile: &Profile, title: &str) -> String {
    let mut root = Node::default();
    for stack in &profile.stacks {
        let names = stack.frames.iter().map(|frame| frame.name.as_str());
        root.add(std::iter::once(stack.thread.as_str()).chain(names), stack.count);
    }
    let height = HEAD + ROW * root.depth() as f64 + ROW;
    let mut drawing =
        Drawing { svg: head(profile, title, height), all: root.count.max(1), bottom: height - ROW };
    drawing.node("all", &root, 0.0, 0);
    drawing.svg.push_str("</svg>\n");
    drawing.svg
}

fn head(profile: &Profile, title: &str, height: f64) -> String {
    let Profile { hertz, span, samples, lost, named, .. } = profile;
    let names = if *named { "" } else { "; the program is stripped: frames are file and offset" };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"100%\" \
         font-family=\"ui-monospace, monospace\" font-size=\"11\">\n\
         <style>rect{{stroke:#fff;stroke-width:.4}} g:hover rect{{stroke:#000;stroke-width:1}} \
         text{{pointer-events:none}}</style>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fdfdfb\"/>\n\
         <text x=\"8\" y=\"18\" font-size=\"14\" font-weight=\"bold\">{}</text>\n\
         <text x=\"8\" y=\"34\" fill=\"#555\">{samples} samples in {:.1} s, {hertz} for each second of processor time; \
         {lost} lost{names}</text>\n",
        escape(title),
        span.as_secs_f64()
    )
}

struct Drawing {
    svg: String,
    all: u64,
    bottom: f64,
}

impl Drawing {
    fn node(&mut self, name: &str, node: &Node<'_>, left: f64, depth: usize) {
        let width = node.count as f64 / self.all as f64 * WIDTH;
        if width < WIDTH_MIN {
            return;
        }
        let top = self.bottom - ROW * (depth + 1) as f64;
        let share = 100.0 * node.count as f64 / self.all as f64;
        let (shown, colour) = (escape(&shortened(name, width)), colour(name));
        let _ = writeln!(
            self.svg,
            "<g><title>{} — {share:.2} %, {} samples</title><rect x=\"{left:.2}\" y=\"{top:.1}\" width=\"{width:.2}\" \
             height=\"{:.1}\" rx=\"1.5\" fill=\"{colour}\"/><text x=\"{:.2}\" y=\"{:.1}\">{shown}</text></g>",
            escape(name),
            node.count,
            ROW - 1.0,
            left + 3.0,
            top + 12.0,
        );
        let mut left = left;
        for (name, called) in &node.calls {
            self.node(name, called, left, depth + 1);
            left += called.count as f64 / self.all as f64 * WIDTH;
        }
    }
}

/// As much of a name as fits, its end where it does not: there stands the function.
fn shortened(name: &str, width: f64) -> String {
    let room = ((width - 6.0) / LETTER).max(0.0) as usize;
    let letters = name.chars().count();
    match room {
        _ if letters <= room => name.to_owned(),
        0..3 => String::new(),
        _ => std::iter::once('…').chain(name.chars().skip(letters - room + 1)).collect(),
    }
}

/// A warm colour that is the same for the same name.
fn colour(name: &str) -> String {
    // FNV-1a, by Fowler, Noll and Vo.
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("hsl({},{}%,{}%)", 18 + hash % 36, 62 + hash / 64 % 24, 62 + hash / 4096 % 12)
}

/// Text as XML carries it; control characters, which it cannot, are left out.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            _ if letter.is_control() => {}
            _ => safe.push(letter),
        }
    }
    safe
}
