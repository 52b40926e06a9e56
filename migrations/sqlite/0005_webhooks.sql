-- What is to be told to whom, written in the transaction that ends a message. No column refers to `messages`: a delivery
-- outlives what it tells of.
CREATE TABLE webhook_deliveries (
    id BLOB NOT NULL PRIMARY KEY,
    job BLOB NOT NULL,
    message BLOB,
    event TEXT NOT NULL CHECK (event IN ('message.finished', 'ping')),
    url TEXT NOT NULL,
    -- Host and port of the URL: what shares a bound on attempts at once.
    destination TEXT NOT NULL,
    -- The bytes that are signed and sent: every attempt sends the same.
    body TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'dead')),
    epoch INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    -- Who sends it just now.
    owner TEXT,
    -- When it may be claimed: for the next attempt, or because the lease of the one under way ends.
    due_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    last_at INTEGER,
    -- HTTP status of the last answer; NULL with a `last_at`: none came.
    last_status INTEGER,
    last_detail TEXT
) STRICT;

CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (destination, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (state, finished_at) WHERE state <> 'pending';
CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (job, id);

-- Messages that name a webhook of their own.
CREATE TABLE message_webhooks (
    message BLOB NOT NULL PRIMARY KEY,
    url TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX message_webhooks_by_age ON message_webhooks (created_at);
