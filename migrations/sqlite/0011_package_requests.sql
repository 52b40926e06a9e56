-- What a client asked of an execution by the package API. The row is written with the execution, before the submit is answered:
-- the id can be polled at once, and a submit that is repeated is told from an id that is used again (PKG-11a, PKG-11h).
CREATE TABLE package_requests (
    execution TEXT NOT NULL PRIMARY KEY REFERENCES executions (id) ON DELETE CASCADE,
    client TEXT NOT NULL,
    action TEXT NOT NULL,
    -- The data project as the client wrote it.
    project TEXT NOT NULL,
    -- The other parameters: a JSON object with its members in order.
    asked TEXT NOT NULL,
    asked_at INTEGER NOT NULL
) STRICT;
