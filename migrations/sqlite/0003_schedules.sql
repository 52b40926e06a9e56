CREATE TABLE schedules (
    job BLOB NOT NULL PRIMARY KEY,
    -- Cron and zone that this was evaluated under: another pattern has no past.
    pattern TEXT NOT NULL,
    evaluated_to INTEGER NOT NULL
) STRICT;

-- The primary key is what makes a schedule fire once per due time over any number of processes.
CREATE TABLE occurrences (
    job BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('due', 'running', 'done', 'skipped', 'failed')),
    triggered_by TEXT NOT NULL,
    epoch INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    lease_until INTEGER,
    not_before INTEGER,
    execution TEXT UNIQUE REFERENCES executions (id),
    message BLOB UNIQUE,
    records INTEGER,
    note TEXT,
    finished_at INTEGER,
    PRIMARY KEY (job, due_at)
) STRICT;

CREATE INDEX occurrences_due ON occurrences (job, due_at) WHERE state = 'due';
-- One run of a job at a time.
CREATE UNIQUE INDEX occurrences_running ON occurrences (job) WHERE state = 'running';
