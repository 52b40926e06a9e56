CREATE TABLE executions (
    id TEXT NOT NULL PRIMARY KEY,
    job UUID NOT NULL,
    message UUID,
    started_at BIGINT NOT NULL,
    finished_at BIGINT
);

CREATE INDEX executions_ended ON executions (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE execution_entities (
    execution TEXT NOT NULL REFERENCES executions (id),
    entity_no INTEGER NOT NULL,
    label TEXT NOT NULL,
    company TEXT,
    staging_status TEXT NOT NULL,
    staging_records BIGINT NOT NULL,
    staging_errors BIGINT NOT NULL,
    target_status TEXT NOT NULL,
    records_read BIGINT NOT NULL,
    inserted BIGINT NOT NULL,
    updated BIGINT NOT NULL,
    unchanged BIGINT NOT NULL,
    deleted BIGINT NOT NULL,
    rejected BIGINT NOT NULL,
    skipped BIGINT NOT NULL,
    target_errors BIGINT NOT NULL,
    truncated BIGINT NOT NULL DEFAULT 0,
    started_at BIGINT,
    finished_at BIGINT,
    -- A JSON list of sentences.
    warnings TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (execution, entity_no)
);

-- What is wrong with one record. (message, entity_no, record) is the reject; `origin_*` the reject it came back from.
CREATE TABLE record_errors (
    message UUID NOT NULL,
    entity_no INTEGER NOT NULL,
    record BIGINT NOT NULL,
    ordinal INTEGER NOT NULL,
    origin_message UUID,
    origin_entity_no INTEGER,
    origin_record BIGINT,
    line BIGINT NOT NULL,
    byte_start BIGINT NOT NULL,
    byte_end BIGINT NOT NULL,
    column_no BIGINT,
    field TEXT,
    code TEXT NOT NULL,
    value TEXT,
    reason TEXT NOT NULL,
    PRIMARY KEY (message, entity_no, record, ordinal)
);

-- Record errors of an ended message by kind, counted once. `field` is '' where the error has none; `first_*` is the first
-- of the kind.
CREATE TABLE error_groups (
    message UUID NOT NULL,
    code TEXT NOT NULL,
    field TEXT NOT NULL,
    errors BIGINT NOT NULL,
    first_entity_no INTEGER NOT NULL,
    first_record BIGINT NOT NULL,
    first_ordinal INTEGER NOT NULL,
    PRIMARY KEY (message, code, field)
);

-- A reject that a descendant of its message applied: at most once, whichever descendant was first.
CREATE TABLE repairs (
    message UUID NOT NULL,
    entity_no INTEGER NOT NULL,
    record BIGINT NOT NULL,
    child UUID NOT NULL,
    PRIMARY KEY (message, entity_no, record)
);

CREATE INDEX repairs_by_child ON repairs (child);
