//! What is read of a request, what is said of a bad one, and what is changed in a good one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::splice::splice;

const CHAT: Operation = Operation::ChatCompletions;
const TEXT: Operation = Operation::Completions;
const EMBED: Operation = Operation::Embeddings;

#[test]
fn a_bad_request_is_told_what_and_where() {
    let cases: &[(Operation, &str, &str, Option<&str>, &str)] = &[
        (
            CHAT,
            r#"{"messages":[{}]}"#,
            "Missing required parameter: 'model'.",
            Some("model"),
            "missing_required_parameter",
        ),
        (
            CHAT,
            r#"{"model":"m"}"#,
            "Missing required parameter: 'messages'.",
            Some("messages"),
            "missing_required_parameter",
        ),
        (
            TEXT,
            r#"{"model":"m"}"#,
            "Missing required parameter: 'prompt'.",
            Some("prompt"),
            "missing_required_parameter",
        ),
        (
            EMBED,
            r#"{"model":"m"}"#,
            "Missing required parameter: 'input'.",
            Some("input"),
            "missing_required_parameter",
        ),
        (
            CHAT,
            r#"{"model":3}"#,
            "Invalid type for 'model': expected a string, but got a number instead.",
            Some("model"),
            "invalid_type",
        ),
        (
            CHAT,
            r#"{"model":null}"#,
            "Invalid type for 'model': expected a string, but got null instead.",
            Some("model"),
            "invalid_type",
        ),
        (
            CHAT,
            r#"{"model":""}"#,
            "Invalid 'model': empty string. Expected a string with minimum length 1, but got an empty string instead.",
            Some("model"),
            "empty_string",
        ),
        (
            CHAT,
            r#"{"model":"m","messages":"hi"}"#,
            "Invalid type for 'messages': expected an array of objects, but got a string instead.",
            Some("messages"),
            "invalid_type",
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[]}"#,
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            Some("messages"),
            "empty_array",
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[{},{"a":["b"]},"hi",1]}"#,
            "Invalid type for 'messages[2]': expected an object, but got a string instead.",
            Some("messages[2]"),
            "invalid_type",
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[{}],"stream":"yes"}"#,
            "Invalid type for 'stream': expected a boolean, but got a string instead.",
            Some("stream"),
            "invalid_type",
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[{}],"stream_options":[]}"#,
            "Invalid type for 'stream_options': expected an object, but got an array instead.",
            Some("stream_options"),
            "invalid_type",
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[{}],"stream_options":{"include_usage":1}}"#,
            "Invalid type for 'stream_options.include_usage': expected a boolean, but got a number instead.",
            Some("stream_options.include_usage"),
            "invalid_type",
        ),
        (
            TEXT,
            r#"{"model":"m","prompt":{}}"#,
            "Invalid type for 'prompt': expected a string or an array, but got an object instead.",
            Some("prompt"),
            "invalid_type",
        ),
        (
            EMBED,
            r#"{"model":"m","input":null}"#,
            "Invalid type for 'input': expected a string or an array, but got null instead.",
            Some("input"),
            "invalid_type",
        ),
        (
            EMBED,
            r#"{"model":"m","input":["a",{}]}"#,
            "Invalid type for 'input[1]': expected a string, a token or an array of tokens, but got an object instead.",
            Some("input[1]"),
            "invalid_type",
        ),
        (
            EMBED,
            r#"{"model":"m","input":[]}"#,
            "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array instead.",
            Some("input"),
            "empty_array",
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[{}]"#,
            "We could not parse the JSON body of your request: expected ',' or '}' at line 1 column 29 (byte 28).",
            None,
            "invalid_json",
        ),
        (
            CHAT,
            r#"{"model":"m","messages":[{}],"model":"n"}"#,
            "We could not parse the JSON body of your request: the same key twice in one object at line 1 column 30 (byte 29).",
            None,
            "invalid_json",
        ),
        (
            CHAT,
            "[]",
            "We could not parse the JSON body of your request: expected a JSON object at line 1 column 1 (byte 0).",
            None,
            "invalid_json",
        ),
    ];
    for (operation, body, message, param, code) in cases {
        let failure = Request::parse(*operation, body.as_bytes()).unwrap_err();
        assert_eq!(failure.public(), *message, "{body}");
        assert_eq!((failure.param(), failure.code()), (*param, Some(*code)), "{body}");
        assert_eq!(failure.kind(), Kind::InvalidRequest);
    }
    assert_eq!(Request::parse(Operation::Models, b"{}").unwrap_err().kind(), Kind::MethodNotAllowed);
}

