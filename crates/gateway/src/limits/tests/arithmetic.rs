//! The scripts beside the buckets of `guard`, at times that the test says: a script's clock is a key here.

use super::*;
use crate::limits::shared::{RESERVE, TELL};
use cache::redis::{Door, Script};
use guard::quota::{Bucket, Rate, reserve};

const STEPS: usize = 400;

/// Scripts on a server of their own.
struct Bench {
    _server: Server,
    door: Door,
    reserve: Script,
    tell: Script,
    set_clock: Script,
    _drain: DropGuard,
}

impl Bench {
    async fn start() -> Self {
        let server = Server::start().await;
        let door = Door::new(&options(&server)).unwrap();
        let (tasks, drain) = (TaskTracker::new(), CancellationToken::new());
        let (open, token) = (door.clone(), drain.clone());
        tasks.spawn(async move { open.run(&token).await });
        let with_clock = |text: &str| {
            let text = text.replace("redis.call('TIME')", "redis.call('HMGET', 'clock', 's', 'us')");
            Script::new(text.leak())
        };
        let set_clock = Script::new("return {redis.call('HSET', 'clock', 's', ARGV[1], 'us', ARGV[2])}");
        let (reserve, tell) = (with_clock(RESERVE), with_clock(TELL));
        Self { _server: server, door, reserve, tell, set_clock, _drain: drain.drop_guard() }
    }

    async fn set_clock(&self, millis: u64) {
        // Some microseconds, which must not matter.
        let args = [millis / 1000, millis % 1000 * 1000 + 999].map(|number| number.to_string());
        self.door.call(&self.set_clock, &["clock".to_owned()], &args).await.unwrap();
    }

    /// Asks two buckets and one room; gives index, wait and levels.
    async fn reserve(&self, buckets: [(u64, u64); 2], room: [u64; 3]) -> Vec<i64> {
        self.reserve_as("me", buckets, room).await
    }

    async fn reserve_as(&self, me: &str, buckets: [(u64, u64); 2], room: [u64; 3]) -> Vec<i64> {
        let keys = ["replicas", "one", "two", "room"].map(str::to_owned);
        let mut args = vec![me.to_owned(), "5000".to_owned(), "2".to_owned()];
        args.extend(buckets.iter().flat_map(|(limit, amount)| [limit.to_string(), amount.to_string()]));
        args.extend(room.map(|number| number.to_string()));
        self.door.call(&self.reserve, &keys, &args).await.unwrap()
    }

    /// Tells of two buckets and the room.
    async fn tell(&self, me: &str, batch: u64, buckets: [[u64; 4]; 2], room: [u64; 2]) -> Vec<i64> {
        let told = format!("told:{me}");
        let keys = ["replicas", &told, "one", "two", "room"].map(str::to_owned);
        let mut args = vec![me.to_owned(), "5000".to_owned(), batch.to_string(), "2".to_owned()];
        args.extend(buckets.iter().flatten().chain(&room).map(u64::to_string));
        self.door.call(&self.tell, &keys, &args).await.unwrap()
    }
}

/// Two limits and their buckets.
struct Model {
    buckets: [Bucket; 2],
    base: Instant,
    millis: u64,
}

impl Model {
    fn new(limits: [u64; 2]) -> Self {
        let base = Instant::now();
        let buckets = limits.map(|limit| Bucket::new(Rate::per_minute(limit), base));
        Self { buckets, base, millis: 0 }
    }

    fn now(&self) -> Instant {
        self.base + Duration::from_millis(self.millis)
    }

    /// What the script must say to a reservation of these amounts.
    fn reserve(&self, amounts: [u64; 2]) -> (bool, i64, Vec<i64>) {
        let parts = [(&self.buckets[0], amounts[0]), (&self.buckets[1], amounts[1])];
        let outcome = reserve(&parts, self.now());
        let levels = self.buckets.iter().map(|bucket| bucket.level(self.now()));
        let levels = levels.flat_map(|level| [level.remaining as i64, millis(level.reset)]).collect();
        (outcome.is_ok(), outcome.map_or_else(|short| millis(short.wait), |_| 0), levels)
    }

    fn tell(&self, told: [[u64; 4]; 2]) {
        for (bucket, [_, charged, noted, credited]) in self.buckets.iter().zip(told) {
            bucket.charge(charged, self.now());
            bucket.spill(noted, self.now());
            bucket.credit(credited, self.now());
        }
    }
}

fn millis(time: Duration) -> i64 {
    time.as_nanos().div_ceil(1_000_000) as i64
}

/// A number up to one of these.
fn below<const N: usize>(random: &mut fastrand::Rng, bounds: [u64; N]) -> u64 {
    let most = random.choice(bounds).unwrap();
    random.u64(..=most)
}

