//! Tables for the codec; `tests/sse.rs` cuts streams at every byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bytes::Bytes;

use super::*;

type Told = (String, String, Option<String>, Option<u64>);

fn decode(stream: &[u8]) -> Vec<Told> {
    let mut told = Vec::new();
    Decoder::default()
        .push(stream, |it| {
            told.push((it.event.to_owned(), it.data.to_owned(), it.id.map(str::to_owned), it.retry));
        })
        .unwrap();
    told
}

#[test]
fn streams_are_read_as_the_standard_says() {
    let event = |event: &str, data: &str, id: Option<&str>, retry| {
        (event.to_owned(), data.to_owned(), id.map(str::to_owned), retry)
    };
    let data = |text: &str| event("", text, None, None);
    let cases: Vec<(&[u8], Vec<Told>)> = vec![
        (b"", vec![]),
        (b"\n\n\n", vec![]),
        (b"data: a\n\n", vec![data("a")]),
        (b"data:a\n\ndata:  b\n\n", vec![data("a"), data(" b")]),
        (b"data: a\ndata: b\n\n", vec![data("a\nb")]),
        (b"data\n\n", vec![data("")]),
        (b"data\ndata\n\n", vec![data("\n")]),
        (b"data: a\r\n\r\ndata: b\r\r", vec![data("a"), data("b")]),
        (b"data: a\rdata: b\n\r\n", vec![data("a\nb")]),
        (b": note\n\ndata: a\n: note\n\n", vec![data("a")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", vec![event("x", "a", None, None), data("b")]),
        (b"event: x\n\ndata: a\n\n", vec![data("a")]),
        (
            b"id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n",
            vec![
                event("", "a", Some("1"), None),
                event("", "b", Some("1"), None),
                event("", "c", Some(""), None),
            ],
        ),
        (b"id: 1\0\ndata: a\n\n", vec![data("a")]),
        (b"retry: 250\ndata: a\n\ndata: b\n\n", vec![event("", "a", None, Some(250)), data("b")]),
        (b"retry: 2s\nretry: -1\nretry:\ndata: a\n\n", vec![data("a")]),
        (b"unknown: x\nDATA: y\n data: z\ndata : z\ndata: a\n\n", vec![data("a")]),
        (b"data: half", vec![]),
        (b"data: whole line\n", vec![]),
        (b"\xef\xbb\xbfdata: a\n\n", vec![data("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", vec![]),
        (b"data: \xff\xc3\xa4\n\n", vec![data("\u{fffd}ä")]),
    ];
    for (stream, want) in cases {
        assert_eq!(decode(stream), want, "{:?}", String::from_utf8_lossy(stream));
    }
}

#[test]
fn a_decoder_tells_whether_the_end_came_between_events() {
    for (stream, between) in
        [("data: a\n\n", true), ("", true), (": c\n", true), ("data: a\n", false), ("da", false)]
    {
        let mut decoder = Decoder::default();
        decoder.push(stream.as_bytes(), |_| ()).unwrap();
        assert_eq!(decoder.finish(), between, "{stream:?}");
    }
    let mut decoder = Decoder::default();
    decoder.push(b": one\n\n: two\n\ndata: a\n\n", |_| ()).unwrap();
    assert_eq!(decoder.comments(), 2);
}

#[test]
fn an_event_over_the_limit_is_refused_however_it_comes() {
    let line = [b"data: ".as_slice(), &[b'x'; 100], b"\n\n"].concat();
    let lines = b"data: 0123456789\n".repeat(10);
    for stream in [line, lines, vec![b'x'; 200]] {
        for piece in [1, 7, 1_000] {
            let mut decoder = Decoder::new(64);
            let result: Result<Vec<()>, TooLong> =
                stream.chunks(piece).map(|piece| decoder.push(piece, |_| panic!("no event"))).collect();
            assert_eq!(result, Err(TooLong { bytes_max: 64 }));
        }
    }
    // The limit is on one event, not on the stream.
    let mut decoder = Decoder::new(64);
    let mut events = 0;
    decoder.push(&b"data: 0123456789\n\n".repeat(1_000), |_| events += 1).unwrap();
    assert_eq!(events, 1_000);
}

#[test]
fn no_text_can_forge_an_event() {
    let evil = "x\r\ndata: forged\n\nevent: forged\r\rid: 7\nretry: 1";
    let stream = Encoder::new().event(Some(evil), evil).comment(evil).finish();
    let name = evil.replace(['\r', '\n'], " ");
    let data = evil.replace("\r\n", "\n").replace('\r', "\n");
    assert_eq!(decode(&stream), [(name, data, None, None)]);
    assert_eq!(Encoder::new().event(None, "").finish(), "data: \n\n");
    assert_eq!(Encoder::new().comment("ping").event(None, "a\nb").finish(), ": ping\n\ndata: a\ndata: b\n\n");
}

#[test]
fn frames_keep_every_byte() {
    let cases: &[(&str, &[&str], &str)] = &[
        ("", &[], ""),
        ("data: a\n\n", &["data: a\n\n"], ""),
        ("data: a\n\ndata: b", &["data: a\n\n"], "data: b"),
        ("a\nb\n\n\nc\r\n\r\nd\r\re", &["a\nb\n\n", "\n", "c\r\n\r\n", "d\r\r"], "e"),
        ("a\r\n\rb\n\n", &["a\r\n\r", "b\n\n"], ""),
        ("a\n\r\nb\r\n\n", &["a\n\r\n", "b\r\n\n"], ""),
        ("a\n\r", &["a\n\r"], ""),
        ("a\r", &[], "a\r"),
        ("\u{feff}a\n\n", &["a\n\n"], ""),
        ("\u{feff}\n", &["\n"], ""),
    ];
    for (stream, want, held) in cases {
        let mut frames = Frames::default();
        let mut got = Vec::new();
        for whole in [frames.push(Bytes::from(*stream)), frames.finish()] {
            got.extend(whole.frames().map(|frame| String::from_utf8(frame.to_vec()).unwrap()));
        }
        assert_eq!(got, *want, "{stream:?}");
        assert_eq!(frames.held(), held.as_bytes(), "{stream:?}");
    }
}

#[test]
fn a_cut_knows_a_frame_of_one_line() {
    let mut frames = Frames::default();
    let whole = frames.push(Bytes::from_static(b"one\n\na\nb\r\n\r\n\nlast\r\n\r\n."));
    let told: Vec<_> = whole.cuts.iter().map(|cut| (cut.end, cut.first_line, cut.one_line)).collect();
    assert_eq!(told, [(5, 3, true), (12, 6, false), (13, 12, false), (21, 17, true)]);
}

#[test]
fn whole_frames_are_not_copied() {
    let chunk = Bytes::from_static(b"data: a\n\ndata: b\n\ndata: c");
    let mut frames = Frames::default();
    let whole = frames.push(chunk.clone());
    assert_eq!(whole.block.as_ptr(), chunk.as_ptr());
    assert_eq!(whole.block.len(), 18);
}

#[test]
fn a_frame_over_the_limit_ends_the_splitting() {
    let short = b"data: 0123456789\n\n".repeat(10);
    let mut frames = Frames::new(64);
    assert_eq!(frames.push(Bytes::from(short.clone())).block, short, "the limit is on one frame");
    let stream = [b"data: a\n\n".as_slice(), &[b'x'; 100], b"\n\ndata: b\n\n"].concat();
    for piece in [1, 7, 1_000] {
        let mut frames = Frames::new(64);
        let mut got = Vec::new();
        for piece in stream.chunks(piece) {
            got.extend_from_slice(&frames.push(Bytes::copy_from_slice(piece)).block);
        }
        assert_eq!(got, b"data: a\n\n", "in pieces of {piece}");
        assert_eq!(frames.check(), Err(TooLong { bytes_max: 64 }));
        assert!(frames.held().is_empty());
    }
}
