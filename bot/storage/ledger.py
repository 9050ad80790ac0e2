"""Posts to the ledger. Every function runs inside a transaction, those of a job inside the one that moves it."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from bot.domain.job import JobId, NewJob, Origin
from bot.domain.quota import Account, EntryKind, Grant, Limits, Payment, Usage, day_of, pay, price
from bot.storage.rows import to_micros

# By the keys of the running totals, which a trigger keeps in the transaction of each posting.
STANDING = """--sql
WITH
    daily AS NOT MATERIALIZED (
        SELECT * FROM purse_totals
        WHERE user_id = :user_id AND IFNULL(guild_id, 0) = IFNULL(:guild_id, 0) AND purse = 'daily' AND IFNULL(day, -1) = :day
    ),
    gifts AS NOT MATERIALIZED (
        SELECT * FROM purse_totals
        WHERE user_id = :user_id AND IFNULL(guild_id, 0) = IFNULL(:guild_id, 0) AND purse = 'granted' AND IFNULL(day, -1) = -1
    ),
    today AS NOT MATERIALIZED (SELECT * FROM day_totals WHERE user_id = :user_id AND day = :day)
SELECT
    IFNULL((SELECT spent FROM daily), 0) AS spent,
    IFNULL((SELECT reserved FROM daily), 0) AS reserved,
    IFNULL((SELECT granted - reserved - spent FROM gifts), 0) AS granted,
    IFNULL((SELECT reserved FROM gifts), 0) AS granted_reserved,
    IFNULL((SELECT used FROM today), 0) AS everywhere,
    IFNULL((SELECT withheld FROM today), 0) AS withheld,
    (
        SELECT COUNT(*) FROM jobs INDEXED BY jobs_waiting  -- by another index, all that they ever asked for here
        WHERE user_id = :user_id AND guild_id IS :guild_id AND status IN ('queued', 'running')
    ) AS waiting
"""

RESERVE = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, job_id, reserved, posted_at)
VALUES (:user_id, :guild_id, :purse, :day, :kind, :job_id, :credits, :now)
"""

# A charge moves what was reserved, from the daily account first, like the reservation; the amount comes from the reservation,
# so that a later price list changes nothing.
CHARGE = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, job_id, reserved, spent, posted_at)
SELECT user_id, guild_id, purse, day, :kind, job_id, -part, part, :now
FROM (
    SELECT *, MIN(reserved, MAX(0, :credits - IFNULL(SUM(reserved) OVER earlier, 0))) AS part
    FROM ledger
    WHERE job_id = :job_id AND kind = 'reserve'
    WINDOW earlier AS (ORDER BY purse ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
)
WHERE part > 0
"""

PRICE = "SELECT SUM(reserved) FROM ledger WHERE job_id = ? AND kind = 'reserve'"

# A refund takes back, account by account, the reservation or the charge that replaced it; or only what is still reserved,
# where the rest was charged.
REFUND = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, job_id, reserved, spent, posted_at)
SELECT user_id, guild_id, purse, day, :kind, job_id, -SUM(reserved), -IIF(:also_spent, SUM(spent), 0), :now
FROM ledger
WHERE job_id = :job_id
GROUP BY purse
HAVING SUM(reserved) > 0 OR (:also_spent AND SUM(spent) > 0)
"""

COUNT_WITHHELD = """--sql
INSERT INTO day_totals (user_id, day, withheld) VALUES (:user_id, :day, 1)
ON CONFLICT (user_id, day) DO UPDATE SET withheld = withheld + 1
RETURNING withheld
"""

GRANT = """--sql
INSERT INTO ledger (user_id, guild_id, purse, day, kind, interaction_id, granted_by, granted, posted_at)
VALUES (:user_id, :guild_id, 'granted', :day, 'grant', :interaction_id, :granted_by, :credits, :now)
ON CONFLICT (interaction_id) DO NOTHING
"""


def usage(connection: sqlite3.Connection, user_id: int, guild_id: int | None, *, now: datetime) -> Usage:
    """Returns what the member has used on the day of `now`, their credits, and their waiting jobs in the server."""
    values = {"user_id": user_id, "guild_id": guild_id, "day": day_of(now)}
    return Usage(**dict(connection.execute(STANDING, values).fetchone()))


def check(connection: sqlite3.Connection, new: NewJob, limits: Limits, *, now: datetime) -> Payment:
    """Returns how the job's price is paid. Raises QuotaError when it cannot be paid.

    The day is that of the request by Discord's clock: ours may be stepped, and would renew credits too soon.
    """
    origin, asked_at = new.origin, new.origin.asked_at(now)
    held = usage(connection, origin.user_id, origin.guild_id, now=asked_at)
    return pay(price(new.request), limits, held, now=asked_at)


def reserve(connection: sqlite3.Connection, job_id: JobId, origin: Origin, payment: Payment, *, now: datetime) -> None:
    """Sets the price aside, from the account of the day on which the job was asked for."""
    for purse, credits in ((Account.DAILY, payment.daily), (Account.GRANTED, payment.granted)):
        if credits:
            values = {
                "user_id": origin.user_id,
                "guild_id": origin.guild_id,
                "purse": purse,
                "day": day_of(origin.asked_at(now)),
                "kind": EntryKind.RESERVE,
                "job_id": job_id,
                "credits": credits,
                "now": to_micros(now),
            }
            connection.execute(RESERVE, values)


def charge(connection: sqlite3.Connection, job_id: JobId, *, now: datetime) -> None:
    """Turns the reservation into spending."""
    charge_part(connection, job_id, price_of(connection, job_id), now=now)


def charge_part(connection: sqlite3.Connection, job_id: JobId, credits: int, *, now: datetime) -> None:
    """Turns `credits` of the reservation (at most all of it) into spending, and gives the rest back to its accounts."""
    posted = _post(connection, CHARGE, job_id, EntryKind.CHARGE, now, credits=credits)
    posted += _post(connection, REFUND, job_id, EntryKind.REFUND, now, also_spent=False)
    _check_posted(posted, job_id, EntryKind.CHARGE)


def refund(connection: sqlite3.Connection, job_id: JobId, *, now: datetime) -> None:
    """Gives everything back, to the accounts and the day it came from."""
    _check_posted(_post(connection, REFUND, job_id, EntryKind.REFUND, now, also_spent=True), job_id, EntryKind.REFUND)


def price_of(connection: sqlite3.Connection, job_id: JobId) -> int:
    """Returns what was set aside for the job; 0 for an unknown job."""
    credits: int | None = connection.execute(PRICE, (job_id,)).fetchone()[0]
    return credits or 0


def count_withheld(connection: sqlite3.Connection, user_id: int, *, asked_at: datetime) -> int:
    """Records that a job of the member's was withheld; returns how many were of those asked for on that day (UTC), with
    this one.
    """
    rows = connection.execute(COUNT_WITHHELD, {"user_id": user_id, "day": day_of(asked_at)}).fetchall()
    count: int = rows[0]["withheld"]
    return count


def grant(connection: sqlite3.Connection, given: Grant, *, now: datetime) -> bool:
    """Grants credits; returns False where the same interaction granted them before."""
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


def _post(connection: sqlite3.Connection, sql: str, job_id: JobId, kind: EntryKind, now: datetime, **values: int) -> int:
    """Posts for the job; returns how many accounts it concerned."""
    return connection.execute(sql, {"job_id": job_id, "kind": kind, "now": to_micros(now), **values}).rowcount


def _check_posted(purses: int, job_id: JobId, kind: EntryKind) -> None:
    if purses < 1:
        raise sqlite3.IntegrityError(f"job {job_id} has no reservation to {kind}")
