-- Names are compared byte by byte (COLLATE "C"): a range of words is then a range of an index, and both databases
-- agree on who comes after whom. Moments are milliseconds since 1970 in UTC.

-- Work to be done later. States: 0 scheduled, 1 ready, 2 running, 3 done, 4 dead, 5 cancelled.
--
-- A row is written anew at each change of state, and the old one is rubbish: room for it is left on each page, and
-- it is cleared away early and without pauses, as a queue whose rubbish piles up grows slow at its head.
CREATE TABLE tidegate_jobs (
    id               bigint   NOT NULL,
    run_at           bigint   NOT NULL,
    deadline         bigint,
    token            bigint   NOT NULL DEFAULT 0,
    lease_until      bigint,
    replay_of        bigint,
    created          bigint   NOT NULL,
    started          bigint,
    ended            bigint,
    attempt          integer  NOT NULL DEFAULT 0,
    attempts_max     integer  NOT NULL,
    state            smallint NOT NULL,
    band             smallint NOT NULL,
    keep             boolean  NOT NULL,
    cancel_requested boolean  NOT NULL DEFAULT false,
    queue            text COLLATE "C" NOT NULL,
    tenant           text COLLATE "C" NOT NULL,
    kind             text COLLATE "C" NOT NULL,
    idem_key         text COLLATE "C",
    idem_hash        bytea,
    uniq             text COLLATE "C",
    owner            text,
    payload          bytea    NOT NULL,
    progress         bytea,
    result           bytea,
    PRIMARY KEY (id)
) WITH (
    fillfactor = 80,
    autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_threshold = 1000,
    autovacuum_analyze_scale_factor = 0.05,
    autovacuum_vacuum_cost_delay = 0
);

CREATE SEQUENCE tidegate_job_ids OWNED BY tidegate_jobs.id;

-- A row is in one index of those by state at most, and in none of them for long: what is over weighs nothing.
CREATE INDEX tidegate_jobs_ready ON tidegate_jobs (queue, band, tenant, run_at, id) WHERE state = 1;
CREATE INDEX tidegate_jobs_scheduled ON tidegate_jobs (run_at) WHERE state = 0;
CREATE INDEX tidegate_jobs_scheduled_in ON tidegate_jobs (queue, run_at) WHERE state = 0;
CREATE INDEX tidegate_jobs_running ON tidegate_jobs (lease_until) WHERE state = 2;
CREATE INDEX tidegate_jobs_over ON tidegate_jobs (state, ended) WHERE state >= 3;
CREATE INDEX tidegate_jobs_failed ON tidegate_jobs (state, id) WHERE state >= 4;
-- What a line of a batch was told whose job died.
CREATE INDEX tidegate_jobs_failed_word ON tidegate_jobs (uniq, id) WHERE uniq IS NOT NULL AND state >= 4;

-- By whom, for lists.
CREATE INDEX tidegate_jobs_tenant ON tidegate_jobs (tenant, id);

CREATE UNIQUE INDEX tidegate_jobs_idem ON tidegate_jobs (tenant, kind, idem_key) WHERE idem_key IS NOT NULL;
-- The word first, so that a range of words can be found: the steps of a run, the lines of a batch.
CREATE UNIQUE INDEX tidegate_jobs_unique ON tidegate_jobs (uniq, tenant, kind) WHERE uniq IS NOT NULL AND state < 3;

CREATE TABLE tidegate_job_faults (
    job     bigint  NOT NULL,
    number  bigint  GENERATED ALWAYS AS IDENTITY,
    attempt integer NOT NULL,
    at      bigint  NOT NULL,
    class   text    NOT NULL,
    message text    NOT NULL,
    PRIMARY KEY (job, number)
);

