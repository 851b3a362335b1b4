#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::sender::REQUESTS_MAX;
use super::{Pool, Sender};
use crate::config::Connections;
use crate::upstream::remote::drive;
use crate::upstream::room::{Entered, Grant, Place, Room, Share, Waiting};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};
use tokio::io::DuplexStream;
use tokio::runtime::Builder;
use tokio_util::task::TaskTracker;

const IDLE: Duration = Duration::from_secs(90);

/// A provider whose connections go nowhere, on so many workers.
struct Provider {
    share: Share,
    pools: Vec<Arc<Pool>>,
    tasks: TaskTracker,
    /// The other ends.
    far: Vec<DuplexStream>,
}

impl Provider {
    fn new(room: &Arc<Room>, name: &str, max: usize, workers: usize) -> Self {
        let settings = Connections { max, per_host: 6 * workers, idle: IDLE, warm: 2 * workers };
        let share = room.share(name, max);
        let pools = (0..workers).map(|_| Pool::new(share.clone(), &settings, workers, false)).collect();
        Self { share, pools, tasks: TaskTracker::new(), far: Vec::new() }
    }

    /// A connection is opened on a worker, in place of one that may be.
    async fn opens(&mut self, worker: usize) -> Sender {
        let place = self.share.place().expect("there is room");
        self.opens_in(place, worker).await
    }

