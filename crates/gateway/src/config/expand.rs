//! `${VAR}`, `${VAR:-default}` and `${file:PATH}` in the file's strings; `$$` stands for one `$`.
//!
//! Only the file's values are expanded: a variable's or a flag's value is taken as it is, and so is what an
//! expansion brings in. What was expanded is text from outside, so the schema decides its type and no
//! message repeats it.

use std::path::Path as FilePath;

use super::environment::Environment;
use super::fault::{Finding, Findings};
use super::inputs::Inputs;
use super::tree::{Kind, Node, Origin, Path};

/// Largest file an expansion brings in, in bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Most bytes all expansions of a file come to: a small file must not grow without bound.
const TOTAL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Expands a file's tree in place.
pub(super) struct Expander<'a> {
    pub(super) environment: &'a Environment,
    /// What relative paths start from.
    pub(super) folder: &'a FilePath,
    pub(super) faults: Findings,
    /// The files read.
    pub(super) inputs: Inputs,
    total_bytes: usize,
}

impl<'a> Expander<'a> {
    pub(super) fn new(environment: &'a Environment, folder: &'a FilePath) -> Self {
        Self { environment, folder, faults: Findings::default(), inputs: Inputs::default(), total_bytes: 0 }
    }

    /// Expands every string below a node. One that cannot be is told and left as it is.
    pub(super) fn expand(&mut self, node: &mut Node, path: &Path) {
        match &mut node.kind {
            Kind::Text(text) if text.contains('$') => match self.text(text) {
                Ok((expanded, true)) => {
                    node.kind = Kind::Untyped(expanded);
                    if let Origin::File(span) = &node.origin {
                        node.origin = Origin::Expanded(span.clone());
                    }
                }
                Ok((unescaped, false)) => *text = unescaped,
                Err(fault) => self.faults.push(fault.about(path).given_at(node.origin.clone())),
            },
            Kind::List(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.expand(item, &path.index(index));
                }
            }
            Kind::Table(table) => {
                for (key, entry) in table {
                    self.expand(&mut entry.node, &path.key(key));
                }
            }
            _ => {}
        }
    }

    /// The expanded text, and whether anything was brought in.
    fn text(&mut self, text: &str) -> Result<(String, bool), Finding> {
        let mut out = String::new();
        let mut brought = false;
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            if let Some(after) = from.strip_prefix("$$") {
                out.push('$');
                rest = after;
            } else if let Some(inside) = from.strip_prefix("${") {
                let (name, after) = inside.split_once('}').ok_or_else(|| {
                    Finding::new("`${` without its `}`", "close it, or write `$$` for a plain `$`")
                })?;
                out.push_str(&self.bring(name)?);
                brought = true;
                rest = after;
            } else {
                out.push('$');
                rest = &from[1..];
            }
        }
        out.push_str(rest);
        self.total_bytes = self.total_bytes.saturating_add(out.len());
        if self.total_bytes > TOTAL_BYTES_MAX {
            return Err(Finding::new(
                format!("the expansions come to more than {TOTAL_BYTES_MAX} bytes"),
                "bring in less",
            ));
        }
        Ok((out, brought))
    }

    /// What stands for the text between `${` and `}`.
    fn bring(&mut self, inside: &str) -> Result<String, Finding> {
        if let Some(path) = inside.strip_prefix("file:") {
            return self.file(path);
        }
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || !name.bytes().all(plain) || name.as_bytes()[0].is_ascii_digit() {
            return Err(Finding::new(
                "between `${` and `}` stands no variable's name",
                "write `${NAME}`, `${NAME:-default}` or `${file:PATH}`, or `$$` for a plain `$`",
            ));
        }
        if default.is_some_and(|default| default.contains("${")) {
            return Err(Finding::new("a default within a default", "a default is plain text"));
        }
        match (self.environment.get(name), default) {
            (Some(value), _) if !value.is_empty() => Ok(value.to_owned()),
            (_, Some(default)) => Ok(default.replace("$$", "$")),
            (Some(empty), None) => Ok(empty.to_owned()),
            (None, None) => Err(Finding::new(
                format!("the environment variable {name} is not set"),
                format!("set it, or give a default: `${{{name}:-…}}`"),
            )),
        }
    }

    fn file(&mut self, path: &str) -> Result<String, Finding> {
        let path = self.folder.join(path);
        let finding = |why: String, mend: &str| Finding::new(why, mend);
        let bytes = self
            .inputs
            .read(&path, FILE_BYTES_MAX)
            .map_err(|why| finding(format!("cannot read {}: {why}", path.display()), why.mend()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| finding(format!("{} is not UTF-8", path.display()), "name a text file"))?;
        // Whatever wrote the file likely ended it with a newline that is no part of the value.
        Ok(text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).map(str::to_owned).unwrap_or(text))
    }
}
