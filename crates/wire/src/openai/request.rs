//! A caller's request: what the gateway must know of it, and the edits it may need.
//!
//! Only these are read: `model`, `stream`, `stream_options.include_usage`, and that `messages`,
//! `prompt` or `input` is there and of a possible type. Everything else is the provider's to judge
//! and goes through as it came. What a cache asks of a request is read when it asks: see
//! [`Request::traits`]; what a quota or a queue asks, too: see [`Request::tokens_expected`].

#[cfg(test)]
mod tests;
mod tokens;
mod traits;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::failure::{Failure, Kind};
use crate::json::{self, Kind as Json, Object, Value};
use crate::operation::Operation;
use crate::splice::{Edit, json_string};

pub use tokens::{COMPLETION_TOKENS_DEFAULT, OUTPUT_TOKENS_DEFAULT, TokensExpected};
pub use traits::{Determinism, LastUser, Traits};

/// A request that names a model and has what its operation needs.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// What is asked for.
    pub operation: Operation,
    /// The model's name as the caller wrote it, decoded; never empty.
    pub model: Cow<'a, str>,
    /// Whether the answer is to come as a stream.
    pub stream: bool,
    /// Whether the caller asked for the usage chunk at the stream's end.
    pub usage_to_caller: bool,
    model_span: Range<usize>,
    usage: UsageOption,
    /// All members, for what is asked later and seldom.
    pub(super) object: Object<'a>,
}

/// Where `stream_options.include_usage` stands in the body, or would stand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum UsageOption {
    /// It stands here and is `true`.
    Asked,
    /// Something else stands here in its place: `false` or `null`.
    Declined(Range<usize>),
    /// `stream_options` is an object without it: the offset behind its opening brace.
    Unset { at: usize, alone: bool },
    /// `stream_options` itself is `null`.
    NullOptions(Range<usize>),
    /// There is no `stream_options`: the offset of the body's closing brace.
    NoOptions { at: usize },
}

/// The members of a body that the gateway looks at.
#[derive(Default)]
struct Members<'a> {
    model: Option<Value<'a>>,
    stream: Option<Value<'a>>,
    stream_options: Option<Value<'a>>,
    content: Option<Value<'a>>,
}

impl<'a> Request<'a> {
    /// Reads the body of a request for `operation`.
    ///
    /// # Errors
    /// A [`Kind::InvalidRequest`] in OpenAI's own words, with the parameter at fault and how to
    /// mend it; for [`Operation::Models`], which has no body, a [`Kind::MethodNotAllowed`].
    pub fn parse(operation: Operation, body: &'a [u8]) -> Result<Self, Failure> {
        let Some(content) = content_of(operation) else {
            let message = "The list of models is read with GET and takes no body.";
            return Err(Failure::new(Kind::MethodNotAllowed, message));
        };
        let object = json::object(body).map_err(|fault| not_json(&fault))?;
        let members = Members::of(&object, content);
        let model = members.model.ok_or_else(|| missing("model"))?;
        let name = model.as_str().ok_or_else(|| wrong_type("model", "a string", model))?;
        if name.is_empty() {
            return Err(empty("model", "string", "empty_string"));
        }
        check_content(operation, content, members.content)?;
        let (stream, usage) = if operation.streams() {
            (flag("stream", members.stream)?, usage_option(members.stream_options, object.end())?)
        } else {
            (false, UsageOption::NoOptions { at: object.end() })
        };
        Ok(Self {
            operation,
            model: name,
            stream,
            usage_to_caller: stream && usage == UsageOption::Asked,
            model_span: model.span(),
            usage,
            object,
        })
    }

    /// The body, known to be JSON.
    #[must_use]
    pub fn text(&self) -> &'a str {
        self.object.text()
    }

    /// What to change in the body for the provider, in the body's order: the model's name where
    /// `upstream_model` is another, and `stream_options.include_usage` on a stream where
    /// `ask_usage` wants the provider to count. Empty where the body may go on as it is.
    #[must_use]
    pub fn edits(&self, upstream_model: Option<&str>, ask_usage: bool) -> SmallVec<[Edit; 2]> {
        let mut edits = SmallVec::<[Edit; 2]>::new();
        if let Some(name) = upstream_model.filter(|name| *name != self.model) {
            edits.push(Edit { range: self.model_span.clone(), with: json_string(name) });
        }
        if ask_usage && self.stream {
            edits.extend(self.usage.edit());
        }
        edits.sort_by_key(|edit| edit.range.start);
        edits
    }
}

impl UsageOption {
    /// The edit that makes the body ask for usage.
    fn edit(&self) -> Option<Edit> {
        let (range, with): (Range<usize>, &'static [u8]) = match self {
            Self::Asked => return None,
            Self::Declined(range) => (range.clone(), b"true"),
            Self::Unset { at, alone: true } => (*at..*at, b"\"include_usage\":true"),
            Self::Unset { at, alone: false } => (*at..*at, b"\"include_usage\":true,"),
            Self::NullOptions(range) => (range.clone(), b"{\"include_usage\":true}"),
            // The body has a model, so a member stands before this one.
            Self::NoOptions { at } => (*at..*at, b",\"stream_options\":{\"include_usage\":true}"),
        };
        Some(Edit { range, with: Bytes::from_static(with) })
    }
}

