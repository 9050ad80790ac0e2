"""The turns of waiting jobs, in SQL. Runs inside transactions."""

from __future__ import annotations

import sqlite3

from bot.domain.fairness import turns

END_IDLE_TIME = """--sql
UPDATE fair_queue SET virtual_time = busy_until
WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE status = 'running') AND NOT EXISTS (SELECT 1 FROM queue_line)
"""

ADVANCE = """--sql
UPDATE fair_queue
SET virtual_time = MAX(virtual_time, :start_tag), busy_until = MAX(busy_until, :finish_tag)
"""

# A job that was put back counts, since its turn has come; one that was cancelled then, before it was drawn, does not.
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
    """Call before a job joins the queue: if nothing ran or waited, everybody starts level."""
    connection.execute(END_IDLE_TIME)


def assign(connection: sqlite3.Connection, user_id: int) -> None:
    """Give the member's waiting jobs their turns, after one of them came or went; those that were claimed keep theirs."""
    line = connection.execute(LINE, (user_id,)).fetchall()
    virtual_time: float = connection.execute("SELECT virtual_time FROM fair_queue").fetchone()[0]
    last = connection.execute(SERVED, (user_id,)).fetchone()
    served: float = last["finish_tag"] if last else 0.0
    jobs = [(row["work"], row["weight"]) for row in line]
    for row, turn in zip(line, turns(jobs, virtual_time=virtual_time, served=served), strict=True):
        connection.execute(SET_TURN, {"seq": row["seq"], "start": turn.start, "finish": turn.finish})


def advance(connection: sqlite3.Connection, claimed: sqlite3.Row) -> None:
    """Move the queue's time on to the job that was claimed."""
    connection.execute(ADVANCE, {"start_tag": claimed["start_tag"], "finish_tag": claimed["finish_tag"]})
