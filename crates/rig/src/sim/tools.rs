//! Which tools a reply calls, and with what. The tools' own schemas decide
//! the arguments; nothing is executed.

use super::key::Key;
use super::refusal::Refusal;
use super::reply::Call;
use super::request::Generation;
use super::schema;
use serde_json::Value;

/// Calls made at once where all of several tools are required.
const CALLS_MAX: usize = 8;

/// What `tool_choice` says.
#[derive(Debug, PartialEq)]
enum Wanted {
    None,
    Auto,
    Required,
    Named(String),
}

/// A tool that may be called.
#[derive(Debug)]
struct Tool {
    name: String,
    parameters: Value,
}

/// The tools that a reply will call; empty for a reply of text.
#[derive(Debug, Default)]
pub(crate) struct Calls(Vec<Tool>);

impl Calls {
    /// Decides by the request's tools, its `tool_choice`, and whether its last
    /// user message names a tool.
    pub(crate) fn plan(request: &Generation<'_>, last_user: &str) -> Result<Self, Refusal> {
        let tools = tools(request)?;
        let wanted = wanted(request, &tools)?;
        let parallel = request.parallel_tool_calls != Some(false);
        let answered = last_role(request) == Some("tool");
        let mut called = match wanted {
            Wanted::None => Vec::new(),
            // Its results are there: now it is the model's turn to speak.
            Wanted::Auto if answered => Vec::new(),
            Wanted::Auto => mentioned(tools, last_user),
            Wanted::Required if parallel => tools,
            Wanted::Required => prefer_mentioned(tools, last_user),
            Wanted::Named(name) => tools.into_iter().filter(|tool| tool.name == name).collect(),
        };
        called.truncate(if parallel { CALLS_MAX } else { 1 });
        Ok(Self(called))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls with arguments drawn from a key.
    pub(crate) fn make(&self, key: Key) -> Vec<Call> {
        let mut draws = key.draws(4);
        let calls = self.0.iter().enumerate().map(|(at, tool)| {
            let arguments = schema::instance(&tool.parameters, key.draws(64 + at as u64));
            Call::new(&mut draws, &tool.name, arguments.to_string())
        });
        calls.collect()
    }
}

fn last_role<'a>(request: &'a Generation<'_>) -> Option<&'a str> {
    request.messages.as_ref()?.last()?.role.as_deref()
}

/// Whether a text names a tool, in any case, as a word of its own.
fn names(text: &str, tool: &str) -> bool {
    let part_of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let (text, tool) = (text.as_bytes(), tool.as_bytes());
    text.windows(tool.len()).enumerate().any(|(at, window)| {
        let before = at.checked_sub(1).and_then(|at| text.get(at));
        let after = text.get(at + tool.len());
        window.eq_ignore_ascii_case(tool)
            && !before.is_some_and(|&b| part_of_name(b))
            && !after.is_some_and(|&b| part_of_name(b))
    })
}

fn mentioned(mut tools: Vec<Tool>, text: &str) -> Vec<Tool> {
    tools.retain(|tool| names(text, &tool.name));
    tools
}

fn prefer_mentioned(mut tools: Vec<Tool>, text: &str) -> Vec<Tool> {
    // Stable: the first of those named, or simply the first.
    tools.sort_by_key(|tool| !names(text, &tool.name));
    tools
}

fn tools(request: &Generation<'_>) -> Result<Vec<Tool>, Refusal> {
    let Some(raw) = request.tools else { return Ok(Vec::new()) };
    let list = match serde_json::from_str(raw.get()) {
        Ok(Value::Array(list)) => list,
        _ => {
            return Err(Refusal::at(
                "tools",
                "invalid_type",
                "Invalid type for 'tools': expected an array of objects.",
            ));
        }
    };
    match list.len() {
        0 => Err(Refusal::at(
            "tools",
            "empty_array",
            "Invalid 'tools': empty array. Expected an array with minimum length 1.",
        )),
        1..=128 => list.into_iter().enumerate().map(|(at, value)| tool(at, value)).collect(),
        _ => Err(Refusal::wrong("tools", "it has more than 128 items")),
    }
}

fn tool(at: usize, mut value: Value) -> Result<Tool, Refusal> {
    let place = |member: &str| format!("tools[{at}].{member}");
    match value.get("type").map(Value::as_str) {
        Some(Some("function")) => {}
        Some(Some(other)) => return Err(Refusal::wrong_value(&place("type"), other, "'function'")),
        Some(None) => {
            return Err(Refusal::at(&place("type"), "invalid_type", "The type of a tool must be a string."));
        }
        None => return Err(Refusal::missing(&place("type"))),
    }
    let Some(name) = value.pointer("/function/name") else {
        return Err(Refusal::missing(&place("function.name")));
    };
    let name = match name.as_str() {
        Some(name) if is_name(name) => name.to_owned(),
        _ => {
            let why = "a name has 1 to 64 letters, digits, underscores and dashes";
            return Err(Refusal::wrong(&place("function.name"), why));
        }
    };
    let parameters = match value.pointer_mut("/function/parameters").map(Value::take) {
        None | Some(Value::Null) => serde_json::json!({"type": "object", "properties": {}}),
        Some(object @ Value::Object(_)) => object,
        Some(_) => {
            return Err(Refusal::at(
                &place("function.parameters"),
                "invalid_type",
                "The parameters of a tool must be an object.",
            ));
        }
    };
    Ok(Tool { name, parameters })
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn wanted(request: &Generation<'_>, tools: &[Tool]) -> Result<Wanted, Refusal> {
    let Some(raw) = request.tool_choice else { return Ok(Wanted::Auto) };
    let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
    let wanted = match (value.as_str(), value.get("type").and_then(Value::as_str)) {
        (Some("none"), _) => Wanted::None,
        (Some("auto"), _) => Wanted::Auto,
        (Some("required"), _) => Wanted::Required,
        (None, Some("function")) => match value.pointer("/function/name").and_then(Value::as_str) {
            Some(name) => Wanted::Named(name.to_owned()),
            None => return Err(Refusal::missing("tool_choice.function.name")),
        },
        _ => {
            return Err(Refusal::wrong(
                "tool_choice",
                "it is none of 'none', 'auto', 'required' and a function's name",
            ));
        }
    };
    match &wanted {
        Wanted::Required | Wanted::Named(_) if tools.is_empty() => {
            Err(Refusal::wrong("tool_choice", "it is only allowed when 'tools' are specified"))
        }
        Wanted::Named(name) if !tools.iter().any(|tool| tool.name == *name) => {
            Err(Refusal::wrong("tool_choice", &format!("there is no tool named '{name}'")))
        }
        _ => Ok(wanted),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn plan(members: &Value, message: &str) -> Result<Vec<String>, Refusal> {
        let tool = |name: &str| json!({"type": "function", "function": {"name": name}});
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": message}],
                              "tools": [tool("get_weather"), tool("get_time")]});
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        let body = body.to_string();
        let request = Generation::chat(body.as_bytes()).unwrap();
        Calls::plan(&request, message).map(|calls| calls.0.into_iter().map(|tool| tool.name).collect())
    }

    fn check(members: &Value, message: &str, called: &[&str]) {
        assert_eq!(plan(members, message).unwrap(), called, "{members} {message}");
    }

    #[test]
    fn the_choice_decides_what_is_called() {
        check(&json!({}), "hello", &[]);
        check(&json!({}), "use Get_Weather now", &["get_weather"]);
        check(&json!({}), "use get_weather_map now", &[]);
        check(&json!({}), "get_time, then get_weather", &["get_weather", "get_time"]);
        check(&json!({"parallel_tool_calls": false}), "get_time, then get_weather", &["get_weather"]);
        check(&json!({"tool_choice": "none"}), "use get_weather", &[]);
        check(&json!({"tool_choice": "required"}), "hello", &["get_weather", "get_time"]);
        check(&json!({"tool_choice": "required", "parallel_tool_calls": false}), "get_time?", &["get_time"]);
        check(
            &json!({"tool_choice": {"type": "function", "function": {"name": "get_time"}}}),
            "hello",
            &["get_time"],
        );
    }

    #[test]
    fn a_tool_that_has_answered_is_not_called_again() {
        let messages = json!([
            {"role": "user", "content": "get_time"},
            {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "get_time", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "a", "content": "noon"},
        ]);
        check(&json!({"messages": messages}), "get_time", &[]);
    }

    #[test]
    fn wrong_tools_are_refused_with_the_place() {
        let named = json!({"type": "function", "function": {"name": "other"}});
        for (members, param) in [
            (json!({"tool_choice": named}), "tool_choice"),
            (json!({"tool_choice": "sometimes"}), "tool_choice"),
            (json!({"tool_choice": {"type": "function"}}), "tool_choice.function.name"),
            (json!({"tools": null, "tool_choice": "required"}), "tool_choice"),
            (json!({"tools": []}), "tools"),
            (json!({"tools": {}}), "tools"),
            (json!({"tools": [{}]}), "tools[0].type"),
            (json!({"tools": [{"type": "web"}]}), "tools[0].type"),
            (json!({"tools": [{"type": "function"}]}), "tools[0].function.name"),
            (json!({"tools": [{"type": "function", "function": {"name": "a b"}}]}), "tools[0].function.name"),
        ] {
            let refusal = plan(&members, "hi").unwrap_err();
            assert_eq!(refusal.param.as_deref(), Some(param), "{members}");
        }
    }
}
