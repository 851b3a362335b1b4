#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::entry::Lifetime;
use crate::epochs::Stamp;
use crate::tier::conformance::{self, Keeps, entry, key};
use bytes::Bytes;

const ROOMY: Options = Options { entries: 10_000, bytes: 256 << 20, ttl: Duration::from_secs(300) };

/// Text that compresses, of this length.
fn text(length: usize) -> Bytes {
    let text = "The answer is as long as it needs to be, and repeats itself where it must. ";
    text.repeat(length / text.len() + 1).into_bytes()[..length].to_vec().into()
}

fn put(memory: &Memory, number: u64, body: impl Into<Bytes>) -> Arc<Entry> {
    let entry = entry(body);
    memory.keep(&key(number), &entry, Millis::now());
    entry
}

fn get(memory: &Memory, number: u64) -> Option<Arc<Entry>> {
    memory.peek(&key(number), Millis::now())
}

#[tokio::test]
async fn keeps_the_contract() {
    conformance::run(&Memory::new(ROOMY), Keeps::Entries).await;
}

#[test]
fn both_bounds_hold_under_any_load() {
    let ttl = Duration::from_secs(300);
    for (entries, bytes) in
        [(1, 1 << 20), (10, 100_000), (100, 1 << 20), (999, 1_999_999), (1000, 200_000), (300, 64 << 20)]
    {
        let memory = Memory::new(Options { entries, bytes, ttl });
        let mut random = fastrand::Rng::with_seed(entries as u64);
        let (mut most, mut found) = (0, 0);
        for _ in 0..5000 {
            let number = random.u64(..entries as u64 * 4);
            let length = *random.choice(&[0, 10, 500, 4000, 20_000, 70_000]).unwrap();
            put(&memory, number, text(random.usize(..=length)));
            found += u32::from(get(&memory, random.u64(..entries as u64 * 4)).is_some());
            most = most.max(memory.len());
            assert!(memory.len() <= entries, "{} of {entries}", memory.len());
            // Shards round the bound up by a few bytes in all.
            assert!(memory.weight() <= bytes + 64, "{} of {bytes}", memory.weight());
        }
        assert!(most > 0 && found > 0, "{entries} entries, {bytes} bytes: {most} held, {found} found");
    }
}

#[test]
fn there_are_no_more_entries_than_allowed_though_the_bytes_would_hold_them() {
    for (entries, bytes) in
        [(1, 1 << 20), (2, 1 << 20), (7, 8001), (1999, 1999 * 1000 + 1998), (1000, 64 << 20)]
    {
        let memory = Memory::new(Options { entries, bytes, ..ROOMY });
        for number in 0..entries as u64 * 8 {
            put(&memory, number, "small");
            assert!(memory.len() <= entries, "{} of {entries}", memory.len());
        }
        assert!(memory.len() >= entries - entries / 50, "{} of {entries}", memory.len());
    }
}

#[test]
fn weight_is_not_less_than_the_bytes_that_are_held() {
    let memory = Memory::new(Options { entries: 1_000_000, ..ROOMY });
    let bytes: usize = (0..100).map(|number| put(&memory, number, text(4000)).weight()).sum();
    assert_eq!(memory.len(), 100);
    assert!(memory.weight() >= bytes as u64 && bytes > 400_000);
    memory.clear();
    assert_eq!((memory.len(), memory.weight(), memory.is_empty()), (0, 0, true));
}

#[test]
fn nothing_stays_longer_than_the_tier_allows_nor_than_itself() {
    let memory = Memory::new(Options { ttl: Duration::from_secs(10), ..ROOMY });
    let now = Millis::now();
    let later = |seconds| now.after(Duration::from_secs(seconds));

    memory.keep(&key(1), &entry("lives for two minutes"), now);
    assert!(memory.peek(&key(1), later(9)).is_some());
    assert!(memory.peek(&key(1), later(10)).is_none());
    assert_eq!(memory.len(), 0, "what is expired goes when it is met");

    let lifetime = Lifetime { fresh: Duration::from_secs(3), stale: Duration::ZERO };
    let short = Arc::new(Entry::new("short".into(), Bytes::new(), lifetime, Stamp(0), &[]));
    memory.keep(&key(2), &short, short.stored_at);
    assert!(memory.peek(&key(2), Millis(short.stale_until.0 - 1)).is_some());
    assert!(memory.peek(&key(2), short.stale_until).is_none());

    memory.keep(&key(3), &short, short.stale_until);
    assert!(memory.is_empty(), "what is expired is not taken");
}

