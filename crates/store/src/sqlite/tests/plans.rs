//! How SQLite finds what is asked for often: by searching, never by looking through what is not wanted.

use super::super::jobs::{belong, claim, due};
use super::super::{ledger, schedules};
use super::open;
use crate::sqlite::Sqlite;
use rusqlite::{StatementStatus, params};

#[tokio::test]
async fn what_is_asked_often_is_found_by_an_index() {
    let (sqlite, _folder) = open().await;
    let cases = [
        (claim::NEXT_TENANT, "jobs_ready (queue=? AND band=? AND tenant>?)"),
        (claim::READY, "jobs_ready (queue=? AND band=? AND tenant=?)"),
        (due::PROMOTE, "jobs_scheduled (run_at<?)"),
        (due::EXPIRED, "jobs_running (lease_until<?)"),
        (belong::BELONGING, "jobs_unique (uniq>? AND uniq<?)"),
        (ledger::OLD, "usage USING PRIMARY KEY (day<?)"),
        (schedules::DUE, "schedules_due (next>? AND next<?)"),
    ];
    for (text, index) in cases {
        let plan: Vec<String> = sqlite
            .read(move |db| {
                let mut sql = db.prepare(&format!("EXPLAIN QUERY PLAN {text}"))?;
                let mut rows = sql.raw_query();
                let mut plan = Vec::new();
                while let Some(row) = rows.next()? {
                    plan.push(row.get(3)?);
                }
                Ok(plan)
            })
            .await
            .unwrap();
        assert!(plan.iter().any(|step| step.contains(index)), "{text}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("SCAN") || step.contains("TEMP")), "{text}: {plan:?}");
    }
}

#[tokio::test]
async fn a_claim_costs_the_same_however_many_jobs_there_are() {
    let (sqlite, _folder) = open().await;
    fill(&sqlite, 1, "a").await;
    let few = steps(&sqlite).await;
    for (state, tenant) in [(1, "a"), (1, "b"), (0, "a"), (2, "a"), (3, "a"), (4, "a")] {
        fill(&sqlite, state, tenant).await;
    }
    assert_eq!(steps(&sqlite).await, few);
}

async fn fill(sqlite: &Sqlite, state: i64, tenant: &'static str) {
    let filled = sqlite.write(move |db| {
        let mut sql = db.prepare(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) \
             INSERT INTO jobs (state, queue, band, tenant, kind, run_at, attempts_max, keep, created) \
             SELECT ?, 'default', 1, ?, 'test', i, 3, 1, 0 FROM n",
        )?;
        sql.execute(params![state, tenant])?;
        Ok(())
    });
    filled.await.unwrap();
}

/// Steps of SQLite's machine for what a claim reads.
async fn steps(sqlite: &Sqlite) -> i32 {
    let counted = sqlite.write(|db| {
        let mut tenant = db.prepare(claim::NEXT_TENANT)?;
        tenant.query_row(params!["default", 1, "a"], |_| Ok(()))?;
        let mut jobs = db.prepare(claim::READY)?;
        assert_eq!(jobs.query_map(params!["default", 1, "a", 5], |_| Ok(()))?.count(), 5);
        Ok(tenant.get_status(StatementStatus::VmStep) + jobs.get_status(StatementStatus::VmStep))
    });
    counted.await.unwrap()
}
