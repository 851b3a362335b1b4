//! How a row becomes a request: all that is the same for every row is made beforehand.

use bytes::Bytes;
use serde_json::{Map, Value};
use wire::Operation;
use wire::json;
use wire::splice::push_json_string;

use super::row::Fault;
use super::template::{Path, Template};

/// What rows are made into.
#[derive(Clone, Debug)]
pub(super) struct Recipe {
    /// What is asked for.
    pub(super) operation: Operation,
    /// What the model is told before, the same for all rows or not.
    pub(super) system: Option<Template>,
    /// What it is asked.
    pub(super) prompt: Template,
    /// Fields that each row must have, as they go into the output; none: whatever there is.
    pub(super) fields: Vec<Path>,
    /// The body up to the first text, and what follows the last.
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Recipe {
    /// A recipe for requests to `model` with `members` of their own.
    pub(super) fn new(
        operation: Operation,
        model: &str,
        system: Option<Template>,
        prompt: Template,
        members: &Map<String, Value>,
    ) -> Self {
        let mut head = b"{\"model\":".to_vec();
        push_json_string(&mut head, model);
        let mut tail = Vec::new();
        if operation == Operation::Embeddings {
            head.extend_from_slice(b",\"input\":\"");
            tail.push(b'"');
        } else {
            head.extend_from_slice(b",\"messages\":[{\"role\":\"");
            tail.extend_from_slice(b"\"}]");
        }
        for (name, value) in members {
            tail.push(b',');
            push_json_string(&mut tail, name);
            tail.push(b':');
            tail.extend_from_slice(value.to_string().as_bytes());
        }
        tail.push(b'}');
        Self { operation, system, prompt, fields: Vec::new(), head, tail }
    }

    /// The same, for rows that have these fields.
    pub(super) fn with_fields(mut self, fields: Vec<Path>) -> Self {
        self.fields = fields;
        self
    }

    /// The body of a row's request.
    ///
    /// # Errors
    /// A field that the row does not have.
    pub(super) fn body(&self, row: &[u8], line: u64) -> Result<Bytes, Fault> {
        let object = json::object(row).map_err(|fault| Fault::of_json(&fault))?;
        for field in &self.fields {
            field.get(&object)?;
        }
        let mut body = Vec::with_capacity(self.head.len() + self.tail.len() + row.len() + 128);
        body.extend_from_slice(&self.head);
        if self.operation != Operation::Embeddings {
            if let Some(system) = &self.system {
                body.extend_from_slice(b"system\",\"content\":\"");
                system.render(&object, line, &mut body)?;
                body.extend_from_slice(b"\"},{\"role\":\"");
            }
            body.extend_from_slice(b"user\",\"content\":\"");
        }
        self.prompt.render(&object, line, &mut body)?;
        body.extend_from_slice(&self.tail);
        body.shrink_to_fit();
        Ok(body.into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;

    fn check(operation: Operation, system: Option<&str>, members: &str, body: &str) {
        let template = |text| Template::parse(text).unwrap();
        let members = serde_json::from_str(members).unwrap();
        let recipe = Recipe::new(operation, "a/b", system.map(template), template("Say {{t}}"), &members);
        let made = recipe.body(br#"{"t":"\"x\"\n"}"#, 3).unwrap();
        assert_eq!(std::str::from_utf8(&made).unwrap(), body);
        assert!(wire::openai::Request::parse(operation, &made).is_ok());
    }

    #[test]
    fn a_row_becomes_the_request_that_callers_send() {
        check(
            Operation::ChatCompletions,
            None,
            "{}",
            r#"{"model":"a/b","messages":[{"role":"user","content":"Say \"x\"\n"}]}"#,
        );
        check(
            Operation::ChatCompletions,
            Some("Line {{$line}}"),
            r#"{"temperature":0,"stop":["\n"]}"#,
            r#"{"model":"a/b","messages":[{"role":"system","content":"Line 3"},{"role":"user","content":"Say \"x\"\n"}],"stop":["\n"],"temperature":0}"#,
        );
        check(
            Operation::Embeddings,
            None,
            r#"{"dimensions":8}"#,
            r#"{"model":"a/b","input":"Say \"x\"\n","dimensions":8}"#,
        );
    }

    #[test]
    fn a_field_that_the_output_keeps_must_be_there_before_anything_is_asked() {
        let prompt = Template::parse("{{t}}").unwrap();
        let recipe = Recipe::new(Operation::ChatCompletions, "m", None, prompt, &Map::new())
            .with_fields(vec![Path::new("id")]);
        assert!(recipe.body(br#"{"t":"x","id":null}"#, 1).is_ok());
        assert_eq!(recipe.body(br#"{"t":"x"}"#, 1).unwrap_err().code, "unknown_field");
    }
}
