#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::entry::Lifetime;
use crate::epochs::Stamp;
use bytes::Bytes;

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
