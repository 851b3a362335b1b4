//! Checks a merged tree against the schema: unknown keys, missing keys, wrong types, numbers out of range.
//!
//! It collects every fault and mends the tree as it goes (what is wrong is taken out or emptied), so that
//! what is left always deserialises and the later checks can go on. Whether values make sense together is
//! not its business.

use std::ops::Range;

use super::fault::{Finding, Findings, shortened};
use super::quantity::{DURATION_FORMAT, SIZE_FORMAT, Size, Span};
use super::read::Format;
use super::schema::{Schema, Type, nearest};
use super::tree::{Entry, Kind, Node, Origin, Path, Table};

/// What a check came to.
#[derive(Default)]
pub(super) struct Shape {
    pub(super) faults: Findings,
    /// Spans of the file not to be shown.
    pub(super) secrets: Vec<Range<usize>>,
}

/// Checks the tree and takes out what does not fit.
pub(super) fn check(tree: &mut Node) -> Shape {
    let mut shape = Shape::default();
    if !shape.fits(tree, Schema::root(), &Path::root()) {
        *tree = Node::table(tree.origin.clone());
    }
    shape
}

impl Shape {
    /// Whether a node, once mended within, is of its schema's type.
    fn fits(&mut self, node: &mut Node, schema: Schema, path: &Path) -> bool {
        if schema.is_secret() {
            self.hide(node);
        }
        if let Kind::Untyped(text) = &node.kind {
            match typed(text, schema, &node.origin) {
                Ok(kind) => node.kind = kind,
                Err(what) => {
                    self.fault(what, mend(schema), path, &node.origin);
                    return false;
                }
            }
        }
        match &mut node.kind {
            Kind::Table(table) if schema.allows(Type::Table) => {
                self.table(table, schema, path, &node.origin);
                true
            }
            Kind::List(items) if schema.allows(Type::List) => {
                self.list(items, schema, path, &node.origin);
                true
            }
            Kind::Bool(_) if schema.allows(Type::Flag) => true,
            Kind::Int(int) if schema.allows(Type::Integer) => {
                // Every whole number of the schema is unsigned; what a float would round must not slip by.
                let int = u64::try_from(*int).map_or(f64::NAN, |int| int as f64);
                self.number(int, schema, path, &node.origin)
            }
            Kind::Int(int) if schema.allows(Type::Number) => {
                self.number(*int as f64, schema, path, &node.origin)
            }
            Kind::Float(float) if schema.allows(Type::Number) => {
                self.number(*float, schema, path, &node.origin)
            }
            Kind::Text(_) if schema.allows(Type::Text) => self.text(node, schema, path),
            _ => {
                self.mismatch(node, schema, path);
                false
            }
        }
    }

    fn text(&mut self, node: &Node, schema: Schema, path: &Path) -> bool {
        let text = node.as_text().unwrap_or_default();
        if schema.format() == Some("uri") && text.contains(['@', '?']) {
            self.hide(node);
        }
        // What came from the environment or from another file is never repeated.
        let quotable = matches!(node.origin, Origin::File(_));
        let wrong = wrong_text(text, schema, quotable);
        if let Some(what) = &wrong {
            self.fault(what, mend(schema), path, &node.origin);
        }
        wrong.is_none()
    }

    fn mismatch(&mut self, node: &Node, schema: Schema, path: &Path) {
        if schema.allows(Type::Table) || schema.allows(Type::List) {
            // What should lie within may be secret, so this may be.
            self.hide_all(node);
        }
        let what = format!("expected {}, found {}", expected(schema), found(&node.kind));
        self.fault(what, mend(schema), path, &node.origin);
    }

    fn table(&mut self, table: &mut Table, schema: Schema, path: &Path, origin: &Origin) {
        table.retain(|key, entry| {
            let path = path.key(key);
            let Some(child) = schema.child(key) else {
                self.unknown(key, entry, schema, &path);
                return false;
            };
            self.fits(&mut entry.node, child, &path) || empty(&mut entry.node, child)
        });
        for key in schema.required() {
            let path = path.key(key);
            // A key that was there and wrong has been told already.
            if !table.contains_key(key) && !self.faults.is_full() && !self.faults.cover(&path) {
                self.fault(format!("`{key}` is missing here"), format!("add `{key}`"), &path, origin);
            }
        }
    }

