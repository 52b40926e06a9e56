CREATE TABLE executions (
    id TEXT NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    message BLOB,
    started_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;

CREATE INDEX executions_ended ON executions (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE execution_entities (
    execution TEXT NOT NULL REFERENCES executions (id),
    entity_no INTEGER NOT NULL,
    label TEXT NOT NULL,
    company TEXT,
    staging_status TEXT NOT NULL,
    staging_records INTEGER NOT NULL,
    staging_errors INTEGER NOT NULL,
    target_status TEXT NOT NULL,
    records_read INTEGER NOT NULL,
    inserted INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    rejected INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    target_errors INTEGER NOT NULL,
    truncated INTEGER NOT NULL DEFAULT 0,
    started_at INTEGER,
    finished_at INTEGER,
    -- A JSON list of sentences.
    warnings TEXT NOT NULL DEFAULT '[]',
    PRIMARY KEY (execution, entity_no)
) STRICT;

-- What is wrong with one record. (message, entity_no, record) is the reject; `origin_*` the reject it came back from.
CREATE TABLE record_errors (
    message BLOB NOT NULL,
    entity_no INTEGER NOT NULL,
    record INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    origin_message BLOB,
    origin_entity_no INTEGER,
    origin_record INTEGER,
    line INTEGER NOT NULL,
    byte_start INTEGER NOT NULL,
    byte_end INTEGER NOT NULL,
    column_no INTEGER,
    field TEXT,
    code TEXT NOT NULL,
    value TEXT,
    reason TEXT NOT NULL,
    PRIMARY KEY (message, entity_no, record, ordinal)
) STRICT;

-- Record errors of an ended message by kind, counted once. `field` is '' where the error has none; `first_*` is the first
-- of the kind.
CREATE TABLE error_groups (
    message BLOB NOT NULL,
    code TEXT NOT NULL,
    field TEXT NOT NULL,
    errors INTEGER NOT NULL,
    first_entity_no INTEGER NOT NULL,
    first_record INTEGER NOT NULL,
    first_ordinal INTEGER NOT NULL,
    PRIMARY KEY (message, code, field)
) STRICT;

-- A reject that a descendant of its message applied: at most once, whichever descendant was first.
CREATE TABLE repairs (
    message BLOB NOT NULL,
    entity_no INTEGER NOT NULL,
    record INTEGER NOT NULL,
    child BLOB NOT NULL,
    PRIMARY KEY (message, entity_no, record)
) STRICT;

CREATE INDEX repairs_by_child ON repairs (child);
