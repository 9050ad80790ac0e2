"""Audits the ledger: reservations must belong to jobs that wait or run, spending to pictures that were kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

# The reservation is the job's price. It lasts while the job waits or runs, and becomes spending: all of it while its pictures
# count, none or all where it failed (too many withheld jobs are paid), or as much as was drawn where it was cancelled.
JOBS = """--sql
WITH postings AS (
    SELECT
        jobs.seq, jobs.id, status, jobs.price AS said, paid,
        TOTAL(IIF(kind = 'reserve', reserved, 0)) AS price, TOTAL(reserved) AS reserved, TOTAL(spent) AS spent,
        TOTAL(ledger.user_id <> jobs.user_id OR ledger.guild_id IS NOT jobs.guild_id) AS strangers
    FROM jobs LEFT JOIN ledger ON job_id = jobs.id
    GROUP BY jobs.id
)
SELECT id, status FROM postings
WHERE price = 0
    OR said IS NOT CAST(price AS INTEGER)
    OR reserved <> IIF(status IN ('queued', 'running'), price, 0)
    OR NOT CASE
        WHEN status IN ('succeeded', 'delivered') THEN spent = price
        WHEN status = 'failed' THEN spent IN (0, price)
        WHEN status = 'cancelled' THEN spent BETWEEN 0 AND price
        ELSE spent = 0
    END
    OR paid IS NOT IIF(status IN ('queued', 'running'), NULL, CAST(spent AS INTEGER))
    OR strangers > 0
ORDER BY seq
"""

MEMBERS = """--sql
WITH
    in_flight AS (
        SELECT jobs.user_id, SUM(reserved) AS reserved
        FROM jobs JOIN ledger ON job_id = jobs.id AND kind = 'reserve'
        WHERE status IN ('queued', 'running')
        GROUP BY jobs.user_id
    ),
    booked AS (SELECT user_id, SUM(reserved) AS reserved FROM ledger GROUP BY user_id)
SELECT user_id, booked.reserved, IFNULL(in_flight.reserved, 0) AS in_flight
FROM booked LEFT JOIN in_flight USING (user_id)
WHERE booked.reserved <> IFNULL(in_flight.reserved, 0)
ORDER BY user_id
"""

PURSES = """--sql
SELECT user_id, 'granted credits' AS what
FROM ledger
WHERE purse = 'granted'
GROUP BY user_id, guild_id
HAVING SUM(granted - reserved - spent) < 0
UNION ALL
SELECT user_id, 'use of a day'
FROM ledger
WHERE purse = 'daily'
GROUP BY user_id, guild_id, day
HAVING SUM(reserved) < 0 OR SUM(spent) < 0
"""

TOTALS = """--sql
WITH
    summed AS (
        SELECT user_id, guild_id, purse, IIF(purse = 'daily', day, NULL) AS day, SUM(granted), SUM(reserved), SUM(spent)
        FROM ledger
        GROUP BY user_id, guild_id, purse, IIF(purse = 'daily', day, NULL)
    ),
    kept AS (SELECT user_id, guild_id, purse, day, granted, reserved, spent FROM purse_totals),
    by_day AS (SELECT user_id, day, SUM(reserved + spent) AS used FROM ledger GROUP BY user_id, day)
SELECT user_id FROM (SELECT * FROM summed EXCEPT SELECT * FROM kept)
UNION SELECT user_id FROM (SELECT * FROM kept EXCEPT SELECT * FROM summed)
UNION SELECT user_id FROM (SELECT * FROM by_day EXCEPT SELECT user_id, day, used FROM day_totals)
UNION SELECT user_id FROM (SELECT user_id, day, used FROM day_totals WHERE used > 0 EXCEPT SELECT * FROM by_day)
"""


def audit(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Returns a line for everything that does not add up, with ids of Discord and no text of members."""
    return tuple(_problems(connection))


def _problems(connection: sqlite3.Connection) -> Iterator[str]:
    for job_id, status in connection.execute(JOBS):
        yield f"the postings of job {job_id} do not fit a job that is {status}"
    for user_id, booked, in_flight in connection.execute(MEMBERS):
        yield f"member {user_id} has {booked} credits reserved, and {in_flight} in jobs that wait or run"
    for user_id, what in connection.execute(PURSES):
        yield f"the {what} of member {user_id} is below nothing"
    for (user_id,) in connection.execute(TOTALS):
        yield f"the running totals of member {user_id} are not the sums of the ledger"
