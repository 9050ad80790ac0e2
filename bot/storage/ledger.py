"""The ledger's postings. Every function runs inside a transaction, those of a job inside the one that moves it."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from bot.domain.job import Job, JobId, NewJob
from bot.domain.quota import Grant, Limits, Payment, Posting, Purse, Standing, day_of, pay, price
from bot.storage.rows import to_micros

# The member's rows of today, and those of the granted purse, each by an index.
STANDING = """--sql
WITH
    today AS (SELECT * FROM ledger WHERE user_id = :user_id AND day = :day),
    here AS (SELECT * FROM today WHERE guild_id IS :guild_id AND purse = 'daily'),
    granted AS (SELECT * FROM ledger WHERE user_id = :user_id AND guild_id IS :guild_id AND purse = 'granted')
SELECT
    (SELECT IFNULL(SUM(spent), 0) FROM here) AS spent,
    (SELECT IFNULL(SUM(reserved), 0) FROM here) AS reserved,
    (SELECT IFNULL(SUM(granted - reserved - spent), 0) FROM granted) AS granted,
    (SELECT IFNULL(SUM(reserved), 0) FROM granted) AS granted_reserved,
    (SELECT IFNULL(SUM(reserved + spent), 0) FROM today) AS everywhere,
    (
        SELECT COUNT(*) FROM jobs
        WHERE user_id = :user_id AND guild_id IS :guild_id AND status IN ('queued', 'running')
    ) AS waiting
"""

RESERVE = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, job_id, reserved, posted_at)
VALUES (:user_id, :guild_id, :purse, :day, :kind, :job_id, :credits, :now)
"""

# A charge moves what was reserved; the amount comes from the reservation, so that a later price list changes nothing.
CHARGE = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, job_id, reserved, spent, posted_at)
SELECT user_id, guild_id, purse, day, :kind, job_id, -reserved, reserved, :now
FROM ledger
WHERE job_id = :job_id AND kind = 'reserve'
"""

# A refund takes back whatever stands, purse by purse: the reservation, or the charge that replaced it.
REFUND = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, job_id, reserved, spent, posted_at)
SELECT user_id, guild_id, purse, day, :kind, job_id, -SUM(reserved), -SUM(spent), :now
FROM ledger
WHERE job_id = :job_id
GROUP BY purse
"""

GRANT = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, interaction_id, granted_by, granted, posted_at)
VALUES (:user_id, :guild_id, 'granted', :day, 'grant', :interaction_id, :granted_by, :credits, :now)
ON CONFLICT (interaction_id) DO NOTHING
"""


def standing(connection: sqlite3.Connection, user_id: int, guild_id: int | None, *, now: datetime) -> Standing:
    """What the member has used of today, holds, and has waiting in the server."""
    values = {"user_id": user_id, "guild_id": guild_id, "day": day_of(now)}
    return Standing(**dict(connection.execute(STANDING, values).fetchone()))


def check(connection: sqlite3.Connection, new: NewJob, limits: Limits, *, now: datetime) -> Payment:
    """How the job's price is paid. Raises QuotaError when it cannot be."""
    origin = new.origin
    return pay(price(new.request), limits, standing(connection, origin.user_id, origin.guild_id, now=now), now=now)


def reserve(connection: sqlite3.Connection, job: Job, payment: Payment, *, now: datetime) -> None:
    """Set the price aside."""
    for purse, credits in ((Purse.DAILY, payment.daily), (Purse.GRANTED, payment.granted)):
        if credits:
            values = {
                "user_id": job.origin.user_id,
                "guild_id": job.origin.guild_id,
                "purse": purse,
                "day": day_of(now),
                "kind": Posting.RESERVE,
                "job_id": job.id,
                "credits": credits,
                "now": to_micros(now),
            }
            connection.execute(RESERVE, values)


def charge(connection: sqlite3.Connection, job_id: JobId, *, now: datetime) -> None:
    """Turn the reservation into spending."""
    _post(connection, CHARGE, job_id, Posting.CHARGE, now)


def refund(connection: sqlite3.Connection, job_id: JobId, *, now: datetime) -> None:
    """Give everything back, to the purses and the day it came from."""
    _post(connection, REFUND, job_id, Posting.REFUND, now)


def grant(connection: sqlite3.Connection, given: Grant, *, now: datetime) -> bool:
    """Whether the credits were given now, and not by the same interaction before."""
    values = {
        "user_id": given.user_id,
        "guild_id": given.guild_id,
        "day": day_of(now),
        "interaction_id": given.interaction_id,
        "granted_by": given.granted_by,
        "credits": given.credits,
        "now": to_micros(now),
    }
    return connection.execute(GRANT, values).rowcount == 1


def _post(connection: sqlite3.Connection, sql: str, job_id: JobId, kind: Posting, now: datetime) -> None:
    posted = connection.execute(sql, {"job_id": job_id, "kind": kind, "now": to_micros(now)})
    if posted.rowcount < 1:
        raise sqlite3.IntegrityError(f"job {job_id} has no reservation to {kind}")
