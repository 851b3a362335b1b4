//! One count for all replicas, in Redis.
//!
//! * **Asking** is one script over everything that limits a call: all buckets and all rooms, or none
//!   (`scripts/reserve.lua`). All keys share one hash slot. Limits of providers and aliases are shared by all
//!   tenants, so a slot for each tenant would take two scripts for a call: two ways, and a refusal by the
//!   second would leave the first to be undone. The price is that in a cluster one node counts for all,
//!   which it does for ten to thirty thousand calls a second and core.
//! * **Telling** is one script in the background (`scripts/tell.lua`): that this replica lives, what calls
//!   used more or less than was reserved, what was admitted without Redis, and how many slots are taken.
//!   What waits to be told is added up by limit; a batch is sent under its number until it is answered, and
//!   Redis takes each number once.
//! * **Away.** The first call that Redis does not answer sends every caller to the stand-ins; only a batch
//!   that is answered, after which nothing waits to be told, sends them back. So no caller finds out that
//!   Redis is back, and what was admitted meanwhile is counted.
//!
//! Time is Redis' own. What is promised of all this is said in [`super`].

use super::account::{Line, Measure, Room, Scope};
use super::granted::{Denied, Granted, Part, SLOT_AFTER, Seat};
use super::owing::{Batch, Owing};
use super::{Levels, Wanted};
use cache::redis::{Door, Fault, Options, Script, State};
use guard::quota::Level;
use smallvec::SmallVec;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// How often Redis is told that this replica lives, and whatever else there is to tell.
pub const BEAT_EVERY: Duration = Duration::from_secs(1);
/// A replica that was not heard of for so long has died: its slots are free, and it has no share.
pub const LIFE: Duration = Duration::from_secs(5);

/// The least pause between two batches, so that what comes together is told together.
const PAUSE: Duration = Duration::from_millis(2);
/// The pause between two attempts to find Redis.
const AWAY_PAUSE: Duration = Duration::from_millis(200);
/// The last word takes no longer.
const FAREWELL_MAX: Duration = Duration::from_millis(500);
/// The longest that callers of a replica that has just begun wait until Redis has heard of it. Until then it does
/// not know of the others, and would allow them all that is theirs.
const BEGINNING: Duration = Duration::from_secs(1);
/// So many beats must have seen fewer replicas before it is believed: one that restarts is not gone, and a
/// Redis that was emptied hears of all again within some beats.
const FEWER_AFTER: u64 = 10;

pub(super) const RESERVE: &str = concat!(
    include_str!("scripts/bucket.lua"),
    include_str!("scripts/room.lua"),
    include_str!("scripts/reserve.lua")
);
pub(super) const TELL: &str = concat!(
    include_str!("scripts/bucket.lua"),
    include_str!("scripts/room.lua"),
    include_str!("scripts/tell.lua")
);
const LEAVE: &str = "return {redis.call('ZREM', KEYS[1], ARGV[1])}";

/// This replica among those that count together.
#[derive(Debug)]
pub(super) struct Shared {
    door: Door,
    reserve: Script,
    tell: Script,
    leave: Script,
    /// This replica's name, a new one for each start.
    me: String,
    owing: Arc<Owing>,
    /// Whether callers are to decide alone.
    away: AtomicBool,
    /// When it began.
    begun: Instant,
    /// Whether Redis has heard of it.
    known: watch::Sender<bool>,
    /// How many replicas there are, as far as is known.
    replicas: AtomicU64,
    /// Beats, one after another, that saw fewer.
    fewer: AtomicU64,
}

impl Shared {
    /// Not connected yet: until it is, this replica decides alone, as one of so many.
    pub(super) fn new(options: &Options, replicas: u64, owing: &Arc<Owing>) -> Result<Self, Fault> {
        Ok(Self {
            door: Door::new(options)?,
            reserve: Script::new(RESERVE),
            tell: Script::new(TELL),
            leave: Script::new(LEAVE),
            me: format!("{:016x}", fastrand::u64(..)),
            owing: Arc::clone(owing),
            away: AtomicBool::new(true),
            begun: Instant::now(),
            known: watch::Sender::new(false),
            replicas: AtomicU64::new(replicas),
            fewer: AtomicU64::new(0),
        })
    }

