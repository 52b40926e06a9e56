-- Payloads that were withdrawn because a person's data was to be erased: what is answered instead of them.
CREATE TABLE erased_payloads (
    message UUID NOT NULL PRIMARY KEY,
    erased_at BIGINT NOT NULL,
    erased_by TEXT NOT NULL
);
