-- A log says which state of the file it begins at, and what a backup brought back is shown by edits alone.

-- mark: what was written here last, and before that (bot.storage.log_marks). Each transaction leaves another.
CREATE TABLE log_mark (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    mark TEXT NOT NULL CHECK (length(mark) = 44)
) STRICT;

INSERT INTO log_mark VALUES (1, 'pastel-log:0000000000000000:' || lower(hex(randomblob(8))));

-- edits_only: what happened after the backup is not known, so the card may be there already; none is ever posted.
ALTER TABLE outbox ADD COLUMN edits_only INTEGER NOT NULL DEFAULT 0 CHECK (edits_only IN (0, 1));
