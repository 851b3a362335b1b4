//! The relay against streams shaped after those of real providers, and against streams made up at
//! random.
//!
//! `golden/NAME.in` is what a provider sends (written after documentation and bug reports, not
//! recorded), `NAME.out` what the caller gets, `NAME.asked` what it gets where it asked for usage
//! (the same, where there is no such file). However a stream is cut, the relay says the same; its
//! output is whole frames; and where nothing is to be taken out, its output is its input.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;
use proptest::prelude::*;
use wire::openai::{Observed, Relay, RelayOptions, Usage, UsageChunk};
use wire::sse::Frames;

/// Everything a relay says of one stream.
#[derive(Debug, PartialEq)]
struct Said {
    output: Vec<u8>,
    /// How it ended: the failure's code.
    failure: Option<String>,
    observed: Observed,
    /// The usage chunk that was kept apart.
    apart: Option<Vec<u8>>,
}

const USAGE_CHUNKS: [UsageChunk; 3] = [UsageChunk::Pass, UsageChunk::Drop, UsageChunk::Apart];

/// Relays `pieces` as the gateway does: until the relay has ended, then `finish`.
fn relay<'a>(options: RelayOptions, pieces: impl Iterator<Item = &'a [u8]>) -> Said {
    let mut relay = Relay::new(options);
    let mut output = Vec::new();
    for piece in pieces {
        match relay.push(Bytes::copy_from_slice(piece)) {
            Ok(bytes) => output.extend_from_slice(&bytes),
            Err(_) => break,
        }
        if relay.ended() {
            break;
        }
    }
    let failure = match relay.finish() {
        Ok(bytes) => {
            output.extend_from_slice(&bytes);
            None
        }
        Err(failure) => failure.code().map(str::to_owned),
    };
    let apart = relay.take_usage_frame().map(|frame| frame.to_vec());
    assert_eq!(relay.take_usage_frame(), None, "once is enough");
    Said { output, failure, observed: relay.observed().clone(), apart }
}

fn pieces<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts = cuts.to_vec();
    cuts.sort_unstable();
    let mut start = 0;
    let mut pieces = Vec::new();
    for cut in cuts.into_iter().chain([stream.len()]) {
        pieces.push(&stream[start..cut]);
        start = cut;
    }
    pieces
}

fn is_whole_frames(output: &[u8]) -> bool {
    let mut frames = Frames::default();
    let mut told = frames.push(Bytes::copy_from_slice(output)).block.len();
    told += frames.finish().block.len();
    told == output.len() && frames.held().is_empty()
}

struct Golden {
    name: &'static str,
    done_marker: bool,
    failure: Option<&'static str>,
    observed: Observed,
}

fn golden() -> Vec<Golden> {
    let full = Usage { input: 19, output: 10, total: 29, cached_input: 16, reasoning: 4 };
    let plain = Usage { cached_input: 0, reasoning: 0, ..full };
    let good = |frames, usage| Observed {
        content: true,
        usage,
        finish_reason: true,
        done: true,
        error: false,
        frames,
    };
    let row = |name, observed| Golden { name, done_marker: true, failure: None, observed };
    let broken =
        |name, failure, observed| Golden { name, done_marker: true, failure: Some(failure), observed };
    let begun = Observed { finish_reason: false, done: false, ..good(2, None) };
    vec![
        row("openai-usage", good(9, Some(full))),
        row("openrouter-comments", good(6, Some(plain))),
        row("crlf", good(5, Some(plain))),
        row("tool-calls", good(10, None)),
        row("provider-error", Observed { frames: 4, error: true, ..begun.clone() }),
        Golden {
            done_marker: false,
            ..row(
                "no-done",
                Observed {
                    done: false,
                    ..good(4, Some(Usage { input: 7, output: 4, total: 11, ..Usage::default() }))
                },
            )
        },
        row("event-lines", good(3, None)),
        broken("cut", "provider_stream_cut", begun.clone()),
        row("azure", good(5, Some(full))),
        row("usage-without-choices", good(4, Some(plain))),
        row("reasoning", good(4, Some(full))),
        row("legacy-completions", good(3, None)),
        broken("garbage", "provider_stream_broken", begun),
        row("bare-cr", good(3, None)),
    ]
}

