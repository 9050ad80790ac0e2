-- Times are integer microseconds since 1970-01-01 UTC; ids of Discord are its snowflakes.
-- CHECKs, keys and triggers repeat what the code promises, so that a bug becomes an error and not a wrong row.

PRAGMA application_id = 0x50617374;  -- "Past": tells our file from another program's

CREATE TABLE guilds (
    id INTEGER PRIMARY KEY,
    first_seen_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    first_seen_at INTEGER NOT NULL
) STRICT;

-- seq is the order of arrival. token is Discord's secret for one interaction; it is wiped with the outbox entry.
-- work is the request's size in megapixel-steps, kept beside it for the queue's sums.
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 16),
    interaction_id INTEGER NOT NULL UNIQUE,
    user_id INTEGER NOT NULL REFERENCES users (id),
    guild_id INTEGER REFERENCES guilds (id),
    status TEXT NOT NULL CHECK (
        status IN ('queued', 'running', 'succeeded', 'delivered', 'failed', 'cancelled', 'undeliverable')
    ),
    request TEXT NOT NULL CHECK (json_valid(request)),
    work REAL NOT NULL CHECK (work > 0),
    channel_id INTEGER NOT NULL,
    message_id INTEGER,
    application_id INTEGER NOT NULL,
    token TEXT,
    token_expires_at INTEGER,
    upload_limit INTEGER NOT NULL CHECK (upload_limit > 0),
    parent_id TEXT REFERENCES jobs (id) ON DELETE SET NULL,
    parent_relation TEXT CHECK (parent_relation IN ('reroll', 'variation', 'remix')),
    parent_image_index INTEGER CHECK (parent_image_index >= 0),
    attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    aborts INTEGER NOT NULL DEFAULT 0 CHECK (aborts BETWEEN 0 AND attempt),
    failure TEXT CHECK (failure <> ''),
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER,
    lease_until INTEGER,
    deleted_at INTEGER,
    CHECK (parent_id IS NULL OR parent_relation IS NOT NULL),
    CHECK ((status = 'running') = (lease_until IS NOT NULL)),
    CHECK (status <> 'running' OR (attempt > aborts AND started_at IS NOT NULL)),
    CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL)),
    CHECK ((status = 'failed') = (failure IS NOT NULL)),
    CHECK (deleted_at IS NULL OR finished_at IS NOT NULL)
) STRICT;

CREATE INDEX jobs_by_status ON jobs (status, seq);  -- the next claim, what is ahead, the counts
CREATE INDEX jobs_waiting ON jobs (user_id, seq) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_drawn ON jobs (finished_at) WHERE status IN ('succeeded', 'delivered', 'undeliverable');
CREATE INDEX jobs_by_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;

CREATE TRIGGER jobs_start_queued BEFORE INSERT ON jobs WHEN NEW.status <> 'queued'
BEGIN
    SELECT RAISE(ABORT, 'a job starts as queued');
END;

-- The same table as bot.domain.job.ALLOWED_MOVES; a test compares them.
CREATE TRIGGER jobs_allowed_moves BEFORE UPDATE OF status ON jobs
WHEN OLD.status <> NEW.status AND (OLD.status, NEW.status) NOT IN (
    VALUES
        ('queued', 'running'), ('queued', 'cancelled'), ('queued', 'failed'),
        ('running', 'queued'), ('running', 'succeeded'), ('running', 'failed'), ('running', 'cancelled'),
        ('succeeded', 'delivered'), ('succeeded', 'undeliverable')
)
BEGIN
    SELECT RAISE(ABORT, 'forbidden move of a job');
END;

-- The attempt is the fence: it goes up by one with a claim and never otherwise.
CREATE TRIGGER jobs_fence BEFORE UPDATE OF attempt ON jobs
WHEN NEW.attempt <> OLD.attempt
    AND NOT (OLD.status = 'queued' AND NEW.status = 'running' AND NEW.attempt = OLD.attempt + 1)
BEGIN
    SELECT RAISE(ABORT, 'attempts count up with claims only');
END;

CREATE TRIGGER jobs_claim_counts BEFORE UPDATE OF status ON jobs
WHEN OLD.status = 'queued' AND NEW.status = 'running' AND NEW.attempt <> OLD.attempt + 1
BEGIN
    SELECT RAISE(ABORT, 'a claim counts the attempt');
END;

CREATE TABLE images (
    job_id TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    image_index INTEGER NOT NULL CHECK (image_index >= 0),
    key TEXT NOT NULL UNIQUE,
    seed INTEGER NOT NULL CHECK (seed BETWEEN 0 AND 4294967295),
    width INTEGER NOT NULL CHECK (width > 0),
    height INTEGER NOT NULL CHECK (height > 0),
    parameters TEXT NOT NULL,
    size_bytes INTEGER NOT NULL CHECK (size_bytes > 0),
    PRIMARY KEY (job_id, image_index)
) STRICT, WITHOUT ROWID;

-- One entry a job that ended, open until closed_at. post_started_at is set before the first post, for good.
CREATE TABLE outbox (
    job_id TEXT PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    post_started_at INTEGER,
    last_fault TEXT,
    closed_at INTEGER,
    outcome TEXT CHECK (outcome IN ('delivered', 'given_up')),
    CHECK ((closed_at IS NULL) = (outcome IS NULL))
) STRICT;

CREATE INDEX outbox_open ON outbox (next_attempt_at) WHERE closed_at IS NULL;

-- Postings move credits: what a member has in flight is SUM(reserved), what pictures cost so far is SUM(spent).
-- At most one posting of a kind for a job: nothing is charged or refunded twice.
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL REFERENCES jobs (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    kind TEXT NOT NULL CHECK (kind IN ('reserve', 'charge', 'refund')),
    reserved INTEGER NOT NULL,
    spent INTEGER NOT NULL,
    posted_at INTEGER NOT NULL,
    UNIQUE (job_id, kind),
    CHECK (
        (kind = 'reserve' AND reserved > 0 AND spent = 0)
        OR (kind = 'charge' AND reserved < 0 AND spent = -reserved)
        OR (kind = 'refund' AND reserved <= 0 AND spent <= 0 AND reserved + spent < 0)
    )
) STRICT;

CREATE INDEX ledger_by_user ON ledger (user_id, posted_at);

CREATE TRIGGER ledger_postings_stay BEFORE UPDATE OF job_id, kind, reserved, spent, posted_at ON ledger
BEGIN
    SELECT RAISE(ABORT, 'a posting is corrected by another posting');
END;

CREATE TABLE meta (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
