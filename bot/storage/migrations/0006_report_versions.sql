-- A report's message may have to be shown anew after what it shows was removed, and a crash or Discord may come between.

-- version counts what its message has to show; shown_version is what the message shows, or would, had it not gone for good.
ALTER TABLE reports ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE reports ADD COLUMN shown_version INTEGER NOT NULL DEFAULT 0 CHECK (shown_version BETWEEN 0 AND version);

CREATE INDEX reports_outdated ON reports (id) WHERE message_id IS NOT NULL AND shown_version < version;

-- Until now each was tried once at most.
UPDATE reports SET version = 1
WHERE message_id IS NOT NULL AND job_id IN (SELECT id FROM jobs WHERE pictures_removed_at IS NOT NULL);