/// Random steps by `seed`, each of which the scripts and the buckets must agree on.
async fn agree(bench: &Bench, seed: u64, limits: [u64; 2]) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut model = Model::new(limits);
    // A new server's clock, far on, so that the buckets of another seed are full again.
    let epoch = 1_700_000_000_000 + seed * 1_000_000_000_000;
    let [one, two] = limits;
    for step in 0..STEPS {
        model.millis += below(&mut random, [1, 100, 20_000, 100_000]);
        bench.set_clock(epoch + model.millis).await;
        let amounts = [one + 3, two].map(|most| below(&mut random, [most, most / 5, most / 50]));
        if random.u8(..4) > 0 {
            let answer = bench.reserve([(one, amounts[0]), (two, amounts[1])], [1, 0, 0]).await;
            let (is_granted, wait, levels) = model.reserve(amounts);
            assert_eq!((answer[0] == 0, answer[1]), (is_granted, wait), "seed {seed}, step {step}");
            assert_eq!(answer[2..], levels, "seed {seed}, step {step}");
        } else {
            // Each is charged or credited.
            let mut told = [[one, 0, 0, 0], [two, 0, 0, 0]];
            told[0][random.choice([1, 3]).unwrap()] = amounts[0];
            told[1][random.choice([1, 3]).unwrap()] = amounts[1];
            bench.tell("me", seed * 10_000 + step as u64 + 1, told, [0, 0]).await;
            model.tell(told);
        }
    }
}

#[tokio::test]
async fn scripts_and_buckets_agree_to_the_millisecond() {
    let bench = Bench::start().await;
    let pairs = [[100, 7], [1, 1], [90_000, 60_000], [59_999, 1_000_003], [100_000_000_000, 3]];
    for (seed, limits) in (0..).zip(pairs) {
        agree(&bench, seed, limits).await;
    }
}

#[tokio::test]
async fn a_batch_counts_once_however_often_it_is_sent() {
    let bench = Bench::start().await;
    bench.set_clock(1_000_000).await;
    let levels = async || {
        let answer = bench.reserve([(100, 0), (100, 0)], [9, 0, 0]).await;
        [answer[2], answer[4]]
    };
    let told = [[100, 30, 0, 0], [100, 0, 20, 0]];
    for _ in 0..3 {
        bench.tell("me", 1, told, [0, 0]).await;
        assert_eq!(levels().await, [70, 80]);
    }
    bench.tell("me", 2, [[100, 0, 0, 20], [100, 0, 1000, 0]], [0, 0]).await;
    assert_eq!(levels().await, [90, 0], "what is noted leaves no debt");
    // Another replica has numbers of its own; one that is late is not counted.
    bench.tell("other", 1, told, [0, 0]).await;
    bench.tell("me", 1, told, [0, 0]).await;
    assert_eq!(levels().await, [60, 0]);
}

#[tokio::test]
async fn of_two_counts_of_a_room_the_later_one_holds_in_whatever_order_they_come() {
    let bench = Bench::start().await;
    bench.set_clock(1_000_000).await;
    let free = [(100, 0), (100, 0)];
    let nothing = [[100, 0, 0, 0]; 2];
    let taken = async |me: &str, number, count| bench.reserve_as(me, free, [3, number, count]).await[0] == 0;
    bench.tell("other", 1, nothing, [0, 0]).await;
    bench.tell("me", 1, nothing, [0, 0]).await;
    assert!(taken("me", 2, 2).await && taken("me", 1, 1).await);
    assert!(taken("other", 1, 1).await);
    assert!(!taken("other", 2, 2).await, "two and one of three");
    // The first asked long ago, and was given up: what it says is no longer so.
    bench.tell("me", 2, nothing, [4, 0]).await;
    assert!(taken("me", 3, 3).await);
    assert!(taken("other", 3, 3).await, "me has none");
    assert!(!taken("me", 5, 1).await);
}

#[tokio::test]
async fn what_a_dead_replica_took_is_free_and_it_counts_no_more() {
    let bench = Bench::start().await;
    let (free, nothing) = ([(100, 0), (100, 0)], [[100, 0, 0, 0]; 2]);
    bench.set_clock(1_000_000).await;
    assert_eq!(bench.tell("dead", 1, nothing, [1, 3]).await, [1, 0]);
    assert_eq!(bench.tell("me", 1, nothing, [0, 0]).await, [2, 0]);
    let taken = async |number| bench.reserve([(100, 0), (100, 0)], [3, number, 1]).await[0] == 0;
    bench.set_clock(1_005_000).await;
    assert!(!taken(1).await);
    bench.set_clock(1_005_001).await;
    assert!(taken(2).await);
    assert_eq!(bench.tell("me", 2, nothing, [0, 0]).await, [1, 0], "so long without a beat");
    assert_eq!(bench.tell("me", 3, nothing, [0, 0]).await, [1, 1]);
    assert_eq!(bench.reserve(free, [3, 4, 4]).await[0], 3, "a room comes after the buckets");
}

#[tokio::test]
async fn a_clock_that_goes_backwards_brings_nothing_and_freezes_nothing() {
    let bench = Bench::start().await;
    bench.set_clock(1_000_000_000).await;
    assert_eq!(bench.reserve([(60, 60), (60, 0)], [9, 0, 0]).await[..4], [0, 0, 0, 60_000]);
    bench.set_clock(500_000_000).await;
    assert_eq!(bench.reserve([(60, 1), (60, 0)], [9, 0, 0]).await[..4], [1, 1000, 0, 60_000]);
    // Written at the earlier time, it flows from there.
    bench.tell("me", 1, [[60, 1, 0, 0], [60, 0, 0, 0]], [0, 0]).await;
    bench.set_clock(500_002_000).await;
    assert_eq!(bench.reserve([(60, 1), (60, 0)], [9, 0, 0]).await[..4], [0, 0, 0, 60_000]);
}