    fn list(&mut self, items: &mut Vec<Node>, schema: Schema, path: &Path, origin: &Origin) {
        let (least, most) = schema.length();
        if items.len() < least || items.len() > most {
            let what = format!("{} items, where {least} to {most} are allowed", items.len());
            self.fault(what, "add or remove some", path, origin);
            items.clear();
        }
        let Some(of_items) = schema.items() else { return };
        for (index, item) in items.iter_mut().enumerate() {
            if !self.fits(item, of_items, &path.index(index)) && !empty(item, of_items) {
                // Never taken out: the places of those behind it would shift.
                item.kind = Kind::Text(String::new());
            }
        }
    }

    fn number(&mut self, number: f64, schema: Schema, path: &Path, origin: &Origin) -> bool {
        let (least, most) = schema.range();
        // Not the negation: a NaN is in no range.
        if number >= least && number <= most && number.is_finite() {
            return true;
        }
        let what = if most.is_finite() {
            format!("out of range: {least} to {most} is allowed")
        } else {
            format!("out of range: {least} or more is allowed")
        };
        self.fault(what, "choose a number within the range", path, origin);
        false
    }

    fn unknown(&mut self, key: &str, entry: &Entry, schema: Schema, path: &Path) {
        self.hide_all(&entry.node);
        if self.faults.is_full() {
            return;
        }
        let finding = Finding::new(format!("unknown key `{}`", shortened(key)), suggestion(key, schema));
        self.faults.push(finding.about(path).given_at(entry.key.clone()));
    }

    fn fault(&mut self, what: impl Into<String>, mend: impl Into<String>, path: &Path, origin: &Origin) {
        self.faults.push(Finding::new(what, mend).about(path).given_at(origin.clone()));
    }

    fn hide(&mut self, node: &Node) {
        if let Origin::File(span) | Origin::Expanded(span) = &node.origin {
            self.secrets.push(span.clone());
        }
    }

    fn hide_all(&mut self, node: &Node) {
        match &node.kind {
            Kind::Table(table) => table.values().for_each(|entry| self.hide_all(&entry.node)),
            Kind::List(items) => items.iter().for_each(|item| self.hide_all(item)),
            _ => self.hide(node),
        }
    }
}

/// What is wrong with a text, if anything.
fn wrong_text(text: &str, schema: Schema, quotable: bool) -> Option<String> {
    if let Some(choices) = schema.choices() {
        return (!choices.contains(&text)).then(|| match nearest(text, choices.iter().copied()) {
            Some(choice) if quotable => format!("unknown value `{text}`; did you mean `{choice}`?"),
            _ => "unknown value".to_owned(),
        });
    }
    match schema.format() {
        Some(DURATION_FORMAT) => text.parse::<Span>().err(),
        Some(SIZE_FORMAT) => text.parse::<Size>().err(),
        _ => None,
    }
    .map(|why| why.to_string())
}

/// Empties a table or a list that did not fit, so that what refers to it is not told as a fault too. False:
/// it has no empty form and must go.
fn empty(node: &mut Node, schema: Schema) -> bool {
    if schema.allows(Type::Table) {
        node.kind = Kind::Table(Table::new());
    } else if schema.allows(Type::List) {
        node.kind = Kind::List(Vec::new());
    } else {
        return false;
    }
    true
}

/// Gives text from the environment the type its schema asks for: tables and lists as JSON.
pub(super) fn typed(text: &str, schema: Schema, origin: &Origin) -> Result<Kind, String> {
    let trimmed = text.trim();
    if schema.allows(Type::Text) {
        return Ok(Kind::Text(text.to_owned()));
    }
    let kind = if schema.allows(Type::Table) || schema.allows(Type::List) {
        Format::Json.parse(trimmed).ok().map(|node| given(node, origin).kind)
    } else if schema.allows(Type::Flag) {
        trimmed.parse().ok().map(Kind::Bool)
    } else if let Ok(int) = trimmed.parse() {
        Some(Kind::Int(int))
    } else {
        trimmed.parse().ok().map(Kind::Float)
    };
    kind.ok_or_else(|| format!("not {}", expected(schema)))
}

