//! How many get in: the limit and its changes, the places that are kept free, and batch work's share.

use super::*;

#[test]
fn a_higher_limit_lets_many_in_at_once_and_wakes_each() {
    let rig = Rig::new(fixed(1));
    let _holder = rig.permit(ticket(Normal, 1));
    let mut waiting: Vec<_> = (0..100).map(|tenant| rig.wait(ticket(Normal, tenant))).collect();
    let bells: Vec<_> = waiting.iter().map(|_| Arc::new(Bell::default())).collect();
    for (waiting, bell) in waiting.iter_mut().zip(&bells) {
        assert!(poll_by(waiting, bell).is_pending());
    }
    rig.gate.set_options(fixed(71), rig.now);
    assert_eq!(bells.iter().map(|bell| bell.rung()).sum::<usize>(), 70);
    assert_eq!((rig.in_flight(), rig.report().waiting), (71, [0, 30, 0, 0]));
}

#[test]
fn a_lower_limit_takes_no_permit_away_and_gives_none_until_enough_are_back() {
    let rig = Rig::new(fixed(3));
    let [a, b, c] = std::array::from_fn(|_| rig.permit(ticket(Normal, 1)));
    let mut waiting = rig.wait(ticket(Normal, 1));
    rig.gate.set_options(fixed(1), rig.now);
    for (permit, in_flight) in [(a, 2), (b, 1)] {
        rig.finish(permit);
        assert_eq!(rig.in_flight(), in_flight);
        assert!(poll(&mut waiting).is_pending());
    }
    rig.finish(c);
    assert!(poll(&mut waiting).is_ready());
}

#[test]
fn the_last_places_are_not_for_low_and_batch() {
    // The limit, the share reserved, and how many of one band get in beside nobody else.
    let cases = [
        (9, 0.1, Low, 9),
        (10, 0.1, Low, 9),
        (10, 0.1, Normal, 10),
        (10, 0.1, High, 10),
        (10, 0.1, Batch, 5),
        (40, 0.1, Low, 36),
        (40, 0.0, Low, 40),
        (40, 0.01, Low, 39),
        (10, 7.0, Low, 1),
    ];
    for (limit, reserve, band, admitted) in cases {
        let rig = Rig::new(Options { reserve, ..fixed(limit) });
        let permits: Vec<_> = (0..50).map(|_| rig.enter(ticket(band, 1))).collect();
        assert_eq!(rig.in_flight(), admitted, "{band:?} {limit} {reserve}");
        drop(permits);
        assert!(rig.gate.is_idle());
    }
}

#[test]
fn a_high_request_goes_past_low_ones_that_may_not_have_the_last_place() {
    let rig = Rig::new(fixed(10));
    let mut low: Vec<_> = (0..9).map(|_| rig.permit(ticket(Low, 1))).collect();
    let mut waits = rig.wait(ticket(Low, 1));
    let high = rig.permit(ticket(High, 2));
    assert_eq!(rig.in_flight(), 10);
    rig.finish(low.pop().unwrap());
    assert!(poll(&mut waits).is_pending(), "nine are out, of which a low one may not be the tenth");
    rig.finish(high);
    assert!(poll(&mut waits).is_ready());
}

#[test]
fn batch_work_has_a_limit_of_its_own_within_the_whole() {
    let rig = Rig::new(fixed(100));
    let mut batch: Vec<_> = (0..5).map(|_| rig.permit(ticket(Batch, 1))).collect();
    let mut sixth = rig.wait(ticket(Batch, 1));
    let _normal = rig.permit(ticket(Normal, 1));
    assert_eq!((rig.in_flight(), rig.report().batch_in_flight), (6, 5));
    rig.finish(batch.pop().unwrap());
    let sixth = granted(&mut sixth);
    assert_eq!(rig.report().batch_in_flight, 5);
    drop((batch, sixth));
    assert_eq!((rig.in_flight(), rig.report().batch_in_flight), (1, 0));
}

#[test]
fn batch_work_that_has_waited_for_long_keeps_to_its_limit() {
    let queue = queue::Options { aging: secs(10), ..fixed(1).queue };
    let mut rig = Rig::new(Options { queue, ..fixed(100) });
    let _batch: Vec<_> = (0..5).map(|_| rig.permit(ticket(Batch, 1))).collect();
    let mut sixth = rig.wait(ticket(Batch, 1));
    drop(rig.later(secs(100)).permit(ticket(Normal, 1)));
    assert!(poll(&mut sixth).is_pending());
}

