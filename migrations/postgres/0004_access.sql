CREATE TABLE clients (
    name TEXT NOT NULL,
    -- The name in lower case, by the program's rules: the databases' own differ beyond ASCII.
    name_key TEXT NOT NULL PRIMARY KEY,
    secret_hash TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);

-- What every process on this store must agree on.
CREATE TABLE store_facts (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE signing_keys (
    purpose TEXT NOT NULL CHECK (purpose IN ('token', 'receipt', 'url')),
    slot INTEGER NOT NULL CHECK (slot IN (0, 1)),
    secret BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (purpose, slot)
);
