-- Work to be done later. States: 0 scheduled, 1 ready, 2 running, 3 done, 4 dead, 5 cancelled.
CREATE TABLE jobs (
    -- AUTOINCREMENT, as no number may come again when its row is gone.
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    state            INTEGER NOT NULL,
    queue            TEXT    NOT NULL,
    band             INTEGER NOT NULL,
    tenant           TEXT    NOT NULL,
    kind             TEXT    NOT NULL,
    run_at           INTEGER NOT NULL,
    deadline         INTEGER,
    attempt          INTEGER NOT NULL DEFAULT 0,
    attempts_max     INTEGER NOT NULL,
    token            INTEGER NOT NULL DEFAULT 0,
    owner            TEXT,
    lease_until      INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    keep             INTEGER NOT NULL,
    idem_key         TEXT,
    idem_hash        BLOB,
    uniq             TEXT,
    replay_of        INTEGER,
    created          INTEGER NOT NULL,
    started          INTEGER,
    ended            INTEGER,
    progress         BLOB,
    result           BLOB
) STRICT;

-- A row is in one index of those by state at most, and in none of them for long: what is over weighs nothing.
CREATE INDEX jobs_ready ON jobs (queue, band, tenant, run_at, id) WHERE state = 1;
CREATE INDEX jobs_scheduled ON jobs (run_at) WHERE state = 0;
CREATE INDEX jobs_scheduled_in ON jobs (queue, run_at) WHERE state = 0;
CREATE INDEX jobs_running ON jobs (lease_until) WHERE state = 2;
CREATE INDEX jobs_over ON jobs (state, ended) WHERE state >= 3;
CREATE INDEX jobs_failed ON jobs (state, id) WHERE state >= 4;

-- By whom, for lists.
CREATE INDEX jobs_tenant ON jobs (tenant, id);

CREATE UNIQUE INDEX jobs_idem ON jobs (tenant, kind, idem_key) WHERE idem_key IS NOT NULL;
-- The word first, so that a range of words can be found: the steps of a run, the lines of a batch.
CREATE UNIQUE INDEX jobs_unique ON jobs (uniq, tenant, kind) WHERE uniq IS NOT NULL AND state < 3;

-- Apart, so that a job's changes of state do not write its payload anew.
CREATE TABLE job_payloads (
    job     INTEGER PRIMARY KEY,
    payload BLOB NOT NULL
) STRICT;

CREATE TABLE job_faults (
    job     INTEGER NOT NULL,
    number  INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    class   TEXT    NOT NULL,
    message TEXT    NOT NULL,
    PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

-- What a queue may still start: a token bucket, full where there is no row.
CREATE TABLE queue_rates (
    queue  TEXT PRIMARY KEY,
    tokens REAL    NOT NULL,
    at     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