#[test]
fn a_band_that_has_waited_for_long_gets_a_place_past_the_reserve() {
    let queue = queue::Options { aging: secs(10), ..fixed(1).queue };
    let mut rig = Rig::new(Options { queue, ..fixed(10) });
    let mut high: Vec<_> = (0..10).map(|_| rig.permit(ticket(High, 1))).collect();
    let mut low = [(); 2].map(|()| rig.wait(ticket(Low, 2)));
    let mut next = |rig: &Rig| {
        let mut waiting = rig.wait(ticket(High, 1));
        rig.finish(high.remove(0));
        if let Poll::Ready(permit) = poll(&mut waiting) {
            high.push(permit.unwrap());
        }
    };
    next(rig.later(secs(9)));
    assert!(poll(&mut low[0]).is_pending());
    next(rig.later(secs(1)));
    let _first = granted(&mut low[0]);
    next(rig.later(secs(9)));
    assert!(poll(&mut low[1]).is_pending(), "one, and not more");
}

#[test]
fn what_is_low_takes_no_reserved_place_where_it_has_all_the_others() {
    let queue = queue::Options { aging: secs(10), ..fixed(1).queue };
    let mut rig = Rig::new(Options { queue, ..fixed(10) });
    let _low: Vec<_> = (0..9).map(|_| rig.permit(ticket(Low, 1))).collect();
    let mut waits = rig.wait(ticket(Low, 1));
    for _ in 0..5 {
        drop(rig.later(secs(10)).permit(ticket(High, 2)));
        assert!(poll(&mut waits).is_pending());
    }
}

#[test]
fn overload_shrinks_the_limit_and_a_squeeze_halves_it() {
    let mut rig = Rig::new(Options { limiter: limiter::Options::INTERACTIVE, ..fixed(1) });
    rig.permit(ticket(Normal, 1)).finish(Outcome::Overload, 0, rig.now);
    assert_eq!((rig.report().limit, rig.report().cuts), (230, 1));
    rig.permit(ticket(Batch, 1)).finish(Outcome::Overload, 0, rig.later(secs(1)).now);
    assert_eq!((rig.report().limit, rig.report().batch_limit), (207, 4), "it is evidence for both");
    drop(rig.permit(ticket(Normal, 1)));
    rig.permit(ticket(Normal, 1)).finish(Outcome::Cancelled, 0, rig.later(secs(1)).now);
    assert_eq!(rig.report().limit, 207, "who leaves says nothing");
    rig.gate.squeeze(rig.now);
    assert_eq!((rig.report().limit, rig.report().batch_limit), (103, 2));
}

#[test]
fn a_held_limit_does_not_grow() {
    for (held, grows) in [(true, false), (false, true)] {
        let rig = Rig::new(Options {
            limiter: limiter::Options { initial: 4, ..limiter::Options::INTERACTIVE },
            ..fixed(1)
        });
        rig.gate.hold(held, rig.now);
        let mut permits: Vec<_> = (0..4).map(|_| rig.permit(ticket(Normal, 1))).collect();
        for _ in 0..20 {
            rig.finish(permits.remove(0));
            permits.push(rig.permit(ticket(Normal, 1)));
        }
        assert_eq!(rig.report().limit > 4, grows);
    }
}

#[test]
fn a_stream_that_has_begun_lets_others_in_before_it_ends() {
    let rig = Rig::new(Options {
        limiter: limiter::Options { initial: 4, ..limiter::Options::INTERACTIVE },
        ..fixed(1)
    });
    let mut streams: Vec<_> = (0..4).map(|_| rig.permit(ticket(Normal, 1))).collect();
    let mut waits = rig.wait(ticket(Normal, 1));
    assert!(poll(&mut waits).is_pending());
    streams[0].began(ms(50), rig.now);
    assert!(poll(&mut waits).is_ready());
    streams[0].began(ms(50), rig.now);
    assert_eq!(rig.report().limit, 5, "it begins once");
    rig.finish(streams.remove(0));
    assert_eq!(rig.report().limit, 5, "and that it ends well is no news");
    streams.remove(0).finish(Outcome::Good, 1, rig.now);
    assert_eq!(rig.report().limit, 6, "of one that had no first token it is");
}
