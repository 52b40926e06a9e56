-- A pause is a fact about the job: it outlives a change of the schedule, and a job without one may have it too (its pattern is
-- empty then). `paused_at` without `resumed_at`: paused. With it: the last pause.
ALTER TABLE schedules
    ADD COLUMN paused_at BIGINT,
    ADD COLUMN paused_by TEXT,
    ADD COLUMN pause_note TEXT,
    ADD COLUMN resumed_at BIGINT,
    ADD COLUMN resumed_by TEXT,
    -- What becomes of what was due during the pause, where it is not the schedule's own policy.
    ADD COLUMN resumed_missed TEXT CHECK (resumed_missed IN ('skip', 'once', 'all'));

CREATE INDEX schedules_paused ON schedules (job) WHERE paused_at IS NOT NULL AND resumed_at IS NULL;

ALTER TABLE occurrences
    ADD COLUMN origin TEXT NOT NULL DEFAULT 'schedule' CHECK (origin IN ('schedule', 'run', 'backfill')),
    -- Why skipped or cancelled.
    ADD COLUMN reason TEXT CHECK (reason IN ('missed', 'paused', 'overlap', 'calendar')),
    -- What whoever asked for it said.
    ADD COLUMN comment TEXT,
    -- Runs although the job is paused.
    ADD COLUMN forced BOOLEAN NOT NULL DEFAULT FALSE,
    -- Its worker is to stop it, and why.
    ADD COLUMN cancel_asked TEXT,
    DROP CONSTRAINT occurrences_state_check,
    ADD CONSTRAINT occurrences_state_check
        CHECK (state IN ('due', 'running', 'done', 'skipped', 'failed', 'cancelled'));

UPDATE occurrences SET origin = 'run' WHERE triggered_by <> 'schedule';

-- The oldest due one of all jobs, without a look at the jobs.
CREATE INDEX occurrences_waiting ON occurrences (due_at, job) WHERE state = 'due' AND origin <> 'backfill';
CREATE INDEX occurrences_backfill ON occurrences (due_at, job) WHERE state = 'due' AND origin = 'backfill';
CREATE INDEX occurrences_cancelled ON occurrences (job) WHERE cancel_asked IS NOT NULL;
CREATE INDEX occurrences_finished ON occurrences (finished_at) WHERE finished_at IS NOT NULL;

-- Many due times in a row that did not run, counted instead of a row each.
CREATE TABLE missed_occurrences (
    job UUID NOT NULL,
    first_due BIGINT NOT NULL,
    last_due BIGINT NOT NULL,
    occurrences BIGINT NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('missed', 'paused', 'overlap', 'calendar')),
    note TEXT NOT NULL,
    recorded_at BIGINT NOT NULL,
    PRIMARY KEY (job, first_due)
);
