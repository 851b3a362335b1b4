-- Callers' keys, and what was used with them.
CREATE TABLE keys (
    id       TEXT    PRIMARY KEY,
    hash     BLOB    NOT NULL,
    tenant   TEXT    NOT NULL,
    settings BLOB    NOT NULL,
    created  INTEGER NOT NULL,
    revoked  INTEGER
) STRICT, WITHOUT ROWID;

-- Counted up by each change.
CREATE TABLE versions (
    name    TEXT    PRIMARY KEY,
    version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    day            INTEGER NOT NULL,
    key            TEXT    NOT NULL,
    tenant         TEXT    NOT NULL,
    model          TEXT    NOT NULL,
    requests       INTEGER NOT NULL,
    hits           INTEGER NOT NULL,
    failed         INTEGER NOT NULL,
    tokens_in      INTEGER NOT NULL,
    tokens_out     INTEGER NOT NULL,
    cost_micro_usd INTEGER NOT NULL,
    PRIMARY KEY (day, key, tenant, model)
) STRICT, WITHOUT ROWID;

-- What has been added already, for some days.
CREATE TABLE usage_parts (
    part TEXT    PRIMARY KEY,
    day  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX usage_parts_day ON usage_parts (day);
