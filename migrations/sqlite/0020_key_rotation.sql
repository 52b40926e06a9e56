-- From when on a key signs. It checks from the moment it is read on, so that every process knows it before anybody signs with it.
ALTER TABLE signing_keys ADD COLUMN signs_from INTEGER NOT NULL DEFAULT 0;

-- When a client was last let in, to the minute.
ALTER TABLE clients ADD COLUMN last_used_at INTEGER;
