-- What moderators tighten holds for jobs that wait, so a job keeps where it was asked for; and pauses outlive a clock that is
-- set back.

-- NULL: from before this was kept. A thread has a parent.
ALTER TABLE jobs ADD COLUMN age_restricted INTEGER CHECK (age_restricted IN (0, 1));
ALTER TABLE jobs ADD COLUMN parent_channel_id INTEGER;

-- The same table as bot.domain.job.ALLOWED_MOVES; a test compares them.
DROP TRIGGER jobs_allowed_moves;

CREATE TRIGGER jobs_allowed_moves BEFORE UPDATE OF status ON jobs
WHEN OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
    VALUES
        ('queued', 'running'), ('queued', 'cancelled'), ('queued', 'failed'),
        ('running', 'queued'), ('running', 'succeeded'), ('running', 'failed'), ('running', 'cancelled'),
        ('succeeded', 'delivered'), ('succeeded', 'undeliverable'), ('succeeded', 'failed')
)
BEGIN
    SELECT RAISE(ABORT, 'forbidden move of a job');
END;

-- When next_attempt_at was set; a time before it is a clock that was set back, and the wait is over.
ALTER TABLE outbox ADD COLUMN waits_since INTEGER NOT NULL DEFAULT 0;

UPDATE outbox SET waits_since = created_at;

CREATE INDEX outbox_waits ON outbox (waits_since) WHERE closed_at IS NULL;
