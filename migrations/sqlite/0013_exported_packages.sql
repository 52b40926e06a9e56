-- Packages that clients asked for by the package API. Each lies in the blob host and on no queue: it is delivered once every byte of
-- it was fetched, and what it tells of is exported again when it expires before (PKG-21).
CREATE TABLE exported_packages (
    execution TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    -- The run that made it.
    job BLOB NOT NULL,
    due_at INTEGER NOT NULL,
    -- Of the blob host.
    path TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    -- The blob host keeps it until then.
    expires_at INTEGER NOT NULL,
    -- The parts of it that were sent: a JSON array of [first byte, byte behind the last].
    sent TEXT NOT NULL DEFAULT '[]',
    -- When the last missing byte of it was sent.
    fetched_at INTEGER,
    UNIQUE (job, due_at)
) STRICT;
