-- What was implied is said: how a job came out of another, what it costs, why it failed (as a sentence with values), in which
-- language its card speaks and who may see it. Kinds stand in tables, so that another one is a row and needs no table anew.

CREATE TABLE relations (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

INSERT INTO relations VALUES ('reroll'), ('variation'), ('remix'), ('upscale'), ('edit'), ('widen'), ('reference');

CREATE TABLE visibilities (
    name TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

INSERT INTO visibilities VALUES ('public'), ('private'), ('family');

-- What names `jobs` stands in the way of the new table's renaming.
DROP VIEW queue_line;
DROP TRIGGER ledger_is_summed;

-- seq is the order of arrival. token is Discord's secret for one interaction; it is wiped with the outbox entry.
-- work is the request's size in megapixel-steps, kept beside it for the queue's sums; weight is the member's share of the queue
-- when the job came, the tags are its turn (bot.domain.fairness).
-- failure is an English template and failure_args its values and plural (bot.messages.to_json); NULL of before there were any.
-- language is the public card's, NULL for English. template is the preset that the job was made from.
-- price is what was reserved for it, paid what it cost in the end (NULL while it waits or runs), both from the ledger.
-- shown_at: when its card was the answer, or turned out to be. suspect: it may be what killed the process.
CREATE TABLE new_jobs (
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
    parent_channel_id INTEGER,
    age_restricted INTEGER CHECK (age_restricted IN (0, 1)),
    message_id INTEGER,
    application_id INTEGER NOT NULL,
    token TEXT,
    token_expires_at INTEGER,
    upload_limit INTEGER NOT NULL CHECK (upload_limit > 0),
    parent_id TEXT REFERENCES jobs (id) ON DELETE SET NULL,
    parent_relation TEXT REFERENCES relations (name),
    parent_image_index INTEGER CHECK (parent_image_index >= 0),
    template TEXT CHECK (template <> ''),
    rating TEXT NOT NULL DEFAULT 'general' CHECK (rating IN ('general', 'sensitive', 'questionable', 'explicit')),
    spoiler INTEGER NOT NULL DEFAULT 0 CHECK (spoiler IN (0, 1)),
    visibility TEXT NOT NULL DEFAULT 'public' REFERENCES visibilities (name),
    language TEXT CHECK (language <> ''),
    weight REAL NOT NULL DEFAULT 1 CHECK (weight > 0),
    start_tag REAL NOT NULL DEFAULT 0 CHECK (start_tag >= 0),
    finish_tag REAL NOT NULL DEFAULT 0 CHECK (finish_tag >= start_tag),
    attempt INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    aborts INTEGER NOT NULL DEFAULT 0 CHECK (aborts BETWEEN 0 AND attempt),
    suspect INTEGER NOT NULL DEFAULT 0 CHECK (suspect IN (0, 1)),
    failure TEXT CHECK (failure <> ''),
    failure_args TEXT CHECK (failure_args IS NULL OR json_valid(failure_args)),  -- of NULL some SQLites say no
    price INTEGER CHECK (price > 0),
    paid INTEGER CHECK (paid >= 0),
    created_at INTEGER NOT NULL,
    shown_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    lease_until INTEGER,
    deleted_at INTEGER,
    pictures_removed_at INTEGER CHECK (pictures_removed_at IS NULL OR finished_at IS NOT NULL),
    words_removed_at INTEGER CHECK (words_removed_at IS NULL OR (
        deleted_at IS NOT NULL AND pictures_removed_at IS NOT NULL AND token IS NULL AND parent_id IS NULL
    )),
    CHECK (parent_id IS NULL OR parent_relation IS NOT NULL),
    CHECK ((status = 'running') = (lease_until IS NOT NULL)),
    CHECK (status <> 'running' OR (attempt > aborts AND started_at IS NOT NULL)),
    CHECK ((status IN ('queued', 'running')) = (finished_at IS NULL)),
    CHECK ((status = 'failed') = (failure IS NOT NULL)),
    CHECK (failure_args IS NULL OR failure IS NOT NULL),
    CHECK (deleted_at IS NULL OR finished_at IS NOT NULL)
) STRICT;

-- An upscale was stored as a variation that starts from a picture that was drawn here.
INSERT INTO new_jobs (
    seq, id, interaction_id, user_id, guild_id, status, request, work, channel_id, parent_channel_id, age_restricted, message_id,
    application_id, token, token_expires_at, upload_limit, parent_id, parent_relation, parent_image_index, rating, spoiler,
    weight, start_tag, finish_tag, attempt, aborts, suspect, failure, price, paid, created_at, shown_at, started_at, finished_at,
    lease_until, deleted_at, pictures_removed_at, words_removed_at
)
SELECT
    seq, id, interaction_id, user_id, guild_id, status, request, work, channel_id, parent_channel_id, age_restricted, message_id,
    application_id, token, token_expires_at, upload_limit, parent_id,
    IIF(parent_relation = 'variation' AND json_extract(request, '$.init_image.drawn_here'), 'upscale', parent_relation),
    parent_image_index, rating, spoiler, weight, start_tag, finish_tag, attempt, aborts, suspect, failure,
    (SELECT SUM(reserved) FROM ledger WHERE job_id = jobs.id AND kind = 'reserve'),
    paid, created_at, shown_at, started_at, finished_at, lease_until, deleted_at, pictures_removed_at, words_removed_at
FROM jobs
ORDER BY seq;

-- A number that was given once is not given again, also where the last rows are gone.
DELETE FROM sqlite_sequence WHERE name = 'new_jobs';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_jobs', seq FROM sqlite_sequence WHERE name = 'jobs';

DROP TABLE jobs;
ALTER TABLE new_jobs RENAME TO jobs;

-- In the order of before: between indexes that seem equally good, SQLite's planner goes by it.
CREATE INDEX jobs_waiting ON jobs (user_id, seq) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_drawn ON jobs (finished_at) WHERE status IN ('succeeded', 'delivered', 'undeliverable');
CREATE INDEX jobs_by_parent ON jobs (parent_id) WHERE parent_id IS NOT NULL;
CREATE INDEX jobs_in_line ON jobs (user_id, seq) WHERE status = 'queued';
CREATE INDEX jobs_served ON jobs (user_id, finish_tag) WHERE attempt > 0;
CREATE INDEX jobs_of_member ON jobs (user_id, guild_id, seq);
CREATE INDEX jobs_with_pictures ON jobs (guild_id, finished_at) WHERE pictures_removed_at IS NULL;
CREATE INDEX jobs_with_words ON jobs (guild_id, finished_at) WHERE words_removed_at IS NULL;
CREATE INDEX jobs_by_upload ON jobs (json_extract(request, '$.init_image.key'))  -- who else needs a file
    WHERE json_extract(request, '$.init_image.key') IS NOT NULL;
CREATE INDEX jobs_by_message ON jobs (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX jobs_by_member ON jobs (user_id, seq);
CREATE INDEX jobs_of_member_with_words ON jobs (user_id, seq) WHERE words_removed_at IS NULL;
CREATE INDEX jobs_with_cards_to_remove ON jobs (user_id, seq)  -- cards of erased jobs whose places are still known
    WHERE words_removed_at IS NOT NULL AND channel_id <> 0;
CREATE INDEX jobs_owing_an_answer ON jobs (seq) WHERE shown_at IS NULL;
CREATE INDEX jobs_suspect ON jobs (status, seq) WHERE suspect = 1;  -- is there one
CREATE INDEX jobs_by_turn ON jobs (status, finish_tag, seq);  -- the next claim, what is ahead, the counts
CREATE INDEX jobs_waiting_in ON jobs (guild_id, finish_tag, seq) WHERE status IN ('queued', 'running');
CREATE INDEX jobs_running ON jobs (user_id) WHERE status = 'running';  -- who has a place
CREATE INDEX jobs_old_with_pictures ON jobs (finished_at) WHERE pictures_removed_at IS NULL;
CREATE INDEX jobs_old_with_words ON jobs (finished_at) WHERE words_removed_at IS NULL;
CREATE INDEX jobs_without_loras ON jobs (finish_tag, seq)  -- who may be drawn whatever LoRAs are in memory
    WHERE status = 'queued' AND json_extract(request, '$.style') IS NULL;

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
        ('succeeded', 'delivered'), ('succeeded', 'undeliverable'), ('succeeded', 'failed')
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

CREATE TRIGGER jobs_words_stay_removed BEFORE UPDATE OF request, failure, failure_args, template, words_removed_at ON jobs
WHEN OLD.words_removed_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'what was removed does not come back');
END;

CREATE VIEW queue_line AS  -- the jobs that wait for their turn; one that nobody was shown yet keeps its place and is not claimed
SELECT seq, user_id, work, weight, start_tag, finish_tag, attempt, shown_at
FROM jobs
WHERE status = 'queued'
    AND NOT EXISTS (SELECT 1 FROM queue_pauses WHERE queue_pauses.guild_id = jobs.guild_id AND resumed_at IS NULL);

CREATE TRIGGER ledger_is_summed AFTER INSERT ON ledger
BEGIN
    INSERT INTO purse_totals (user_id, guild_id, purse, day, granted, reserved, spent)
    VALUES (NEW.user_id, NEW.guild_id, NEW.purse, IIF(NEW.purse = 'daily', NEW.day, NULL), 0, 0, 0)
    ON CONFLICT DO NOTHING;
    UPDATE purse_totals SET granted = granted + NEW.granted, reserved = reserved + NEW.reserved, spent = spent + NEW.spent
    WHERE user_id = NEW.user_id AND IFNULL(guild_id, 0) = IFNULL(NEW.guild_id, 0)
        AND purse = NEW.purse AND IFNULL(day, -1) = IIF(NEW.purse = 'daily', NEW.day, -1);
    INSERT INTO day_totals (user_id, day) VALUES (NEW.user_id, NEW.day) ON CONFLICT DO NOTHING;
    UPDATE day_totals SET used = used + NEW.reserved + NEW.spent WHERE user_id = NEW.user_id AND day = NEW.day;
    UPDATE jobs SET price = IFNULL(price, 0) + NEW.reserved WHERE id = NEW.job_id AND NEW.kind = 'reserve';
    UPDATE jobs SET paid = IFNULL(paid, 0) + NEW.spent WHERE id = NEW.job_id AND NEW.kind IN ('charge', 'refund');
END;

-- What the classifier said of the picture; NULL where none looked, or of before this was kept.
ALTER TABLE images ADD COLUMN rating TEXT CHECK (rating IN ('general', 'sensitive', 'questionable', 'explicit'));

-- The job that an intake becomes has what was known when it was asked for.
ALTER TABLE intakes ADD COLUMN language TEXT CHECK (language <> '');
ALTER TABLE intakes ADD COLUMN template TEXT CHECK (template <> '');
ALTER TABLE intakes ADD COLUMN visibility TEXT NOT NULL DEFAULT 'public' REFERENCES visibilities (name);

-- What a member wants where they say nothing; "profile" is the model's.
ALTER TABLE personal_defaults RENAME TO preferences;
