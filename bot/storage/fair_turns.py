"""Assigns turns to waiting jobs, in SQL. Runs inside transactions."""

from __future__ import annotations

import sqlite3

from bot.domain.fairness import turns
from bot.domain.job import JobId

END_IDLE_TIME = """--sql
UPDATE fair_queue SET virtual_time = busy_until
WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE status = 'running') AND NOT EXISTS (SELECT 1 FROM queue_line)
"""

CLAIMED = "UPDATE fair_queue SET busy_until = MAX(busy_until, :finish_tag)"

# Progress is shared by the members who have jobs running. The queue's time never passes the earliest end of an unfinished
# job: where more members wait than are served, this limits it.
DRAWN = """--sql
UPDATE fair_queue
SET virtual_time = reached.time, busy_until = MAX(busy_until, reached.time)
FROM (
    SELECT MAX(virtual_time, MIN(
        virtual_time + (SELECT work FROM jobs WHERE id = :id) / (
            SELECT SUM(weight) FROM (
                SELECT MAX(weight) AS weight FROM (
                    SELECT user_id, weight FROM jobs WHERE status = 'running'
                    UNION ALL
                    SELECT user_id, weight FROM jobs WHERE id = :id
                ) GROUP BY user_id
            )
        ),
        COALESCE((SELECT finish_tag FROM jobs WHERE status = 'running' ORDER BY finish_tag LIMIT 1), 9e999),
        COALESCE((SELECT finish_tag FROM queue_line ORDER BY finish_tag LIMIT 1), 9e999)
    )) AS time
    FROM fair_queue
) AS reached
"""

# A job that was put back counts, since its turn has come; one that was then cancelled before it was drawn does not.
SERVED = """--sql
SELECT finish_tag FROM jobs
WHERE user_id = ? AND attempt > 0 AND (started_at IS NOT NULL OR status = 'queued')
ORDER BY finish_tag DESC
LIMIT 1
"""

LINE = "SELECT seq, work, weight FROM queue_line WHERE user_id = ? AND attempt = 0 ORDER BY seq"

SET_TURN = """--sql
UPDATE jobs SET start_tag = :start, finish_tag = :finish
WHERE seq = :seq AND (start_tag, finish_tag) <> (:start, :finish)
"""


def end_idle_time(connection: sqlite3.Connection) -> None:
    """Makes everybody start level if nothing runs or waits. Call before a job joins the queue."""
    connection.execute(END_IDLE_TIME)


def assign(connection: sqlite3.Connection, user_id: int) -> None:
    """Assigns turns to the member's waiting jobs after one came or went; claimed jobs keep theirs."""
    line = connection.execute(LINE, (user_id,)).fetchall()
    virtual_time: float = connection.execute("SELECT virtual_time FROM fair_queue").fetchone()[0]
    last = connection.execute(SERVED, (user_id,)).fetchone()
    served: float = last["finish_tag"] if last else 0.0
    jobs = [(row["work"], row["weight"]) for row in line]
    for row, turn in zip(line, turns(jobs, virtual_time=virtual_time, served=served), strict=True):
        connection.execute(SET_TURN, {"seq": row["seq"], "start": turn.start, "finish": turn.finish})


def claimed(connection: sqlite3.Connection, job: sqlite3.Row) -> None:
    """Updates the turns after a job was claimed."""
    connection.execute(CLAIMED, {"finish_tag": job["finish_tag"]})


def drawn(connection: sqlite3.Connection, job_id: JobId) -> None:
    """Advances the queue's time after a job was drawn to its end."""
    connection.execute(DRAWN, {"id": job_id})