    /// How many replicas there are, this one among them.
    pub(super) fn replicas(&self) -> u64 {
        self.replicas.load(Relaxed)
    }

    /// Whether callers decide alone.
    pub(super) fn is_away(&self) -> bool {
        self.away.load(Relaxed)
    }

    /// What Redis says; `None` where it says nothing and the caller must decide alone.
    pub(super) async fn admit(&self, wanted: &Wanted, now: Instant) -> Option<Result<Granted, Denied>> {
        if self.is_away() {
            self.begin().await;
        }
        if self.is_away() {
            return None;
        }
        // Counted here first: should the caller leave, or the answer not come, Redis is told that they are
        // free.
        let seats: SmallVec<[Seat; 4]> =
            wanted.rooms.iter().map(|room| Seat::new(room, room.occupy(), Some(&self.owing))).collect();
        let (keys, args) = self.question(wanted);
        let answer = self.door.call(&self.reserve, &keys, &args).await;
        let Some(answer) = answer.ok().and_then(|numbers| Answer::read(&numbers, wanted)) else {
            self.away.store(true, Relaxed);
            self.owing.wake();
            return None;
        };
        if let Some((scope, measure, after)) = answer.denied {
            return Some(Err(Denied { scope, measure, after, levels: answer.levels }));
        }
        let replicas = self.replicas();
        let part = |(line, reserved): &(Arc<Line>, u64)| Part {
            drained: line.drain(*reserved, replicas, now),
            line: Arc::clone(line),
            reserved: *reserved,
        };
        let parts = wanted.lines.iter().map(part).collect();
        Some(Ok(Granted::together(parts, seats, &self.owing, answer.levels)))
    }

    /// Waits until Redis has heard of a replica that has just begun, or it has begun long enough ago.
    async fn begin(&self) {
        let left = BEGINNING.saturating_sub(self.begun.elapsed());
        if !left.is_zero() {
            let mut known = self.known.subscribe();
            let _ = timeout(left, known.wait_for(|known| *known)).await;
        }
    }

    /// Keys and arguments of `scripts/reserve.lua`.
    fn question(&self, wanted: &Wanted) -> (Vec<String>, Vec<String>) {
        let names = wanted.lines.iter().map(|(line, _)| &line.name);
        let names = names.chain(wanted.rooms.iter().map(|room| &room.name));
        let keys = std::iter::once(self.key("replicas")).chain(names.map(|name| self.key(name))).collect();
        let mut args = vec![self.me.clone(), LIFE.as_millis().to_string(), wanted.lines.len().to_string()];
        for (line, amount) in &wanted.lines {
            args.extend([line.limit().to_string(), amount.to_string()]);
        }
        for room in &wanted.rooms {
            let count = room.count();
            args.extend([room.limit(), count.number, count.taken].map(|number| number.to_string()));
        }
        (keys, args)
    }

    /// Tells Redis and finds it back, until the drain; then says farewell. `rooms` are all there are.
    pub(super) async fn run(&self, drain: &CancellationToken, rooms: impl Fn() -> Vec<Arc<Room>>) {
        let closing = CancellationToken::new();
        let telling = async {
            let mut unsent = None;
            let _ = drain.run_until_cancelled(self.keep_telling(&mut unsent, &rooms)).await;
            let _ = timeout(FAREWELL_MAX, self.say_farewell(&mut unsent, &rooms)).await;
            self.away.store(true, Relaxed);
            closing.cancel();
        };
        tokio::join!(Box::pin(self.door.run(&closing)), telling);
    }

