-- How far exports of changes have come, by job and entity: one row for each run that took a position, and for each time somebody
-- rewound. Written in the transaction that queues the run's messages: queued is not delivered, so the row stays `queued` until
-- all of them are acknowledged (`delivered`) or one ended otherwise (`lost`). What was lost is exported again by a later run,
-- and is `recovered` then.
CREATE TABLE export_positions (
    job BLOB NOT NULL,
    entity TEXT NOT NULL,
    number INTEGER NOT NULL,
    -- The run that took it.
    due_at INTEGER,
    -- NULL: everything was exported.
    from_position TEXT,
    -- NULL: the next run exports everything.
    to_position TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'lost', 'recovered', 'nothing', 'rewound')),
    note TEXT,
    taken_at INTEGER NOT NULL,
    PRIMARY KEY (job, entity, number)
) STRICT, WITHOUT ROWID;

-- The messages of a run, in their order.
CREATE TABLE export_messages (
    job BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    part INTEGER NOT NULL,
    message BLOB NOT NULL UNIQUE,
    PRIMARY KEY (job, due_at, part)
) STRICT, WITHOUT ROWID;