-- What a queue may still start: a token bucket, full where there is no row.
CREATE TABLE tidegate_queue_rates (
    queue  text COLLATE "C" PRIMARY KEY,
    tokens double precision NOT NULL,
    at     bigint           NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE tidegate_schedules (
    tenant       text COLLATE "C" NOT NULL,
    name         text COLLATE "C" NOT NULL,
    cron         text    NOT NULL,
    zone         text    NOT NULL,
    paused       boolean NOT NULL,
    next         bigint,
    last_at      bigint,
    last_job     bigint,
    version      bigint  NOT NULL,
    -- What is added each time.
    job_queue        text     NOT NULL,
    job_tenant       text     NOT NULL,
    job_kind         text     NOT NULL,
    job_band         smallint NOT NULL,
    job_run_at       bigint   NOT NULL,
    job_deadline     bigint,
    job_attempts_max integer  NOT NULL,
    job_idem_key     text,
    job_idem_hash    bytea,
    job_uniq         text,
    job_payload      bytea    NOT NULL,
    job_replay_of    bigint,
    job_keep         boolean  NOT NULL,
    PRIMARY KEY (tenant, name)
);
CREATE INDEX tidegate_schedules_due ON tidegate_schedules (next) WHERE next IS NOT NULL AND NOT paused;

CREATE TABLE tidegate_definitions (
    tenant  text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    source  bytea  NOT NULL,
    created bigint NOT NULL,
    PRIMARY KEY (tenant, name, version)
);

-- States: 0 running, 1 paused, 2 compensating, 3 done, 4 failed, 5 cancelled.
CREATE TABLE tidegate_runs (
    number      bigint   GENERATED ALWAYS AS IDENTITY,
    id          text COLLATE "C" PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL,
    workflow    text COLLATE "C" NOT NULL,
    version     bigint   NOT NULL,
    state       smallint NOT NULL,
    start_key   text COLLATE "C",
    parent_run  text,
    parent_step text,
    created     bigint   NOT NULL,
    changed     bigint   NOT NULL,
    ended       bigint,
    error       text,
    definition  bytea    NOT NULL,
    input       bytea    NOT NULL,
    status      bytea    NOT NULL,
    output      bytea
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);
CREATE UNIQUE INDEX tidegate_runs_key ON tidegate_runs (tenant, workflow, start_key) WHERE start_key IS NOT NULL;
CREATE INDEX tidegate_runs_number ON tidegate_runs (number);
CREATE INDEX tidegate_runs_tenant ON tidegate_runs (tenant, number);
CREATE INDEX tidegate_runs_state ON tidegate_runs (state, number);
CREATE INDEX tidegate_runs_over ON tidegate_runs (ended) WHERE ended IS NOT NULL;

CREATE TABLE tidegate_run_steps (
    run      text COLLATE "C" NOT NULL,
    key      text COLLATE "C" NOT NULL,
    state    text    NOT NULL,
    attempts integer NOT NULL,
    started  bigint,
    ended    bigint,
    error    text,
    input    bytea,
    output   bytea,
    PRIMARY KEY (run, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);

CREATE TABLE tidegate_files (
    number  bigint GENERATED ALWAYS AS IDENTITY,
    id      text COLLATE "C" PRIMARY KEY,
    tenant  text COLLATE "C" NOT NULL,
    purpose text   NOT NULL,
    name    text   NOT NULL,
    bytes   bigint NOT NULL,
    created bigint NOT NULL,
    expires bigint
);
CREATE INDEX tidegate_files_tenant ON tidegate_files (tenant, number);
CREATE INDEX tidegate_files_expires ON tidegate_files (expires) WHERE expires IS NOT NULL;

-- What is being brought, and what was brought.
CREATE TABLE tidegate_file_pieces (
    file   text COLLATE "C" NOT NULL,
    piece  bigint  NOT NULL,
    bytes  bytea   NOT NULL,
    PRIMARY KEY (file, piece)
);
-- Written once, read twice: not worth the time that compressing takes.
ALTER TABLE tidegate_file_pieces ALTER bytes SET STORAGE EXTERNAL;

-- Pieces that belong to no file: it is being brought, or being removed (`begun` is 0 then).
CREATE TABLE tidegate_file_loose (
    file  text COLLATE "C" PRIMARY KEY,
    begun bigint NOT NULL
);
CREATE INDEX tidegate_file_loose_begun ON tidegate_file_loose (begun);

-- Batches of requests. States: 0 validating, 1 failed, 2 in progress, 3 finalizing, 4 completed, 5 expired,
-- 6 cancelling, 7 cancelled. Until a batch is over its lines are counted when somebody asks: a count in its row
-- would make all who end its lines wait for each other.
CREATE TABLE tidegate_batches (
    number      bigint   GENERATED ALWAYS AS IDENTITY,
    id          text COLLATE "C" PRIMARY KEY,
    tenant      text COLLATE "C" NOT NULL,
    input_file  text     NOT NULL,
    endpoint    text     NOT NULL,
    state       smallint NOT NULL,
    output_file text,
    error_file  text,
    read_byte   bigint   NOT NULL,
    read_line   bigint   NOT NULL,
    total       bigint   NOT NULL,
    completed   bigint   NOT NULL,
    failed      bigint   NOT NULL,
    created     bigint   NOT NULL,
    expires     bigint   NOT NULL,
    ended       bigint,
    errors      bytea,
    metadata    bytea,
    moments     bytea    NOT NULL
);
CREATE INDEX tidegate_batches_number ON tidegate_batches (number);
CREATE INDEX tidegate_batches_tenant ON tidegate_batches (tenant, number);
CREATE INDEX tidegate_batches_open ON tidegate_batches (number) WHERE ended IS NULL;
CREATE INDEX tidegate_batches_over ON tidegate_batches (ended) WHERE ended IS NOT NULL;

CREATE TABLE tidegate_batch_lines (
    batch text COLLATE "C" NOT NULL,
    line  bigint  NOT NULL,
    good  boolean NOT NULL,
    text  bytea   NOT NULL,
    PRIMARY KEY (batch, line)
);
CREATE INDEX tidegate_batch_lines_bad ON tidegate_batch_lines (batch, line) WHERE NOT good;

CREATE TABLE tidegate_keys (
    id       text COLLATE "C" PRIMARY KEY,
    hash     bytea  NOT NULL,
    tenant   text   NOT NULL,
    settings bytea  NOT NULL,
    created  bigint NOT NULL,
    revoked  bigint
);
CREATE TABLE tidegate_keys_version (
    version bigint NOT NULL
);
INSERT INTO tidegate_keys_version VALUES (0);

CREATE TABLE tidegate_usage (
    day            integer NOT NULL,
    key            text COLLATE "C" NOT NULL,
    tenant         text COLLATE "C" NOT NULL,
    model          text COLLATE "C" NOT NULL,
    requests       bigint  NOT NULL,
    hits           bigint  NOT NULL,
    failed         bigint  NOT NULL,
    tokens_in      bigint  NOT NULL,
    tokens_out     bigint  NOT NULL,
    cost_micro_usd bigint  NOT NULL,
    PRIMARY KEY (day, key, tenant, model)
) WITH (fillfactor = 70);

-- What has been added, so that nothing is added twice; kept for some days.
CREATE TABLE tidegate_usage_parts (
    part text COLLATE "C" PRIMARY KEY,
    day  integer NOT NULL
);
CREATE INDEX tidegate_usage_parts_day ON tidegate_usage_parts (day);