    async fn keep_telling(&self, unsent: &mut Option<Batch>, rooms: &impl Fn() -> Vec<Arc<Room>>) {
        loop {
            let told = self.tell(unsent, rooms).await;
            sleep(if told { PAUSE } else { AWAY_PAUSE.mul_f64(0.75 + 0.5 * fastrand::f64()) }).await;
            // Until a beat is due, or there is something to tell.
            if told {
                let rest = if self.is_away() { AWAY_PAUSE } else { BEAT_EVERY };
                let _ = timeout(rest, self.owing.woken()).await;
            }
        }
    }

    /// Tells what there is, or tells again what was not answered; gives whether it was now.
    async fn tell(&self, unsent: &mut Option<Batch>, rooms: &impl Fn() -> Vec<Arc<Room>>) -> bool {
        let is_all = unsent.is_none() && {
            *unsent = Some(self.owing.batch(Instant::now()));
            !self.owing.is_owing()
        };
        // It stays where it is until it is answered: should this call be dropped, it is not lost.
        let Some(batch) = unsent.as_ref() else { return true };
        let names = ["replicas".to_owned(), format!("told:{}", self.me)];
        let keys: Vec<_> = names.iter().chain(&batch.names).map(|name| self.key(name)).collect();
        let mut args = vec![self.me.clone(), LIFE.as_millis().to_string()];
        args.extend_from_slice(&batch.args);
        let answer = self.door.beat(&self.tell, &keys, &args).await;
        let Ok(&[replicas, known]) = answer.as_deref() else {
            // It may be that Redis has taken it. The number tells.
            self.away.store(true, Relaxed);
            return false;
        };
        *unsent = None;
        self.note_replicas(u64::try_from(replicas).unwrap_or(1).max(1));
        if known == 0 {
            // Redis has lost its memory, or took this replica for dead.
            rooms().iter().filter(|room| !room.is_empty()).for_each(|room| self.owing.room(room));
        } else if is_all && self.door.state() == State::Closed {
            self.away.store(false, Relaxed);
            self.known.send_replace(true);
        }
        true
    }

    /// Believes at once that there are more, and after a while that there are fewer.
    fn note_replicas(&self, seen: u64) {
        if seen >= self.replicas() || self.fewer.fetch_add(1, Relaxed) + 1 >= FEWER_AFTER {
            self.replicas.store(seen, Relaxed);
            self.fewer.store(0, Relaxed);
        }
    }

    /// Tells the rest, and that this replica is gone.
    async fn say_farewell(&self, unsent: &mut Option<Batch>, rooms: &impl Fn() -> Vec<Arc<Room>>) {
        while (unsent.is_some() || self.owing.is_owing()) && self.tell(unsent, rooms).await {}
        let _ = self.door.beat(&self.leave, &[self.key("replicas")], std::slice::from_ref(&self.me)).await;
    }

    fn key(&self, name: &str) -> String {
        format!("{{{}:limits}}:{name}", self.door.namespace())
    }
}

/// What `scripts/reserve.lua` says.
struct Answer {
    denied: Option<(Scope, Measure, Duration)>,
    levels: Levels,
}

impl Answer {
    fn read(numbers: &[i64], wanted: &Wanted) -> Option<Self> {
        let number = |place: usize| u64::try_from(*numbers.get(place)?).ok();
        let (index, wait) = (usize::try_from(number(0)?).ok()?, Duration::from_millis(number(1)?));
        let mut levels = Levels::default();
        for (place, (line, _)) in wanted.lines.iter().enumerate() {
            let (remaining, reset) = (number(2 + 2 * place)?, Duration::from_millis(number(3 + 2 * place)?));
            levels.add(line, Level { limit: line.limit(), remaining, reset });
        }
        let denied = match index.checked_sub(1) {
            None => None,
            Some(place) => match wanted.lines.get(place) {
                Some((line, _)) => Some((line.scope, line.measure, wait)),
                None => {
                    let room = wanted.rooms.get(place - wanted.lines.len())?;
                    Some((room.scope, room.measure, SLOT_AFTER))
                }
            },
        };
        Some(Self { denied, levels })
    }
}
