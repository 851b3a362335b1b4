//! What an answer is worth, what is a complete stream, and what is not converted; `tests/stored.rs`
//! has whole answers in both forms.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::openai::Usage;

const CHAT: Operation = Operation::ChatCompletions;
const TEXT: Operation = Operation::Completions;
const EMBED: Operation = Operation::Embeddings;

const CHUNK: &str = r#"{"choices":[{"index":0,"delta":{"content":"a潮"},"finish_reason":null}]}"#;
const LAST: &str = r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;
const USAGE: &str = r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;

/// The chunks as frames.
fn frames(chunks: &[&str]) -> String {
    chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect()
}

fn stream(chunks: &[&str]) -> StoredStream {
    StoredStream { frames: frames(chunks).into(), usage: None }
}

/// The facts of an answer that is nothing out of the ordinary, of so many characters.
fn fine(text_chars: u64) -> Worth {
    Worth {
        finish: Finishes { stop: true, ..Finishes::default() },
        choices: 1,
        text_chars,
        ..Worth::default()
    }
}

fn ended(set: impl Fn(&mut Finishes)) -> Finishes {
    let mut finish = Finishes::default();
    set(&mut finish);
    finish
}

#[test]
fn the_facts_of_a_whole_chat_are_told() {
    let cases = [
        (r#"{"message":{"content":"a潮\n"},"finish_reason":"stop"}"#, fine(3)),
        (
            r#"{"message":{"content":"ab"},"finish_reason":"length"}"#,
            Worth { finish: ended(|it| it.length = true), ..fine(2) },
        ),
        (
            r#"{"message":{"content":null,"tool_calls":[{"id":"c"}]},"finish_reason":"tool_calls"}"#,
            Worth { finish: ended(|it| it.tool_calls = true), ..fine(0) },
        ),
        (
            r#"{"message":{"function_call":{"name":"f"}},"finish_reason":"function_call"}"#,
            Worth { finish: ended(|it| it.tool_calls = true), ..fine(0) },
        ),
        (
            r#"{"message":{"content":"ab"},"finish_reason":"content_filter"}"#,
            Worth { finish: ended(|it| it.content_filter = true), ..fine(2) },
        ),
        (
            r#"{"message":{"content":"ab"},"finish_reason":"error"}"#,
            Worth { finish: ended(|it| it.other = true), ..fine(2) },
        ),
        (
            r#"{"message":{"content":"ab"},"finish_reason":7}"#,
            Worth { finish: ended(|it| it.other = true), ..fine(2) },
        ),
        (
            r#"{"message":{"content":"ab"},"finish_reason":null}"#,
            Worth { finish: ended(|it| it.incomplete = true), ..fine(2) },
        ),
        (
            r#"{"message":{"content":"ab"},"finish_reason":"stop"},{"message":{"content":"c"},"finish_reason":"length"},{"message":{"content":"d"}}"#,
            Worth {
                finish: Finishes { stop: true, length: true, incomplete: true, ..Finishes::default() },
                choices: 3,
                ..fine(4)
            },
        ),
        // One index for all, as some servers have it: they are still three.
        (
            r#"{"index":0,"message":{"content":"a"},"finish_reason":"stop"},{"index":0,"message":{"content":""},"finish_reason":"stop"}"#,
            Worth { choices: 2, empty: true, ..fine(1) },
        ),
        (r#"{"message":{"content":""},"finish_reason":"stop"}"#, Worth { empty: true, ..fine(0) }),
        (r#"{"message":{"tool_calls":[]},"finish_reason":"stop"}"#, Worth { empty: true, ..fine(0) }),
        (r#"{"message":null,"finish_reason":"stop"}"#, Worth { empty: true, ..fine(0) }),
        (r#"{"message":{"content":null,"audio":{"id":"a"}},"finish_reason":"stop"}"#, fine(0)),
        (
            r#"{"message":{"content":null,"refusal":"no"},"finish_reason":"stop"}"#,
            Worth { refusal: true, empty: true, ..fine(0) },
        ),
        (r#"{"message":{"content":"a","refusal":""},"finish_reason":"stop"}"#, fine(1)),
        (
            r#"{"message":{"content":[{"type":"text","text":"ab"},{"type":"refusal","refusal":"no"}]},"finish_reason":"stop"}"#,
            Worth { refusal: true, ..fine(2) },
        ),
        ("", Worth { empty: true, finish: Finishes::default(), choices: 0, ..fine(0) }),
    ];
    for (choices, want) in cases {
        let worth = worth_of(CHAT, format!(r#"{{"choices":[{choices}],"error":null}}"#).as_bytes());
        assert_eq!(worth.unwrap(), want, "{choices}");
    }
}

#[test]
fn the_facts_of_other_answers_are_told() {
    let usage = Some(Usage { input: 3, total: 3, ..Usage::default() });
    let none = Worth::default();
    let cases = [
        (TEXT, r#"{"choices":[{"text":" ab","finish_reason":"stop"}]}"#, fine(3)),
        (TEXT, r#"{"choices":[{"text":"","finish_reason":"stop"}]}"#, Worth { empty: true, ..fine(0) }),
        (TEXT, r#"{"error":"busy"}"#, Worth { error: true, empty: true, ..none.clone() }),
        (
            EMBED,
            r#"{"data":[{"embedding":[1]},{"embedding":"AAAA"}],"usage":{"prompt_tokens":3}}"#,
            Worth { choices: 2, usage, ..none.clone() },
        ),
        (EMBED, r#"{"data":[]}"#, Worth { empty: true, ..none.clone() }),
        (EMBED, r#"{"error":{"message":"busy"}}"#, Worth { error: true, empty: true, ..none.clone() }),
        (CHAT, r#"{"error":{},"choices":3}"#, Worth { error: true, empty: true, ..none }),
    ];
    for (operation, body, want) in cases {
        assert_eq!(worth_of(operation, body.as_bytes()).unwrap(), want, "{body}");
    }
    for body in ["", "[]", "<html>", r#"{"choices":["#] {
        assert!(worth_of(CHAT, body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn the_facts_of_a_stream_are_those_of_its_answer() {
    let usage = Some(Usage { input: 1, output: 2, total: 3, ..Usage::default() });
    let usage_frame = || Some(Bytes::from(frames(&[USAGE])));
    let complete = StoredStream { usage: usage_frame(), ..stream(&[CHUNK, CHUNK, LAST]) };
    assert_eq!(complete.worth(), Worth { usage, ..fine(4) });
    let incomplete = Finishes { incomplete: true, ..Finishes::default() };
    assert_eq!(stream(&[CHUNK]).worth(), Worth { finish: incomplete, ..fine(2) });
    let refusal = r#"{"choices":[{"index":0,"delta":{"refusal":"n"}}]}"#;
    assert_eq!(stream(&[refusal, LAST]).worth(), Worth { refusal: true, empty: true, ..fine(0) });
    let call =
        r#"{"choices":[{"index":1,"delta":{"tool_calls":[{"index":0}]},"finish_reason":"tool_calls"}]}"#;
    let both = Finishes { stop: true, tool_calls: true, ..Finishes::default() };
    assert_eq!(stream(&[CHUNK, call, LAST]).worth(), Worth { finish: both, choices: 2, ..fine(2) });
    let text = r#"{"choices":[{"text":"ab","index":0,"finish_reason":"stop"}]}"#;
    assert_eq!(stream(&[text]).worth(), fine(2));
    assert_eq!(stream(&[]).worth(), Worth { empty: true, ..Worth::default() });
    assert!(stream(&[CHUNK, "{", LAST]).worth().error);
    assert!(StoredStream { frames: "data: {}".into(), usage: None }.worth().error);
}

#[test]
fn a_complete_stream_is_taken_apart_without_a_copy() {
    let cases: &[(&[&str], Option<&str>)] = &[
        (&[CHUNK, LAST, "[DONE]"], None),
        (&[CHUNK, LAST, USAGE, "[DONE]"], Some(USAGE)),
        (&[USAGE, CHUNK, LAST, "[DONE]"], Some(USAGE)),
        (&["[DONE]"], None),
    ];
    for (chunks, usage) in cases {
        let bytes = Bytes::from(frames(chunks));
        let stored = StoredStream::split(CHAT, &bytes).unwrap();
        let rest: Vec<&str> =
            chunks.iter().copied().filter(|&chunk| chunk != USAGE && chunk != "[DONE]").collect();
        assert_eq!(stored.frames, frames(&rest), "{chunks:?}");
        assert_eq!(stored.usage, usage.map(|chunk| Bytes::from(frames(&[chunk]))));
        let memory = bytes.as_ptr_range();
        for slice in [Some(&stored.frames), stored.usage.as_ref()].into_iter().flatten() {
            assert!(slice.is_empty() || memory.contains(&slice.as_ptr()), "{chunks:?}");
        }
        assert_eq!(StoredStream::split(CHAT, &stored.join()).unwrap(), stored);
    }
    // The usage chunk in the middle: the one case of a copy. Of two, the last.
    let other = USAGE.replace('1', "5");
    let bytes = Bytes::from(frames(&[CHUNK, USAGE, LAST, &other, "[DONE]"]));
    let stored = StoredStream::split(CHAT, &bytes).unwrap();
    assert_eq!(stored.frames, frames(&[CHUNK, LAST]));
    assert_eq!(stored.usage.unwrap(), frames(&[&other]));
    // Comments and other line ends are kept as they are.
    let bytes =
        Bytes::from(format!(": ping\n\ndata:{CHUNK}\r\n\r\ndata: {{\ndata: }}\n\ndata: [DONE]\r\n\r\n"));
    let stored = StoredStream::split(TEXT, &bytes).unwrap();
    assert_eq!(stored.frames, bytes[..bytes.len() - "data: [DONE]\r\n\r\n".len()]);
}

#[test]
fn what_is_no_complete_stream_is_not_taken_apart() {
    let good = frames(&[CHUNK, LAST, "[DONE]"]);
    let error = r#"{"error":{"message":"busy"}}"#;
    for bytes in [
        String::new(),
        frames(&[CHUNK, LAST]),
        frames(&[CHUNK, error, "[DONE]"]),
        frames(&[CHUNK, "{\"a\":", "[DONE]"]),
        frames(&["[1]", "[DONE]"]),
        frames(&["text", "[DONE]"]),
        format!("{good}{}", frames(&[CHUNK])),
        format!("{good}: ping\n\n"),
        format!("{good}\n"),
        format!("{good}data"),
        format!("\u{feff}{good}"),
        good.replace("[DONE]\n\n", "[DONE]\r\r"),
    ] {
        assert_eq!(StoredStream::split(CHAT, &Bytes::from(bytes.clone())), None, "{bytes:?}");
    }
    assert!(StoredStream::split(CHAT, &Bytes::from(good.clone())).is_some());
    for operation in [EMBED, Operation::Models] {
        assert_eq!(StoredStream::split(operation, &Bytes::from(good.clone())), None);
    }
}

#[test]
fn a_whole_answer_that_cannot_be_streamed_faithfully_is_not() {
    let good = r#"{"choices":[{"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]}"#;
    assert!(stream_of(CHAT, good.as_bytes()).is_some());
    let long = "x".repeat(crate::sse::FRAME_BYTES_MAX);
    for (from, to) in [
        (r#""stop""#, "null"),
        (r#","finish_reason":"stop""#, ""),
        (r#"[{"message""#, r#"[{"index":"0","message""#),
        (r#""content":"a""#, r#""content":["a"]"#),
        (r#""content":"a""#, r#""content":"a","content":"b""#),
        (r#""content":"a""#, r#""content":"a","audio":{"id":"x"}"#),
        (r#""content":"a""#, r#""content":"\ud83d""#),
        (r#""content":"a""#, r#""content":"a","tool_calls":[1]"#),
        (r#""content":"a""#, &format!(r#""content":"a","note":"{long}""#)),
        ("{\"choices\"", "{\"error\":{\"message\":\"busy\"},\"choices\""),
        ("\"message\"", "\"text\""),
        ("{\"choices\"", "{\"answers\""),
        ("}]}", "}]"),
        ("}]}", "},1]}"),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        assert_eq!(stream_of(CHAT, bad.as_bytes()), None, "{}", &bad[..bad.len().min(200)]);
    }
    assert_eq!(stream_of(CHAT, br#"{"choices":[]}"#), None);
    assert_eq!(stream_of(TEXT, good.as_bytes()), None);
    assert_eq!(stream_of(EMBED, good.as_bytes()), None);
}

#[test]
fn a_stream_that_cannot_be_assembled_faithfully_is_not() {
    let delta = |delta: &str| format!(r#"{{"choices":[{{"index":0,"delta":{delta}}}]}}"#);
    let call = |call: &str| delta(&format!(r#"{{"tool_calls":[{call}]}}"#));
    let good = call(r#"{"index":0,"id":"c","function":{"name":"f","arguments":"1"}}"#);
    assert!(whole_of(CHAT, &stream(&[CHUNK, &good, LAST])).is_some());
    for bad in [
        CHUNK.replace("\"index\":0", "\"index\":1"),
        CHUNK.replace("\"index\":0", "\"index\":-1"),
        CHUNK.replace("\"a潮\"", "\"\\ud83d\""),
        CHUNK.replace("\"delta\"", "\"text\":\"b\",\"delta\""),
        CHUNK.replace("\"delta\"", "\"message\":{\"content\":\"b\"},\"delta\""),
        CHUNK.replace("{\"choices\"", "{\"error\":\"busy\",\"choices\""),
        delta(r#"{"content":["b"]}"#),
        delta(r#"{"content":"b","content":"c"}"#),
        delta(r#"{"audio":{"id":"x"}}"#),
        delta(r#"{"role":"user"}"#),
        delta("1"),
        call("1"),
        call(r#"{"function":{"arguments":"2"}}"#),
        call(r#"{"index":0,"id":"d","function":{"name":"f"}}"#),
        call(r#"{"index":0,"function":{"name":"g"}}"#),
        call(r#"{"index":0,"function":"g"}"#),
        call(r#"{"index":1,"id":"d"}"#),
        "{".to_owned(),
    ] {
        let role = delta(r#"{"role":"assistant"}"#);
        assert_eq!(whole_of(CHAT, &stream(&[&role, CHUNK, &good, &bad, LAST])), None, "{bad}");
    }
    assert_eq!(whole_of(CHAT, &stream(&[CHUNK])), None, "no choice finished");
    assert_eq!(whole_of(CHAT, &stream(&[])), None);
    assert_eq!(whole_of(TEXT, &stream(&[CHUNK, LAST])), None);
    assert_eq!(whole_of(EMBED, &stream(&[CHUNK, LAST])), None);
}

#[test]
fn deltas_are_joined_as_openai_s_clients_join_them() {
    let cases: &[(&[&str], &str)] = &[
        (&[r#"{"content":"a"}"#, r#"{"content":"b"}"#], r#""content":"ab""#),
        (
            &[r#"{"content":null}"#, r#"{"content":"\u0061\n"}"#, r#"{"content":"\"b"}"#],
            r#""content":"\u0061\n\"b""#,
        ),
        (&[r#"{"role":"assistant","content":""}"#, r#"{"role":"assistant"}"#], r#""content":"""#),
        (&[r#"{"role":null}"#, "{}"], r#""content":null"#),
        (
            &[
                r#"{"reasoning_content":"h"}"#,
                r#"{"content":null,"reasoning_content":"m"}"#,
                r#"{"content":"a"}"#,
            ],
            r#""content":"a","reasoning_content":"hm""#,
        ),
        (
            &[r#"{"refusal":null}"#, r#"{"refusal":"n"}"#, r#"{"refusal":"o"}"#],
            r#""content":null,"refusal":"no""#,
        ),
        // What nobody knows: strings go together, of other values the last one counts.
        (&[r#"{"x":"a","n":1,"b":null}"#, r#"{"x":"b","n":2}"#], r#""content":null,"x":"ab","n":2,"b":null"#),
        (&[r#"{"a":[1]}"#, r#"{"a":[2]}"#, r#"{"a":[]}"#], r#""content":null,"a":[1,2]"#),
        (
            &[
                r#"{"reasoning_details":[{"type":"t","text":"a","format":"f","index":0}]}"#,
                r#"{"reasoning_details":[{"type":"t","text":"b","format":"f","index":0}]}"#,
            ],
            r#""content":null,"reasoning_details":[{"type":"t","text":"ab","format":"f","index":0}]"#,
        ),
        // Calls: by index, in its order, however the id is told.
        (
            &[
                r#"{"tool_calls":[{"index":1,"id":"d","type":"function","function":{"name":"g","arguments":""}}]}"#,
                r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{"}}]}"#,
                r#"{"tool_calls":[{"index":1,"id":"","function":{"arguments":"2"}},{"index":0,"id":null,"type":"function","function":{"name":"","arguments":"}"}}]}"#,
            ],
            r#""content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"d","type":"function","function":{"name":"g","arguments":"2"}}]"#,
        ),
        (
            &[
                r#"{"tool_calls":[{"id":"c","function":{"name":"f","arguments":"1"}}]}"#,
                r#"{"tool_calls":[{"id":"d","function":{"name":"f","arguments":"2"}}]}"#,
            ],
            r#""content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":"1"}},{"id":"d","function":{"name":"f","arguments":"2"}}]"#,
        ),
        (
            &[r#"{"function_call":{"name":"f","arguments":""}}"#, r#"{"function_call":{"arguments":"1"}}"#],
            r#""content":null,"function_call":{"name":"f","arguments":"1"}"#,
        ),
    ];
    for (deltas, want) in cases {
        let chunks: Vec<String> =
            deltas.iter().map(|delta| format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#)).collect();
        let mut chunks: Vec<&str> = chunks.iter().map(String::as_str).collect();
        chunks.push(LAST);
        let whole = whole_of(CHAT, &stream(&chunks)).unwrap();
        let want = format!(
            r#"{{"object":"chat.completion","choices":[{{"index":0,"message":{{"role":"assistant",{want}}},"finish_reason":"stop"}}]}}"#
        );
        assert_eq!(whole, want, "{deltas:?}");
    }
}

#[test]
fn an_answer_is_assembled_in_openai_s_order() {
    let chunks = [
        // Azure's first chunk, xAI's usage on every chunk, OpenAI's padding.
        r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"a":1}]}"#,
        r#"{"system_fingerprint":"fp","id":"c","model":"m","created":7,"obfuscation":"xy","choices":[{"index":1,"delta":{"content":"b"},"content_filter_results":{"hate":1}}],"usage":{"total_tokens":1}}"#,
        r#"{"id":"c","choices":[{"index":0,"logprobs":{"content":[{"token":"a","index":3}],"refusal":null},"delta":{"content":"a"}}],"usage":{"total_tokens":2}}"#,
        r#"{"id":"c","choices":[{"index":0,"logprobs":{"content":[{"token":"a","index":3}],"refusal":null},"delta":{"content":"a"}},{"index":1,"delta":{},"finish_reason":"length","content_filter_results":{"hate":2,"self":3}}],"usage":null}"#,
        r#"{"id":"other","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#,
    ];
    let want = concat!(
        r#"{"id":"c","object":"chat.completion","created":7,"model":"m","choices":["#,
        r#"{"index":0,"message":{"role":"assistant","content":"aa"},"#,
        r#""logprobs":{"content":[{"token":"a","index":3},{"token":"a","index":3}],"refusal":null},"finish_reason":"stop"},"#,
        r#"{"index":1,"message":{"role":"assistant","content":"b"},"finish_reason":"length","content_filter_results":{"hate":2,"self":3}}"#,
        r#"],"usage":{"total_tokens":2},"prompt_filter_results":[{"a":1}],"system_fingerprint":"fp"}"#,
    );
    assert_eq!(whole_of(CHAT, &stream(&chunks)).unwrap(), want);
    let usage = Some(Bytes::from(frames(&[USAGE])));
    let whole = whole_of(CHAT, &StoredStream { usage, ..stream(&chunks) }).unwrap();
    let own = r#""usage":{"prompt_tokens":1,"completion_tokens":2}"#;
    assert_eq!(whole, want.replace(r#""usage":{"total_tokens":2}"#, own));
}

#[test]
fn an_answer_with_line_ends_is_streamed_without_them() {
    let whole = "{\n  \"id\": \"c\",\n  \"choices\": [\n    {\n      \"message\": {\n        \"role\": \"assistant\",\n        \"content\": \"a \\\" b\\\\\"\n      },\r\n      \"finish_reason\": \"stop\",\n  \"x\": [1,\n \"a  b\"] }\n  ]\n}\n";
    let stored = stream_of(CHAT, whole.as_bytes()).unwrap();
    let head = r#"data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"#;
    let want = [
        r#""delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
        r#""delta":{"content":"a \" b\\"},"finish_reason":null}]}"#,
        r#""delta":{},"finish_reason":"stop","x":[1,"a  b"]}]}"#,
    ];
    assert_eq!(stored.frames, want.map(|choice| format!("{head}{choice}\n\n")).concat());
    assert_eq!(stored.usage, None);
}
