#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::coding::{LARGE_BYTES_MAX, SMALL_BYTES_MAX};
use super::{Coding, answer, answer_at_once, large, vary, whole};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, VARY};
use std::io::Read;
use tokio::sync::Semaphore;

const ABOVE: usize = 4096;

fn decode(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        Coding::Zstd => zstd::stream::copy_decode(bytes, &mut out).map(|()| 0),
        Coding::Brotli => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
        Coding::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
        Coding::Deflate => flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut out),
    }
    .unwrap();
    out
}

/// JSON of just so many bytes, with little in it that repeats itself.
fn json(bytes: usize) -> Bytes {
    const WORDS: [&str; 8] = ["answer", "tide", "of", "the", "gateway", "model", "\u{e9}t\u{e9}", "\\n"];
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = String::from("{\"content\":\"");
    while text.len() + 16 < bytes {
        text.push_str(WORDS[random.usize(..WORDS.len())]);
        text.push(char::from(random.u8(b'a'..=b'z')));
    }
    while text.len() + 2 < bytes {
        text.push(' ');
    }
    text.push_str("\"}");
    assert_eq!(text.len(), bytes);
    text.into()
}

fn headers(given: &[(http::HeaderName, &str)]) -> HeaderMap {
    given.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
}

#[tokio::test]
async fn every_coding_gives_back_what_went_in() {
    let check = async |coding, bytes| {
        let body = json(bytes);
        let smaller = whole(coding, body.clone()).await.unwrap();
        assert!(decode(coding, &smaller) == body, "{coding:?} {bytes}");
        assert!(smaller.len() * 10 < bytes * 7, "{coding:?} {bytes}: {}", smaller.len());
    };
    for coding in Coding::ALL {
        for bytes in [1000, ABOVE, 20_000, SMALL_BYTES_MAX, SMALL_BYTES_MAX + 1] {
            check(coding, bytes).await;
        }
    }
    // Encoded at a level of its own.
    check(Coding::Gzip, LARGE_BYTES_MAX + 1).await;
}

#[tokio::test]
async fn what_gets_no_smaller_stays_as_it_is() {
    let mut random = fastrand::Rng::with_seed(7);
    for bytes in [0, 1, 5000, SMALL_BYTES_MAX + 1] {
        let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(bytes).collect();
        for coding in Coding::ALL {
            assert_eq!(whole(coding, noise.clone().into()).await, None, "{coding:?} {bytes}");
        }
    }
}

#[test]
fn deflate_is_the_zlib_format() {
    let encoded = Coding::Deflate.encode(&json(ABOVE)).unwrap();
    // RFC 1950: method 8 with a window of 32 KiB, and a check of the two bytes.
    assert_eq!(encoded[0], 0x78);
    assert_eq!(u16::from_be_bytes([encoded[0], encoded[1]]) % 31, 0);
}

#[tokio::test]
async fn a_large_body_without_a_turn_stays_as_it_is_and_a_turn_comes_back() {
    static TURNS: Semaphore = Semaphore::const_new(1);
    let body = json(SMALL_BYTES_MAX + 1);
    let held = TURNS.try_acquire().unwrap();
    assert_eq!(large(&TURNS, Coding::Zstd, body.clone()).await, None);
    drop(held);
    for _ in 0..2 {
        assert!(large(&TURNS, Coding::Zstd, body.clone()).await.is_some());
    }
}

/// Answers `bytes` of JSON to a caller who accepts `accept`; gives the coding and `vary`, as `answer` and
/// `answer_at_once` both have it.
async fn answered(
    above: Option<usize>,
    accept: &str,
    head: &[(http::HeaderName, &str)],
    bytes: usize,
) -> (Option<String>, Option<String>) {
    let asked = headers(&[(ACCEPT_ENCODING, accept)]);
    let before = json(bytes);
    let (mut given, mut body) = (headers(head), before.clone());
    answer(above, &asked, &mut given, &mut body).await;
    let (mut at_once, mut same) = (headers(head), before.clone());
    answer_at_once(above, &asked, &mut at_once, &mut same);
    assert_eq!((&given, &body), (&at_once, &same));
    assert_eq!(body == before, given.get(CONTENT_ENCODING) == headers(head).get(CONTENT_ENCODING));
    let said = |name| given.get(name).map(|value| value.to_str().unwrap().to_owned());
    (said(CONTENT_ENCODING), said(VARY))
}

