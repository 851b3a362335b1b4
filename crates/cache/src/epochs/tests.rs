#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::entry::Lifetime;
use crate::key::Key;
use bytes::Bytes;

/// An entry whose making began at `stamp`.
fn made(stamp: Stamp, tags: &[Tag]) -> Entry {
    let lifetime = Lifetime { fresh: Duration::from_secs(60), stale: Duration::ZERO };
    Entry::new(Bytes::new(), Bytes::new(), lifetime, stamp, tags)
}

#[test]
fn an_invalidation_reaches_what_was_begun_before_it_stored_or_not() {
    let (mine, other) = (Tag(1), Tag(2));
    let epochs = Epochs::default();

    epochs.invalidate(&[mine]);
    let after = made(epochs.stamp(), &[mine]);
    assert!(epochs.is_valid(&after), "begun after it");

    let begun = epochs.stamp();
    epochs.invalidate(&[mine]);
    assert!(!epochs.is_valid(&made(begun, &[mine])), "stored after it, but begun before");
    assert!(!epochs.is_valid(&after), "stored before it");
    assert!(!epochs.is_valid(&made(begun, &[other, mine])), "one tag of several");
    assert!(epochs.is_valid(&made(begun, &[other])), "another tag");
    assert!(epochs.is_valid(&made(begun, &[])), "no tag");

    epochs.invalidate(&[other, Tag(3)]);
    assert!(!epochs.is_valid(&made(begun, &[Tag(3)])), "several tags at once");
    assert!(!epochs.is_valid(&made(begun, &[mine])), "still");
    assert!(epochs.is_valid(&made(epochs.stamp(), &[mine, other, Tag(3)])));
}

#[test]
fn numbers_grow_whatever_the_clock_does() {
    let epochs = Epochs::default();
    let mut last = epochs.stamp();
    for _ in 0..1000 {
        let number = epochs.invalidate(&[Tag(1)]);
        assert!(number > last);
        assert_eq!(epochs.stamp(), number);
        last = number;
    }
    // A clock that was far ahead before a restart.
    let ahead = Stamp(u64::MAX / 2);
    epochs.advance(ahead);
    epochs.advance(Stamp(1));
    let entry = made(epochs.stamp(), &[Tag(1)]);
    assert!(epochs.is_valid(&entry));
    assert!(epochs.invalidate(&[Tag(1)]) > ahead);
    assert!(!epochs.is_valid(&entry));
}

#[test]
fn an_entry_is_invalidated_by_every_prefix_of_its_path_and_by_nothing_else() {
    let path = ["acme", "docs", "guide"];
    for (prefix, reaches) in [
        (&["acme"][..], true),
        (&["acme", "docs"], true),
        (&["acme", "docs", "guide"], true),
        (&["acme", "docs", "guide", "page"], false),
        (&["acme", "doc"], false),
        (&["acmed", "ocs"], false),
        (&["docs"], false),
        (&["acme", "guide"], false),
        (&[], false),
    ] {
        let epochs = Epochs::default();
        let tags: Vec<Tag> = Tag::prefixes(&path).collect();
        assert_eq!(tags.len(), path.len());
        let entry = made(epochs.stamp(), &tags);
        epochs.invalidate(&[Tag::prefix(prefix)]);
        assert_eq!(!epochs.is_valid(&entry), reaches, "{prefix:?}");
    }
}

#[test]
fn tags_of_different_kinds_and_tenants_do_not_meet() {
    let tags = [
        Tag::everything(),
        Tag::key(&Key::from_bytes([0; 32])),
        Tag::key(&Key::from_bytes([1; 32])),
        Tag::named("a", "bc"),
        Tag::named("ab", "c"),
        Tag::dependency("a", "bc"),
        Tag::prefix(&["a", "bc"]),
        Tag::prefix(&["a"]),
        Tag::prefix(&[]),
    ];
    for (index, tag) in tags.iter().enumerate() {
        assert!(!tags[..index].contains(tag), "number {index}");
    }
}

#[test]
fn everything_is_everything_begun_before() {
    let epochs = Epochs::default();
    epochs.invalidate(&[Tag(1)]);
    let begun = epochs.stamp();
    let number = epochs.invalidate(&[Tag::everything()]);
    for tags in [&[][..], &[Tag(1)], &[Tag(7), Tag(8)]] {
        assert!(!epochs.is_valid(&made(begun, tags)));
        assert!(epochs.is_valid(&made(epochs.stamp(), tags)));
    }
    assert_eq!(epochs.export(), (number, vec![]), "what was invalidated before is in it");

    let heard = Epochs::default();
    heard.import(Stamp(0), [(Tag(1), begun), (Tag::everything(), number), (Tag(2), begun)]);
    assert!(!heard.is_valid(&made(begun, &[])));
    assert!(heard.is_valid(&made(number, &[Tag(1), Tag(2)])));
}

