//! Buckets beside a simulation that knows no formula: it steps from nanosecond to nanosecond and lets drops
//! fall until one is full. Waits are found by trying.

use super::*;
use crate::quota::Reservation;
use proptest::prelude::*;

/// A bucket that lets a drop fall `amount` times a nanosecond; `per` drops are a unit.
#[derive(Clone, Debug)]
struct Model {
    amount: i64,
    per: i64,
    units: i64,
    drops: i64,
}

impl Model {
    fn new(amount: i64, per: i64) -> Self {
        Self { amount, per, units: amount, drops: 0 }
    }

    fn step(&mut self, nanos: u64) {
        for _ in 0..nanos {
            for _ in 0..self.amount {
                self.drops += 1;
                if self.drops == self.per {
                    (self.units, self.drops) = (self.units + 1, 0);
                }
                self.spill();
            }
        }
    }

    fn add(&mut self, units: i64) {
        self.units += units;
        self.spill();
    }

    /// What is above the brim is lost.
    fn spill(&mut self) {
        if self.units >= self.amount {
            (self.units, self.drops) = (self.amount, 0);
        }
    }

    fn has(&self, units: i64) -> bool {
        self.units >= units.min(self.amount)
    }

    /// The first nanosecond at which `holds` does.
    fn wait(&self, holds: impl Fn(&Self) -> bool) -> u64 {
        let (mut model, mut nanos) = (self.clone(), 0);
        while !holds(&model) {
            model.step(1);
            nanos += 1;
        }
        nanos
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Pass(u64),
    Reserve([u64; 2]),
    /// The oldest reservation under way.
    Settle([u64; 2]),
    Refund,
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    let amounts = || [0_u64..15, 0_u64..15];
    prop_oneof![
        3 => (0_u64..40).prop_map(Step::Pass),
        4 => amounts().prop_map(Step::Reserve),
        2 => amounts().prop_map(Step::Settle),
        1 => Just(Step::Refund),
        1 => Just(Step::Forget),
    ]
}

fn rate() -> impl Strategy<Value = (u64, u64)> {
    (1_u64..12, 1_u64..30)
}

/// Two buckets and their models, and what is under way.
struct Run {
    buckets: [Bucket; 2],
    models: [Model; 2],
    under_way: Vec<(Reservation, [u64; 2])>,
    now: Instant,
}

impl Run {
    fn new(rates: [(u64, u64); 2]) -> Self {
        let now = Instant::now();
        Self {
            buckets: rates
                .map(|(amount, per)| Bucket::new(Rate { amount, per: Duration::from_nanos(per) }, now)),
            models: rates.map(|(amount, per)| Model::new(amount as i64, per as i64)),
            under_way: Vec::new(),
            now,
        }
    }

    fn apply(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Pass(nanos) => {
                self.now += Duration::from_nanos(nanos);
                self.models.iter_mut().for_each(|model| model.step(nanos));
            }
            Step::Reserve(amounts) => self.reserve(amounts)?,
            Step::Settle(used) => self.end(|reservation, now| {
                reservation.settle(&used, now);
                used.map(Some)
            }),
            Step::Refund => self.end(|reservation, now| {
                reservation.refund(now);
                [Some(0); 2]
            }),
            Step::Forget => self.end(|reservation, _| {
                drop(reservation);
                [None; 2]
            }),
        }
        self.compare()
    }

    fn reserve(&mut self, amounts: [u64; 2]) -> Result<(), TestCaseError> {
        let parts = [(&self.buckets[0], amounts[0]), (&self.buckets[1], amounts[1])];
        let waits: Vec<u64> = self
            .models
            .iter()
            .zip(amounts)
            .map(|(model, amount)| model.wait(|model| model.has(amount as i64)))
            .collect();
        let wait = waits[0].max(waits[1]);
        match reserve(&parts, self.now) {
            Ok(reservation) => {
                prop_assert_eq!(wait, 0);
                self.under_way.push((reservation, amounts));
                self.models.iter_mut().zip(amounts).for_each(|(model, amount)| model.add(-(amount as i64)));
            }
            Err(short) => {
                prop_assert_eq!(short.wait, Duration::from_nanos(wait));
                prop_assert_eq!(waits[short.index], wait);
            }
        }
        Ok(())
    }

    /// Ends the oldest reservation; `how` gives what was used, where that is told.
    fn end(&mut self, how: impl FnOnce(Reservation, Instant) -> [Option<u64>; 2]) {
        if self.under_way.is_empty() {
            return;
        }
        let (reservation, reserved) = self.under_way.remove(0);
        let used = how(reservation, self.now);
        for ((model, reserved), used) in self.models.iter_mut().zip(reserved).zip(used) {
            model.add(reserved as i64 - used.unwrap_or(reserved) as i64);
        }
    }

    fn compare(&self) -> Result<(), TestCaseError> {
        for (bucket, model) in self.buckets.iter().zip(&self.models) {
            let reset = model.wait(|model| model.units == model.amount);
            let told = bucket.level(self.now);
            prop_assert_eq!(told.remaining, model.units.max(0) as u64);
            prop_assert_eq!(told.reset, Duration::from_nanos(reset));
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn buckets_do_what_a_simulation_by_the_nanosecond_does(
        rates in [rate(), rate()],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut run = Run::new(rates);
        for step in steps {
            run.apply(step)?;
        }
    }

    /// Whatever is asked, and however late: never more than the burst and what has flowed in.
    #[test]
    fn in_any_time_no_more_is_given_than_the_rate_allows(
        amount in 1_u64..1_000_000,
        per_ms in 1_u64..100_000,
        asked in prop::collection::vec((0_u64..20_000, 0_u64..2_000_000), 1..100),
    ) {
        let born = Instant::now();
        let per = Duration::from_millis(per_ms);
        let bucket = Bucket::new(Rate { amount, per }, born);
        let (mut at_ms, mut given) = (0, 0_u64);
        for (step_ms, asked) in asked {
            at_ms += step_ms;
            // What fits in the bucket: more than that leaves a debt, by design.
            let asked = asked.min(amount);
            given += asked * u64::from(take(&bucket, asked, born + Duration::from_millis(at_ms)).is_ok());
            prop_assert!(given * per_ms <= amount * (per_ms + at_ms));
        }
    }
}