#[tokio::test]
async fn only_a_plain_text_above_the_threshold_is_encoded() {
    let check = async |above, accept, head: &[_], bytes, coding: Option<&str>, varies: bool| {
        let (found, vary) = answered(above, accept, head, bytes).await;
        assert_eq!(found.as_deref(), coding, "{above:?} {accept} {head:?} {bytes}");
        assert_eq!(vary.is_some(), varies, "{above:?} {accept} {head:?} {bytes}");
    };
    let media = |media| [(CONTENT_TYPE, media)];
    let plain = media("application/json");
    let above = Some(ABOVE);

    check(above, "gzip", &plain, ABOVE + 1, Some("gzip"), true).await;
    check(above, "gzip, br, zstd", &plain, ABOVE + 1, Some("zstd"), true).await;
    check(above, "br;q=1, zstd;q=0.5", &plain, ABOVE + 1, Some("br"), true).await;
    check(above, "deflate", &plain, ABOVE + 1, Some("deflate"), true).await;
    // Whether or not this caller wants it, the next one may.
    check(above, "identity", &plain, ABOVE + 1, None, true).await;
    check(above, "gzip;q=0", &plain, ABOVE + 1, None, true).await;

    check(above, "gzip", &plain, ABOVE, None, false).await;
    check(Some(0), "gzip", &plain, 200, Some("gzip"), true).await;
    check(None, "gzip", &plain, 1 << 15, None, false).await;

    for (name, encoded) in [
        ("application/json; charset=utf-8", true),
        ("Application/JSON", true),
        ("application/openmetrics-text; version=1.0.0", true),
        (
            "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
            true,
        ),
        ("text/plain", true),
        ("TEXT/html;charset=utf-8", true),
        ("text/event-stream", false),
        ("text/event-stream; charset=utf-8", false),
        ("Text/Event-Stream", false),
        ("application/octet-stream", false),
        ("application/jsonp", false),
        ("audio/mpeg", false),
        ("text", false),
        ("", false),
    ] {
        check(above, "gzip", &media(name), ABOVE + 1, encoded.then_some("gzip"), encoded).await;
    }
    check(above, "gzip", &[], ABOVE + 1, None, false).await;

    for own in ["gzip", "br", "identity"] {
        let head = [(CONTENT_TYPE, "application/json"), (CONTENT_ENCODING, own)];
        check(above, "gzip, zstd", &head, ABOVE + 1, Some(own), false).await;
    }
}

#[tokio::test]
async fn a_large_body_is_left_alone_where_nothing_can_be_waited_for() {
    let asked = headers(&[(ACCEPT_ENCODING, "gzip")]);
    let (mut given, mut body) = (headers(&[(CONTENT_TYPE, "text/plain")]), json(SMALL_BYTES_MAX + 1));
    answer_at_once(Some(ABOVE), &asked, &mut given, &mut body);
    assert_eq!((given.len(), body.len()), (1, SMALL_BYTES_MAX + 1));
    answer(Some(ABOVE), &asked, &mut given, &mut body).await;
    assert_eq!(given[CONTENT_ENCODING], "gzip");
    assert!(body.len() < SMALL_BYTES_MAX);
}

#[test]
fn vary_is_added_to_what_is_there_and_once() {
    for (before, after) in [
        (&[][..], &["accept-encoding"][..]),
        (&["origin"], &["origin", "accept-encoding"]),
        (&["Origin", "Accept-Language, Accept-Encoding"], &["Origin", "Accept-Language, Accept-Encoding"]),
        (&["*"], &["*"]),
    ] {
        let mut given: HeaderMap = before.iter().map(|name| (VARY, name.parse().unwrap())).collect();
        vary(&mut given);
        let lines: Vec<_> = given.get_all(VARY).iter().collect();
        assert_eq!(lines, after);
    }
}
