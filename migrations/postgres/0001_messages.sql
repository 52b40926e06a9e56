-- The queue. A heartbeat writes `lease_until` alone, and no index names that column, so it stays within its page.
CREATE TABLE messages (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Waiting messages go by rank, then by seq. Lower is sooner.
    rank BIGINT NOT NULL DEFAULT 0,
    id UUID NOT NULL UNIQUE,
    correlation UUID NOT NULL UNIQUE,
    job UUID NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('import', 'export', 'relay')),
    status TEXT NOT NULL CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'Acked', 'PreProcessing', 'Processing',
        'Processed', 'ProcessedWithErrors', 'PreProcessingError', 'PostProcessingFailed', 'Cancelled', 'Expired',
        'DeadLettered')),
    epoch BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    -- Workers' claims since the last one that got anywhere: what bounds retries.
    stalled INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    -- End of a worker's lease, which heartbeats extend.
    lease_until BIGINT,
    -- End of a dequeuer's lease, which nobody extends.
    redeliver_at BIGINT,
    not_before BIGINT,
    entity TEXT,
    company TEXT,
    external_id TEXT,
    enqueued_by TEXT NOT NULL,
    digest BYTEA NOT NULL,
    bytes BIGINT NOT NULL,
    -- NULL: the bytes are in `payloads`.
    blob_key TEXT UNIQUE,
    durability TEXT NOT NULL CHECK (durability IN ('full', 'relaxed')),
    parent UUID REFERENCES messages (id),
    execution TEXT UNIQUE,
    enqueued_at BIGINT NOT NULL,
    dequeued_at BIGINT,
    previous_dequeued_at BIGINT,
    started_at BIGINT,
    finished_at BIGINT,
    failure_code TEXT,
    failure_detail TEXT,
    records_read BIGINT NOT NULL DEFAULT 0,
    inserted BIGINT NOT NULL DEFAULT 0,
    updated BIGINT NOT NULL DEFAULT 0,
    unchanged BIGINT NOT NULL DEFAULT 0,
    deleted BIGINT NOT NULL DEFAULT 0,
    rejected BIGINT NOT NULL DEFAULT 0,
    skipped BIGINT NOT NULL DEFAULT 0,
    repaired BIGINT NOT NULL DEFAULT 0
) WITH (fillfactor = 70);

-- A claim reads the head of its job's part and meets neither leased nor finished rows. `status` and `rank` stand between
-- so that no planner takes another index's order by `seq` for the same and walks everything that came before.
CREATE INDEX messages_waiting ON messages (job, status, rank, seq) WHERE status = 'Enqueued';
CREATE INDEX messages_worked ON messages (status, job) WHERE status IN ('PreProcessing', 'Processing');
CREATE INDEX messages_redeliver ON messages (redeliver_at) WHERE redeliver_at IS NOT NULL;
CREATE INDEX messages_listed ON messages (job, seq);
CREATE INDEX messages_children ON messages (parent, seq) WHERE parent IS NOT NULL;

-- Insert-only: no status change rewrites a payload.
CREATE TABLE payloads (
    message UUID NOT NULL PRIMARY KEY REFERENCES messages (id),
    bytes BYTEA NOT NULL
);

CREATE TABLE uploads (
    key TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('open', 'used', 'dead')),
    owner TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    beat_at BIGINT NOT NULL
);

CREATE INDEX uploads_unused ON uploads (state, beat_at) WHERE state <> 'used';

CREATE TABLE message_events (
    seq BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message UUID NOT NULL REFERENCES messages (id),
    at BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'Acked', 'PreProcessing', 'Processing',
        'Processed', 'ProcessedWithErrors', 'PreProcessingError', 'PostProcessingFailed', 'Cancelled', 'Expired',
        'DeadLettered')),
    epoch BIGINT NOT NULL,
    note TEXT
);

CREATE INDEX message_events_of ON message_events (message, seq);
