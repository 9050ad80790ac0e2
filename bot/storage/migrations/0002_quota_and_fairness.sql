-- Credits get purses, days and grants; the queue gets turns, its own time and pauses.

-- weight is the member's share of the queue when the job came; the tags are its turn (bot.domain.fairness), meaningless while
-- the job's server is paused.
ALTER TABLE jobs ADD COLUMN weight REAL NOT NULL DEFAULT 1 CHECK (weight > 0);
ALTER TABLE jobs ADD COLUMN start_tag REAL NOT NULL DEFAULT 0 CHECK (start_tag >= 0);
ALTER TABLE jobs ADD COLUMN finish_tag REAL NOT NULL DEFAULT 0 CHECK (finish_tag >= start_tag);

-- Who waits already gets the turns that they would have, had they come one after another before anything was drawn.
UPDATE jobs SET start_tag = turns.finish_tag - turns.work, finish_tag = turns.finish_tag
FROM (
    SELECT seq, work, SUM(work) OVER (PARTITION BY user_id ORDER BY seq ROWS UNBOUNDED PRECEDING) AS finish_tag
    FROM jobs
    WHERE status IN ('queued', 'running')
) AS turns
WHERE turns.seq = jobs.seq;

DROP INDEX jobs_by_status;
CREATE INDEX jobs_by_turn ON jobs (status, start_tag, seq);  -- the next claim, what is ahead, the counts
CREATE INDEX jobs_in_line ON jobs (user_id, seq) WHERE status = 'queued';
CREATE INDEX jobs_served ON jobs (user_id, finish_tag) WHERE attempt > 0;
CREATE INDEX jobs_waiting_in ON jobs (guild_id, start_tag, seq) WHERE status IN ('queued', 'running');

-- virtual_time is the highest start tag that was claimed, busy_until the highest finish tag.
CREATE TABLE fair_queue (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    virtual_time REAL NOT NULL CHECK (virtual_time >= 0),
    busy_until REAL NOT NULL CHECK (busy_until >= virtual_time)
) STRICT;

INSERT INTO fair_queue
SELECT 1, 0, MAX(0, COALESCE(MAX(finish_tag), 0)) FROM jobs WHERE status = 'running';

CREATE TRIGGER fair_queue_runs_forward BEFORE UPDATE ON fair_queue
WHEN NEW.virtual_time < OLD.virtual_time OR NEW.busy_until < OLD.busy_until
BEGIN
    SELECT RAISE(ABORT, 'the time of the queue runs forward');
END;

CREATE TRIGGER fair_queue_stays BEFORE DELETE ON fair_queue
BEGIN
    SELECT RAISE(ABORT, 'the queue keeps its time');
END;

-- A server whose queue stands still has a row without resumed_at.
CREATE TABLE queue_pauses (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id INTEGER NOT NULL REFERENCES guilds (id),
    paused_by INTEGER NOT NULL,
    paused_at INTEGER NOT NULL,
    resumed_by INTEGER,
    resumed_at INTEGER,
    CHECK ((resumed_by IS NULL) = (resumed_at IS NULL))
) STRICT;

CREATE UNIQUE INDEX queue_pauses_open ON queue_pauses (guild_id) WHERE resumed_at IS NULL;

CREATE VIEW queue_line AS  -- the jobs that may be claimed
SELECT seq, user_id, work, weight, start_tag, finish_tag, attempt
FROM jobs
WHERE status = 'queued'
    AND NOT EXISTS (SELECT 1 FROM queue_pauses WHERE queue_pauses.guild_id = jobs.guild_id AND resumed_at IS NULL);

-- Postings move credits. A job takes its price from one or two purses of its member in its server (guild_id NULL: in direct
-- messages): "daily" is renewed every day, "granted" holds what moderators gave. day counts from 1970-01-01 UTC and is the
-- reservation's for all postings of a job, so that a refund after midnight goes back to the day it came from.
-- At most one posting of a kind for a job and purse: nothing is charged or refunded twice.
CREATE TABLE new_ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id),
    guild_id INTEGER REFERENCES guilds (id),
    purse TEXT NOT NULL CHECK (purse IN ('daily', 'granted')),
    day INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('grant', 'reserve', 'charge', 'refund')),
    job_id TEXT REFERENCES jobs (id),
    interaction_id INTEGER UNIQUE,
    granted_by INTEGER,
    granted INTEGER NOT NULL DEFAULT 0,
    reserved INTEGER NOT NULL DEFAULT 0,
    spent INTEGER NOT NULL DEFAULT 0,
    posted_at INTEGER NOT NULL,
    UNIQUE (job_id, kind, purse),
    CHECK (kind = 'grant' OR (job_id IS NOT NULL AND interaction_id IS NULL AND granted_by IS NULL AND granted = 0)),
    CHECK (
        (
            kind = 'grant' AND purse = 'granted' AND granted > 0 AND reserved = 0 AND spent = 0 AND job_id IS NULL
            AND guild_id IS NOT NULL AND interaction_id IS NOT NULL AND granted_by IS NOT NULL
        )
        OR (kind = 'reserve' AND reserved > 0 AND spent = 0)
        OR (kind = 'charge' AND reserved < 0 AND spent = -reserved)
        OR (kind = 'refund' AND reserved <= 0 AND spent <= 0 AND reserved + spent < 0)
    )
) STRICT;

-- There was one purse and no limit before.
INSERT INTO new_ledger (id, user_id, guild_id, purse, day, kind, job_id, reserved, spent, posted_at)
SELECT
    posting.id, posting.user_id, jobs.guild_id, 'daily', reservation.posted_at / 86400000000, posting.kind, posting.job_id,
    posting.reserved, posting.spent, posting.posted_at
FROM ledger AS posting
JOIN ledger AS reservation ON reservation.job_id = posting.job_id AND reservation.kind = 'reserve'
JOIN jobs ON jobs.id = posting.job_id
ORDER BY posting.id;

DROP TABLE ledger;
ALTER TABLE new_ledger RENAME TO ledger;

CREATE INDEX ledger_by_day ON ledger (user_id, day);
CREATE INDEX ledger_granted ON ledger (user_id, guild_id) WHERE purse = 'granted';

CREATE TRIGGER ledger_postings_stay
BEFORE UPDATE OF user_id, guild_id, purse, day, kind, job_id, interaction_id, granted, reserved, spent, posted_at ON ledger
BEGIN
    SELECT RAISE(ABORT, 'a posting is corrected by another posting');
END;

CREATE TRIGGER ledger_goes_back BEFORE INSERT ON ledger
WHEN NEW.kind IN ('charge', 'refund') AND NOT EXISTS (
    SELECT 1 FROM ledger
    WHERE job_id = NEW.job_id AND kind = 'reserve' AND purse = NEW.purse
        AND user_id = NEW.user_id AND guild_id IS NEW.guild_id AND day = NEW.day
)
BEGIN
    SELECT RAISE(ABORT, 'a posting concerns the purse and the day of its reservation');
END;

CREATE TRIGGER ledger_no_debts BEFORE INSERT ON ledger
WHEN NEW.kind = 'reserve' AND NEW.purse = 'granted' AND NEW.reserved > (
    SELECT TOTAL(granted - reserved - spent) FROM ledger
    WHERE user_id = NEW.user_id AND guild_id IS NEW.guild_id AND purse = 'granted'
)
BEGIN
    SELECT RAISE(ABORT, 'only granted credits can be reserved');
END;
