-- Rows of purse_totals get a key by which a copy of the file can follow their changes (bot.storage.copying); and whoever needs
-- no LoRA is found without a look at all who wait for room for theirs.

DROP TRIGGER ledger_is_summed;
DROP TRIGGER ledger_no_debts;
ALTER TABLE purse_totals RENAME TO old_purse_totals;
DROP INDEX purse_totals_key;

CREATE TABLE purse_totals (
    id INTEGER PRIMARY KEY,
    user_id INTEGER NOT NULL REFERENCES users (id),
    guild_id INTEGER REFERENCES guilds (id),
    purse TEXT NOT NULL CHECK (purse IN ('daily', 'granted')),
    day INTEGER,
    granted INTEGER NOT NULL CHECK (granted >= 0),
    reserved INTEGER NOT NULL CHECK (reserved >= 0),
    spent INTEGER NOT NULL CHECK (spent >= 0),
    CHECK ((purse = 'granted') = (day IS NULL)),
    CHECK (purse = 'daily' OR granted >= reserved + spent)
) STRICT;

CREATE UNIQUE INDEX purse_totals_key ON purse_totals (user_id, IFNULL(guild_id, 0), purse, IFNULL(day, -1));

INSERT INTO purse_totals (user_id, guild_id, purse, day, granted, reserved, spent)
SELECT user_id, guild_id, purse, day, granted, reserved, spent FROM old_purse_totals;

DROP TABLE old_purse_totals;

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
    UPDATE jobs SET paid = IFNULL(paid, 0) + NEW.spent WHERE id = NEW.job_id AND NEW.kind IN ('charge', 'refund');
END;

CREATE TRIGGER ledger_no_debts BEFORE INSERT ON ledger
WHEN NEW.kind = 'reserve' AND NEW.purse = 'granted' AND NEW.reserved > IFNULL((
    SELECT granted - reserved - spent FROM purse_totals
    WHERE user_id = NEW.user_id AND IFNULL(guild_id, 0) = IFNULL(NEW.guild_id, 0) AND purse = 'granted' AND day IS NULL
), 0)
BEGIN
    SELECT RAISE(ABORT, 'only granted credits can be reserved');
END;

CREATE INDEX jobs_without_loras ON jobs (finish_tag, seq)  -- who may be drawn whatever LoRAs are in memory
WHERE status = 'queued' AND json_extract(request, '$.style') IS NULL;
