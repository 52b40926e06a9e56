-- Whether the target refused the record, or it was rejected before the target was touched. The same for all errors of a record.
ALTER TABLE record_errors ADD COLUMN by_target BOOLEAN NOT NULL DEFAULT FALSE;
