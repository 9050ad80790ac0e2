-- A job is stored before its member is answered, so a row says whether anybody was shown it.

-- shown_at: when its card was the answer, or turned out to be. NULL: not known yet, or (of a cancelled job) nobody was shown it.
ALTER TABLE jobs ADD COLUMN shown_at INTEGER;

-- Until now the answer came first.
UPDATE jobs SET shown_at = created_at;

CREATE INDEX jobs_owing_an_answer ON jobs (seq) WHERE shown_at IS NULL;

DROP VIEW queue_line;

CREATE VIEW queue_line AS  -- the jobs that wait for their turn; one that nobody was shown yet keeps its place and is not claimed
SELECT seq, user_id, work, weight, start_tag, finish_tag, attempt, shown_at
FROM jobs
WHERE status = 'queued'
    AND NOT EXISTS (SELECT 1 FROM queue_pauses WHERE queue_pauses.guild_id = jobs.guild_id AND resumed_at IS NULL);

CREATE TRIGGER jobs_shown_before_drawn BEFORE UPDATE OF status ON jobs
WHEN NEW.status = 'running' AND NEW.shown_at IS NULL
BEGIN
    SELECT RAISE(ABORT, 'a job that nobody was shown is not drawn');
END;

CREATE TRIGGER jobs_shown_for_good BEFORE UPDATE OF shown_at ON jobs
WHEN OLD.shown_at IS NOT NULL AND NEW.shown_at IS NOT OLD.shown_at
BEGIN
    SELECT RAISE(ABORT, 'what was shown was shown');
END;
