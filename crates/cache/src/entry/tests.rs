#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::codec::{Corrupt, decode, encode};
use super::*;
use crate::tier::conformance::key;

const MINUTE: Lifetime = Lifetime { fresh: Duration::from_secs(60), stale: Duration::from_secs(60) };

fn entry(body: impl Into<Bytes>, tags: &[Tag]) -> Entry {
    Entry::new(body.into(), Bytes::from_static(b"200 OK"), MINUTE, Stamp(42), tags)
}

fn noise(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.u8(..)).collect()
}

#[test]
fn what_is_written_is_read() {
    let compressed = |entry: Entry| Entry { body: entry.body.compress(0).into_owned(), ..entry };
    let tags: Vec<Tag> = (0..TAGS_MAX as u64).map(Tag).collect();
    for written in [
        entry("", &[]),
        entry("{}", &[Tag(u64::MAX)]),
        entry(noise(100_000), &tags),
        compressed(entry("words, words, words. ".repeat(1000), &tags)),
        Entry { info: Bytes::new(), ..entry("x", &[]) },
        Entry { info: noise(INFO_BYTES_MAX).into(), ..entry("x", &[Tag(1)]) },
        Entry {
            stored_at: Millis(0),
            fresh_until: Millis(1),
            stale_until: Millis(u64::MAX),
            ..entry("x", &[])
        },
    ] {
        assert_eq!(decode(&key(1), encode(&key(1), &written)), Ok(written));
    }
}

#[test]
fn every_cut_every_flipped_bit_and_every_byte_too_many_is_refused() {
    for written in [entry("a body", &[Tag(3)]), entry("", &[])] {
        let whole = encode(&key(1), &written);
        for length in 0..whole.len() {
            assert!(decode(&key(1), whole.slice(..length)).is_err(), "cut to {length}");
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&key(1), flipped.into()).is_err(), "bit {bit}");
        }
        for more in [&b"\0"[..], b"another", &whole] {
            assert!(decode(&key(1), [&whole, more].concat().into()).is_err());
        }
    }
}

#[test]
fn an_entry_of_another_key_is_refused() {
    let written = encode(&key(1), &entry("mine", &[]));
    assert_eq!(decode(&key(2), written), Err(Corrupt::Checksum));
    assert_eq!(decode(&key(2), Bytes::from_static(b"TGc\x02 another version")), Err(Corrupt::Form));
}

#[test]
fn what_is_beyond_the_bounds_is_never_read_back_as_something_else() {
    let tagged = |count: u64| Entry { tags: (0..count).map(Tag).collect(), ..entry("x", &[]) };
    for too_much in [
        tagged(65),
        tagged(255),
        tagged(256),
        tagged(256 + 64),
        Entry { info: noise(INFO_BYTES_MAX + 1).into(), ..entry("x", &[]) },
        Entry {
            body: Body { bytes: "x".into(), plain_len: BODY_BYTES_MAX as u32 + 1, compressed: true },
            ..entry("x", &[])
        },
        Entry { body: Body { bytes: "x".into(), plain_len: 2, compressed: false }, ..entry("x", &[]) },
    ] {
        assert_eq!(decode(&key(1), encode(&key(1), &too_much)), Err(Corrupt::Length));
    }
}

#[test]
fn a_life_strays_by_a_tenth_and_no_more() {
    let fresh = |entry: &Entry| entry.fresh_until.since(entry.stored_at).as_millis();
    let lives: Vec<u128> = (0..2000).map(|_| fresh(&entry("x", &[]))).collect();
    assert!(lives.iter().all(|life| (54_000..=66_000).contains(life)));
    assert!(lives.iter().any(|life| *life < 55_000) && lives.iter().any(|life| *life > 65_000));

    let one = entry("x", &[]);
    assert_eq!(one.stale_until.since(one.fresh_until), MINUTE.stale);
}

#[test]
fn a_life_ends_when_it_is_said_to() {
    let one = entry("x", &[]);
    let before = |until: Millis| Millis(until.0 - 1);
    for (now, fresh, expired) in [
        (Millis(0), true, false),
        (before(one.fresh_until), true, false),
        (one.fresh_until, false, false),
        (before(one.stale_until), false, false),
        (one.stale_until, false, true),
    ] {
        assert_eq!((one.is_fresh(now), one.is_expired(now)), (fresh, expired), "{now:?}");
    }
    assert_eq!(one.age(Millis(0)), Duration::ZERO);
    assert_eq!(one.age(one.stored_at.after(MINUTE.fresh)), MINUTE.fresh);
}

#[test]
fn lives_without_end_and_without_length_are_lives() {
    let of = |fresh, stale| Entry::new(Bytes::new(), Bytes::new(), Lifetime { fresh, stale }, Stamp(0), &[]);
    for (fresh, stale) in [(Duration::MAX, Duration::ZERO), (Duration::MAX, Duration::MAX)] {
        let endless = of(fresh, stale);
        assert!(endless.is_fresh(endless.stored_at.after(Duration::from_secs(1 << 32))));
    }
    let none = of(Duration::ZERO, Duration::ZERO);
    assert!(none.is_expired(none.stored_at));
    let stale = of(Duration::ZERO, Duration::from_secs(1));
    assert!(!stale.is_fresh(stale.stored_at) && !stale.is_expired(stale.stored_at));
}

#[test]
fn an_entry_with_more_tags_than_are_kept_is_never_served() {
    let tags: Vec<Tag> = (0..=TAGS_MAX as u64).map(Tag).collect();
    let over = entry("x", &tags);
    assert!(over.is_expired(over.stored_at));
    assert!(!entry("x", &tags[1..]).is_expired(over.stored_at));
}

#[test]
fn compression_keeps_the_content_and_is_left_where_it_gains_nothing() {
    let text = "It was the best of times, it was the worst of times. ".repeat(100);
    for (bytes, above, compressed) in [
        (text.clone().into_bytes(), 0, true),
        (text.clone().into_bytes(), text.len() - 1, true),
        (text.clone().into_bytes(), text.len(), false),
        (noise(10_000), 0, false),
        (b"short".to_vec(), 0, false),
        (Vec::new(), 0, false),
    ] {
        let plain = Body::plain(bytes.clone().into());
        let body = plain.compress(above);
        assert_eq!(body.is_compressed(), compressed, "{} bytes above {above}", bytes.len());
        assert_eq!(body.to_plain().unwrap(), bytes);
        assert_eq!(body.plain_len(), bytes.len());
        assert!(body.held().len() <= bytes.len());
        assert_eq!(*body.compress(0).compress(0), *plain.compress(0).compress(0), "once is enough");
    }
}

#[test]
fn a_frame_that_is_no_frame_is_an_error() {
    let frame = Body::plain("words, words, words. ".repeat(100).into()).compress(0).into_owned();
    for wrong in [
        Body { plain_len: frame.plain_len - 1, ..frame.clone() },
        Body { plain_len: frame.plain_len + 1, ..frame.clone() },
        Body { bytes: frame.bytes.slice(..frame.bytes.len() - 3), ..frame.clone() },
        Body { bytes: Bytes::from_static(b"no frame"), ..frame.clone() },
    ] {
        assert!(wrong.to_plain().is_err());
    }
    assert!(frame.to_plain().is_ok());
}
