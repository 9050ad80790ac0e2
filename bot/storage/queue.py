"""The queue in SQL: claims the next job, extends leases, and recovers orphans. Runs inside transactions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.fairness import have_room
from bot.domain.job import INTERRUPTED, MAX_ATTEMPTS, Job, JobId
from bot.domain.request import GenerationRequest, StyleChoice
from bot.messages import Message
from bot.ports import Ahead, Recovery
from bot.storage import fair_turns
from bot.storage.job_outcomes import fail
from bot.storage.rows import job_from_row, to_micros

# The attempt is counted here, so that a job which kills the process has used up a try, as `recover` says.
CLAIM = """--sql
UPDATE jobs
SET status = 'running', attempt = attempt + 1, started_at = :now, lease_until = :lease_until
WHERE seq = :seq
RETURNING *
"""

# Waiting jobs in order of turns; each query uses an index, however many jobs wait.
CANDIDATES = """--sql
SELECT jobs.seq, jobs.request
FROM jobs INDEXED BY {index}
CROSS JOIN queue_line AS line ON line.seq = jobs.seq
WHERE jobs.status = 'queued' AND line.shown_at IS NOT NULL AND {which} AND {place}
    AND NOT EXISTS (SELECT 1 FROM json_each(:unfetched) WHERE value = json_extract(jobs.request, '$.style'))
ORDER BY jobs.finish_tag, jobs.seq
"""

PLACES = {
    "first": "NOT EXISTS (SELECT 1 FROM jobs AS drawn WHERE drawn.user_id = jobs.user_id AND drawn.status = 'running')",
    "more": "(SELECT COUNT(*) FROM jobs WHERE status = 'running') < :batch",
}
LINES = {place: CANDIDATES.format(index="jobs_by_turn", which="TRUE", place=sql) for place, sql in PLACES.items()}
WITHOUT_LORAS = {
    place: CANDIDATES.format(index="jobs_without_loras", which="json_extract(jobs.request, '$.style') IS NULL", place=sql)
    for place, sql in PLACES.items()
}

# Jobs that ran when the process died go first, as they did before, and one by one.
SUSPECTS = CANDIDATES.format(index="jobs_suspect", which="jobs.suspect = 1", place="TRUE")

SUSPECT_RUNS = "SELECT 1 FROM jobs WHERE status = 'running' AND suspect = 1 LIMIT 1"

ANY_RUNS = "SELECT 1 FROM jobs WHERE status = 'running' LIMIT 1"

SUSPECT = "UPDATE jobs SET suspect = 1 WHERE id = ?"

WITH_LORAS = """--sql
SELECT request FROM jobs WHERE status = 'running' AND json_extract(request, '$.style') IS NOT NULL
"""

EXTEND_LEASE = """--sql
UPDATE jobs SET lease_until = :lease_until
WHERE id = :id AND status = 'running' AND attempt = :attempt
"""

PUT_BACK = """--sql
UPDATE jobs
SET status = 'queued', aborts = aborts + :aborted, started_at = NULL, lease_until = NULL
WHERE id = :id AND status = 'running' AND attempt = :attempt
"""

ORPHANS = """--sql
SELECT id, attempt, attempt - aborts AS tries
FROM jobs
WHERE status = 'running' AND (NOT :expired_only OR lease_until <= :now OR lease_until > :longest)
ORDER BY seq
"""

PLACE = """--sql
SELECT
    finish_tag,
    seq,
    status = 'queued' AND NOT EXISTS (SELECT 1 FROM queue_line WHERE queue_line.seq = jobs.seq) AS paused
