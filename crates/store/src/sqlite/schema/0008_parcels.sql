-- What of a batch is handed to a provider's own batch API. States: 0 open, 1 fetched, 2 returned.
CREATE TABLE batch_parcels (
    batch TEXT    NOT NULL,
    model TEXT    NOT NULL,
    state INTEGER NOT NULL,
    notes BLOB    NOT NULL,
    PRIMARY KEY (batch, model)
) STRICT, WITHOUT ROWID;
