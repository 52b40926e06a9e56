CREATE TABLE schedules (
    job UUID NOT NULL PRIMARY KEY,
    -- Cron and zone that this was evaluated under: another pattern has no past.
    pattern TEXT NOT NULL,
    evaluated_to BIGINT NOT NULL
);

-- The primary key is what makes a schedule fire once per due time over any number of processes.
CREATE TABLE occurrences (
    job UUID NOT NULL,
    due_at BIGINT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('due', 'running', 'done', 'skipped', 'failed')),
    triggered_by TEXT NOT NULL,
    epoch BIGINT NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    owner TEXT,
    lease_until BIGINT,
    not_before BIGINT,
    execution TEXT UNIQUE REFERENCES executions (id),
    message UUID UNIQUE,
    records BIGINT,
    note TEXT,
    finished_at BIGINT,
    PRIMARY KEY (job, due_at)
) WITH (fillfactor = 70);

CREATE INDEX occurrences_due ON occurrences (job, due_at) WHERE state = 'due';
-- One run of a job at a time.
CREATE UNIQUE INDEX occurrences_running ON occurrences (job) WHERE state = 'running';
