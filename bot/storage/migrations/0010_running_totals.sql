-- What members have is kept as running totals, so that a request costs the same however many came before it; and a job says
-- what it cost, which is no longer all or nothing.

-- What the job cost its member in the end: the sum of its postings. NULL while it waits or runs.
ALTER TABLE jobs ADD COLUMN paid INTEGER CHECK (paid >= 0);

UPDATE jobs SET paid = (SELECT IFNULL(SUM(spent), 0) FROM ledger WHERE job_id = jobs.id) WHERE finished_at IS NOT NULL;

-- The sums of the ledger by purse: of the daily one by day, of the granted one over all days (day NULL).
CREATE TABLE purse_totals (
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

-- Over all servers and both purses: credits reserved or spent, and how many jobs the classifier withheld.
CREATE TABLE day_totals (
    user_id INTEGER NOT NULL REFERENCES users (id),
    day INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0 CHECK (used >= 0),
    withheld INTEGER NOT NULL DEFAULT 0 CHECK (withheld >= 0),
    PRIMARY KEY (user_id, day)
) STRICT, WITHOUT ROWID;

INSERT INTO purse_totals
SELECT user_id, guild_id, purse, IIF(purse = 'daily', day, NULL), SUM(granted), SUM(reserved), SUM(spent)
FROM ledger
GROUP BY user_id, guild_id, purse, IIF(purse = 'daily', day, NULL);

INSERT INTO day_totals (user_id, day, used)
SELECT user_id, day, SUM(reserved + spent) FROM ledger GROUP BY user_id, day;

CREATE TRIGGER ledger_is_summed AFTER INSERT ON ledger
BEGIN
    INSERT INTO purse_totals
    VALUES (NEW.user_id, NEW.guild_id, NEW.purse, IIF(NEW.purse = 'daily', NEW.day, NULL), 0, 0, 0)
    ON CONFLICT DO NOTHING;
    UPDATE purse_totals SET granted = granted + NEW.granted, reserved = reserved + NEW.reserved, spent = spent + NEW.spent
    WHERE user_id = NEW.user_id AND IFNULL(guild_id, 0) = IFNULL(NEW.guild_id, 0)
        AND purse = NEW.purse AND IFNULL(day, -1) = IIF(NEW.purse = 'daily', NEW.day, -1);
    INSERT INTO day_totals (user_id, day) VALUES (NEW.user_id, NEW.day) ON CONFLICT DO NOTHING;
    UPDATE day_totals SET used = used + NEW.reserved + NEW.spent WHERE user_id = NEW.user_id AND day = NEW.day;
    UPDATE jobs SET paid = IFNULL(paid, 0) + NEW.spent WHERE id = NEW.job_id AND NEW.kind IN ('charge', 'refund');
END;

DROP TRIGGER ledger_no_debts;  -- it summed up all that the member ever had

CREATE TRIGGER ledger_no_debts BEFORE INSERT ON ledger
WHEN NEW.kind = 'reserve' AND NEW.purse = 'granted' AND NEW.reserved > IFNULL((
    SELECT granted - reserved - spent FROM purse_totals
    WHERE user_id = NEW.user_id AND IFNULL(guild_id, 0) = IFNULL(NEW.guild_id, 0) AND purse = 'granted' AND day IS NULL
), 0)
BEGIN
    SELECT RAISE(ABORT, 'only granted credits can be reserved');
END;
