-- How far exports of changes have come, by job and entity: one row for each run that took a position, and for each time somebody
-- rewound. Written in the transaction that queues the run's messages: queued is not delivered, so the row stays `queued` until
-- all of them are acknowledged (`delivered`) or one ended otherwise (`lost`). What was lost is exported again by a later run,
-- and is `recovered` then.
CREATE TABLE export_positions (
    job UUID NOT NULL,
    entity TEXT NOT NULL,
    number BIGINT NOT NULL,
    -- The run that took it.
    due_at BIGINT,
    -- NULL: everything was exported.
    from_position TEXT,
    -- NULL: the next run exports everything.
    to_position TEXT,
    state TEXT NOT NULL CHECK (state IN ('queued', 'delivered', 'lost', 'recovered', 'nothing', 'rewound')),
    note TEXT,
    taken_at BIGINT NOT NULL,
    PRIMARY KEY (job, entity, number)
);

-- The messages of a run, in their order.
CREATE TABLE export_messages (
    job UUID NOT NULL,
    due_at BIGINT NOT NULL,
    part INTEGER NOT NULL,
    message UUID NOT NULL UNIQUE,
    PRIMARY KEY (job, due_at, part)
);