#[test]
fn size_decides_the_form_in_which_a_body_is_held() {
    for (length, compressed) in
        [(0, false), (LARGE_BYTES, false), (LARGE_BYTES + 1, true), (XLARGE_BYTES, true)]
    {
        for from_afar in [false, true] {
            let memory = Memory::new(ROOMY);
            let body = text(length);
            let mut put = Entry::clone(&entry(body.clone()));
            if from_afar {
                put.body = put.body.compress(1000).into_owned();
            }
            memory.keep(&key(1), &Arc::new(put.clone()), Millis::now());
            let found = get(&memory, 1).unwrap();
            assert_eq!(found.body.is_compressed(), compressed, "{length} bytes");
            assert_eq!(found.body.to_plain().unwrap(), body);
            assert_eq!(Entry { body: put.body.clone(), ..Entry::clone(&found) }, put);
        }
    }
}

#[test]
fn a_small_entry_is_not_copied() {
    let memory = Memory::new(ROOMY);
    let small = put(&memory, 1, "small");
    assert!(Arc::ptr_eq(&small, &get(&memory, 1).unwrap()));
}

#[test]
fn a_very_large_body_is_held_on_its_second_visit() {
    let memory = Memory::new(ROOMY);
    put(&memory, 1, text(XLARGE_BYTES + 1));
    assert!(get(&memory, 1).is_none());
    put(&memory, 1, text(XLARGE_BYTES + 1));
    assert_eq!(get(&memory, 1).unwrap().body.plain_len(), XLARGE_BYTES + 1);

    // What it would have replaced is older than itself.
    put(&memory, 2, "older");
    put(&memory, 2, text(XLARGE_BYTES + 1));
    assert!(get(&memory, 2).is_none());
}

#[test]
fn what_is_forgotten_is_gone_and_what_replaced_it_stays() {
    let memory = Memory::new(ROOMY);
    let old = put(&memory, 1, "old");
    let new = put(&memory, 1, "new");
    memory.forget_this(&key(1), &old);
    assert_eq!(get(&memory, 1), Some(Arc::clone(&new)));
    memory.forget_this(&key(1), &new);
    assert_eq!(get(&memory, 1), None);
    put(&memory, 1, "newer");
    memory.forget(&key(1));
    assert_eq!(get(&memory, 1), None);
}

#[test]
fn a_sweep_takes_what_is_expired_and_counts_it() {
    let memory = Memory::new(Options { ttl: Duration::from_secs(10), ..ROOMY });
    let now = Millis::now();
    for number in 0..30 {
        memory.keep(&key(number), &entry("x"), now.after(Duration::from_secs(number)));
    }
    assert_eq!(memory.sweep(now), 0);
    assert_eq!(memory.sweep(now.after(Duration::from_secs(19))), 10);
    assert_eq!(memory.len(), 20);
    assert_eq!(memory.sweep(now.after(Duration::from_secs(60))), 20);
    assert!(memory.is_empty());
}

#[test]
fn a_scan_does_not_push_out_what_is_asked_for() {
    let memory = Memory::new(Options { entries: 1000, ..ROOMY });
    let hot = 0..200;
    for _ in 0..5 {
        for number in hot.clone() {
            if get(&memory, number).is_none() {
                put(&memory, number, "hot");
            }
        }
    }
    (1000..20_000).for_each(|number| drop(put(&memory, number, "once")));
    let stayed = hot.clone().filter(|number| get(&memory, *number).is_some()).count();
    assert!(stayed >= 180, "{stayed} of 200");
}

#[test]
fn what_may_be_served_stale_stays_for_it_beyond_the_tier_s_own_time() {
    let seconds = Duration::from_secs;
    let check = |ttl, fresh, stale, there: u64, gone: u64| {
        let memory = Memory::new(Options { ttl: seconds(ttl), ..Options::default() });
        let now = Millis::now();
        let lifetime = Lifetime { fresh: seconds(fresh), stale: seconds(stale) };
        let entry = Arc::new(Entry::new("an answer".into(), Bytes::new(), lifetime, Stamp(0), &[]));
        let key = Key::from_bytes([7; 32]);
        memory.keep(&key, &entry, now);
        assert!(memory.peek(&key, now.after(seconds(there))).is_some(), "{ttl} {fresh} {stale}");
        assert!(memory.peek(&key, now.after(seconds(gone))).is_none(), "{ttl} {fresh} {stale}");
    };
    // Lives end up to a tenth early or late.
    check(10, 10, 60, 68, 72);
    check(10, 1000, 60, 9, 11);
    check(1000, 10, 60, 68, 72);
    check(10, 1000, 0, 9, 11);
    check(1000, 10, 0, 8, 12);
}
