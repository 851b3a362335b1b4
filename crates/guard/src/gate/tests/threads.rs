//! Several threads at one gate, under schedules that shuttle chooses at random. A lost wake-up shows as
//! a deadlock, a lost permit as one too, or as a gate that is not idle at the end.

use super::*;
use crate::mutex::explore;
use shuttle::future::block_on;
use shuttle::thread;
use std::future::poll_fn;

const ROUNDS: usize = 1000;

/// Counts who is inside, and remembers the most there ever were.
#[derive(Default)]
struct Inside {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Inside {
    /// A call: it begins, others have a turn, it ends.
    fn call(&self) {
        let now = self.now.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(now, SeqCst);
        thread::yield_now();
        self.now.fetch_sub(1, SeqCst);
    }
}

type Body = Box<dyn FnOnce() + Send>;

/// Lets each of `bodies` run on a thread of its own, and waits for all.
fn together(bodies: Vec<Body>) {
    let threads: Vec<_> = bodies.into_iter().map(thread::spawn).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

fn gate(limit: u32) -> (Gate, Instant) {
    let now = Instant::now();
    (Gate::new(fixed(limit), now), now)
}

/// Enters, and waits if need be.
fn pass(gate: &Gate, ticket: Ticket, now: Instant) -> Permit {
    match gate.enter(ticket, now) {
        Entered::Now(permit) => permit,
        Entered::Wait(waiting) => block_on(waiting).unwrap(),
        Entered::Refused(refusal) => panic!("{refusal:?}"),
    }
}

#[test]
fn everybody_gets_in_and_never_too_many_at_once() {
    explore(ROUNDS, || {
        let (gate, now) = gate(2);
        let inside = Arc::new(Inside::default());
        let bands = [High, Normal, Low, Batch];
        let bodies = (0..4).map(|thread| -> Body {
            let (gate, inside) = (gate.clone(), Arc::clone(&inside));
            Box::new(move || {
                for turn in 0..2 {
                    let permit = pass(&gate, ticket(bands[(thread + turn) % 4], thread as u64), now);
                    inside.call();
                    match turn {
                        0 => permit.finish(Outcome::Good, 100, now),
                        _ => drop(permit),
                    }
                }
            })
        });
        together(bodies.collect());
        assert!(gate.is_idle());
        assert!(inside.most.load(SeqCst) <= 2);
    });
}

#[test]
fn who_leaves_at_any_moment_takes_no_permit_along() {
    explore(ROUNDS, || {
        let (gate, now) = gate(1);
        let bodies = (0..4).map(|thread| -> Body {
            let gate = gate.clone();
            Box::new(move || {
                if thread % 2 == 0 {
                    drop(pass(&gate, ticket(Normal, thread), now));
                    return;
                }
                // Polls once and leaves: before, while or after a permit is granted, as it happens.
                if let Entered::Wait(mut waiting) = gate.enter(ticket(Normal, thread), now) {
                    let once = poll_fn(|cx| Poll::Ready(Pin::new(&mut waiting).poll(cx)));
                    drop(block_on(once));
                    thread::yield_now();
                }
            })
        });
        together(bodies.collect());
        assert!(gate.is_idle());
    });
}

#[test]
fn a_limit_that_changes_meanwhile_lets_everybody_in_after_all() {
    explore(ROUNDS, || {
        let (gate, now) = gate(1);
        let mut bodies: Vec<Body> = Vec::new();
        for thread in 0..3 {
            let gate = gate.clone();
            bodies.push(Box::new(move || drop(pass(&gate, ticket(Normal, thread), now))));
        }
        let changed = gate.clone();
        bodies.push(Box::new(move || {
            for limit in [3, 1] {
                changed.set_options(fixed(limit), now);
            }
        }));
        together(bodies);
        assert!(gate.is_idle());
    });
}
