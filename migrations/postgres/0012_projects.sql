-- Data projects that a package brought along. Jobs come from files; these are kept here.
CREATE TABLE projects (
    -- The activity id of its job.
    id UUID NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    -- The name in lower case, by the program's rules: the databases' own differ beyond ASCII.
    name_key TEXT NOT NULL UNIQUE,
    direction TEXT NOT NULL CHECK (direction IN ('import', 'export')),
    -- Who created it, and may use it.
    client TEXT NOT NULL,
    -- Its entities: JSON.
    holds TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- How often projects were changed: a process that knows another number reads them again.
CREATE TABLE project_changes (
    only_row INTEGER NOT NULL PRIMARY KEY CHECK (only_row = 1),
    number BIGINT NOT NULL
);

INSERT INTO project_changes (only_row, number) VALUES (1, 0);

-- The message an import was asked for: an attempt with another execution finds here what was asked.
ALTER TABLE package_requests ADD COLUMN message UUID;

CREATE UNIQUE INDEX package_requests_by_message ON package_requests (message) WHERE message IS NOT NULL;

-- `Staged`: an import that was asked to end before its target.
ALTER TABLE outcomes DROP CONSTRAINT outcomes_status_check;
ALTER TABLE outcomes ADD CONSTRAINT outcomes_status_check CHECK (status IN ('Acked', 'Processed', 'ProcessedWithErrors', 'Staged',
    'PreProcessingError', 'PostProcessingFailed', 'Cancelled', 'Expired', 'DeadLettered'));

ALTER TABLE message_events DROP CONSTRAINT message_events_status_check;
ALTER TABLE message_events ADD CONSTRAINT message_events_status_check CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'Acked',
    'PreProcessing', 'Processing', 'Processed', 'ProcessedWithErrors', 'Staged', 'PreProcessingError', 'PostProcessingFailed',
    'Cancelled', 'Expired', 'DeadLettered'));
