//! Who does not get in, at the door or after a wait, and what they are told.

use super::*;

#[test]
fn a_full_queue_refuses_or_displaces() {
    let queue = queue::Options { size: 2, ..fixed(1).queue };
    let rig = Rig::new(Options { queue, ..fixed(1) });
    let _holder = rig.permit(ticket(Normal, 1));
    let (_first, mut second) = (rig.wait(ticket(Normal, 1)), rig.wait(ticket(Low, 1)));
    let bell = Arc::new(Bell::default());
    assert!(poll_by(&mut second, &bell).is_pending());
    assert_eq!(rig.refusal(ticket(Low, 1)).reason, Reason::Full);

    let _high = rig.wait(ticket(High, 1));
    assert_eq!((bell.rung(), refused(&mut second)), (1, Reason::Full));
    assert_eq!((rig.report().refused_full, rig.report().waiting), (2, [1, 1, 0, 0]));
}

/// A gate whose four permits are held for a second each, and that many of them out.
fn paced() -> (Rig, Vec<Permit>) {
    let mut rig = Rig::new(fixed(4));
    let held = rig.permit(ticket(Normal, 1));
    rig.later(secs(1)).finish(held);
    let permits = (0..4).map(|_| rig.permit(ticket(Normal, 1))).collect();
    (rig, permits)
}

#[test]
fn who_cannot_be_served_in_time_is_told_at_the_door() {
    // A permit comes back every 250 ms, and a call takes a second after that.
    let (rig, _permits) = paced();
    let until = |after| Ticket { deadline: Some(rig.now + ms(after)), ..ticket(Normal, 1) };
    assert_eq!(rig.refusal(until(499)), Refusal { reason: Reason::TooLate, after: ms(250) });
    // It has no time for a call of the usual length. It may be a shorter one: half of its time is for it.
    let _first = rig.wait(until(500));
    assert_eq!(rig.refusal(until(999)), Refusal { reason: Reason::TooLate, after: ms(500) });
    let _second = rig.wait(until(1000));
    let _high: Vec<_> = (0..6).map(|_| rig.wait(ticket(High, 2))).collect();
    assert_eq!(rig.refusal(until(3249)), Refusal { reason: Reason::TooLate, after: ms(2250) });
    let _third = rig.wait(until(3250));
    assert_eq!(rig.refusal(until(0)).reason, Reason::TooLate);
    // A newcomer of another tenant takes turns with the three of tenant 1.
    assert_eq!((rig.report().refused_late, rig.report().wait), (4, secs(2)));
}

#[test]
fn batch_work_is_judged_by_its_own_limit_too() {
    let mut rig = Rig::new(fixed(100));
    let held = rig.permit(ticket(Normal, 1));
    rig.later(secs(1)).finish(held);
    let _batch: Vec<_> = (0..5).map(|_| rig.permit(ticket(Batch, 1))).collect();
    let until = |after| Ticket { deadline: Some(rig.now + ms(after)), ..ticket(Batch, 1) };
    assert_eq!(rig.refusal(until(399)), Refusal { reason: Reason::TooLate, after: ms(200) });
    let _first = rig.wait(until(400));
    assert_eq!(rig.refusal(until(799)), Refusal { reason: Reason::TooLate, after: ms(400) });
    assert_eq!(rig.report().wait, Duration::ZERO, "there is room for everything else");
}

#[test]
fn when_to_come_again_has_bounds() {
    let queue = queue::Options { size: 0, ..fixed(1).queue };
    for (held, after) in [(ms(1), ms(100)), (ms(700), ms(700)), (secs(7000), secs(60))] {
        let mut rig = Rig::new(Options { queue, ..fixed(1) });
        let permit = rig.permit(ticket(Normal, 1));
        rig.later(held).finish(permit);
        let _permit = rig.permit(ticket(Normal, 1));
        assert_eq!(rig.refusal(ticket(Normal, 1)), Refusal { reason: Reason::Full, after });
    }
}

#[test]
fn a_target_that_hangs_makes_the_wait_longer_before_its_calls_end() {
    let (mut rig, _permits) = paced();
    assert_eq!(rig.report().wait, ms(250));
    rig.later(secs(8));
    assert_eq!(rig.report().wait, secs(2));
}

