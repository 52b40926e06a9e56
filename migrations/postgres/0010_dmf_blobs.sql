-- What the blob host under /dmf/ holds. A row is made when its link is; it has content once a client has put some.
CREATE TABLE dmf_blobs (
    -- container/name, as it follows /dmf/.
    path TEXT NOT NULL PRIMARY KEY,
    -- The client that asked for the link.
    client TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    -- From then on it is not there; housekeeping removes it.
    expires_at BIGINT NOT NULL,
    -- The content: where it lies and what it is. All of them NULL: there is none. Another content has another key.
    key TEXT,
    bytes BIGINT,
    digest BYTEA,
    md5 BYTEA,
    content_type TEXT,
    written_at BIGINT,
    -- Blocks ever put, which numbers them; those not committed yet, and their bytes.
    blocks_put BIGINT NOT NULL DEFAULT 0,
    staged_blocks BIGINT NOT NULL DEFAULT 0,
    staged_bytes BIGINT NOT NULL DEFAULT 0,
    -- Where a client puts it by the store's own link, and which version of that the content was copied from.
    direct_key TEXT,
    direct_version TEXT,
    -- The blocks the content was committed from, in order: a JSON array of [id, bytes].
    layout TEXT
);

CREATE INDEX dmf_blobs_expiring ON dmf_blobs (expires_at);
CREATE UNIQUE INDEX dmf_blobs_direct ON dmf_blobs (direct_key) WHERE direct_key IS NOT NULL;

-- Blocks that were put and not committed. Each lies in the blob store under a key of its own.
CREATE TABLE dmf_blocks (
    path TEXT NOT NULL,
    -- Base64, as the client wrote it.
    block TEXT NOT NULL,
    key TEXT NOT NULL,
    bytes BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (path, block)
);
