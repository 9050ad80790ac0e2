"""The ledger's postings. Every function runs inside the transaction that moves the job."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from bot.domain.job import JobId
from bot.domain.quota import Posting, price
from bot.domain.request import GenerationRequest
from bot.storage.rows import to_micros

RESERVE = """--sql
INSERT INTO ledger (job_id, user_id, kind, reserved, spent, posted_at)
VALUES (:job_id, :user_id, :kind, :credits, 0, :now)
"""

# A charge moves what was reserved; the amount comes from the reservation, so that a later price list changes nothing.
CHARGE = """--sql
INSERT INTO ledger (job_id, user_id, kind, reserved, spent, posted_at)
SELECT job_id, user_id, :kind, -reserved, reserved, :now
FROM ledger
WHERE job_id = :job_id AND kind = 'reserve'
"""

# A refund takes back whatever stands: the reservation, or the charge that replaced it.
REFUND = """--sql
INSERT INTO ledger (job_id, user_id, kind, reserved, spent, posted_at)
SELECT job_id, user_id, :kind, -SUM(reserved), -SUM(spent), :now
FROM ledger
WHERE job_id = :job_id
GROUP BY job_id
"""


def reserve(connection: sqlite3.Connection, job_id: JobId, user_id: int, request: GenerationRequest, *, now: datetime) -> None:
    """Set the request's price aside."""
    values = {"job_id": job_id, "user_id": user_id, "kind": Posting.RESERVE, "credits": price(request), "now": to_micros(now)}
    connection.execute(RESERVE, values)


def charge(connection: sqlite3.Connection, job_id: JobId, *, now: datetime) -> None:
    """Turn the reservation into spending."""
    _post(connection, CHARGE, job_id, Posting.CHARGE, now)


def refund(connection: sqlite3.Connection, job_id: JobId, *, now: datetime) -> None:
    """Give everything back."""
    _post(connection, REFUND, job_id, Posting.REFUND, now)


def _post(connection: sqlite3.Connection, sql: str, job_id: JobId, kind: Posting, now: datetime) -> None:
    posted = connection.execute(sql, {"job_id": job_id, "kind": kind, "now": to_micros(now)})
    if posted.rowcount != 1:
        raise sqlite3.IntegrityError(f"job {job_id} has no reservation to {kind}")
