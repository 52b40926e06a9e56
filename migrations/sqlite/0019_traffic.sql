-- Messages that came in and ended, by job and stretch of time: minutes, quarters of an hour, three hours. For charts and rates.
CREATE TABLE traffic (
    job BLOB NOT NULL,
    bucket_seconds INTEGER NOT NULL,
    starts_at INTEGER NOT NULL,
    enqueued INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    with_errors INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    -- Cancelled or expired.
    stopped INTEGER NOT NULL,
    PRIMARY KEY (job, bucket_seconds, starts_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX traffic_by_age ON traffic (bucket_seconds, starts_at);

-- The processes that serve this store, as they said last. A SQLite store has one, which needs no row.
CREATE TABLE processes (
    id BLOB NOT NULL PRIMARY KEY,
    -- Host, process and port, as leases name it.
    owner TEXT NOT NULL,
    version TEXT NOT NULL,
    listener TEXT NOT NULL,
    -- How much its worker does at once, and does now.
    slots INTEGER NOT NULL,
    busy INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    -- When its worker looked for work last.
    looked_at INTEGER,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