/// A tree all of whose values were given at one place.
fn given(mut node: Node, origin: &Origin) -> Node {
    node.origin = origin.clone();
    node.kind = match node.kind {
        Kind::List(items) => Kind::List(items.into_iter().map(|item| given(item, origin)).collect()),
        Kind::Table(table) => Kind::Table(
            table
                .into_iter()
                .map(|(key, entry)| (key, Entry { key: origin.clone(), node: given(entry.node, origin) }))
                .collect(),
        ),
        scalar => scalar,
    };
    node
}

fn expected(schema: Schema) -> &'static str {
    match schema.format() {
        Some(DURATION_FORMAT) => "a duration such as \"5s\"",
        Some(SIZE_FORMAT) => "a size such as \"10MiB\"",
        _ if schema.allows(Type::Table) => "a table",
        _ if schema.allows(Type::List) => "a list",
        _ if schema.allows(Type::Flag) => "true or false",
        _ if schema.allows(Type::Integer) => "a whole number",
        _ if schema.allows(Type::Number) => "a number",
        _ => "text",
    }
}

fn mend(schema: Schema) -> String {
    match (schema.choices(), schema.format()) {
        (Some(choices), _) => format!("choose one of {}", choices.join(", ")),
        (_, Some(DURATION_FORMAT)) => "write a number and one of ns, us, ms, s, m, h: \"5s\"".to_owned(),
        (_, Some(SIZE_FORMAT)) => {
            "write a number and one of B, KB, KiB, MB, MiB, GB, GiB: \"10MiB\"".to_owned()
        }
        _ => match example(schema) {
            Some(example) => format!("write {}: {example}", expected(schema)),
            None => format!("write {}", expected(schema)),
        },
    }
}

/// The least that would do in place of a table or of a list of them, with `…` for what only its writer knows; `None`
/// where that is not told in a few words.
fn example(schema: Schema) -> Option<String> {
    if !schema.allows(Type::Table) {
        return schema.items().and_then(example).map(|item| format!("[{item}]"));
    }
    let required = schema.required().map(|key| {
        let of_text = schema.child(key).filter(|child| child.allows(Type::Text))?;
        let value = of_text.choices().and_then(|choices| choices.first().copied()).unwrap_or("…");
        Some(format!("{key} = \"{value}\""))
    });
    let required = required.collect::<Option<Vec<_>>>().filter(|keys| !keys.is_empty())?;
    Some(format!("{{ {} }}", required.join(", ")))
}

fn found(kind: &Kind) -> &'static str {
    match kind {
        Kind::Bool(_) => "true or false",
        Kind::Int(_) => "a whole number",
        Kind::Float(_) => "a number",
        Kind::Text(_) | Kind::Untyped(_) => "text",
        Kind::List(_) => "a list",
        Kind::Table(_) => "a table",
    }
}

/// What to write instead of an unknown key: a near one of the same table, or the same one elsewhere.
fn suggestion(key: &str, schema: Schema) -> String {
    if let Some(near) = nearest(key, schema.keys()) {
        return format!("did you mean `{near}`?");
    }
    let folded = key.to_lowercase().replace('-', "_");
    let elsewhere: Vec<String> = Schema::root()
        .paths()
        .into_iter()
        .filter(|path| path.rsplit('.').next() == Some(folded.as_str()))
        .take(3)
        .map(|path| format!("`{path}`"))
        .collect();
    if elsewhere.is_empty() {
        let known: Vec<&str> = schema.keys().collect();
        return format!("known here are {}", known.join(", "));
    }
    format!("did you mean {}?", elsewhere.join(" or "))
}