fn read(name: &str, extension: &str) -> Option<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    std::fs::read(format!("{folder}/{name}.{extension}")).ok()
}

/// A stream without its `[DONE]`, which goes with what is kept apart.
fn without_end(mut stream: Vec<u8>) -> Vec<u8> {
    if let Some(end) = memchr::memmem::rfind(&stream, b"[DONE]") {
        let frame = memchr::memmem::rfind(&stream[..end], b"data:").unwrap();
        stream.truncate(frame);
    }
    stream
}

fn check(golden: &Golden, usage_chunk: UsageChunk, cuts: &[usize]) {
    let Golden { name, done_marker, failure, observed } = golden;
    let input = read(name, "in").unwrap();
    let output = read(name, "asked")
        .filter(|_| usage_chunk == UsageChunk::Pass)
        .or_else(|| read(name, "out"))
        .unwrap();
    let output = if usage_chunk == UsageChunk::Apart { without_end(output) } else { output };
    let options = RelayOptions { usage_chunk, done_marker: *done_marker };
    let said = relay(options, pieces(&input, cuts).into_iter());
    assert_eq!(
        String::from_utf8_lossy(&said.output),
        String::from_utf8_lossy(&output),
        "{name} cut at {cuts:?}"
    );
    assert_eq!(said.failure.as_deref(), *failure, "{name} cut at {cuts:?}");
    assert_eq!(&said.observed, observed, "{name} cut at {cuts:?}");
    assert!(is_whole_frames(&said.output));
    let asked = read(name, "asked").filter(|_| usage_chunk == UsageChunk::Apart);
    assert_eq!(said.apart.is_some(), asked.is_some(), "{name} cut at {cuts:?}");
    if let (Some(frame), Some(asked)) = (said.apart, asked) {
        // What is kept apart is what passes where it was asked for: the last, where there are two.
        let at = memchr::memmem::rfind(&asked, &frame).unwrap();
        let behind = without_end(asked[at + frame.len()..].to_vec());
        assert!(is_whole_frames(&frame) && output.ends_with(&behind), "{name}");
    }
}

#[test]
fn provider_shaped_streams_pass_as_they_should() {
    for golden in golden() {
        for usage_chunk in USAGE_CHUNKS {
            check(&golden, usage_chunk, &[]);
        }
    }
}

