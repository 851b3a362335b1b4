-- Files that callers have brought, in pieces.
CREATE TABLE files (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT    NOT NULL UNIQUE,
    tenant  TEXT    NOT NULL,
    purpose TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    bytes   INTEGER NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER
) STRICT;

CREATE INDEX files_tenant ON files (tenant, number);
CREATE INDEX files_expire ON files (expires) WHERE expires IS NOT NULL;

CREATE TABLE file_pieces (
    file   TEXT    NOT NULL,
    number INTEGER NOT NULL,
    bytes  BLOB    NOT NULL,
    PRIMARY KEY (file, number)
) STRICT;

-- Pieces that belong to no file: it is being brought, or being removed (`begun` is 0 then).
CREATE TABLE file_loose (
    file  TEXT    PRIMARY KEY,
    begun INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
