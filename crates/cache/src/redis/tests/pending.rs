//! What waits for Redis.

use crate::entry::Entry;
use crate::epochs::{Stamp, Tag};
use crate::redis::pending::{Pending, TAGS_MAX};
use crate::tier::conformance;

fn tagged(tags: &[Tag]) -> Entry {
    Entry { tags: tags.into(), ..Entry::clone(&conformance::entry("x")) }
}

#[test]
fn what_waits_covers_its_entries_until_it_is_delivered() {
    let pending = Pending::default();
    assert!(!pending.covers(&tagged(&[Tag(1)])));
    pending.add(Stamp(5), &[Tag(1), Tag(2)]);
    assert!(pending.covers(&tagged(&[Tag(9), Tag(2)])));
    assert!(!pending.covers(&tagged(&[Tag(3)])));

    let tags = pending.some(10);
    assert_eq!(tags.len(), 2);
    pending.delivered(&tags);
    assert_eq!(pending.len(), 0);
    assert!(!pending.covers(&tagged(&[Tag(1)])));
}

#[test]
fn what_is_invalidated_during_delivery_still_waits() {
    let pending = Pending::default();
    pending.add(Stamp(5), &[Tag(1), Tag(2)]);
    let tags = pending.some(10);
    pending.add(Stamp(6), &[Tag(1)]);
    pending.delivered(&tags);
    assert_eq!(pending.some(10), [(Tag(1), Stamp(6))]);
}

#[test]
fn too_many_tags_become_everything() {
    let pending = Pending::default();
    for tag in 0..=TAGS_MAX as u64 {
        pending.add(Stamp(tag), &[Tag(tag)]);
    }
    assert_eq!(pending.some(10), [(Tag::everything(), Stamp(TAGS_MAX as u64))]);
    assert!(pending.covers(&tagged(&[Tag(u64::MAX)])));
}
