//! What the queue promises, one behaviour a test. That no band starves is `aging`'s, who is dropped `codel`'s;
//! random courses against a reference are `model`'s.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::Band::{Batch, High, Low, Normal};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

mod aging;
mod codel;
mod model;

type Text = &'static str;

/// Neither aging nor CoDel, where a test is of something else.
const OPTIONS: Options = Options {
    size: 100,
    aging: Duration::ZERO,
    codel_target: Duration::MAX,
    codel_interval: Duration::from_millis(100),
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn ticket(band: Band, tenant: u64, cost: u64) -> Ticket {
    Ticket { band, tenant, cost, deadline: None }
}

/// A queue and its clock.
struct Rig<T> {
    queue: FairQueue<T>,
    now: Instant,
}

impl<T: std::fmt::Debug + Copy + PartialEq> Rig<T> {
    fn new(options: Options) -> Self {
        let now = Instant::now();
        Self { queue: FairQueue::new(options), now }
    }

    fn later(&mut self, by: Duration) -> &mut Self {
        self.now += by;
        self
    }

    fn push(&mut self, ticket: Ticket, item: T) -> Pushed<T> {
        self.queue.push(ticket, item, self.now).unwrap()
    }

    fn pop(&mut self) -> Option<Popped<T>> {
        self.queue.pop(Room::FOR_ALL, Duration::ZERO, self.now)
    }

    /// Everybody who is served, in order, if nobody else leaves.
    fn drain(&mut self) -> Vec<T> {
        std::iter::from_fn(|| self.pop())
            .map(|popped| match popped {
                Popped::Serve(item) => item,
                other => panic!("{other:?}"),
            })
            .collect()
    }
}

#[test]
fn higher_bands_go_first_and_within_one_who_came_first() {
    let mut rig = Rig::new(OPTIONS);
    for (band, item) in
        [(Batch, 8), (Low, 6), (Normal, 3), (High, 1), (Normal, 4), (High, 2), (Low, 7), (Normal, 5)]
    {
        rig.push(ticket(band, item, 10), item);
    }
    assert_eq!(rig.queue.waiting(), [2, 3, 2, 1]);
    assert_eq!(rig.drain(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(rig.queue.is_empty() && rig.queue.waiting() == [0; 4]);
}

#[test]
fn within_a_tenant_the_earliest_deadline_goes_first() {
    let mut rig = Rig::new(OPTIONS);
    let now = rig.now;
    for (item, deadline) in
        [("none", None), ("late", Some(900)), ("soon", Some(100)), ("none 2", None), ("late 2", Some(900))]
    {
        rig.push(Ticket { deadline: deadline.map(|after| now + ms(after)), ..ticket(Normal, 1, 1) }, item);
    }
    assert_eq!(rig.drain(), ["soon", "late", "late 2", "none", "none 2"]);
}

#[test]
fn tenants_share_tokens_not_turns() {
    let mut rig = Rig::new(OPTIONS);
    for _ in 0..10 {
        rig.push(ticket(Normal, 1, 300), "dear");
    }
    for _ in 0..30 {
        rig.push(ticket(Normal, 2, 100), "cheap");
    }
    let served: Vec<_> = (0..20).map(|_| rig.pop().unwrap()).collect();
    let dear = served.iter().filter(|&&popped| popped == Popped::Serve("dear")).count();
    assert_eq!(dear, 5, "five of 300 for fifteen of 100");
}

#[test]
fn one_who_comes_back_has_saved_nothing_up() {
    let mut rig = Rig::new(OPTIONS);
    rig.queue.serve(2, 10);
    for _ in 0..50 {
        rig.queue.serve(1, 100);
    }
    for _ in 0..5 {
        rig.push(ticket(Normal, 1, 100), "busy");
        rig.push(ticket(Normal, 2, 100), "rested");
    }
    assert_eq!(rig.drain()[..5], ["rested", "busy", "rested", "busy", "rested"]);
}

#[test]
fn what_a_call_used_in_truth_corrects_the_counter() {
    for (expected, used, first) in [(100, 100, "one"), (100, 900, "two"), (100, 0, "one"), (0, 0, "one")] {
        let mut rig = Rig::new(OPTIONS);
        for (tenant, item) in [(1, "one"), (2, "two"), (1, "one"), (2, "two")] {
            rig.push(ticket(Normal, tenant, expected), item);
        }
        assert_eq!([rig.pop(), rig.pop()], [Some(Popped::Serve("one")), Some(Popped::Serve("two"))]);
        rig.queue.correct(1, expected, used);
        assert_eq!(rig.pop(), Some(Popped::Serve(first)), "expected {expected}, used {used}");
    }
}

#[test]
fn room_that_is_not_for_everybody_passes_over_the_others() {
    let cases: [(Band, &[Text]); 4] = [
        (High, &["high"]),
        (Normal, &["high", "normal"]),
        (Low, &["high", "normal", "low"]),
        (Batch, &["high", "normal", "low", "batch"]),
    ];
    for (lowest, served) in cases {
        let room = Room { lowest, patient: lowest };
        let mut rig = Rig::new(OPTIONS);
        for (band, item) in [(Batch, "batch"), (Low, "low"), (Normal, "normal"), (High, "high")] {
            rig.push(ticket(band, 1, 1), item);
        }
        let popped: Vec<_> = std::iter::from_fn(|| rig.queue.pop(room, Duration::ZERO, rig.now)).collect();
        assert_eq!(popped, served.iter().map(|&item| Popped::Serve(item)).collect::<Vec<_>>(), "{room:?}");
        assert_eq!(rig.queue.has_next(Room::FOR_ALL), served.len() < 4);
    }
}

#[test]
fn a_full_queue_prefers_higher_bands_and_then_those_with_less_in_it() {
    // Who waits, who comes, and who has to leave; nobody where the newcomer is refused.
    type Crowd = &'static [(Band, u64, Text)];
    let cases: [(Crowd, (Band, u64), Option<Text>); 8] = [
        (&[(Normal, 1, "a"), (Low, 2, "b"), (Low, 3, "c")], (High, 4), Some("c")),
        (&[(Normal, 1, "a"), (Low, 2, "b"), (Batch, 3, "c")], (Low, 4), Some("c")),
        (&[(High, 1, "a"), (High, 2, "b"), (High, 3, "c")], (High, 4), None),
        (&[(High, 1, "a"), (High, 2, "b"), (High, 3, "c")], (Normal, 4), None),
        (&[(Normal, 1, "a"), (Normal, 1, "b"), (Normal, 2, "c")], (Normal, 3), Some("b")),
        (&[(Normal, 1, "a"), (Normal, 1, "b"), (Normal, 2, "c")], (Normal, 2), None),
        (&[(Normal, 1, "a"), (Normal, 1, "b"), (Normal, 2, "c")], (Normal, 1), None),
        (&[(Normal, 1, "a"), (Normal, 1, "b"), (Normal, 2, "c")], (Low, 3), None),
    ];
    for (crowd, (band, tenant), leaves) in cases {
        let mut rig = Rig::new(Options { size: 3, ..OPTIONS });
        for &(band, tenant, item) in crowd {
            rig.push(ticket(band, tenant, 1), item);
        }
        let pushed = rig.queue.push(ticket(band, tenant, 1), "new", rig.now);
        assert_eq!(pushed.map(|pushed| pushed.displaced), leaves.map(Some).ok_or(Full("new")), "{crowd:?}");
        assert_eq!(rig.queue.len(), 3);
    }
    let mut rig = Rig::new(Options { size: 0, ..OPTIONS });
    assert_eq!(rig.queue.push(ticket(High, 1, 1), "new", rig.now), Err(Full("new")));
}

#[test]
fn a_tenant_that_floods_the_queue_leaves_room_for_others() {
    let mut rig = Rig::new(Options { size: 10, ..OPTIONS });
    for round in 0..10 {
        for _ in 0..10 {
            let _ = rig.queue.push(ticket(Normal, 1, 1), 1, rig.now);
        }
        if round < 9 {
            let _ = rig.queue.push(ticket(Normal, 2, 1), 2, rig.now);
        }
    }
    assert_eq!(rig.drain().into_iter().filter(|&tenant| tenant == 2).count(), 5);
}

#[test]
fn who_is_too_late_is_not_served() {
    let mut rig = Rig::new(OPTIONS);
    let deadline = Some(rig.now + ms(100));
    rig.push(Ticket { deadline, ..ticket(Normal, 1, 1) }, "late");
    rig.push(ticket(Normal, 1, 1), "patient");
    assert_eq!(rig.later(ms(100)).pop(), Some(Popped::Late("late")));
    assert_eq!(rig.drain(), ["patient"]);
}

#[test]
fn who_could_not_end_in_time_is_not_served() {
    // What came with a deadline, when its turn comes, what a call usually takes, and whether it is late.
    for (deadline, turn, hold, late) in [
        (1000, 599, 400, false),
        (1000, 600, 400, true),
        (1000, 999, 0, false),
        (1000, 1000, 0, true),
        // Calls usually take longer than it has: half of its time at most is kept for it.
        (1000, 499, 60_000, false),
        (1000, 500, 60_000, true),
    ] {
        let mut rig = Rig::new(OPTIONS);
        let deadline = Some(rig.now + ms(deadline));
        rig.push(Ticket { deadline, ..ticket(Normal, 1, 1) }, ());
        rig.later(ms(turn));
        let popped = rig.queue.pop(Room::FOR_ALL, ms(hold), rig.now);
        assert_eq!(popped, Some(if late { Popped::Late(()) } else { Popped::Serve(()) }), "{turn} {hold}");
    }
}

#[test]
fn a_removed_entry_is_found_no_more_by_its_old_number() {
    let mut rig = Rig::new(OPTIONS);
    let [a, b] = ["a", "b"].map(|item| rig.push(ticket(Low, 1, 1), item).id);
    assert_eq!((rig.queue.remove(a), rig.queue.remove(a)), (Some("a"), None));
    let c = rig.push(ticket(Low, 1, 1), "c").id;
    assert_eq!(rig.queue.remove(a), None, "its place is taken by another");
    assert_eq!((rig.queue.remove(c), rig.queue.remove(b)), (Some("c"), Some("b")));
    assert!(rig.queue.is_empty() && rig.pop().is_none());
}

#[test]
fn how_many_are_ahead() {
    let mut rig = Rig::new(OPTIONS);
    for (band, tenant) in
        [(High, 1), (Normal, 1), (Normal, 1), (Normal, 1), (Normal, 2), (Low, 3), (Batch, 3)]
    {
        rig.push(ticket(band, tenant, 1), ());
    }
    for (band, tenant, ahead) in [
        (High, 9, 1),
        (Normal, 9, 3),
        (Normal, 2, 4),
        (Normal, 1, 5),
        (Low, 9, 6),
        (Batch, 3, 7),
        (Batch, 9, 7),
    ] {
        assert_eq!(rig.queue.ahead(band, tenant), ahead, "{band:?} of {tenant}");
    }
}

#[test]
fn tenants_without_anybody_waiting_are_forgotten_in_time() {
    let mut rig = Rig::<()>::new(OPTIONS);
    for tenant in 0..100_000 {
        rig.queue.serve(tenant, 1 + tenant % 7);
        rig.queue.correct(tenant + 7, 1, 50);
    }
    assert!(rig.queue.shelves.tenants() < 4000, "{}", rig.queue.shelves.tenants());
}

proptest! {
    /// VTC's promise (arXiv 2401.00588, theorem 4.4): between two tenants who always have somebody
    /// waiting, the tokens served differ by no more than twice the dearest request.
    #[test]
    fn service_differs_by_two_dear_requests_at_most(costs in proptest::collection::vec((1_u64..500, 1_u64..500, 1_u64..500), 1..200)) {
        let mut rig = Rig::new(Options { size: 1000, ..OPTIONS });
        for &(a, b, c) in &costs {
            for (tenant, cost) in [(1, a), (2, b), (3, c)] {
                rig.push(ticket(Normal, tenant, cost), (tenant, cost));
            }
        }
        let mut left = BTreeMap::from([(1, costs.len()), (2, costs.len()), (3, costs.len())]);
        let mut tokens = BTreeMap::from([(1, 0), (2, 0), (3, 0)]);
        while left.values().all(|&left| left > 0) {
            let Some(Popped::Serve((tenant, cost))) = rig.pop() else { panic!() };
            *left.get_mut(&tenant).unwrap() -= 1;
            *tokens.get_mut(&tenant).unwrap() += cost;
            prop_assert!(tokens.values().max().unwrap() - tokens.values().min().unwrap() <= 1000);
        }
    }
}