    async fn opens_in(&mut self, place: Place, worker: usize) -> Sender {
        let (near, far) = tokio::io::duplex(64);
        self.far.push(far);
        let (sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
        self.tasks.spawn(drive(connection, place));
        self.pools[worker].adopt(sender, &self.tasks)
    }

    /// The same for an HTTP/2 connection.
    async fn opens_shared(&mut self) -> Sender {
        let place = self.share.place().expect("there is room");
        let (near, far) = tokio::io::duplex(1 << 16);
        self.far.push(far);
        let opened = http2::handshake(TokioExecutor::new(), TokioIo::new(near)).await;
        let (sender, connection) = opened.unwrap();
        self.tasks.spawn(drive(connection, place));
        self.pools[0].adopt_shared(sender, &self.tasks)
    }

    fn waits(&self) -> Waiting {
        match self.share.enter() {
            Entered::Waiting(waiting) => waiting,
            Entered::Place(_) | Entered::Full(_) => panic!("there is no room, and few wait"),
        }
    }

    fn idle(&self, worker: usize) -> usize {
        self.pools[worker].stand().idle
    }
}

fn give_back(sender: Sender) {
    sender.give_back(Instant::now());
}

/// What is granted once every task has done what it can.
async fn granted(waiting: &mut Waiting) -> Option<Grant> {
    tokio::time::timeout(Duration::from_millis(1), waiting.granted()).await.ok()
}

#[tokio::test(start_paused = true)]
async fn as_many_are_kept_as_were_in_use_of_late() {
    let room = Room::new(100);
    let mut provider = Provider::new(&room, "p", 100, 1);
    let now = Instant::now();
    let mut lent = Vec::new();
    for _ in 0..5 {
        lent.push(provider.opens(0).await);
    }
    lent.into_iter().for_each(give_back);
    let mut kept = Vec::new();
    for round in 0..4 {
        assert_eq!(provider.pools[0].sweep(now), 0, "enough is warm");
        kept.push(provider.idle(0));
        if round == 0 {
            // A smaller load: one at a time.
            give_back(provider.pools[0].take().unwrap());
        }
    }
    assert_eq!(kept, [5, 5, 2, 2], "a burst is forgotten after two rounds, what is warm is not");

    // What is in use just now needs no idle one beside it.
    let busy: Vec<_> = (0..2).map(|_| provider.pools[0].take().unwrap()).collect();
    assert_eq!(provider.pools[0].sweep(now), 2, "so many are missing to be warm");
    drop(busy);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(room.stand().0, 0, "what is dropped in use is closed");
}

#[tokio::test(start_paused = true)]
async fn no_more_are_kept_than_may_be_and_none_too_long() {
    let room = Room::new(100);
    let mut provider = Provider::new(&room, "p", 100, 1);
    let mut lent = Vec::new();
    for _ in 0..9 {
        lent.push(provider.opens(0).await);
    }
    lent.into_iter().for_each(give_back);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let stand = provider.pools[0].stand();
    assert_eq!((stand.idle, stand.crowded, room.stand().0), (6, 3, 6));
    assert_eq!(provider.pools[0].sweep(Instant::now() + IDLE), 2, "warm ones are to be opened anew");
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(room.stand().0, 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_given_back_goes_to_whoever_waited_longest() {
    let room = Room::new(100);
    let mut provider = Provider::new(&room, "p", 1, 2);
    let sender = provider.opens(0).await;
    let (mut first, mut second) = (provider.waits(), provider.waits());
    give_back(sender);
    let Some(Grant::Connection(sender)) = granted(&mut first).await else { panic!("it is open") };
    assert!(granted(&mut second).await.is_none());
    assert_eq!(provider.idle(0), 0);
    // One who leaves with a connection in hand passes it on.
    give_back(sender);
    drop(second);
    assert_eq!((provider.idle(0), room.stand().0), (1, 1));
    assert!(provider.share.is_quiet(None));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_closed_makes_room_for_another() {
    let room = Room::new(100);
    let mut provider = Provider::new(&room, "p", 1, 1);
    let sender = provider.opens(0).await;
    let mut waiting = provider.waits();
    drop(sender);
    let Some(Grant::Place(place)) = granted(&mut waiting).await else { panic!("it is closed") };
    give_back(provider.opens_in(place, 0).await);
    assert_eq!((provider.idle(0), room.stand().0), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_borrowed_connection_goes_home_and_holds_its_worker_until_then() {
    let room = Room::new(100);
    let mut provider = Provider::new(&room, "p", 1, 2);
    give_back(provider.opens(1).await);
    assert!(provider.pools[0].take().is_none());
    let borrowed = provider.pools.iter().find_map(Pool::lend).expect("the other has one");
    provider.tasks.close();
    assert_eq!(provider.tasks.len(), 2, "the connection's own task, and the request on the other worker");
    give_back(borrowed);
    assert_eq!((provider.tasks.len(), provider.idle(0), provider.idle(1)), (1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_bound_of_all_gets_the_place_of_anothers_connection() {
    let room = Room::new(2);
    let mut one = Provider::new(&room, "one", 100, 1);
    let mut other = Provider::new(&room, "other", 100, 1);
    let sender = one.opens(0).await;
    give_back(one.opens(0).await);

    // One lies idle: it is closed.
    let mut waiting = other.waits();
    room.reclaim();
    let Some(Grant::Place(place)) = granted(&mut waiting).await else { panic!("an idle one is closed") };
    let held = other.opens_in(place, 0).await;
    assert_eq!((one.idle(0), room.stand()), (0, (2, 2)));

    // One is given back although its own provider's request waits, as that one has come later.
    let (mut first, mut second) = (other.waits(), one.waits());
    give_back(sender);
    assert!(matches!(granted(&mut first).await, Some(Grant::Place(_))));
    // Its place is free again at once, for it was not used.
    assert!(matches!(granted(&mut second).await, Some(Grant::Place(_))));
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_shared_connection_takes_so_many_requests_and_one_to_spare_is_closed() {
    let room = Room::new(100);
    let mut provider = Provider::new(&room, "p", 100, 1);
    let pool = Arc::clone(&provider.pools[0]);
    let mut lent = vec![provider.opens_shared().await];
    lent.extend((1..REQUESTS_MAX).map(|_| pool.take().expect("it takes another")));
    assert!(pool.take().is_none(), "another connection is to be opened");
    assert!(pool.lend().is_some(), "unless there is no room for one");

    lent.push(provider.opens_shared().await);
    lent.push(pool.take().expect("the new one has room"));
    lent.truncate(1);
    for open in [2, 2, 1, 1] {
        // One at a time: the first is enough.
        drop(pool.take().expect("the first has room"));
        assert_eq!(pool.sweep(Instant::now()), 0, "it is warm");
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(room.stand().0, open);
    }
    let gone = provider.far.remove(0);
    drop((gone, lent));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert!(pool.take().is_none(), "it has been closed by the provider");
    assert_eq!(room.stand().0, 0);
}

#[tokio::test(start_paused = true)]
async fn an_http2_connection_makes_room_for_another_providers_unless_a_request_is_on_it() {
    let room = Room::new(1);
    let mut one = Provider::new(&room, "one", 100, 1);
    let other = Provider::new(&room, "other", 100, 1);
    let used = one.opens_shared().await;
    let mut waiting = other.waits();
    room.reclaim();
    assert!(granted(&mut waiting).await.is_none());
    drop(used);
    room.reclaim();
    assert!(matches!(granted(&mut waiting).await, Some(Grant::Place(_))));
}

/// One who uses a provider's connections again and again, on one worker of several.
async fn uses(share: &Share, pools: &[Arc<Pool>], worker: usize, tasks: &TaskTracker) {
    const ENOUGH: Duration = Duration::from_secs(60);
    for round in 0..100 {
        let mut far = None;
        let mut open = async |place: Place| {
            let (near, other) = tokio::io::duplex(64);
            far = Some(other);
            let (sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
            tasks.spawn(drive(connection, place));
            pools[worker].adopt(sender, tasks)
        };
        let sender = match pools[worker].take() {
            Some(sender) => sender,
            None => match share.enter() {
                Entered::Place(place) => open(place).await,
                Entered::Full(_) => panic!("few wait"),
                Entered::Waiting(mut waiting) => match pools.iter().find_map(Pool::lend) {
                    Some(sender) => sender,
                    None => match tokio::time::timeout(ENOUGH, waiting.granted()).await.expect("forgotten") {
                        Grant::Place(place) => open(place).await,
                        Grant::Connection(sender) => sender,
                    },
                },
            },
        };
        tokio::task::yield_now().await;
        match round % 5 {
            // The caller leaves, and the connection is closed.
            0 => drop(sender),
            _ => give_back(sender),
        }
        if let Some(far) = far {
            // Open for as long as the test.
            tasks.spawn(async move {
                let _far = far;
                std::future::pending::<()>().await;
            });
        }
    }
}

#[test]
fn nobody_is_forgotten_where_workers_borrow_from_each_other() {
    const WORKERS: usize = 3;
    let room = Room::new(2);
    let provider = Provider::new(&room, "p", 2, WORKERS);
    let (share, pools) = (&provider.share, &provider.pools);
    let done = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..WORKERS {
            let done = &done;
            scope.spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                let tasks = TaskTracker::new();
                let callers = (0..8).map(|_| uses(share, pools, worker, &tasks));
                runtime.block_on(async {
                    futures_util::future::join_all(callers).await;
                    done.fetch_add(1, SeqCst);
                    // What is driven here is driven for the others as well.
                    while done.load(SeqCst) < WORKERS {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                });
            });
        }
    });
    assert!(share.is_quiet(None));
    assert_eq!(share.level().waiting, 0);
    assert!(share.level().most <= 2);
}
