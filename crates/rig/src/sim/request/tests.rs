#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;

fn check(read: impl Fn(&[u8]) -> Option<Refusal>, body: &str, param: Option<&str>, said: &str) {
    let Some(refusal) = read(body.as_bytes()) else { panic!("accepted: {body}") };
    assert_eq!(refusal.status.as_u16(), 400, "{body}");
    assert_eq!(refusal.param.as_deref(), param, "{body}: {}", refusal.message);
    assert!(refusal.message.contains(said), "{body}: {}", refusal.message);
}

#[test]
fn a_wrong_chat_is_refused_with_the_place() {
    let chat = |body: &[u8]| Generation::chat(body).err();
    let with =
        |members: &str| format!(r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],{members}}}"#);
    for (body, param, said) in [
        ("", None, "parse"),
        ("{", None, "line 1"),
        ("[]", None, "an array"),
        (r#"{"messages":[]}"#, Some("model"), "Missing"),
        (r#"{"model":5}"#, Some("model"), "an integer"),
        (r#"{"model":"","messages":[]}"#, Some("model"), "empty"),
        (r#"{"model":"m"}"#, Some("messages"), "Missing"),
        (r#"{"model":"m","model":"n"}"#, None, "duplicate"),
        (r#"{"model":"m","messages":[]}"#, Some("messages"), "minimum length 1"),
        (r#"{"model":"m","messages":"hi"}"#, Some("messages"), "an array of objects"),
        (r#"{"model":"m","messages":["hi"]}"#, Some("messages[0]"), "an object"),
        (r#"{"model":"m","messages":[{"content":"hi"}]}"#, Some("messages[0].role"), "Missing"),
        (r#"{"model":"m","messages":[{"role":"bard","content":"hi"}]}"#, Some("messages[0].role"), "'bard'"),
        (r#"{"model":"m","messages":[{"role":"user"}]}"#, Some("messages[0].content"), "Missing"),
        (
            r#"{"model":"m","messages":[{"role":"user","content":7}]}"#,
            Some("messages[0].content"),
            "an integer",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"text"}]}]}"#,
            Some("messages[0].content[0].text"),
            "Missing",
        ),
        (
            r#"{"model":"m","messages":[{"role":"user","content":[{"text":5}]}]}"#,
            Some("messages[0].content[0].text"),
            "a string",
        ),
        (
            r#"{"model":"m","messages":[{"role":"tool","content":"x"}]}"#,
            Some("messages[0].tool_call_id"),
            "Missing",
        ),
        (&with(r#""stream":"yes""#), Some("stream"), "a boolean"),
        (&with(r#""max_tokens":0"#), Some("max_tokens"), ">= 1"),
        (&with(r#""max_tokens":-5"#), Some("max_tokens"), "-5"),
        (&with(r#""max_tokens":1.5"#), Some("max_tokens"), "a decimal number"),
        (&with(r#""n":200"#), Some("n"), "<= 128"),
        (&with(r#""temperature":3"#), Some("temperature"), "<= 2"),
        (&with(r#""temperature":"hot""#), Some("temperature"), "a number"),
        (&with(r#""seed":1.5"#), Some("seed"), "an integer"),
        (&with(r#""stop":[1]"#), Some("stop[0]"), "a string"),
        (&with(r#""stop":[1,"a"]"#), Some("stop[0]"), "a string"),
        (&with(r#""stop":["a","b","c","d","e"]"#), Some("stop"), "more than 4"),
        (&with(r#""stop":"""#), Some("stop"), "empty"),
        (&with(r#""logprobs":3"#), Some("logprobs"), "a boolean"),
        (&with(r#""top_logprobs":3"#), Some("top_logprobs"), "must be true"),
        (&with(r#""logprobs":true,"top_logprobs":21"#), Some("top_logprobs"), "<= 20"),
        (&with(r#""stream_options":{}"#), Some("stream_options"), "only allowed"),
        (
            &with(r#""stream":true,"stream_options":{"include_usage":1}"#),
            Some("stream_options.include_usage"),
            "a boolean",
        ),
    ] {
        check(chat, body, param, said);
    }
}

#[test]
fn a_wrong_completion_or_embedding_is_refused_with_the_place() {
    let completion = |body: &[u8]| Generation::completion(body).err();
    check(completion, r#"{"model":"m"}"#, Some("prompt"), "Missing");
    check(completion, r#"{"model":"m","prompt":{}}"#, Some("prompt"), "an object");
    check(completion, r#"{"model":"m","prompt":"x","logprobs":true}"#, Some("logprobs"), "an integer");
    check(completion, r#"{"model":"m","prompt":"x","logprobs":9}"#, Some("logprobs"), "<= 5");
    let embedding = |body: &[u8]| Embedding::read(body).err();
    check(embedding, r#"{"model":"m"}"#, Some("input"), "Missing");
    check(embedding, r#"{"model":"m","input":""}"#, Some("input"), "empty");
    check(embedding, r#"{"model":"m","input":[]}"#, Some("input"), "minimum length");
    check(embedding, r#"{"model":"m","input":["a",1]}"#, Some("input[1]"), "a string");
    check(embedding, r#"{"model":"m","input":[[1],[-2]]}"#, Some("input[1][0]"), "an integer");
    check(embedding, r#"{"model":"m","input":5}"#, Some("input"), "an integer");
    check(embedding, r#"{"model":"m","input":"a","dimensions":0}"#, Some("dimensions"), ">= 1");
    check(
        embedding,
        r#"{"model":"m","input":"a","encoding_format":"hex"}"#,
        Some("encoding_format"),
        "'hex'",
    );
}

#[test]
fn what_the_simulator_does_not_know_is_skipped_and_null_is_absent() {
    let body = br#"{"model":"m","messages":[{"role":"user","content":"hi","x":1}],"metadata":{"a":[1]},"stop":null,"n":null,"tools":null}"#;
    let request = Generation::chat(body).unwrap();
    assert!(request.stop.is_none() && request.n.is_none() && request.tools.is_none());
}

#[test]
fn plain_strings_are_borrowed_and_escaped_ones_are_read() {
    let body =
        br#"{"model":"m","messages":[{"role":"user","content":"plain"},{"role":"user","content":"a\nb"}]}"#;
    let request = Generation::chat(body).unwrap();
    let contents: Vec<_> = request.messages.unwrap().into_iter().map(|message| message.content).collect();
    assert!(matches!(&contents[0], Some(Content::Text(std::borrow::Cow::Borrowed("plain")))));
    assert!(matches!(&contents[1], Some(Content::Text(text)) if text == "a\nb"));
}

#[test]
fn every_form_of_input_is_read() {
    for (input, items) in [(r#""a""#, 1), (r#"["a","b"]"#, 2), ("[1,2,3]", 1), ("[[1,2],[3]]", 2)] {
        let body = format!(r#"{{"model":"m","input":{input}}}"#);
        assert_eq!(Embedding::read(body.as_bytes()).unwrap().input.unwrap().0.len(), items, "{input}");
    }
}