#[test]
fn a_full_table_forgets_the_older_half_and_trusts_nothing_from_then() {
    let epochs = Epochs::default();
    let numbers: Vec<Stamp> =
        (1..=TAGS_REMEMBERED_MAX as u64 + 1).map(|tag| epochs.invalidate(&[Tag(tag)])).collect();
    let (floor, remembered) = epochs.export();
    assert!(remembered.len() <= TAGS_REMEMBERED_MAX / 2 + 1, "{}", remembered.len());

    for (index, number) in numbers.iter().enumerate().step_by(97) {
        let (tag, unrelated) = (Tag(index as u64 + 1), Tag(u64::MAX));
        let before = Stamp(number.0 - 1);
        assert!(!epochs.is_valid(&made(before, &[tag])), "forgotten or not, it holds");
        assert_eq!(epochs.is_valid(&made(before, &[unrelated])), before >= floor);
        assert_eq!(epochs.is_valid(&made(*number, &[tag])), *number >= floor);
    }
    // The same tags again and again fill nothing.
    for _ in 0..TAGS_REMEMBERED_MAX {
        epochs.invalidate(&[Tag(1), Tag(2)]);
    }
    assert_eq!(epochs.export().0, floor);
}

#[test]
fn more_tags_at_once_than_are_remembered_are_invalidated_all_the_same() {
    let epochs = Epochs::default();
    let begun = epochs.stamp();
    let tags: Vec<Tag> = (1..=2 * TAGS_REMEMBERED_MAX as u64 + 5).map(Tag).collect();
    epochs.invalidate(&tags);
    assert!(tags.iter().step_by(101).all(|tag| !epochs.is_valid(&made(begun, &[*tag]))));
    assert!(tags.iter().step_by(101).all(|tag| epochs.is_valid(&made(epochs.stamp(), &[*tag]))));
    assert!(epochs.export().1.len() <= TAGS_REMEMBERED_MAX);
}

#[test]
fn what_is_kept_over_a_restart_holds_after_it() {
    let before = Epochs::default();
    let begun = before.stamp();
    before.invalidate(&[Tag(1)]);
    let between = before.stamp();
    before.invalidate(&[Tag(2)]);
    before.raise_floor(Stamp(1));

    let after = Epochs::default();
    let (floor, tags) = before.export();
    after.import(floor, tags.clone());
    after.import(floor, tags);
    for (entry, valid) in [
        (made(begun, &[Tag(3)]), false),
        (made(Stamp(1), &[Tag(3)]), true),
        (made(Stamp(1), &[Tag(1)]), false),
        (made(between, &[Tag(1)]), true),
        (made(between, &[Tag(2)]), false),
        (made(between, &[Tag(1), Tag(2)]), false),
        (made(after.stamp(), &[Tag(1), Tag(2)]), true),
    ] {
        assert_eq!((before.is_valid(&entry), after.is_valid(&entry)), (valid, valid), "{entry:?}");
    }
    assert_eq!(after.stamp(), before.stamp());

    // An older number does not take a later one back.
    after.import(Stamp(0), [(Tag(2), Stamp(2))]);
    assert!(!after.is_valid(&made(between, &[Tag(2)])));
}

#[test]
fn what_others_invalidate_reaches_what_was_begun_before_it_was_heard_of() {
    let epochs = Epochs::default();
    let number = epochs.invalidate(&[Tag(1)]);
    // Another replica's clock is behind ours, level with it, ahead of it.
    for theirs in [Stamp(5), number, Stamp(number.0 + 1_000_000)] {
        let begun = epochs.stamp();
        let given = epochs.apply(theirs, &[Tag(9)]);
        assert!(given >= theirs && given > begun);
        assert!(!epochs.is_valid(&made(begun, &[Tag(9)])));
        assert!(epochs.is_valid(&made(epochs.stamp(), &[Tag(9)])));
    }
}

#[test]
fn a_floor_only_rises() {
    let epochs = Epochs::default();
    epochs.raise_floor(Stamp(100));
    epochs.raise_floor(Stamp(50));
    epochs.import(Stamp(10), []);
    assert!(!epochs.is_valid(&made(Stamp(99), &[])));
    assert!(epochs.is_valid(&made(Stamp(100), &[])));
    assert!(epochs.stamp() >= Stamp(100));
}

#[test]
fn without_a_sign_of_life_from_the_others_trust_runs_out() {
    let epochs = Epochs::default();
    let entry = made(epochs.stamp(), &[]);
    let later = |seconds| entry.stored_at.after(Duration::from_secs(seconds));
    assert!(epochs.is_trusted(&entry, later(1 << 30)), "there are no others");

    epochs.listen(Duration::from_secs(2));
    let old = Entry { stored_at: Millis(1), ..entry.clone() };
    assert!(epochs.is_trusted(&entry, later(1)) && epochs.is_trusted(&old, later(1)));
    assert!(!epochs.is_trusted(&entry, later(5)) && !epochs.is_trusted(&old, later(5)));

    epochs.heard(later(10));
    epochs.heard(later(3));
    assert!(epochs.is_trusted(&old, later(11)), "the latest sign counts");
    assert!(!epochs.is_trusted(&old, later(12)));

    let new = Entry { stored_at: later(100), ..entry.clone() };
    assert!(epochs.is_trusted(&new, later(101)), "what is new is trusted for as long");
    assert!(!epochs.is_trusted(&new, later(102)));
}
