//! Single behaviours of the relay; `tests/relay.rs` has provider-shaped streams and every cut.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::failure::{Retry, Source};
use crate::sse::FRAME_BYTES_MAX;

const CHUNK: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n";
const LAST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\n";
const END: &str = "data: [DONE]\n\n";

fn relay() -> Relay {
    Relay::new(RelayOptions { usage_chunk: UsageChunk::Drop, done_marker: true })
}

fn bytes(parts: &[&str]) -> Bytes {
    Bytes::from(parts.concat())
}

#[test]
fn whole_frames_pass_without_a_copy() {
    let mut relay = relay();
    for parts in [&[CHUNK][..], &[CHUNK, CHUNK, CHUNK], &[": ping\n\n"], &[CHUNK, LAST, END]] {
        let chunk = bytes(parts);
        let passed = relay.push(chunk.clone()).unwrap();
        assert_eq!((passed.as_ptr(), passed.len()), (chunk.as_ptr(), chunk.len()));
    }
    assert_eq!(relay.finish().unwrap(), "");
}

#[test]
fn what_is_taken_out_at_an_edge_costs_no_copy() {
    let chunk = bytes(&[USAGE, CHUNK, LAST, USAGE]);
    let passed = relay().push(chunk.clone()).unwrap();
    assert_eq!(passed, bytes(&[CHUNK, LAST]));
    assert_eq!(passed.as_ptr(), chunk[USAGE.len()..].as_ptr());
    let chunk = bytes(&[CHUNK, USAGE, LAST, USAGE, END]);
    assert_eq!(relay().push(chunk).unwrap(), bytes(&[CHUNK, LAST, END]));
}

#[test]
fn half_a_frame_waits_for_its_other_half() {
    let mut relay = relay();
    let (head, tail) = CHUNK.split_at(20);
    assert_eq!(relay.push(bytes(&[CHUNK, head])).unwrap(), CHUNK);
    assert_eq!(relay.push(bytes(&[tail, CHUNK])).unwrap(), bytes(&[CHUNK, CHUNK]));
    assert_eq!(relay.observed().frames, 3);
}

#[test]
fn nothing_passes_after_the_end() {
    let mut relay = relay();
    assert_eq!(relay.push(bytes(&[CHUNK, END, CHUNK, "garbage"])).unwrap(), bytes(&[CHUNK, END]));
    assert!(relay.ended() && relay.observed().done);
    assert_eq!(relay.push(bytes(&[CHUNK])).unwrap(), "");
    assert_eq!(relay.finish().unwrap(), "");
    assert_eq!(relay.observed().frames, 1);
}

#[test]
fn an_error_passes_once_and_ends_the_stream() {
    let error = "data: {\"error\":{\"message\":\"overloaded\"},\"choices\":[]}\n\n";
    let mut relay = relay();
    assert_eq!(relay.push(bytes(&[CHUNK, error, error, END])).unwrap(), bytes(&[CHUNK, error]));
    assert!(relay.ended() && relay.observed().error && !relay.observed().done);
    assert_eq!(relay.finish().unwrap(), "");
    for harmless in ["null", "\"\"", "{}", "[]", "false"] {
        let chunk = bytes(&[&format!("data: {{\"error\":{harmless},\"choices\":[]}}\n\n")]);
        let mut relay = self::relay();
        assert_eq!(relay.push(chunk.clone()).unwrap(), chunk);
        assert!(!relay.observed().error, "{harmless}");
    }
}

#[test]
fn a_broken_stream_gives_what_came_before_and_then_its_failure() {
    for garbage in
        ["data: <html>\n\n", "data: {\"usage\":{]}\n\n", "data: \"text\"\n\n", "data: {\"a\":1\n\n"]
    {
        let mut relay = relay();
        assert_eq!(relay.push(bytes(&[CHUNK, garbage, CHUNK])).unwrap(), CHUNK, "{garbage:?}");
        assert!(relay.ended());
        let failure = relay.push(bytes(&[CHUNK])).unwrap_err();
        assert_eq!((failure.kind(), failure.source()), (Kind::Provider, Source::Provider));
        assert_eq!(failure.retry(), Retry::Unknown);
        assert_eq!(relay.finish().unwrap_err().code(), Some("provider_stream_broken"));
        let mut relay = self::relay();
        assert!(relay.push(bytes(&[garbage])).is_err(), "at once, where nothing came before");
    }
}

#[test]
fn a_stream_without_its_end_was_cut() {
    for parts in
        [&[][..], &[CHUNK], &[CHUNK, LAST], &[CHUNK, "data: {\"id\":"], &[CHUNK, "data: [DO"], &["\n\n"]]
    {
        let mut relay = relay();
        let _ = relay.push(bytes(parts)).unwrap();
        for _ in 0..2 {
            assert_eq!(relay.finish().unwrap_err().code(), Some("provider_stream_cut"), "{parts:?}");
        }
    }
}

