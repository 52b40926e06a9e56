-- Who did what. Every entry holds the hash of the one before it, so that what is changed, left out or put in between shows.
CREATE TABLE audit (
    -- From 1 without gaps.
    seq BIGINT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    surface TEXT NOT NULL CHECK (surface IN ('api', 'console', 'command_line', 'service')),
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    outcome TEXT NOT NULL CHECK (outcome IN ('done', 'asked', 'failed')),
    -- JSON, as it was hashed.
    detail TEXT NOT NULL,
    previous BYTEA NOT NULL,
    hash BYTEA NOT NULL
);

CREATE INDEX audit_by_time ON audit (at, seq);
CREATE INDEX audit_by_actor ON audit (actor, at, seq);
CREATE INDEX audit_by_action ON audit (action, at, seq);
CREATE INDEX audit_by_target ON audit (target, at, seq);

CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What an entry of the log itself says was pruned may go, nothing else.
    IF TG_OP = 'DELETE' AND EXISTS (
        SELECT 1 FROM audit WHERE action = 'audit.prune' AND seq > OLD.seq AND target::bigint >= OLD.seq
    ) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'the audit log is append-only';
END
$$;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_append_only();
CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only();

-- Deliveries of one state, newest first.
CREATE INDEX webhook_deliveries_by_state ON webhook_deliveries (state, id);
CREATE INDEX webhook_deliveries_by_job_and_state ON webhook_deliveries (job, state, id);
