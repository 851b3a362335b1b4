//! The server is away for a while, or will not do what it is told.

use super::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use store::Error;
use store::jobs::Filter;
use tokio::time::{sleep, timeout};

/// How often the server is killed.
const CRASHES: usize = 3;

/// Adds jobs one after the other, and notes what was acknowledged.
struct Stream {
    store: Store,
    acknowledged: Mutex<Vec<(JobId, String)>>,
    away: AtomicU32,
    is_over: AtomicBool,
}

impl Stream {
    async fn flow(&self, name: usize) {
        for number in 0.. {
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
            let payload = format!("{name}/{number}");
            // Whatever comes of it comes within its bounds.
            match timeout(PATIENCE, add(&self.store, job(payload.clone()))).await.unwrap() {
                Ok(id) => self.acknowledged.lock().unwrap().push((id, payload)),
                Err(Error::Away(_)) => {
                    self.away.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(20)).await;
                }
                Err(other) => panic!("{other}"),
            }
        }
    }

    fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    async fn wait_for_more(&self) {
        let (before, begun) = (self.count(), tokio::time::Instant::now());
        while self.count() < before + 50 {
            assert!(begun.elapsed() < PATIENCE, "nothing is acknowledged any more");
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn wait_until_away(&self) {
        let (before, begun) = (self.away.load(Ordering::Relaxed), tokio::time::Instant::now());
        while self.away.load(Ordering::Relaxed) == before {
            assert!(begun.elapsed() < PATIENCE, "nobody is told that the server is away");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn lose_nothing(mut server: Server, url: String) {
    let stream = Arc::new(Stream {
        store: open(impatient(url)).await,
        acknowledged: Mutex::default(),
        away: AtomicU32::new(0),
        is_over: AtomicBool::new(false),
    });
    let flows: Vec<_> = (0..8)
        .map(|name| {
            let stream = Arc::clone(&stream);
            spawn(async move { stream.flow(name).await })
        })
        .collect();
    for _ in 0..CRASHES {
        stream.wait_for_more().await;
        server = tokio::task::spawn_blocking(move || {
            server.crash();
            server
        })
        .await
        .unwrap();
        stream.wait_until_away().await;
        server = tokio::task::spawn_blocking(move || {
            server.restart();
            server
        })
        .await
        .unwrap();
    }
    stream.wait_for_more().await;
    stream.is_over.store(true, Ordering::Relaxed);
    for flow in flows {
        flow.await.unwrap();
    }
    check_all_there(&stream).await;
}

/// What was acknowledged is there, as it was given.
async fn check_all_there(stream: &Stream) {
    let (mut found, mut before) = (std::collections::HashMap::new(), None);
    loop {
        let some = stream.store.jobs.list(Filter::default(), before, 1000).await.unwrap();
        before = some.last().map(|job| job.id);
        if some.is_empty() {
            break;
        }
        found.extend(some.into_iter().map(|job| (job.id, job.new.payload)));
    }
    let acknowledged = stream.acknowledged.lock().unwrap();
    for (id, payload) in acknowledged.iter() {
        assert_eq!(found.get(id).map(Vec::as_slice), Some(payload.as_bytes()), "job {id:?} is lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_crash() {
    let server = Server::start("");
    let url = server.url(&server.create_database());
    lose_nothing(server, url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_outlives_a_crash_behind_pgbouncer() {
    let server = Server::start("");
    let bouncer = Bouncer::start(&server);
    let url = bouncer.url(&server.create_database());
    lose_nothing(server, url).await;
}

/// Everything that is asked is answered, and that the server is away.
async fn check_away(store: &Store) {
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            spawn(async move { timeout(PATIENCE, add(&store, job("late"))).await })
        })
        .collect();
    for asked in asked {
        let answer = asked.await.unwrap().expect("an answer within its bounds");
        assert!(matches!(answer, Err(Error::Away(_))), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_server_is_away_and_comes_back() {
    let server = Server::start("fsync = off\n");
    let bouncer = Bouncer::start(&server);
    let database = server.create_database();
    let stores =
        [open(impatient(server.url(&database))).await, open(impatient(bouncer.url(&database))).await];
    for store in &stores {
        add(store, job("before")).await.unwrap();
    }
    server.freeze();
    for store in &stores {
        check_away(store).await;
    }
    server.thaw();
    for store in &stores {
        // What hung may take the first moments.
        let back = async {
            while let Err(error) = add(store, job("after")).await {
                assert!(error.may_pass(), "{error}");
            }
        };
        timeout(PATIENCE, back).await.expect("it comes back");
    }
}

#[tokio::test]
async fn sessions_that_an_operator_ends_are_replaced() {
    let database = SERVER.create_database();
    let store = open(impatient(SERVER.url(&database))).await;
    add(&store, job("before")).await.unwrap();
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity WHERE datname = '{database}'"
    );
    assert_eq!(SERVER.tell("postgres", &sql), "t");
    let back = async {
        while let Err(error) = add(&store, job("after")).await {
            assert!(error.may_pass(), "{error}");
        }
    };
    timeout(PATIENCE, back).await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_is_told_from_one_that_will_not() {
    let database = SERVER.create_database();
    let store = open(impatient(SERVER.url(&database))).await;
    SERVER.tell(
        &database,
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'it fails' USING ERRCODE = convert_from(NEW.payload, 'UTF8'), DETAIL = 'a secret';
         END $$;
         CREATE TRIGGER fail BEFORE INSERT ON tidegate_jobs FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    // Disk full, too many connections, lock not to be had, given up again and again, a value that does not fit.
    for (code, passes) in
        [("53100", true), ("53300", true), ("55P03", true), ("40001", true), ("22003", false)]
    {
        let error = add(&store, job(code)).await.unwrap_err();
        assert_eq!(error.may_pass(), passes, "{error}");
        assert!(error.to_string().contains("it fails") && !error.to_string().contains("secret"), "{error}");
    }
    SERVER.tell(&database, "DROP TRIGGER fail ON tidegate_jobs");
    add(&store, job("after")).await.unwrap();
}
