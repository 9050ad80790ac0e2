-- A request that comes with a file is written down before it is answered: the file is read after the answer, which takes time.

-- The row goes with the transaction that makes the job, or once the member was told why there is none. url is the file's at
-- Discord, request what was asked without it.
CREATE TABLE intakes (
    interaction_id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    guild_id INTEGER,
    role_ids TEXT NOT NULL CHECK (json_valid(role_ids)),
    channel_id INTEGER NOT NULL,
    parent_channel_id INTEGER,
    age_restricted INTEGER NOT NULL CHECK (age_restricted IN (0, 1)),
    message_id INTEGER,
    application_id INTEGER NOT NULL,
    token TEXT NOT NULL,
    token_expires_at INTEGER NOT NULL,
    upload_limit INTEGER NOT NULL CHECK (upload_limit > 0),
    request TEXT NOT NULL CHECK (json_valid(request)),
    url TEXT NOT NULL CHECK (url <> ''),
    asked_at INTEGER NOT NULL
) STRICT;

CREATE INDEX intakes_of_member ON intakes (user_id);
