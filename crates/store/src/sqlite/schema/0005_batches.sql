-- Batches of requests. States: 0 validating, 1 failed, 2 in progress, 3 finalizing, 4 completed, 5 expired,
-- 6 cancelling, 7 cancelled.
CREATE TABLE batches (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT    NOT NULL UNIQUE,
    tenant      TEXT    NOT NULL,
    input_file  TEXT    NOT NULL,
    endpoint    TEXT    NOT NULL,
    state       INTEGER NOT NULL,
    output_file TEXT,
    error_file  TEXT,
    read_byte   INTEGER NOT NULL,
    read_line   INTEGER NOT NULL,
    total       INTEGER NOT NULL,
    completed   INTEGER NOT NULL,
    failed      INTEGER NOT NULL,
    created     INTEGER NOT NULL,
    expires     INTEGER NOT NULL,
    ended       INTEGER,
    moments     BLOB    NOT NULL,
    errors      BLOB,
    metadata    BLOB
) STRICT;

CREATE INDEX batches_tenant ON batches (tenant, number);
CREATE INDEX batches_open ON batches (number) WHERE ended IS NULL;
CREATE INDEX batches_over ON batches (ended) WHERE ended IS NOT NULL;

CREATE TABLE batch_lines (
    batch INTEGER NOT NULL,
    line  INTEGER NOT NULL,
    good  INTEGER NOT NULL,
    text  BLOB    NOT NULL,
    PRIMARY KEY (batch, line)
) STRICT;

-- The bad ones are few, and read by themselves.
CREATE INDEX batch_lines_bad ON batch_lines (batch, line) WHERE good = 0;
