//! `Summarise: {{text}}`: a text with places for a row's fields.
//!
//! What is rendered goes into a JSON string, so that a template is kept as one: its own text escaped beforehand, and a
//! field's text copied as the row writes it. Nothing is decoded on the way.

use wire::json::{Kind, Object, Value};
use wire::splice::json_string;

use super::row::Fault;

/// Most fields that a fault names.
const NAMES_MAX: usize = 20;

/// A text with places to fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// As it stands between the quotes of a JSON string.
    Text(Vec<u8>),
    Field(Path),
    Line,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum TemplateError {
    /// A place without its end.
    #[error("'{{{{' at character {0} has no '}}}}'; write '{{{{{{{{' for two braces")]
    Open(usize),
    /// A place without a name.
    #[error("'{{{{}}}}' at character {0} names no field; write '{{{{{{{{' for two braces")]
    Nameless(usize),
    /// A variable that is none.
    #[error("there is no '{0}'; of what begins with '$' there is $line alone")]
    Variable(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Where a place does not end or names nothing.
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("{{") {
            plain.push_str(&rest[..at]);
            let place = || text[..text.len() - rest.len() + at].chars().count() + 1;
            let inner = &rest[at + 2..];
            if let Some(after) = inner.strip_prefix("{{") {
                plain.push_str("{{");
                rest = after;
                continue;
            }
            let end = inner.find("}}").ok_or_else(|| TemplateError::Open(place()))?;
            flush(&mut pieces, &mut plain);
            pieces.push(match inner[..end].trim() {
                "" => return Err(TemplateError::Nameless(place())),
                "$line" => Piece::Line,
                name if name.starts_with('$') => return Err(TemplateError::Variable(name.to_owned())),
                name => Piece::Field(Path::new(name)),
            });
            rest = &inner[end + 2..];
        }
        plain.push_str(rest);
        flush(&mut pieces, &mut plain);
        Ok(Self(pieces))
    }

    /// Whether it is the same for every row.
    pub(super) fn is_constant(&self) -> bool {
        self.0.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// Appends the text for a row, as it stands between the quotes of a JSON string.
    ///
    /// # Errors
    /// A field that the row does not have, with those it has, or that is null.
    pub(super) fn render(&self, row: &Object<'_>, line: u64, out: &mut Vec<u8>) -> Result<(), Fault> {
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => out.extend_from_slice(text),
                Piece::Line => out.extend_from_slice(line.to_string().as_bytes()),
                Piece::Field(path) => push_text(out, path.find(row)?),
            }
        }
        Ok(())
    }
}

fn flush(pieces: &mut Vec<Piece>, plain: &mut String) {
    if !plain.is_empty() {
        pieces.push(Piece::Text(within_quotes(plain)));
        plain.clear();
    }
}

/// A text as it stands between the quotes of a JSON string.
fn within_quotes(text: &str) -> Vec<u8> {
    let quoted = json_string(text);
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_vec()
}

/// A string as it is written, anything else as its JSON.
fn push_text(out: &mut Vec<u8>, value: Value<'_>) {
    let raw = value.raw();
    match value.kind() {
        Kind::String => out.extend_from_slice(raw.get(1..raw.len() - 1).unwrap_or_default().as_bytes()),
        Kind::Array | Kind::Object => out.extend_from_slice(&within_quotes(raw)),
        Kind::Null | Kind::Bool | Kind::Number => out.extend_from_slice(raw.as_bytes()),
    }
}

/// A field's name, or the way to one that lies deeper: `user.name`, `tags.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    whole: String,
    steps: Vec<String>,
}

impl Path {
    /// Of a name as it is written.
    pub(super) fn new(whole: &str) -> Self {
        Self { whole: whole.to_owned(), steps: whole.split('.').map(str::to_owned).collect() }
    }

    /// As it is written.
    pub(super) fn name(&self) -> &str {
        &self.whole
    }

