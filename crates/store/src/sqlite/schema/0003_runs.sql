-- Workflows: their definitions, their runs, and the steps of those.
CREATE TABLE definitions (
    tenant  TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    source  BLOB    NOT NULL,
    created INTEGER NOT NULL,
    PRIMARY KEY (tenant, name, version)
) STRICT;

-- States: 0 running, 1 paused, 2 compensating, 3 done, 4 failed, 5 cancelled.
CREATE TABLE runs (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    tenant      TEXT    NOT NULL,
    workflow    TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    state       INTEGER NOT NULL,
    start_key   TEXT,
    parent_run  TEXT,
    parent_step TEXT,
    created     INTEGER NOT NULL,
    changed     INTEGER NOT NULL,
    ended       INTEGER,
    error       TEXT,
    status      BLOB    NOT NULL,
    output      BLOB
) STRICT;

CREATE INDEX runs_tenant ON runs (tenant, number);
CREATE INDEX runs_state ON runs (state, number);
CREATE INDEX runs_over ON runs (ended) WHERE ended IS NOT NULL;
CREATE UNIQUE INDEX runs_start ON runs (tenant, workflow, start_key) WHERE start_key IS NOT NULL;

-- Apart, so that a run's progress does not write them anew.
CREATE TABLE run_givens (
    run        INTEGER PRIMARY KEY,
    definition BLOB NOT NULL,
    input      BLOB NOT NULL
) STRICT;

CREATE TABLE run_steps (
    run      INTEGER NOT NULL,
    key      TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    started  INTEGER,
    ended    INTEGER,
    error    TEXT,
    input    BLOB,
    output   BLOB,
    PRIMARY KEY (run, key)
) STRICT;
