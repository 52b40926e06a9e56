CREATE TABLE clients (
    name TEXT NOT NULL,
    -- The name in lower case, by the program's rules: the databases' own differ beyond ASCII.
    name_key TEXT NOT NULL PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

-- What every process on this store must agree on.
CREATE TABLE store_facts (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE signing_keys (
    purpose TEXT NOT NULL CHECK (purpose IN ('token', 'receipt', 'url')),
    slot INTEGER NOT NULL CHECK (slot IN (0, 1)),
    secret BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (purpose, slot)
) STRICT;