#[test]
fn provider_shaped_streams_pass_the_same_cut_at_any_byte() {
    for golden in golden() {
        let length = read(golden.name, "in").unwrap().len();
        for cut in 0..=length {
            check(&golden, USAGE_CHUNKS[cut % 3], &[cut]);
        }
        for size in [1, 2, 3, 7, 64] {
            check(&golden, UsageChunk::Apart, &(0..length).step_by(size).collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_provider_shaped_stream_cut_off_at_any_byte_ends_with_a_failure_or_whole() {
    for Golden { name, done_marker, .. } in golden().into_iter().filter(|it| it.failure.is_none()) {
        let input = read(name, "in").unwrap();
        let full = read(name, "out").unwrap();
        let options = RelayOptions { usage_chunk: UsageChunk::Drop, done_marker };
        for cut in 0..input.len() {
            let said = relay(options, [&input[..cut]].into_iter());
            assert!(is_whole_frames(&said.output), "{name} cut off at {cut}");
            let whole =
                said.observed.done || said.observed.error || (!done_marker && said.observed.finish_reason);
            assert_eq!(said.failure.is_none(), whole, "{name} cut off at {cut}");
            if done_marker && said.failure.is_some() {
                assert!(full.starts_with(&said.output), "{name} cut off at {cut}");
            }
        }
    }
}

/// Frames that pass as they are.
fn clean() -> impl Strategy<Value = Vec<u8>> {
    let chunk = "\\{\"id\":\"c\",\"choices\":\\[\\{\"index\":0,\"delta\":\\{(\"content\":\"[a-z潮]{0,9}\")?\\},\"finish_reason\":(null|\"stop\")\\}\\](,\"usage\":null)?(,\"error\":null)?\\}";
    let end = prop::sample::select(vec!["\n\n", "\r\n\r\n", "\r\r", "\n\r\n", "\n\n\n"]);
    prop_oneof![
        5 => ("data:", " ?", chunk, end).prop_map(|(a, b, chunk, end)| format!("{a}{b}{chunk}{end}")),
        1 => Just(": ping\n\n".to_owned()),
        1 => Just(": ping\r\n: pong\r\n\r\n".to_owned()),
        1 => Just("data: {\"id\":\ndata:\"c\"}\n\n".to_owned()),
        1 => Just("data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n".to_owned()),
        1 => Just("data: {\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\": 1, \\\"error\\\":1\"}}],\"object\":\"usage\"}\n\n".to_owned()),
    ]
    .prop_map(String::into_bytes)
}

/// Frames that do not, and bytes that are none.
fn other() -> impl Strategy<Value = Vec<u8>> {
    let usage = "\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}";
    prop_oneof![
        Just(format!("data: {{\"choices\":[],{usage}}}\n\n").into_bytes()),
        Just(format!("data: {{\"choices\":null,{usage}}}\r\n\r\n").into_bytes()),
        Just(format!("data: {{{usage}}}\n\n").into_bytes()),
        Just(format!("data: {{\"choices\":[{{\"delta\":{{}}}}],{usage}}}\n\n").into_bytes()),
        Just(b"id: 1\nevent: x\ndata: {\"id\":\"c\"}\n\n".to_vec()),
        Just(b"retry: 5\n\n".to_vec()),
        Just(b"event: ping\r\n\r\n".to_vec()),
        Just(b"data:\n\n".to_vec()),
        Just(b"data: [DONE]\n\n".to_vec()),
        Just(b"data: [DONE]".to_vec()),
        Just(b"data: {\"error\":{\"message\":\"x\"}}\n\n".to_vec()),
        Just(b"data: {\"choices\":}\n\n".to_vec()),
        Just(b"data: [1]\n\n".to_vec()),
        Just(b"data: {\"id\":\"c\"".to_vec()),
        Just(b"\xef\xbb\xbf".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
        "[\r\n]{1,4}".prop_map(String::into_bytes),
    ]
}

fn options() -> impl Strategy<Value = RelayOptions> {
    (prop::sample::select(&USAGE_CHUNKS[..]), any::<bool>())
        .prop_map(|(usage_chunk, done_marker)| RelayOptions { usage_chunk, done_marker })
}

fn check_cuts(
    options: RelayOptions,
    stream: &[u8],
    cuts: &[Vec<prop::sample::Index>],
) -> Result<Said, TestCaseError> {
    let whole = relay(options, [stream].into_iter());
    prop_assert!(is_whole_frames(&whole.output), "{:?}", String::from_utf8_lossy(&whole.output));
    for cuts in cuts {
        let cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        let said = relay(options, pieces(stream, &cuts).into_iter());
        prop_assert_eq!(&said, &whole, "{:?} cut at {:?}", String::from_utf8_lossy(stream), cuts);
    }
    let bytes: Vec<usize> = (0..stream.len()).collect();
    prop_assert_eq!(&relay(options, pieces(stream, &bytes).into_iter()), &whole);
    Ok(whole)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_stream_passes_the_same_however_it_is_cut(
        options in options(),
        frames in prop::collection::vec(prop_oneof![3 => clean(), 2 => other()], 0..10),
        cuts in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..8), 8),
    ) {
        check_cuts(options, &frames.concat(), &cuts)?;
    }

    #[test]
    fn a_stream_with_nothing_to_take_out_passes_byte_for_byte(
        options in options(),
        frames in prop::collection::vec(clean(), 0..10),
        cuts in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..8), 4),
    ) {
        let stream = [frames.concat(), b"data: [DONE]\n\n".to_vec()].concat();
        let said = check_cuts(options, &stream, &cuts)?;
        let passes = if options.usage_chunk == UsageChunk::Apart { without_end(stream) } else { stream };
        prop_assert_eq!(String::from_utf8_lossy(&said.output), String::from_utf8_lossy(&passes));
        prop_assert!(said.failure.is_none() && said.observed.done);
    }
}
