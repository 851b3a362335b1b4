-- What of a batch is handed to a provider's own batch API. States: 0 open, 1 fetched, 2 returned.
CREATE TABLE tidegate_batch_parcels (
    batch text COLLATE "C" NOT NULL,
    model text COLLATE "C" NOT NULL,
    state smallint NOT NULL,
    notes bytea    NOT NULL,
    PRIMARY KEY (batch, model)
);
