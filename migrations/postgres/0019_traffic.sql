-- Messages that came in and ended, by job and stretch of time: minutes, quarters of an hour, three hours. For charts and rates.
CREATE TABLE traffic (
    job UUID NOT NULL,
    bucket_seconds BIGINT NOT NULL,
    starts_at BIGINT NOT NULL,
    enqueued BIGINT NOT NULL,
    succeeded BIGINT NOT NULL,
    with_errors BIGINT NOT NULL,
    failed BIGINT NOT NULL,
    -- Cancelled or expired.
    stopped BIGINT NOT NULL,
    PRIMARY KEY (job, bucket_seconds, starts_at)
) WITH (fillfactor = 50);

CREATE INDEX traffic_by_age ON traffic (bucket_seconds, starts_at);

-- The processes that serve this store, as they said last. A SQLite store has one, which needs no row.
CREATE TABLE processes (
    id UUID NOT NULL PRIMARY KEY,
    -- Host, process and port, as leases name it.
    owner TEXT NOT NULL,
    version TEXT NOT NULL,
    listener TEXT NOT NULL,
    -- How much its worker does at once, and does now.
    slots BIGINT NOT NULL,
    busy BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    -- When its worker looked for work last.
    looked_at BIGINT,
    seen_at BIGINT NOT NULL
) WITH (fillfactor = 50);
