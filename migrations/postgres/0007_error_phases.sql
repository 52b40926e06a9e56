-- Whether the target refused the record, or it was rejected before the target was touched. The same for all errors of a record.
ALTER TABLE record_errors ADD COLUMN by_target BOOLEAN NOT NULL DEFAULT FALSE;
-- How many values the errors of a kind have between them; what is cut in them counts as the same.
ALTER TABLE error_groups ADD COLUMN distinct_values BIGINT NOT NULL DEFAULT 0;
