//! Random courses of arrivals, departures and clock steps, against a reference that keeps everybody in
//! one list and looks through all of it for whatever is asked.

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Push { band: Band, tenant: u64, cost: u64, in_ms: Option<u64> },
    Pop(Room),
    Remove(usize),
    Serve { tenant: u64, cost: u64 },
    Correct { tenant: u64, expected: u64, used: u64 },
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    item: usize,
    id: Id,
    band: Band,
    tenant: u64,
    cost: u64,
    deadline: Option<Instant>,
}

/// A tenant's counter, and when it was set, counted in changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
struct Standing(u64, u64);

struct Model {
    options: Options,
    /// In the order of arrival.
    waiting: Vec<Waiter>,
    tenants: BTreeMap<u64, Standing>,
    clock: u64,
    changes: u64,
    /// Since when each band has had somebody waiting and nobody served.
    unserved: BTreeMap<Band, Instant>,
    /// Served in order since the last that was not.
    in_order: usize,
}

impl Model {
    fn standing(&mut self, tenant: u64) -> Standing {
        let clock = self.clock;
        self.changes += 1;
        let idle = self.waiting.iter().all(|waiter| waiter.tenant != tenant);
        let standing = self.tenants.entry(tenant).or_default();
        if idle {
            *standing = Standing(standing.0.max(clock), self.changes);
        }
        *standing
    }

    fn count(&mut self, tenant: u64, counter: u64) {
        self.changes += 1;
        self.tenants.insert(tenant, Standing(counter, self.changes));
    }

    fn serve(&mut self, tenant: u64, cost: u64) {
        let Standing(counter, _) = self.standing(tenant);
        self.clock = self.clock.max(counter);
        self.count(tenant, counter + cost.max(1));
        self.in_order += 1;
    }

    fn correct(&mut self, tenant: u64, expected: u64, used: u64) {
        let expected = expected.max(1);
        if used == expected || used < expected && !self.tenants.contains_key(&tenant) {
            return;
        }
        let counter = match self.tenants.get(&tenant) {
            Some(standing) => standing.0,
            None => self.standing(tenant).0,
        };
        self.count(tenant, (counter + used).saturating_sub(expected));
    }

    fn gives_way(&self, band: Band, tenant: u64) -> Option<Waiter> {
        let lowest = self.waiting.iter().map(|waiter| waiter.band).max()?;
        let of_band = || self.waiting.iter().copied().filter(move |waiter| waiter.band == lowest);
        if lowest > band {
            return of_band().max_by_key(|waiter| waiter.item);
        }
        let entries = |tenant| of_band().filter(|waiter| waiter.tenant == tenant).count();
        let crowd = of_band().map(|waiter| waiter.tenant).max_by_key(|&tenant| (entries(tenant), tenant))?;
        if lowest < band || entries(crowd) < entries(tenant) + 2 {
            return None;
        }
        of_band().filter(|waiter| waiter.tenant == crowd).max_by_key(urgency)
    }

    /// Who is next, and whether in order.
    fn head(&self, room: Room, now: Instant) -> Option<(Waiter, bool)> {
        let highest = self.waiting.iter().map(|waiter| waiter.band).min().filter(|&band| band <= room.lowest);
        let may = !self.options.aging.is_zero() && self.in_order >= 3;
        let aged = self.unserved.iter().filter(|&(&band, _)| may && band <= room.patient);
        let aged = aged.map(|(&band, &since)| (since, band)).min();
        let aged = aged.filter(|&(since, _)| since + self.options.aging <= now).map(|(_, band)| band);
        let band = aged.or(highest)?;
        let of_band = self.waiting.iter().copied().filter(|waiter| waiter.band == band);
        let head = of_band.min_by(|a, b| {
            let key = |waiter: &Waiter| (self.tenants[&waiter.tenant], urgency(waiter));
            key(a).partial_cmp(&key(b)).unwrap()
        });
        head.map(|head| (head, highest == Some(band)))
    }

    /// Notes which bands have somebody waiting; the times of those that had are kept.
    fn look(&mut self, now: Instant) {
        let bands: Vec<_> = self.waiting.iter().map(|waiter| waiter.band).collect();
        self.unserved.retain(|band, _| bands.contains(band));
        for band in bands {
            self.unserved.entry(band).or_insert(now);
        }
    }

    fn leave(&mut self, item: usize) {
        self.waiting.retain(|waiter| waiter.item != item);
    }
}

fn urgency(waiter: &Waiter) -> (bool, Option<Instant>, usize) {
    (waiter.deadline.is_none(), waiter.deadline, waiter.item)
}

