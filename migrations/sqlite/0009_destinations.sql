-- What export jobs send to their destinations: one row for each message and destination, written in the transaction that queues
-- the message.
CREATE TABLE export_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    message BLOB NOT NULL,
    -- Name of the destination; what it is says the job's file.
    destination TEXT NOT NULL,
    -- Host and port, bucket or folder: what shares a bound on attempts at once.
    lane TEXT NOT NULL,
    -- Where below the destination's URL; every attempt sends there.
    path TEXT,
    -- The message is acknowledged once every delivery of it that says so has arrived.
    acknowledges INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    -- Who sends it just now.
    owner TEXT,
    -- When it may be claimed: for the next attempt, or because the lease of the one under way ends.
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    last_at INTEGER,
    -- HTTP status of the last answer; NULL with a `last_at`: none came.
    last_status INTEGER,
    last_detail TEXT,
    UNIQUE (message, destination)
) STRICT;

CREATE INDEX export_deliveries_pending ON export_deliveries (lane, due_at) WHERE state = 'pending';
CREATE INDEX export_deliveries_ended ON export_deliveries (state, finished_at) WHERE state <> 'pending';
CREATE INDEX export_deliveries_listed ON export_deliveries (job, id);

-- How far a run came when: claimed, all rows read and written, payload durable. `finished_at` is when its message was queued.
ALTER TABLE occurrences ADD COLUMN started_at INTEGER;
ALTER TABLE occurrences ADD COLUMN written_at INTEGER;
ALTER TABLE occurrences ADD COLUMN stored_at INTEGER;
