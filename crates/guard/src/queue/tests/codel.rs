//! Who is dropped from a queue that stands, and who is turned away from it.

use super::*;

/// What came out of a queue over some time.
#[derive(Default)]
struct Flow {
    served: usize,
    longest_wait: Duration,
    /// When, counted from the beginning.
    dropped: Vec<Duration>,
}

/// Lets one out every `every`, and as many in as `arrivals` says.
fn flow(rig: &mut Rig<Instant>, lasts: Duration, every: Duration, arrivals: usize) -> Flow {
    let mut flow = Flow::default();
    let start = rig.now;
    while rig.now < start + lasts {
        rig.later(every);
        for tenant in 0..arrivals {
            let _ = rig.queue.push(ticket(Normal, tenant as u64, 1), rig.now, rig.now);
        }
        loop {
            match rig.pop() {
                Some(Popped::Dropped(_)) => flow.dropped.push(rig.now - start),
                Some(Popped::Serve(came) | Popped::Late(came)) => {
                    flow.served += 1;
                    flow.longest_wait = flow.longest_wait.max(rig.now - came);
                    break;
                }
                None => break,
            }
        }
    }
    flow
}

#[test]
fn codel_leaves_bursts_alone_and_shortens_a_queue_that_stands() {
    let mut rig = Rig::new(Options { codel_target: ms(50), ..OPTIONS });
    for _ in 0..9 {
        rig.push(ticket(Normal, 1, 1), rig.now);
    }
    let burst = flow(&mut rig, ms(300), ms(10), 0);
    assert_eq!((burst.served, burst.dropped.len()), (9, 0), "it is gone within the interval");

    // Three come for each that is served.
    let first = flow(&mut rig, ms(1000), ms(10), 3);
    assert!(
        first.dropped[0] >= ms(100),
        "not before an interval in which all waited: {:?}",
        first.dropped[0]
    );
    let then = flow(&mut rig, ms(10_000), ms(10), 3);
    assert_eq!((first.served, then.served), (100, 1000), "it takes nothing from the service");
    assert!(then.longest_wait <= ms(250), "{:?}", then.longest_wait);

    // As many come as are served: those who waited go on, and nobody is dropped any more.
    flow(&mut rig, ms(1000), ms(10), 1);
    assert_eq!(flow(&mut rig, ms(1000), ms(10), 1).dropped, []);
}

/// Lets time pass in steps in which nobody is served, and tells who is dropped.
fn dropped<T: std::fmt::Debug + Copy + PartialEq>(rig: &mut Rig<T>, steps: usize, hold: Duration) -> Vec<T> {
    /// For nobody who waits.
    const ROOM: Room = Room { lowest: High, patient: High };
    let mut dropped = Vec::new();
    for _ in 0..steps {
        rig.later(ms(10));
        while let Some(popped) = rig.queue.pop(ROOM, hold, rig.now) {
            let Popped::Dropped(item) = popped else { panic!("{popped:?}") };
            dropped.push(item);
        }
    }
    dropped
}

#[test]
fn codel_judges_each_band_and_spares_the_high_while_others_wait() {
    let mut rig = Rig::new(Options { codel_target: ms(50), ..OPTIONS });
    for band in [Normal, Low, Batch] {
        (0..3).for_each(|_| _ = rig.push(ticket(band, 1, 1), band));
    }
    assert_eq!(dropped(&mut rig, 14, Duration::ZERO), []);
    let order = [Batch, Batch, Low, Low, Normal, Normal];
    assert_eq!(
        dropped(&mut rig, 100, Duration::ZERO),
        order,
        "the lowest first, and not the last one of any"
    );

    // The one who is next has just come; the band behind it stands all the same.
    let mut rig = Rig::new(Options { codel_target: ms(50), ..OPTIONS });
    (0..3).for_each(|_| _ = rig.push(ticket(Normal, 1, 1), Normal));
    let mut lost = 0;
    for _ in 0..30 {
        rig.later(ms(10)).push(ticket(High, 2, 1), High);
        while let Some(Popped::Dropped(Normal)) = rig.pop() {
            lost += 1;
        }
    }
    assert_eq!((lost, rig.queue.waiting()), (2, [0, 1, 0, 0]));

    for (others, spared) in [(1, true), (0, false)] {
        let mut rig = Rig::new(Options { codel_target: ms(50), ..OPTIONS });
        let serve_none = |rig: &mut Rig<Band>| {
            rig.later(ms(200));
            rig.queue.judge(&Bounds::new(&rig.queue.options, Duration::ZERO), rig.now);
        };
        (0..3).for_each(|_| _ = rig.push(ticket(High, 1, 1), High));
        (0..others).for_each(|_| _ = rig.push(ticket(Low, 1, 1), Low));
        (0..2).for_each(|_| serve_none(&mut rig));
        let is_dropped = matches!(rig.pop(), Some(Popped::Dropped(High)));
        assert_eq!(is_dropped, !spared, "{others} others");
        assert_eq!(rig.queue.turns_away(High, ms(1000), Duration::ZERO, rig.now), !spared);
    }
}

#[test]
fn codel_drops_from_the_tenant_that_has_most() {
    let mut rig = Rig::new(Options { codel_target: ms(50), ..OPTIONS });
    for tenant in [2, 1, 1, 1, 3] {
        rig.push(ticket(Normal, tenant, 1), tenant);
    }
    assert_eq!(dropped(&mut rig, 100, Duration::ZERO), [1, 1], "and nobody's only one");
}

#[test]
fn codel_is_no_sharper_than_calls_allow() {
    // How long a place is kept, and how long it takes until somebody is dropped: a quarter of it above the
    // target, and then the whole of it.
    for (hold, first) in [(0, 160), (100, 160), (1000, 1260), (10_000, 12_510)] {
        let mut rig = Rig::new(Options { codel_target: ms(50), ..OPTIONS });
        (0..2).for_each(|_| _ = rig.push(ticket(Normal, 1, 1), ()));
        let begin = rig.now;
        while dropped(&mut rig, 1, ms(hold)).is_empty() {}
        assert_eq!(rig.now - begin, ms(first), "{hold}");
    }
}

#[test]
fn a_band_that_stands_turns_away_who_would_wait_too_long() {
    let mut rig = Rig::new(Options { codel_target: ms(50), ..OPTIONS });
    (0..2).for_each(|_| _ = rig.push(ticket(Normal, 1, 1), ()));
    let away = |rig: &mut Rig<()>, band, wait| rig.queue.turns_away(band, ms(wait), Duration::ZERO, rig.now);
    assert!(!away(&mut rig, Normal, 150), "it may be a burst");
    assert!(away(&mut rig, Normal, 151), "it stands before such a one's turn comes");
    dropped(&mut rig, 20, Duration::ZERO);
    for (band, wait, is_away) in [(Normal, 50, false), (Normal, 51, true), (High, 51, false), (Low, 0, true)]
    {
        assert_eq!(away(&mut rig, band, wait), is_away, "{band:?} {wait}");
    }
    rig.drain();
    assert!(away(&mut rig, Normal, 1000), "those who were turned away would wait");
    rig.later(ms(1000));
    assert!(!away(&mut rig, Normal, 1000), "nobody waits, and nobody would");
}