impl<'a> Members<'a> {
    fn of(object: &Object<'a>, content: &str) -> Self {
        let mut found = Self::default();
        for (key, value) in object.iter() {
            match &*key {
                "model" => found.model = Some(value),
                "stream" => found.stream = Some(value),
                "stream_options" => found.stream_options = Some(value),
                key if key == content => found.content = Some(value),
                _ => {}
            }
        }
        found
    }
}

/// The member that carries what the model is to read.
const fn content_of(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::ChatCompletions => Some("messages"),
        Operation::Completions => Some("prompt"),
        Operation::Embeddings => Some("input"),
        Operation::Models => None,
    }
}

fn check_content(
    operation: Operation,
    name: &'static str,
    content: Option<Value<'_>>,
) -> Result<(), Failure> {
    let content = content.ok_or_else(|| missing(name))?;
    match (operation, content.kind()) {
        (Operation::ChatCompletions, Json::Array) => {}
        (Operation::ChatCompletions, _) => {
            return Err(wrong_type(name, "an array of objects", content));
        }
        // OpenAI's specification lets a prompt be null: the model then begins a text of its own.
        (Operation::Completions, Json::Null) => return Ok(()),
        (_, Json::Array) => {}
        (_, Json::String) => return Ok(()),
        _ => return Err(wrong_type(name, "a string or an array", content)),
    }
    if content.is_empty_container() {
        return Err(empty(name, "array", "empty_array"));
    }
    let allowed: &[Json] = match operation {
        Operation::ChatCompletions => &[Json::Object],
        _ => &[Json::String, Json::Number, Json::Array],
    };
    if content.holds_only(allowed) {
        return Ok(());
    }
    let expected = if operation == Operation::ChatCompletions {
        "an object"
    } else {
        "a string, a token or an array of tokens"
    };
    Err(wrong_element(name, content, allowed, expected))
}

/// An optional boolean; `null` counts as absent, as it does for OpenAI.
fn flag(name: &'static str, value: Option<Value<'_>>) -> Result<bool, Failure> {
    match value {
        None => Ok(false),
        Some(value) if value.is_null() => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| wrong_type(name, "a boolean", value)),
    }
}

fn usage_option(options: Option<Value<'_>>, end: usize) -> Result<UsageOption, Failure> {
    let Some(value) = options else {
        return Ok(UsageOption::NoOptions { at: end });
    };
    if value.is_null() {
        return Ok(UsageOption::NullOptions(value.span()));
    }
    let options = value.object().ok_or_else(|| wrong_type("stream_options", "an object", value))?;
    let Some(include) = options.get("include_usage") else {
        return Ok(UsageOption::Unset { at: value.span().start + 1, alone: options.is_empty() });
    };
    if flag("stream_options.include_usage", Some(include))? {
        Ok(UsageOption::Asked)
    } else {
        Ok(UsageOption::Declined(include.span()))
    }
}

#[cold]
fn not_json(fault: &json::Fault) -> Failure {
    let message = format!("We could not parse the JSON body of your request: {fault}.");
    Failure::new(Kind::InvalidRequest, message).with_code("invalid_json")
}

#[cold]
fn missing(name: &'static str) -> Failure {
    Failure::new(Kind::InvalidRequest, format!("Missing required parameter: '{name}'."))
        .with_param(name)
        .with_code("missing_required_parameter")
}

#[cold]
fn empty(name: &'static str, kind: &str, code: &'static str) -> Failure {
    let message = format!(
        "Invalid '{name}': empty {kind}. \
         Expected {} with minimum length 1, but got an empty {kind} instead.",
        if kind == "array" { "an array" } else { "a string" }
    );
    Failure::new(Kind::InvalidRequest, message).with_param(name).with_code(code)
}

#[cold]
fn wrong_type(name: impl Into<Cow<'static, str>>, expected: &str, got: Value<'_>) -> Failure {
    let name = name.into();
    let got = got.kind().with_article();
    let message = format!("Invalid type for '{name}': expected {expected}, but got {got} instead.");
    Failure::new(Kind::InvalidRequest, message).with_param(name).with_code("invalid_type")
}

/// Names the first element that is of none of the kinds allowed.
#[cold]
fn wrong_element(name: &str, array: Value<'_>, allowed: &[Json], expected: &str) -> Failure {
    let mut elements = array.elements().into_iter().flatten().enumerate();
    match elements.find(|(_, element)| !allowed.contains(&element.kind())) {
        Some((at, element)) => wrong_type(format!("{name}[{at}]"), expected, element),
        None => wrong_type(name.to_owned(), expected, array),
    }
}
