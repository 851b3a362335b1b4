//! How the server does what it is told: by an index, whatever it takes the tables to hold.

use super::*;
use store::jobs::{Beat, Filter, State};

/// Jobs in each state: so many that a plan without an index would be another's first choice.
const MANY: usize = 6000;

/// Everything that is done again and again while a gateway runs.
async fn all_in_turn(store: &Store) {
    let later = NOW.after(Duration::from_secs(3600));
    let mut keyed = job("x");
    keyed.unique = Some(format!("word/{}", fastrand::u64(..)));
    keyed.idempotency = Some(store::jobs::Idempotency { key: fastrand::u64(..).to_string(), hash: [1; 32] });
    for _ in 0..2 {
        store.jobs.add(vec![keyed.clone(), job("y")], NOW).await.unwrap();
    }
    let claimed = store.jobs.claim(claim(10)).await.unwrap().jobs;
    assert_eq!(claimed.len(), 10);
    let beats = claimed.iter().map(|job| Beat { lease: job.lease, progress: None }).collect();
    store.jobs.beat(beats, later).await.unwrap();
    store.jobs.finish(claimed.iter().map(|job| done(job.lease)).collect()).await.unwrap();
    assert_eq!(store.jobs.promote(later, 10).await.unwrap(), 10);
    assert_eq!(store.jobs.reap(NOW.after(Duration::from_secs(60)), 10).await.unwrap(), 10);
    store.jobs.next_due().await.unwrap();
    store.jobs.depths().await.unwrap();
    store.jobs.get(claimed[0].lease.id, Some("acme")).await.unwrap();
    store.jobs.cancel(claimed[0].lease.id, None, NOW).await.unwrap();
    store.jobs.faults(claimed[0].lease.id).await.unwrap();
    store.runs.cancel_jobs("run-1", NOW).await.unwrap();
    let dead = Filter { state: Some(State::Dead), ..Filter::default() };
    let nobodys = Filter { tenant: Some("nobody".to_owned()), ..Filter::default() };
    store.jobs.list(nobodys, None, 10).await.unwrap();
    store.jobs.list(dead, None, 10).await.unwrap();
    store.jobs.purge(Filter::default(), NOW, 10).await.unwrap();
    let text: store::batches::LineText = Arc::new(|_, _| Vec::new());
    store.batches.take_back("batch_1", None, 10, text, NOW).await.unwrap();
}

/// Jobs that are ready, scheduled, running and over.
async fn fill(store: &Store) {
    let add = |jobs: Vec<NewJob>| store.jobs.add(jobs, NOW);
    let many = |queue: &str, at: Time| vec![NewJob { queue: queue.to_owned(), run_at: at, ..job("x") }; MANY];
    add(many("default", NOW)).await.unwrap();
    add(many("default", NOW.after(Duration::from_secs(60)))).await.unwrap();
    let wide = u32::try_from(MANY).unwrap();
    for is_over in [false, true] {
        add(many("other", NOW)).await.unwrap();
        let claimed =
            store.jobs.claim(Claim { queue: "other".to_owned(), ..claim(wide) }).await.unwrap().jobs;
        assert_eq!(claimed.len(), MANY);
        if is_over {
            store.jobs.finish(claimed.iter().map(|job| done(job.lease)).collect()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_is_done_often_goes_by_an_index() {
    let server = Server::start("fsync = off\nautovacuum = off\n");
    let database = server.create_database();
    let store = open(Options::new(server.url(&database))).await;
    fill(&store).await;
    drop(store);
    server.tell(
        "postgres",
        &format!(
            "ALTER DATABASE {database} SET session_preload_libraries = 'auto_explain';
             ALTER DATABASE {database} SET auto_explain.log_min_duration = 0;
             ALTER DATABASE {database} SET auto_explain.log_nested_statements = on"
        ),
    );
    // Knowing nothing of the tables, and then all.
    for analyse in [false, true] {
        if analyse {
            server.tell(&database, "ANALYZE");
        }
        let store = open(Options::new(server.url(&database))).await;
        all_in_turn(&store).await;
    }
    let log = server.log();
    assert!(log.contains("tidegate_jobs_ready"), "the plans are there");
    for plan in log.split("duration: ").filter(|plan| plan.contains("tidegate_jobs")) {
        // A bitmap is as long as what it covers: right where a queue is counted, wrong where a few are taken.
        let counts = plan.contains("LIMIT 10000");
        let is_bad = |line: &&str| {
            line.contains("Seq Scan on tidegate_jobs")
                || !counts && line.contains("Bitmap Index Scan on tidegate_jobs_ready")
                || !counts && line.contains("Bitmap Index Scan on tidegate_jobs_scheduled")
        };
        let bad: Vec<&str> = plan.lines().filter(is_bad).collect();
        assert!(bad.is_empty(), "{bad:?} in {plan}");
    }
}
