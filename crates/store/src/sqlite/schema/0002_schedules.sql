-- What is to be added again and again. The columns of the job are named as in `jobs`.
CREATE TABLE schedules (
    tenant       TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    cron         TEXT    NOT NULL,
    zone         TEXT    NOT NULL,
    paused       INTEGER NOT NULL,
    next         INTEGER,
    last_at      INTEGER,
    last_job     INTEGER,
    version      INTEGER NOT NULL,
    queue        TEXT    NOT NULL,
    kind         TEXT    NOT NULL,
    band         INTEGER NOT NULL,
    run_at       INTEGER NOT NULL,
    deadline     INTEGER,
    attempts_max INTEGER NOT NULL,
    keep         INTEGER NOT NULL,
    idem_key     TEXT,
    idem_hash    BLOB,
    uniq         TEXT,
    replay_of    INTEGER,
    payload      BLOB    NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT;

CREATE INDEX schedules_due ON schedules (next) WHERE paused = 0 AND next IS NOT NULL;
