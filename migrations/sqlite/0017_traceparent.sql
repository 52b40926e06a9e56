-- The trace a message's sender, or the run that made it, is part of (W3C traceparent). NULL: its trace is its own.
ALTER TABLE messages ADD COLUMN traceparent TEXT;