FROM jobs
WHERE id = ? AND status IN ('queued', 'running')
"""

AHEAD = "SELECT COUNT(*) AS jobs, TOTAL(work) AS work FROM queue_line WHERE (finish_tag, seq) < (:finish_tag, :seq)"

BESIDE = """--sql
SELECT id, work, (finish_tag, seq) < (:finish_tag, :seq) AS is_ahead FROM jobs WHERE status = 'running' AND seq <> :seq
"""

BACKLOG = "SELECT (SELECT COUNT(*) FROM jobs WHERE status = 'running') + (SELECT COUNT(*) FROM queue_line)"
LONGEST_LEASE = timedelta(minutes=5)  # ten times the lease that a worker takes

INTAKES = "SELECT COUNT(*) FROM intakes"  # files that are being read; a few a member


def claim(
    connection: sqlite3.Connection,
    *,
    now: datetime,
    lease_until: datetime,
    batch: int,
    unfetched: Collection[str] = (),
) -> Job | None:
    """Claims the next job whose styles are on disk; a suspect only while nothing runs, and nothing beside a suspect."""
    if connection.execute(SUSPECT_RUNS).fetchone():
        return None
    values = {"batch": batch, "unfetched": json.dumps(list(unfetched))}
    suspect = next(_fetched(connection.execute(SUSPECTS, values), unfetched), None)
    if suspect is not None and connection.execute(ANY_RUNS).fetchone():
        return None
    found = suspect or _next(connection, "first", values, unfetched) or _next(connection, "more", values, unfetched)
    seq = found.seq if found is not None else None
    # fetchall, because an UPDATE with RETURNING is done only when its last row was read
    rows = connection.execute(CLAIM, {"seq": seq, "now": to_micros(now), "lease_until": to_micros(lease_until)}).fetchall()
    if not rows:
        return None
    fair_turns.claimed(connection, rows[0])
    return job_from_row(rows[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    seq: int
    loras: frozenset[StyleChoice]


def _next(
    connection: sqlite3.Connection, place: str, values: Mapping[str, object], unfetched: Collection[str]
) -> _Waiting | None:
    """Returns the first waiting job whose LoRAs are on disk and have room. A job that lacks room is overtaken only by jobs
    without LoRAs, so that its turn comes when the running ones have ended; a job that lacks files is overtaken by all.
    """
    first = next(_fetched(connection.execute(LINES[place], values), unfetched), None)
    if first is None or not first.loras:
        return first
    drawn = [_loras(row["request"]) for row in connection.execute(WITH_LORAS)]
    if have_room(first.loras, drawn):
        return first
    return next(_fetched(connection.execute(WITHOUT_LORAS[place], values), unfetched), None)


def _fetched(rows: Iterable[sqlite3.Row], unfetched: Collection[str]) -> Iterator[_Waiting]:
    """Yields those whose LoRAs are on disk; SQL has checked the first LoRA of each job already."""
    for row in rows:
        loras = _loras(row["request"])
        if not any(lora.name in unfetched for lora in loras):
            yield _Waiting(seq=row["seq"], loras=loras)


def _loras(request: str) -> frozenset[StyleChoice]:
    return frozenset(style for style in GenerationRequest.from_dict(json.loads(request)).styles if style.weight)


def extend_lease(connection: sqlite3.Connection, job_id: JobId, attempt: int, *, lease_until: datetime) -> bool:
    """Extends the lease; returns False when the attempt no longer has the job."""
    values = {"id": job_id, "attempt": attempt, "lease_until": to_micros(lease_until)}
    return connection.execute(EXTEND_LEASE, values).rowcount == 1


def put_back(connection: sqlite3.Connection, job_id: JobId, attempt: int, *, aborted: bool) -> bool:
    """Puts the job back on the queue; returns False when the attempt no longer had it."""
    return connection.execute(PUT_BACK, {"id": job_id, "attempt": attempt, "aborted": int(aborted)}).rowcount == 1


def recover(connection: sqlite3.Connection, *, now: datetime, expired_only: bool, sentence: Message = INTERRUPTED) -> Recovery:
    """Puts orphans back on the queue, or fails, with `sentence`, those whose last try this was.

    A lease longer than any that is given was taken before the clock was set back: it has run out.
    Jobs that a dead process left are suspects from now on. Where it left several, it is unknown which of them killed it, so it
    counts as a try of none: each of them runs alone next.
    """
    values = {"now": to_micros(now), "longest": to_micros(now + LONGEST_LEASE), "expired_only": expired_only}
    orphans = connection.execute(ORPHANS, values).fetchall()
    alone = expired_only or len(orphans) == 1
    requeued: list[JobId] = []
    failed: list[JobId] = []
    for orphan in orphans:
        if alone and orphan["tries"] >= MAX_ATTEMPTS:
            fail(connection, orphan["id"], orphan["attempt"], sentence, now=now)
            failed.append(orphan["id"])
            continue
        put_back(connection, orphan["id"], orphan["attempt"], aborted=not alone)
        if not expired_only:
            connection.execute(SUSPECT, (orphan["id"],))
        requeued.append(orphan["id"])
    return Recovery(requeued=tuple(requeued), failed=tuple(failed))


def ahead(connection: sqlite3.Connection, job_id: JobId) -> Ahead | None:
    """Returns what ends before a job that waits or runs, in order of turns."""
    place = connection.execute(PLACE, (job_id,)).fetchone()
    if place is None:
        return None
    values = {"finish_tag": place["finish_tag"], "seq": place["seq"]}
    before = connection.execute(AHEAD, values).fetchone()
    beside = connection.execute(BESIDE, values).fetchall()
    running = tuple((JobId(row["id"]), float(row["work"])) for row in beside if row["is_ahead"])
    return Ahead(
        jobs=before["jobs"] + len(running),
        work=before["work"] + sum(work for _, work in running),
        paused=bool(place["paused"]),
        running=running,
        behind=len(beside) - len(running),
    )


def backlog(connection: sqlite3.Connection) -> int:
    """Returns how many jobs run or will be claimed, or come from files that are being read."""
    jobs: int = connection.execute(BACKLOG).fetchone()[0]
    intakes: int = connection.execute(INTAKES).fetchone()[0]
    return jobs + intakes
