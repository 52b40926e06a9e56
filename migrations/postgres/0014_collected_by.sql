-- The client that had it last, of a message that was dequeued: who collected an export is asked when its queue is empty.
ALTER TABLE outcomes ADD COLUMN owner TEXT;