    /// What a row has there; a name with a point in it goes before a way.
    ///
    /// # Errors
    /// Where there is nothing, or null.
    fn find<'a>(&self, row: &Object<'a>) -> Result<Value<'a>, Fault> {
        let value = self.get(row)?;
        if value.is_null() {
            return Err(Fault::new("null_field", format!("the field {:?} is null", self.whole)));
        }
        Ok(value)
    }

    /// As [`find`](Self::find), null included.
    ///
    /// # Errors
    /// Where there is nothing.
    pub(super) fn get<'a>(&self, row: &Object<'a>) -> Result<Value<'a>, Fault> {
        if let Some(value) = row.get(&self.whole) {
            return Ok(value);
        }
        let mut way = self.steps.iter();
        let mut value = way.next().and_then(|first| row.get(first)).ok_or_else(|| self.unknown(row))?;
        for step in way {
            let deeper = match value.kind() {
                Kind::Object => value.object().and_then(|object| object.get(step)),
                Kind::Array => step
                    .parse()
                    .ok()
                    .and_then(|at: usize| value.elements().and_then(|mut elements| elements.nth(at))),
                _ => None,
            };
            value = deeper.ok_or_else(|| self.unknown(row))?;
        }
        Ok(value)
    }

    #[cold]
    fn unknown(&self, row: &Object<'_>) -> Fault {
        let mut there: Vec<_> = row.iter().map(|(name, _)| name).take(NAMES_MAX + 1).collect();
        let more = if there.len() > NAMES_MAX { " and more" } else { "" };
        there.truncate(NAMES_MAX);
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        Fault::new("unknown_field", format!("no field {:?}; there are: {there}{more}", self.whole))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn render(template: &str, row: &str) -> Result<String, Fault> {
        let mut out = b"\"".to_vec();
        let row = wire::json::object(row.as_bytes()).unwrap();
        Template::parse(template).unwrap().render(&row, 7, &mut out)?;
        out.push(b'"');
        Ok(serde_json::from_slice(&out).expect("a JSON string"))
    }

    #[test]
    fn places_are_filled_with_what_the_row_has_there() {
        let row = r#"{"text":"a \"b\" ü\u0041\n","n":1.50,"no":false,"user":{"name":"Ann","tags":["x",{"y":2}]},
            "a.b":"point","a":{"b":"way"},"first name":"Bo"}"#;
        for (template, text) in [
            ("", ""),
            ("plain \"text\"\n", "plain \"text\"\n"),
            ("Summarise: {{text}}!", "Summarise: a \"b\" üA\n!"),
            ("{{ n }}{{no}}", "1.50false"),
            ("{{user.name}} {{user.tags.0}} {{user.tags.1.y}}", "Ann x 2"),
            ("{{user.tags}}", "[\"x\",{\"y\":2}]"),
            ("{{a.b}}", "point"),
            ("{{first name}}", "Bo"),
            ("line {{$line}}", "line 7"),
            ("{{{{text}} } }} {{{{", "{{text}} } }} {{"),
        ] {
            assert_eq!(render(template, row).as_deref(), Ok(text), "{template}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let check = |template, row, code, message: &str| {
            let fault = render(template, row).unwrap_err();
            assert_eq!((fault.code.as_str(), fault.message.as_str()), (code, message));
        };
        let row = r#"{"id":1,"text":null,"tags":[1]}"#;
        check("{{txt}}", row, "unknown_field", "no field \"txt\"; there are: id, text, tags");
        check("{{tags.1}}", row, "unknown_field", "no field \"tags.1\"; there are: id, text, tags");
        check("{{id.x}}", row, "unknown_field", "no field \"id.x\"; there are: id, text, tags");
        check("{{x}}", "{}", "unknown_field", "no field \"x\"; there are: none");
        check("{{text}}", row, "null_field", "the field \"text\" is null");
        let many = format!("{{{}}}", (0..50).map(|n| format!("\"f{n}\":1")).collect::<Vec<_>>().join(","));
        assert!(render("{{x}}", &many).unwrap_err().message.ends_with("f19 and more"));
    }

    #[test]
    fn a_text_that_is_no_template_is_refused_with_the_place() {
        for (text, error) in [
            ("ü {{text", TemplateError::Open(3)),
            ("{{}}", TemplateError::Nameless(1)),
            ("a{{  }}", TemplateError::Nameless(2)),
            ("{{$row}}", TemplateError::Variable("$row".to_owned())),
        ] {
            assert_eq!(Template::parse(text), Err(error), "{text}");
        }
        let told = Template::parse("{{text").unwrap_err().to_string();
        assert_eq!(told, "'{{' at character 1 has no '}}'; write '{{{{' for two braces");
        assert!(Template::parse("all {{{{ plain").unwrap().is_constant());
        assert!(!Template::parse("{{$line}}").unwrap().is_constant());
    }
}
