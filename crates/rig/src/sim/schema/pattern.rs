//! Strings that match a simple regular expression: literals, `.`, classes,
//! `\d \w \s`, groups, alternatives and repetition. What goes further
//! (look-around, back-references, Unicode classes) is not attempted.

use crate::sim::key::Draws;

/// The longest string and the deepest nesting made.
const LENGTH_MAX: usize = 10_000;
const DEPTH_MAX: u32 = 32;
/// Repetitions beyond the least, where the pattern sets no bound.
const MORE: u64 = 3;

/// A string that matches; `None` where the pattern is beyond this module.
pub(super) fn matching(pattern: &str, draws: &mut Draws) -> Option<String> {
    let mut parser = Parser { rest: pattern, depth: 0 };
    let parsed = parser.alternatives()?;
    if !parser.rest.is_empty() {
        return None;
    }
    let mut out = String::new();
    parsed.write(&mut out, draws);
    // A cut string would not match any more.
    (out.len() < LENGTH_MAX).then_some(out)
}

enum Node {
    /// One of these characters.
    Class(Vec<char>),
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    Repeat(Box<Node>, u64, u64),
}

impl Node {
    fn write(&self, out: &mut String, draws: &mut Draws) {
        if out.len() >= LENGTH_MAX {
            return;
        }
        match self {
            Node::Class(characters) => out.extend(draws.pick(characters)),
            Node::Sequence(nodes) => nodes.iter().for_each(|node| node.write(out, draws)),
            Node::Either(nodes) => {
                if let Some(node) = draws.pick(nodes) {
                    node.write(out, draws);
                }
            }
            Node::Repeat(node, least, most) => {
                let times = least + draws.below(most - least + 1);
                for _ in 0..times {
                    if out.len() >= LENGTH_MAX {
                        break;
                    }
                    node.write(out, draws);
                }
            }
        }
    }
}

struct Parser<'p> {
    rest: &'p str,
    depth: u32,
}

impl Parser<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next();
        self.rest = characters.as_str();
        next
    }

    fn eat(&mut self, expected: &str) -> bool {
        let stripped = self.rest.strip_prefix(expected);
        self.rest = stripped.unwrap_or(self.rest);
        stripped.is_some()
    }

    fn alternatives(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let mut branches = vec![self.sequence()?];
        while self.eat("|") {
            branches.push(self.sequence()?);
        }
        self.depth -= 1;
        Some(Node::Either(branches))
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while let Some(next) = self.peek() {
            match next {
                '|' | ')' => break,
                // Anchors write nothing: the string made is the whole match.
                '^' | '$' => {
                    self.bump();
                }
                _ => {
                    let atom = self.atom()?;
                    nodes.push(self.repeated(atom)?);
                }
            }
        }
        Some(Node::Sequence(nodes))
    }

    fn atom(&mut self) -> Option<Node> {
        match self.bump()? {
            '(' => {
                if self.rest.starts_with('?') && !self.eat("?:") {
                    return None;
                }
                let group = self.alternatives()?;
                self.eat(")").then_some(group)
            }
            '[' => self.class(),
            '.' => Some(Node::Class(alphabet())),
            '\\' => self.escape().map(Node::Class),
            '*' | '+' | '?' | '{' => None,
            literal => Some(Node::Class(vec![literal])),
        }
    }

    fn escape(&mut self) -> Option<Vec<char>> {
        Some(match self.bump()? {
            'd' => ('0'..='9').collect(),
            'w' => alphabet(),
            's' => vec![' '],
            'n' => vec!['\n'],
            't' => vec!['\t'],
            'r' => vec!['\r'],
            letter if letter.is_ascii_alphanumeric() => return None,
            sign => vec![sign],
        })
    }

    fn class(&mut self) -> Option<Node> {
        let negated = self.eat("^");
        let mut members: Vec<char> = Vec::new();
        while !self.eat("]") {
            let first = match self.bump()? {
                '\\' => self.escape()?,
                character => vec![character],
            };
            if let &[from] = first.as_slice()
                && self.rest.starts_with('-')
                && !self.rest.starts_with("-]")
            {
                self.bump();
                let to = match self.bump()? {
                    '\\' => self.escape()?.first().copied()?,
                    to => to,
                };
                members.extend((from..=to).take(256));
            } else {
                members.extend(first);
            }
        }
        if negated {
            members = alphabet().into_iter().filter(|character| !members.contains(character)).collect();
        }
        (!members.is_empty()).then_some(Node::Class(members))
    }

    fn repeated(&mut self, atom: Node) -> Option<Node> {
        let (least, most) = match self.peek() {
            Some('*') => (0, MORE),
            Some('+') => (1, 1 + MORE),
            Some('?') => (0, 1),
            Some('{') => return self.counted(atom),
            _ => return Some(atom),
        };
        self.bump();
        self.eat("?"); // a lazy one matches the same strings
        Some(Node::Repeat(Box::new(atom), least, most))
    }

    fn counted(&mut self, atom: Node) -> Option<Node> {
        let (inner, rest) = self.rest.strip_prefix('{')?.split_once('}')?;
        self.rest = rest;
        let (least, most) = match inner.split_once(',') {
            None => (inner.parse().ok()?, inner.parse().ok()?),
            Some((least, "")) => (least.parse().ok()?, least.parse::<u64>().ok()?.saturating_add(MORE)),
            Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
        };
        (least <= most && least < LENGTH_MAX as u64)
            .then(|| Node::Repeat(Box::new(atom), least, most.min(LENGTH_MAX as u64)))
    }
}

fn alphabet() -> Vec<char> {
    ('a'..='z').chain('A'..='Z').chain('0'..='9').collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::key::Key;

    fn check(pattern: &str, fits: impl Fn(&str) -> bool) {
        for seed in 0..20 {
            let made = matching(pattern, &mut Key::new(seed).draws(0));
            assert!(made.as_deref().is_some_and(&fits), "{pattern}: {made:?}");
        }
    }

    #[test]
    fn simple_patterns_are_matched() {
        check(r"^[A-Z]{3}-\d{4}$", |text| {
            let (letters, digits) = text.split_once('-').unwrap_or_default();
            letters.len() == 3
                && letters.bytes().all(|b| b.is_ascii_uppercase())
                && digits.len() == 4
                && digits.parse::<u32>().is_ok()
        });
        check(r"^(low|mid|high)$", |text| ["low", "mid", "high"].contains(&text));
        check(r"^#[0-9a-fA-F]{6}$", |text| {
            text.len() == 7 && text[1..].bytes().all(|b| b.is_ascii_hexdigit())
        });
        check(r"^v\d+\.\d+(?:-rc)?$", |text| text.starts_with('v') && text.contains('.'));
        check(r"[^a-y0-9A-Z]{2,5}", |text| (2..=5).contains(&text.len()) && text.bytes().all(|b| b == b'z'));
    }

    #[test]
    fn what_goes_further_is_left_alone() {
        for pattern in [r"(?=a)b", r"\p{L}", "a{", "[", "(a", "*", r"(a)\1", "a{99999999}"] {
            assert_eq!(matching(pattern, &mut Key::new(0).draws(0)), None, "{pattern}");
        }
    }
}