#[test]
fn a_good_request_is_read() {
    let cases = [
        (CHAT, r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#, "m", false, false),
        (CHAT, r#"{"messages":[{}],"stream":true,"model":"a/b"}"#, "a/b", true, false),
        (CHAT, r#"{"messages":[{}],"stream":null,"mod\u0065l":"g\u0070t"}"#, "gpt", false, false),
        (
            CHAT,
            r#"{"messages":[{}],"stream":true,"model":"m","stream_options":{"include_usage":true}}"#,
            "m",
            true,
            true,
        ),
        (
            CHAT,
            r#"{"messages":[{}],"stream":false,"model":"m","stream_options":{"include_usage":true}}"#,
            "m",
            false,
            false,
        ),
        (CHAT, r#"{"messages":[{}],"stream":true,"model":"m","stream_options":null}"#, "m", true, false),
        (
            CHAT,
            r#"{"messages":[{}],"stream":true,"model":"m","stream_options":{"include_usage":null}}"#,
            "m",
            true,
            false,
        ),
        (TEXT, r#"{"model":"m","prompt":"once","stream":true}"#, "m", true, false),
        (TEXT, r#"{"model":"m","prompt":null}"#, "m", false, false),
        (TEXT, r#"{"model":"m","prompt":["a","b"]}"#, "m", false, false),
        (TEXT, r#"{"model":"m","prompt":[[1,2],[3]]}"#, "m", false, false),
        (EMBED, r#"{"model":"m","input":[1,2,3]}"#, "m", false, false),
        // Embeddings do not stream; the member is the provider's to judge.
        (EMBED, r#"{"model":"m","input":"a","stream":"true","stream_options":1}"#, "m", false, false),
    ];
    for (operation, body, model, stream, usage_to_caller) in cases {
        let request = Request::parse(operation, body.as_bytes()).unwrap();
        assert_eq!(request.operation, operation);
        assert_eq!((&*request.model, request.stream), (model, stream), "{body}");
        assert_eq!(request.usage_to_caller, usage_to_caller, "{body}");
    }
}

/// Parses `body`, edits it and gives what the provider would read.
fn edited(body: &str, model: Option<&str>, ask_usage: bool) -> String {
    let body = Bytes::from(body.to_owned());
    let request = Request::parse(CHAT, &body).unwrap();
    let edits = request.edits(model, ask_usage);
    let spliced = splice(&body, &edits).into_bytes();
    String::from_utf8(spliced.to_vec()).unwrap()
}

#[test]
fn the_models_name_changes_and_every_other_byte_stays() {
    let cases = [
        (
            r#"{ "model" : "smart" ,"messages":[{}], "x":{"model":"smart"}}"#,
            "gpt-4o",
            r#"{ "model" : "gpt-4o" ,"messages":[{}], "x":{"model":"smart"}}"#,
        ),
        (
            r#"{"messages":[{"model":"in"}],"mod\u0065l":"sm\u0061rt"}"#,
            "gpt-4o",
            r#"{"messages":[{"model":"in"}],"mod\u0065l":"gpt-4o"}"#,
        ),
        (r#"{"model":"smart","messages":[{}]}"#, "a \"b\"\n", r#"{"model":"a \"b\"\n","messages":[{}]}"#),
        // The same name, however it is written, stays as it is written.
        (r#"{"model":"sm\u0061rt","messages":[{}]}"#, "smart", r#"{"model":"sm\u0061rt","messages":[{}]}"#),
    ];
    for (body, model, want) in cases {
        assert_eq!(edited(body, Some(model), false), want);
        assert_eq!(edited(body, Some(model), true), want, "usage is asked for on streams only");
        assert_eq!(edited(body, None, false), body);
    }
}

#[test]
fn usage_is_asked_for_wherever_the_body_leaves_off() {
    let cases = [
        (
            r#"{"model":"m","messages":[{}],"stream":true}"#,
            r#"{"model":"m","messages":[{}],"stream":true,"stream_options":{"include_usage":true}}"#,
        ),
        (
            "{\"model\":\"m\",\"messages\":[{}],\"stream\":true\n} ",
            "{\"model\":\"m\",\"messages\":[{}],\"stream\":true\n,\"stream_options\":{\"include_usage\":true}} ",
        ),
        (
            r#"{"model":"m","stream_options": null ,"messages":[{}],"stream":true}"#,
            r#"{"model":"m","stream_options": {"include_usage":true} ,"messages":[{}],"stream":true}"#,
        ),
        (
            r#"{"stream_options":{},"model":"m","messages":[{}],"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m","messages":[{}],"stream":true}"#,
        ),
        (
            r#"{"stream_options":{ "x":1},"model":"m","messages":[{}],"stream":true}"#,
            r#"{"stream_options":{"include_usage":true, "x":1},"model":"m","messages":[{}],"stream":true}"#,
        ),
        (
            r#"{"stream_options":{"x":1,"include_us\u0061ge": false},"model":"m","messages":[{}],"stream":true}"#,
            r#"{"stream_options":{"x":1,"include_us\u0061ge": true},"model":"m","messages":[{}],"stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":null},"model":"m","messages":[{}],"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m","messages":[{}],"stream":true}"#,
        ),
        (
            r#"{"stream_options":{"include_usage":true},"model":"m","messages":[{}],"stream":true}"#,
            r#"{"stream_options":{"include_usage":true},"model":"m","messages":[{}],"stream":true}"#,
        ),
    ];
    for (body, want) in cases {
        assert_eq!(edited(body, None, true), want);
        assert_eq!(edited(body, None, false), body);
        let renamed = edited(body, Some("other"), true);
        assert_eq!(renamed, want.replace(r#""model":"m""#, r#""model":"other""#));
        let read = Request::parse(CHAT, renamed.as_bytes()).unwrap();
        assert!(read.usage_to_caller && read.edits(Some("other"), true).is_empty());
    }
}
