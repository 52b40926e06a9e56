-- Payloads that were withdrawn because a person's data was to be erased: what is answered instead of them.
CREATE TABLE erased_payloads (
    message BLOB NOT NULL PRIMARY KEY,
    erased_at INTEGER NOT NULL,
    erased_by TEXT NOT NULL
) STRICT;
