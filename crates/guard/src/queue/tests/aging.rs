//! A band that waits for too long gets one place, and no more.

use super::*;

#[test]
fn a_band_that_is_passed_over_for_too_long_gets_one_place() {
    let mut rig = Rig::new(Options { aging: ms(1000), ..OPTIONS });
    for _ in 0..3 {
        rig.push(ticket(Low, 1, 1), "low");
    }
    let mut served = Vec::new();
    for _ in 0..30 {
        rig.later(ms(100)).push(ticket(High, 2, 1), "high");
        served.extend(rig.pop());
    }
    let low: Vec<_> = (1..=30).filter(|turn| served[turn - 1] == Popped::Serve("low")).collect();
    assert_eq!(low, [10, 20, 30], "one a second");
}

#[test]
fn a_flood_does_not_age() {
    // Whatever came long ago, what is high comes before it, but for one place a second.
    let mut rig = Rig::new(Options { aging: ms(1000), ..OPTIONS });
    for _ in 0..50 {
        rig.push(ticket(Low, 1, 1), "low");
    }
    rig.later(ms(100_000));
    for _ in 0..50 {
        rig.push(ticket(High, 2, 1), "high");
    }
    assert_eq!(rig.drain()[..6], ["low", "high", "high", "high", "high", "high"]);
    assert_eq!(rig.queue.push(ticket(High, 2, 1), "high", rig.now).map(|pushed| pushed.displaced), Ok(None));
}

#[test]
fn of_four_places_one_at_most_goes_out_of_order() {
    // A place every ten seconds: all bands have always waited for too long.
    let mut rig = Rig::new(Options { aging: ms(1000), ..OPTIONS });
    for _ in 0..20 {
        Band::ALL.into_iter().for_each(|band| _ = rig.push(ticket(band, 1, 1), band));
    }
    let mut served = Vec::new();
    for _ in 0..24 {
        served.push(match rig.later(ms(10_000)).pop() {
            Some(Popped::Serve(band)) => band,
            other => panic!("{other:?}"),
        });
    }
    let count = |band| served.iter().filter(|&&other| other == band).count();
    assert_eq!(Band::ALL.map(count), [18, 2, 2, 2], "{served:?}");
}

#[test]
fn who_is_served_at_the_door_counts_as_served_in_order() {
    let mut rig = Rig::new(Options { aging: ms(1000), ..OPTIONS });
    let past_the_reserve = Room { lowest: Normal, patient: Batch };
    for _ in 0..3 {
        rig.push(ticket(Low, 1, 1), "low");
    }
    for served in [true, false] {
        rig.later(ms(1000));
        let popped = rig.queue.pop(past_the_reserve, Duration::ZERO, rig.now);
        assert_eq!(popped, served.then_some(Popped::Serve("low")));
    }
    (0..3).for_each(|_| rig.queue.serve(2, 1));
    assert_eq!(rig.queue.pop(past_the_reserve, Duration::ZERO, rig.now), Some(Popped::Serve("low")));
}
