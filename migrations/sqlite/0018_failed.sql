-- Runs that failed, by when; and runs that try again, of which there are few. What operators are shown first.
CREATE INDEX occurrences_failed ON occurrences (finished_at) WHERE state = 'failed';
CREATE INDEX occurrences_again ON occurrences (due_at, job) WHERE state = 'due' AND attempt > 0;
