-- Moderators' settings with their trail, blocks, members' own defaults; how a job's pictures may be shown.

-- document holds the settings that a server has changed, by name; the others have the program's defaults.
CREATE TABLE guild_settings (
    guild_id INTEGER PRIMARY KEY REFERENCES guilds (id),
    document TEXT NOT NULL CHECK (json_valid(document)),
    changed_at INTEGER NOT NULL
) STRICT;

-- One row a setting that became another, written with the document; before and after are JSON.
CREATE TABLE settings_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id INTEGER NOT NULL REFERENCES guilds (id),
    changed_by INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    setting TEXT NOT NULL CHECK (setting <> ''),
    before TEXT NOT NULL CHECK (json_valid(before)),
    after TEXT NOT NULL CHECK (json_valid(after)),
    CHECK (before <> after)
) STRICT;

CREATE INDEX settings_changes_by_guild ON settings_changes (guild_id, id);

CREATE TRIGGER settings_changes_stay BEFORE UPDATE OF guild_id, changed_at, setting, before, after ON settings_changes
BEGIN
    SELECT RAISE(ABORT, 'the trail is not rewritten');
END;

-- A block is open until lifted_at; another block in its place, or its end, closes it too (the end with no lifted_by).
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    guild_id INTEGER NOT NULL REFERENCES guilds (id),
    user_id INTEGER NOT NULL REFERENCES users (id),
    reason TEXT NOT NULL,
    blocked_by INTEGER NOT NULL,
    blocked_at INTEGER NOT NULL,
    ends_at INTEGER CHECK (ends_at > blocked_at),
    lifted_by INTEGER,
    lifted_at INTEGER,
    CHECK (lifted_by IS NULL OR lifted_at IS NOT NULL),
    CHECK (lifted_at IS NULL OR lifted_by IS NOT NULL OR lifted_at = ends_at)
) STRICT;

CREATE UNIQUE INDEX blocks_open ON blocks (guild_id, user_id) WHERE lifted_at IS NULL;

CREATE TABLE personal_defaults (
    user_id INTEGER PRIMARY KEY REFERENCES users (id),
    document TEXT NOT NULL CHECK (json_valid(document)),
    changed_at INTEGER NOT NULL
) STRICT;

-- Jobs of before count as asked for where only pictures for everybody may be shown.
ALTER TABLE jobs ADD COLUMN rating TEXT NOT NULL DEFAULT 'general'
    CHECK (rating IN ('general', 'sensitive', 'questionable', 'explicit'));
ALTER TABLE jobs ADD COLUMN spoiler INTEGER NOT NULL DEFAULT 0 CHECK (spoiler IN (0, 1));

CREATE INDEX jobs_of_member ON jobs (user_id, guild_id, seq);
