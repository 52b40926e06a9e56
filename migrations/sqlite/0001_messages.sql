-- The queue. `AUTOINCREMENT`: a number is never given twice, also after the newest messages are gone.
CREATE TABLE messages (
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    -- Waiting messages go by rank, then by seq. Lower is sooner.
    rank INTEGER NOT NULL DEFAULT 0,
    id BLOB NOT NULL UNIQUE,
    correlation BLOB NOT NULL UNIQUE,
    job BLOB NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('import', 'export', 'relay')),
    status TEXT NOT NULL CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'Acked', 'PreProcessing', 'Processing',
        'Processed', 'ProcessedWithErrors', 'PreProcessingError', 'PostProcessingFailed', 'Cancelled', 'Expired',
        'DeadLettered')),
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    -- Workers' claims since the last one that got anywhere: what bounds retries.
    stalled INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    -- End of a worker's lease, which heartbeats extend.
    lease_until INTEGER,
    -- End of a dequeuer's lease, which nobody extends.
    redeliver_at INTEGER,
    not_before INTEGER,
    entity TEXT,
    company TEXT,
    external_id TEXT,
    enqueued_by TEXT NOT NULL,
    digest BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    -- NULL: the bytes are in `payloads`.
    blob_key TEXT UNIQUE,
    durability TEXT NOT NULL CHECK (durability IN ('full', 'relaxed')),
    parent BLOB REFERENCES messages (id),
    execution TEXT UNIQUE,
    enqueued_at INTEGER NOT NULL,
    dequeued_at INTEGER,
    previous_dequeued_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    failure_code TEXT,
    failure_detail TEXT,
    records_read INTEGER NOT NULL DEFAULT 0,
    inserted INTEGER NOT NULL DEFAULT 0,
    updated INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    repaired INTEGER NOT NULL DEFAULT 0
) STRICT;

-- A claim reads the head of its job's part and meets neither leased nor finished rows. `status` and `rank` stand between
-- so that no planner takes another index's order by `seq` for the same and walks everything that came before.
CREATE INDEX messages_waiting ON messages (job, status, rank, seq) WHERE status = 'Enqueued';
CREATE INDEX messages_worked ON messages (status, job) WHERE status IN ('PreProcessing', 'Processing');
CREATE INDEX messages_redeliver ON messages (redeliver_at) WHERE redeliver_at IS NOT NULL;
CREATE INDEX messages_listed ON messages (job, seq);
CREATE INDEX messages_children ON messages (parent, seq) WHERE parent IS NOT NULL;

-- Insert-only: no status change rewrites a payload.
CREATE TABLE payloads (
    message BLOB NOT NULL PRIMARY KEY REFERENCES messages (id),
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE uploads (
    key TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('open', 'used', 'dead')),
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    beat_at INTEGER NOT NULL
) STRICT;

CREATE INDEX uploads_unused ON uploads (state, beat_at) WHERE state <> 'used';

CREATE TABLE message_events (
    seq INTEGER NOT NULL PRIMARY KEY,
    message BLOB NOT NULL REFERENCES messages (id),
    at INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'Acked', 'PreProcessing', 'Processing',
        'Processed', 'ProcessedWithErrors', 'PreProcessingError', 'PostProcessingFailed', 'Cancelled', 'Expired',
        'DeadLettered')),
    epoch INTEGER NOT NULL,
    note TEXT
) STRICT;

CREATE INDEX message_events_of ON message_events (message, seq);
