-- Three tables for one message: what it is never changes (`messages`), where it stands while it lives does (`queue`, narrow
-- and small), how it ended is written once (`outcomes`). A message has a row in `queue` or in `outcomes`, never in both.
--
-- What only grows is keyed by the id (a version 7 UUID, so in the order of time), and pruned from its low end, a few rows at
-- a time.
CREATE TABLE messages (
    id BLOB NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    direction TEXT NOT NULL CHECK (direction IN ('import', 'export', 'relay')),
    entity TEXT,
    company TEXT,
    external_id TEXT,
    enqueued_by TEXT NOT NULL,
    digest BLOB NOT NULL,
    bytes INTEGER NOT NULL,
    -- NULL: the bytes are in `payloads`.
    blob_key TEXT,
    durability TEXT NOT NULL CHECK (durability IN ('full', 'relaxed')),
    parent BLOB,
    -- Whether a correction counts although it is older than what last wrote its keys.
    forced INTEGER NOT NULL DEFAULT FALSE,
    enqueued_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- For lists, which say the same of `bytes`. Without that a plan that was made when the table was small could look a single id up
-- in here, through all jobs.
CREATE INDEX messages_listed ON messages (job, id) WHERE bytes >= 0;
CREATE INDEX messages_children ON messages (parent, id) WHERE parent IS NOT NULL;

-- Insert-only: no status change rewrites a payload.
CREATE TABLE payloads (
    message BLOB NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;


-- Messages that have not ended. The one table that churns.
CREATE TABLE queue (
    -- The order of arrival, kept through every retry and redrive. `AUTOINCREMENT`: no number is given twice.
    seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    message BLOB NOT NULL UNIQUE,
    job BLOB NOT NULL,
    -- Waiting messages go by rank, then by seq: the time of enqueuing, moved by the priority. Lower is sooner.
    rank INTEGER NOT NULL,
    -- Lanes of one job take turns: companies, and small files beside large ones.
    lane TEXT NOT NULL,
    -- What must be kept in order: of one group, only the head is ever `ready` or `delayed`.
    grp TEXT,
    status TEXT NOT NULL CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'PreProcessing', 'Processing')),
    -- Who asked for it to be cancelled while a worker has it.
    cancel_asked TEXT,
    -- What an `Enqueued` message waits for: its turn, its time, or those before it in its group. Leased, it is `out`.
    wait TEXT NOT NULL CHECK (wait IN ('ready', 'delayed', 'behind', 'out')),
    epoch INTEGER NOT NULL DEFAULT 0,
    attempt INTEGER NOT NULL DEFAULT 0,
    -- Claims and failed deliveries since the last one that got anywhere: what bounds retries.
    stalled INTEGER NOT NULL DEFAULT 0,
    -- Deliveries after which it is a dead letter; NULL: never.
    max_deliveries INTEGER,
    -- Whether its group waits for an operator once it is a dead letter.
    block_on_dead_letter INTEGER NOT NULL DEFAULT FALSE,
    -- Whether it had ended before: of its group it may be older than what went since.
    returned INTEGER NOT NULL DEFAULT FALSE,
    owner TEXT,
    -- End of a worker's lease, which heartbeats extend.
    lease_until INTEGER,
    -- End of a dequeuer's lease.
    redeliver_at INTEGER,
    not_before INTEGER,
    expires_at INTEGER,
    dequeued_at INTEGER,
    previous_dequeued_at INTEGER,
    started_at INTEGER,
    execution TEXT,
    first_error TEXT,
    last_error TEXT,
    CHECK ((status = 'Enqueued') = (wait <> 'out'))
) STRICT;

-- A claim reads the head of its lane's part and meets neither leased nor delayed rows.
CREATE INDEX queue_ready ON queue (job, lane, rank, seq) WHERE wait = 'ready';
-- What is kept in order, in two: of each group the one that is not behind, its head or what of it is out; and the rest. What
-- ended before and was tried again is found by itself, for it may be older than all that went since.
CREATE INDEX queue_front ON queue (job, grp, returned, seq) WHERE grp IS NOT NULL AND wait <> 'behind';
CREATE INDEX queue_behind ON queue (job, grp, returned, seq) WHERE grp IS NOT NULL AND wait = 'behind';
-- That `attempt` is not negative is said by who walks one of these. Who comes with an id and asks for the same beside it does
-- not say it, and so cannot be sent along here through all that came and went.
CREATE INDEX queue_delayed ON queue (not_before) WHERE wait = 'delayed' AND attempt >= 0;
CREATE INDEX queue_worked ON queue (status, job) WHERE status IN ('PreProcessing', 'Processing') AND attempt >= 0;
CREATE INDEX queue_redeliver ON queue (redeliver_at) WHERE redeliver_at IS NOT NULL AND attempt >= 0;
CREATE INDEX queue_expires ON queue (expires_at) WHERE expires_at IS NOT NULL AND attempt >= 0;

-- How many messages the queues hold, as changes to be summed up: every transaction adds to a row of its own.
CREATE TABLE queue_depths (
    job BLOB NOT NULL,
    -- A lane of one process; 0: what was added up.
    origin INTEGER NOT NULL,
    -- Since the process started, so that no row gathers many dead versions.
    second INTEGER NOT NULL,
    waiting INTEGER NOT NULL,
    leased INTEGER NOT NULL,
    PRIMARY KEY (job, origin, second)
) STRICT, WITHOUT ROWID;

-- How a message ended.
CREATE TABLE outcomes (
    message BLOB NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Acked', 'Processed', 'ProcessedWithErrors', 'PreProcessingError',
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

-- What somebody may have to look at; an acknowledgement writes nothing here.
CREATE INDEX outcomes_troubled ON outcomes (job, status, message) WHERE status NOT IN ('Acked', 'Processed');

-- What happened to a message beyond what the three tables say: hand-backs, lapses, retries, and the steps of a load.
CREATE TABLE message_events (
    seq INTEGER NOT NULL PRIMARY KEY,
    message BLOB NOT NULL,
    at INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('Enqueued', 'Dequeued', 'Downloaded', 'Acked', 'PreProcessing', 'Processing',
        'Processed', 'ProcessedWithErrors', 'PreProcessingError', 'PostProcessingFailed', 'Cancelled', 'Expired',
        'DeadLettered')),
    epoch INTEGER NOT NULL,
    note TEXT
) STRICT;

CREATE INDEX message_events_of ON message_events (message, seq);


-- Groups that wait for an operator, and the dead letter they wait for.
CREATE TABLE blocked_groups (
    job BLOB NOT NULL,
    grp TEXT NOT NULL,
    message BLOB NOT NULL,
    blocked_at INTEGER NOT NULL,
    PRIMARY KEY (job, grp)
) STRICT;

-- Which message a key stands for: the sender's key, its external identifier, or the content's digest.
CREATE TABLE identities (
    job BLOB NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('key', 'external', 'content')),
    key TEXT NOT NULL,
    message BLOB NOT NULL,
    digest BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (job, kind, key)
) STRICT;

CREATE INDEX identities_by_age ON identities (created_at);

CREATE TABLE uploads (
    key TEXT NOT NULL PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('open', 'used', 'dead')),
    -- The message that names it, once one does.
    message BLOB,
    owner TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    beat_at INTEGER NOT NULL
) STRICT;

CREATE INDEX uploads_unused ON uploads (state, beat_at) WHERE state <> 'used';
CREATE INDEX uploads_used ON uploads (created_at) WHERE state = 'used';
