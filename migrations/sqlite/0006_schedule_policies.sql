-- A pause is a fact about the job: it outlives a change of the schedule, and a job without one may have it too (its pattern is
-- empty then). `paused_at` without `resumed_at`: paused. With it: the last pause.
ALTER TABLE schedules ADD COLUMN paused_at INTEGER;
ALTER TABLE schedules ADD COLUMN paused_by TEXT;
ALTER TABLE schedules ADD COLUMN pause_note TEXT;
ALTER TABLE schedules ADD COLUMN resumed_at INTEGER;
ALTER TABLE schedules ADD COLUMN resumed_by TEXT;
-- What becomes of what was due during the pause, where it is not the schedule's own policy.
ALTER TABLE schedules ADD COLUMN resumed_missed TEXT CHECK (resumed_missed IN ('skip', 'once', 'all'));

CREATE INDEX schedules_paused ON schedules (job) WHERE paused_at IS NOT NULL AND resumed_at IS NULL;

-- SQLite cannot change a check: the table is written anew.
CREATE TABLE occurrences_with_policies (
    job BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('due', 'running', 'done', 'skipped', 'failed', 'cancelled')),
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
    origin TEXT NOT NULL DEFAULT 'schedule' CHECK (origin IN ('schedule', 'run', 'backfill')),
    -- Why skipped or cancelled.
    reason TEXT CHECK (reason IN ('missed', 'paused', 'overlap', 'calendar')),
    -- What whoever asked for it said.
    comment TEXT,
    -- Runs although the job is paused.
    forced INTEGER NOT NULL DEFAULT FALSE,
    -- Its worker is to stop it, and why.
    cancel_asked TEXT,
    PRIMARY KEY (job, due_at)
) STRICT;

INSERT INTO occurrences_with_policies (job, due_at, state, triggered_by, epoch, attempt, owner, lease_until, not_before,
    execution, message, records, note, finished_at, origin)
SELECT job, due_at, state, triggered_by, epoch, attempt, owner, lease_until, not_before, execution, message, records, note,
    finished_at, CASE WHEN triggered_by = 'schedule' THEN 'schedule' ELSE 'run' END
FROM occurrences;

DROP TABLE occurrences;
ALTER TABLE occurrences_with_policies RENAME TO occurrences;

CREATE INDEX occurrences_due ON occurrences (job, due_at) WHERE state = 'due';
-- One run of a job at a time.
CREATE UNIQUE INDEX occurrences_running ON occurrences (job) WHERE state = 'running';
-- The oldest due one of all jobs, without a look at the jobs.
CREATE INDEX occurrences_waiting ON occurrences (due_at, job) WHERE state = 'due' AND origin <> 'backfill';
CREATE INDEX occurrences_backfill ON occurrences (due_at, job) WHERE state = 'due' AND origin = 'backfill';
CREATE INDEX occurrences_cancelled ON occurrences (job) WHERE cancel_asked IS NOT NULL;
CREATE INDEX occurrences_finished ON occurrences (finished_at) WHERE finished_at IS NOT NULL;

-- Many due times in a row that did not run, counted instead of a row each.
CREATE TABLE missed_occurrences (
    job BLOB NOT NULL,
    first_due INTEGER NOT NULL,
    last_due INTEGER NOT NULL,
    occurrences INTEGER NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('missed', 'paused', 'overlap', 'calendar')),
    note TEXT NOT NULL,
    recorded_at INTEGER NOT NULL,
    PRIMARY KEY (job, first_due)
) STRICT;