#[test]
fn a_dialect_without_the_marker_gets_it_from_us() {
    let without = || Relay::new(RelayOptions { usage_chunk: UsageChunk::Drop, done_marker: false });
    for (parts, tail) in [
        (&[CHUNK, LAST][..], END.to_owned()),
        (&[CHUNK, LAST, END], String::new()),
        (&[CHUNK, LAST.trim_end()], format!("{LAST}{END}")),
        (&[CHUNK, LAST.strip_suffix('\n').unwrap()], format!("{LAST}{END}")),
        (&[CHUNK, LAST, "data: {\"id\""], END.to_owned()),
        // Half a frame that begins and ends as a whole one does.
        (&[CHUNK, LAST, "data: {\"a\":{\"b\":1}"], END.to_owned()),
    ] {
        let mut relay = without();
        let _ = relay.push(bytes(parts)).unwrap();
        assert_eq!(relay.finish().unwrap(), tail, "{parts:?}");
        assert_eq!(relay.finish().unwrap(), "", "once is enough");
    }
    let mut cut = without();
    let _ = cut.push(bytes(&[CHUNK])).unwrap();
    assert!(cut.finish().is_err(), "no choice was finished");
}

#[test]
fn the_last_frame_may_lack_its_line_ends() {
    for end in ["data: [DONE]", "data: [DONE]\n", "data:[DONE]\r", "data: [DONE]\r\n", "data: [DONE]\r\n\r"] {
        let mut relay = relay();
        assert_eq!(relay.push(bytes(&[CHUNK, end])).unwrap(), CHUNK);
        let tail = relay.finish().unwrap();
        assert!(tail.starts_with(end.trim_end().as_bytes()) && relay.observed().done, "{end:?}");
    }
}

#[test]
fn a_frame_over_the_limit_breaks_the_stream_whole_or_in_parts() {
    let frame = Bytes::from(format!("data: {{\"a\":\"{}\"}}\n\n", "x".repeat(FRAME_BYTES_MAX)));
    for piece in [frame.len(), 100_000] {
        let mut relay = relay();
        let mut failed = false;
        for start in (0..frame.len()).step_by(piece) {
            failed |= relay.push(frame.slice(start..(start + piece).min(frame.len()))).is_err();
        }
        assert!(failed && relay.ended());
        let failure = relay.finish().unwrap_err();
        assert_eq!(failure.detail(), Some("an event is longer than 1048576 bytes"));
    }
    // At the limit it passes.
    let frame = Bytes::from(format!("data: {{\"a\":\"{}\"}}\n\n", "x".repeat(FRAME_BYTES_MAX - 16)));
    assert_eq!(frame.len(), FRAME_BYTES_MAX);
    assert_eq!(relay().push(frame.clone()).unwrap(), frame);
}

#[test]
fn the_first_piece_of_an_answer_is_seen_in_any_of_its_forms() {
    let seen = |choice: &str| {
        let mut relay = relay();
        let _ = relay.push(bytes(&[&format!("data: {{\"choices\":[{choice}]}}\n\n")])).unwrap();
        relay.observed().content
    };
    for choice in [
        r#"{"delta":{"content":"a"}}"#,
        r#"{"delta":{"content":[{"type":"thinking"}]}}"#,
        r#"{"delta":{"role":"assistant","reasoning_content":"a"}}"#,
        r#"{"delta":{"reasoning":"a"}}"#,
        r#"{"delta":{"refusal":"a"}}"#,
        r#"{"delta":{"content":null,"tool_calls":[{"index":0}]}}"#,
        r#"{"delta":{"function_call":{"name":"f"}}}"#,
        r#"{"text":" a"}"#,
        r#"{"delta":{}},{"index":1,"delta":{"content":"b"}}"#,
    ] {
        assert!(seen(choice), "{choice}");
    }
    for choice in [
        "",
        "{}",
        "1",
        r#"{"delta":null}"#,
        r#"{"delta":{"role":"assistant"}}"#,
        r#"{"delta":{"role":"assistant","content":"","refusal":null}}"#,
        r#"{"delta":{"tool_calls":[],"content":null}}"#,
        r#"{"text":""}"#,
    ] {
        assert!(!seen(choice), "{choice}");
    }
}

#[test]
fn a_key_is_told_from_the_same_letters_in_a_text() {
    let seen = |data: &str| {
        let mut relay = relay();
        let _ = relay.push(bytes(&[CHUNK, "data: ", data, "\n\n"])).unwrap();
        (relay.observed().usage.is_some(), relay.observed().finish_reason)
    };
    let cases = [
        (r#"{"choices":[{}],"usage" : {"total_tokens":1}}"#, (true, false)),
        (r#"{"choices":[{"delta":{"content":"usage"}}],"usage":{}}"#, (true, false)),
        (r#"{"choices":[{"x":"usage","finish_reason" : "stop"}],"usage": null}"#, (false, true)),
        (r#"{"choices":[{"delta":{"content":"\"usage\":{} \"finish_reason\":1"}}]}"#, (false, false)),
        (r#"{"choices":[{"delta":{"content":"\\\"usage"}}],"object":"usage"}"#, (false, false)),
        (r#"{"choices":[{"usage":{"total_tokens":1}}]}"#, (false, false)),
        (r#"{"a\"finish_reason":1,"b":"finish_reason"}"#, (false, false)),
    ];
    for (data, want) in cases {
        assert_eq!(seen(data), want, "{data}");
    }
}

#[test]
fn the_last_usage_counts() {
    let usage = |output: u64| {
        format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":\"a\"}}}}],\"usage\":{{\"completion_tokens\":{output}}}}}\n\n"
        )
    };
    let mut relay = relay();
    for output in 1..=3 {
        let chunk = Bytes::from(usage(output));
        assert_eq!(relay.push(chunk.clone()).unwrap(), chunk, "usage with a choice passes");
        assert_eq!(relay.observed().usage.unwrap().output, output);
    }
}