#[test]
fn a_wait_that_passes_its_deadline_ends_in_a_refusal_when_its_turn_comes() {
    let mut rig = Rig::new(fixed(1));
    let holder = rig.permit(ticket(Normal, 1));
    let mut late = rig.wait(Ticket { deadline: Some(rig.now + ms(50)), ..ticket(Normal, 1) });
    let mut next = rig.wait(ticket(Normal, 1));
    rig.later(ms(50)).finish(holder);
    assert_eq!(refused(&mut late), Reason::TooLate);
    assert!(poll(&mut next).is_ready());
}

#[test]
fn who_could_not_end_in_time_is_told_when_its_turn_comes() {
    let mut rig = Rig::new(fixed(1));
    let holder = rig.permit(ticket(Normal, 1));
    // Nothing is known yet of how long calls take.
    let until = |after| Ticket { deadline: Some(rig.now + ms(after)), ..ticket(Normal, 1) };
    let (mut late, mut next) = (rig.wait(until(1600)), rig.wait(until(2100)));
    rig.later(secs(1)).finish(holder);
    assert_eq!(refused(&mut late), Reason::TooLate, "600 ms are left of a second that it takes");
    assert!(poll(&mut next).is_ready());
}

#[test]
fn a_permit_that_was_not_used_says_nothing_of_how_long_calls_take() {
    let (rig, mut permits) = paced();
    for _ in 0..100 {
        permits.pop().unwrap().unused(rig.now);
        permits.push(rig.permit(ticket(Normal, 3)));
    }
    assert_eq!((rig.report().wait, rig.in_flight()), (ms(250), 4));
}

#[test]
fn a_queue_that_stands_turns_away_who_would_wait_for_too_long() {
    let queue = queue::Options { codel_target: ms(100), codel_interval: ms(500), ..fixed(1).queue };
    let mut rig = Rig::new(Options { queue, ..fixed(10) });
    let mut permits: Vec<_> = (0..10).map(|_| rig.permit(ticket(Normal, 1))).collect();
    let mut waiting = Vec::new();
    let mut turned_away = Vec::new();
    // A call ends every 100 ms, a second after it began; meanwhile three come.
    for step in 1..=100 {
        for _ in 0..3 {
            match rig.enter(ticket(Normal, 1)) {
                Entered::Refused(refusal) if refusal.reason == Reason::Dropped => turned_away.push(step),
                Entered::Wait(new) => waiting.push(new),
                other => panic!("{other:?}"),
            }
        }
        rig.later(ms(100)).finish(permits.remove(0));
        waiting.retain_mut(|waiting| match poll(waiting) {
            Poll::Ready(permit) => {
                permits.extend(permit);
                false
            }
            Poll::Pending => true,
        });
    }
    assert!(turned_away[0] > 5, "not before they have waited for so long: {}", turned_away[0]);
    assert!((160..200).contains(&turned_away.len()), "of 300, 100 are served: {}", turned_away.len());
    drop(rig.wait(ticket(High, 1)));
}

#[test]
fn a_queue_that_stands_drops_whom_it_would_serve_too_late_anyway() {
    let queue = queue::Options { codel_target: ms(5), codel_interval: ms(100), ..fixed(1).queue };
    let mut rig = Rig::new(Options { queue, ..fixed(1) });
    let mut holder = rig.permit(ticket(Normal, 1));
    let mut waiting: Vec<_> = (0..20).map(|_| rig.wait(ticket(Normal, 1))).collect();
    let (mut served, mut dropped) = (0, 0);
    while served + dropped < 20 {
        rig.later(ms(60)).finish(holder);
        let mut next = None;
        waiting.retain_mut(|waiting| match poll(waiting) {
            Poll::Ready(Ok(permit)) => next.replace(permit).is_some(),
            Poll::Ready(Err(refusal)) => {
                assert_eq!(refusal.reason, Reason::Dropped);
                dropped += 1;
                false
            }
            Poll::Pending => true,
        });
        served += 1;
        holder = next.expect("somebody is always served");
    }
    assert_eq!((served, rig.report().dropped), (3, dropped), "an interval has to pass first");
}
