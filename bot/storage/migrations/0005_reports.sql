-- What members report to the moderators of their server, and what came of it; and where a message's job is found.

-- Prompt and pictures are the job's own. A report is open until closed_at; a block of the author does not close it.
CREATE TABLE reports (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    guild_id INTEGER NOT NULL REFERENCES guilds (id),
    channel_id INTEGER,
    message_id INTEGER,
    blocked_by INTEGER,
    blocked_at INTEGER,
    outcome TEXT CHECK (outcome IN ('removed', 'dismissed')),
    closed_by INTEGER,
    closed_at INTEGER,
    CHECK ((channel_id IS NULL) = (message_id IS NULL)),
    CHECK ((blocked_by IS NULL) = (blocked_at IS NULL)),
    CHECK ((outcome IS NULL) = (closed_at IS NULL) AND (closed_by IS NULL) = (closed_at IS NULL))
) STRICT;

CREATE UNIQUE INDEX reports_open ON reports (job_id) WHERE closed_at IS NULL;
CREATE INDEX reports_by_job ON reports (job_id, id);
CREATE INDEX reports_unseen ON reports (id) WHERE closed_at IS NULL AND message_id IS NULL;

CREATE TABLE complaints (
    report_id INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    reporter_id INTEGER NOT NULL REFERENCES users (id),
    reason TEXT NOT NULL,
    reported_at INTEGER NOT NULL,
    PRIMARY KEY (report_id, reporter_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX complaints_by_member ON complaints (reporter_id, reported_at);

CREATE TRIGGER reports_stay_closed BEFORE UPDATE OF outcome, closed_by, closed_at ON reports WHEN OLD.closed_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'a closed report stays as it was closed');
END;

CREATE INDEX jobs_by_message ON jobs (message_id) WHERE message_id IS NOT NULL;
