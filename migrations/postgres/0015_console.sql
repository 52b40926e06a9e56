-- Who is signed in to the console. Of cookies and links only SHA-256 digests are kept.
CREATE TABLE console_sessions (
    digest BYTEA NOT NULL PRIMARY KEY,
    -- Its `name_key`; NULL: the operator who has the store at hand, let in by a one-time link.
    client TEXT,
    begun_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX console_sessions_by_age ON console_sessions (expires_at);
CREATE INDEX console_sessions_of ON console_sessions (client);

-- Links that sign in once.
CREATE TABLE console_links (
    digest BYTEA NOT NULL PRIMARY KEY,
    client TEXT,
    expires_at BIGINT NOT NULL
);

-- What went wrong lately, of one job, newest first.
CREATE INDEX outcomes_troubled_lately ON outcomes (job, message) WHERE status NOT IN ('Acked', 'Processed');