/// Plays a course, and checks every answer and the numbers after every step.
fn play(options: Options, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut rig = Rig::new(options);
    let mut model = Model {
        options,
        waiting: Vec::new(),
        tenants: BTreeMap::new(),
        clock: 0,
        changes: 0,
        unserved: BTreeMap::new(),
        in_order: 3,
    };
    for (item, step) in steps.into_iter().enumerate() {
        match step {
            Step::Push { band, tenant, cost, in_ms } => {
                let deadline = in_ms.map(|after| rig.now + ms(after));
                let full = model.waiting.len() >= options.size;
                let victim = if full { model.gives_way(band, tenant) } else { None };
                let pushed = rig.queue.push(Ticket { band, tenant, cost, deadline }, item, rig.now);
                let Ok(Pushed { id, displaced }) = pushed else {
                    prop_assert!(full && victim.is_none());
                    continue;
                };
                prop_assert!(!full || victim.is_some());
                prop_assert_eq!(displaced, victim.map(|victim| victim.item));
                if let Some(victim) = victim {
                    model.leave(victim.item);
                }
                model.standing(tenant);
                model.waiting.push(Waiter { item, id, band, tenant, cost, deadline });
            }
            Step::Pop(room) => {
                let Some((head, in_order)) = model.head(room, rig.now) else {
                    prop_assert_eq!(rig.queue.pop(room, Duration::ZERO, rig.now), None);
                    continue;
                };
                let late = head.deadline.is_some_and(|deadline| deadline <= rig.now);
                let expected = if late { Popped::Late(head.item) } else { Popped::Serve(head.item) };
                prop_assert_eq!(rig.queue.pop(room, Duration::ZERO, rig.now), Some(expected));
                if !late {
                    model.serve(head.tenant, head.cost);
                    model.in_order *= usize::from(in_order);
                    model.unserved.insert(head.band, rig.now);
                }
                model.leave(head.item);
            }
            Step::Remove(which) if !model.waiting.is_empty() => {
                let waiter = model.waiting[which % model.waiting.len()];
                prop_assert_eq!(rig.queue.remove(waiter.id), Some(waiter.item));
                prop_assert_eq!(rig.queue.remove(waiter.id), None);
                model.leave(waiter.item);
            }
            Step::Remove(_) => {}
            Step::Serve { tenant, cost } => {
                rig.queue.serve(tenant, cost);
                model.serve(tenant, cost);
            }
            Step::Correct { tenant, expected, used } => {
                rig.queue.correct(tenant, expected, used);
                model.correct(tenant, expected, used);
            }
            Step::Wait(after) => drop(rig.later(ms(after))),
        }
        model.look(rig.now);
        prop_assert!(rig.queue.len() <= options.size);
        let in_band = |band| model.waiting.iter().filter(|waiter| waiter.band == band).count();
        prop_assert_eq!(rig.queue.waiting(), Band::ALL.map(in_band));
        for room in [Room::FOR_ALL, Room { lowest: Normal, patient: Normal }] {
            let has_next = model.waiting.iter().any(|waiter| waiter.band <= room.lowest);
            prop_assert_eq!(rig.queue.has_next(room), has_next);
        }
    }
    Ok(())
}

fn any_band() -> impl Strategy<Value = Band> {
    prop_oneof![Just(High), Just(Normal), Just(Low), Just(Batch)]
}

fn any_step() -> impl Strategy<Value = Step> {
    let any_room = (any_band(), any_band()).prop_map(|(a, b)| Room { lowest: a.min(b), patient: a.max(b) });
    prop_oneof![
        8 => (any_band(), 0_u64..4, 0_u64..100, proptest::option::of(0_u64..300))
            .prop_map(|(band, tenant, cost, in_ms)| Step::Push { band, tenant, cost, in_ms }),
        4 => any_room.prop_map(Step::Pop),
        2 => Just(Step::Pop(Room::FOR_ALL)),
        2 => any::<usize>().prop_map(Step::Remove),
        1 => (0_u64..5, 0_u64..100).prop_map(|(tenant, cost)| Step::Serve { tenant, cost }),
        1 => (0_u64..5, 0_u64..100, 0_u64..300)
            .prop_map(|(tenant, expected, used)| Step::Correct { tenant, expected, used }),
        4 => (0_u64..80).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_queue_does_what_the_reference_does(
        size in 0_usize..=10,
        aging in prop_oneof![Just(Duration::ZERO), (1_u64..200).prop_map(ms)],
        steps in proptest::collection::vec(any_step(), 1..150),
    ) {
        play(Options { size, aging, ..OPTIONS }, steps)?;
    }
}
