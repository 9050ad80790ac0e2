-- Members may have everything deleted, and servers may keep pictures and words for a time only.

-- An erasure is written down before anything is removed, so that one that was cut off is finished by the next start.
-- erased_at: every word and file is gone; closed_at: the cards in Discord were tried too. The row stays, as the proof.
CREATE TABLE erasures (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user_id INTEGER NOT NULL REFERENCES users (id),
    requested_at INTEGER NOT NULL,
    erased_at INTEGER,
    closed_at INTEGER,
    CHECK (closed_at IS NULL OR erased_at IS NOT NULL)
) STRICT;

CREATE UNIQUE INDEX erasures_to_do ON erasures (user_id) WHERE erased_at IS NULL;
CREATE INDEX erasures_open ON erasures (user_id) WHERE closed_at IS NULL;

-- What is left of a job whose words were removed is what the ledger and the queue's turns count.
ALTER TABLE jobs ADD COLUMN pictures_removed_at INTEGER
    CHECK (pictures_removed_at IS NULL OR finished_at IS NOT NULL);
ALTER TABLE jobs ADD COLUMN words_removed_at INTEGER
    CHECK (words_removed_at IS NULL OR (
        deleted_at IS NOT NULL AND pictures_removed_at IS NOT NULL AND token IS NULL AND parent_id IS NULL
    ));

CREATE TRIGGER jobs_words_stay_removed BEFORE UPDATE OF request, failure, words_removed_at ON jobs
WHEN OLD.words_removed_at IS NOT NULL
BEGIN
    SELECT RAISE(ABORT, 'what was removed does not come back');
END;

CREATE INDEX jobs_with_pictures ON jobs (guild_id, finished_at) WHERE pictures_removed_at IS NULL;
CREATE INDEX jobs_with_words ON jobs (guild_id, finished_at) WHERE words_removed_at IS NULL;
CREATE INDEX jobs_by_upload ON jobs (json_extract(request, '$.init_image.key'))  -- who else needs a file
    WHERE json_extract(request, '$.init_image.key') IS NOT NULL;
