-- Data projects that a package brought along. Jobs come from files; these are kept here.
CREATE TABLE projects (
    -- The activity id of its job.
    id BLOB NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- The name in lower case, by the program's rules: the databases' own differ beyond ASCII.
    name_key TEXT NOT NULL UNIQUE,
    direction TEXT NOT NULL CHECK (direction IN ('import', 'export')),
    -- Who created it, and may use it.
    client TEXT NOT NULL,
    -- Its entities: JSON.
    holds TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL
) STRICT;

-- How often projects were changed: a process that knows another number reads them again.
CREATE TABLE project_changes (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    number INTEGER NOT NULL
) STRICT;

INSERT INTO project_changes (only_row, number) VALUES (1, 0);

-- The message an import was asked for: an attempt with another execution finds here what was asked.
ALTER TABLE package_requests ADD COLUMN message BLOB;

CREATE UNIQUE INDEX package_requests_by_message ON package_requests (message) WHERE message IS NOT NULL;

-- `Staged`: an import that was asked to end before its target.
ALTER TABLE outcomes RENAME TO outcomes_before;

CREATE TABLE outcomes (
    message BLOB NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Acked', 'Processed', 'ProcessedWithErrors', 'Staged', 'PreProcessingError',
        'PostProcessingFailed', 'Cancelled', 'Expired', 'DeadLettered')),
    seq INTEGER NOT NULL,
    grp TEXT,
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    dequeued_at INTEGER,
    previous_dequeued_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER NOT NULL,
    execution TEXT,
    failure_code TEXT,
    failure_detail TEXT,
    first_error TEXT,
    last_error TEXT,
    records_read INTEGER NOT NULL DEFAULT 0,
    inserted INTEGER NOT NULL DEFAULT 0,
    updated INTEGER NOT NULL DEFAULT 0,
    unchanged INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0,
    rejected INTEGER NOT NULL DEFAULT 0,
    skipped INTEGER NOT NULL DEFAULT 0,
    repaired INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO outcomes (message, job, status, seq, grp, epoch, attempt, dequeued_at, previous_dequeued_at, started_at, finished_at,
    execution, failure_code, failure_detail, first_error, last_error, records_read, inserted, updated, unchanged, deleted, rejected,
    skipped, repaired)
SELECT message, job, status, seq, grp, epoch, attempt, dequeued_at, previous_dequeued_at, started_at, finished_at,
    execution, failure_code, failure_detail, first_error, last_error, records_read, inserted, updated, unchanged, deleted, rejected,
    skipped, repaired FROM outcomes_before;

DROP TABLE outcomes_before;

CREATE INDEX outcomes_troubled ON outcomes (job, status, message) WHERE status NOT IN ('Acked', 'Processed');

ALTER TABLE message_events RENAME TO message_events_before;

CREATE TABLE message_events (
    seq INTEGER NOT NULL PRIMARY KEY,
    message BLOB NOT NULL,
    at INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'Acked', 'PreProcessing', 'Processing',
        'Processed', 'ProcessedWithErrors', 'Staged', 'PreProcessingError', 'PostProcessingFailed', 'Cancelled', 'Expired',
        'DeadLettered')),
    epoch INTEGER NOT NULL,
    note TEXT
) STRICT;

INSERT INTO message_events (seq, message, at, status, epoch, note)
SELECT seq, message, at, status, epoch, note FROM message_events_before;

DROP TABLE message_events_before;

CREATE INDEX message_events_of ON message_events (message, seq);
