"""Values to store, and what must hold for every database whatever happened to it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bot.domain.image import StoredImage
from bot.domain.job import Job, JobId, NewJob, Origin, Parent, ReplyTarget
from bot.domain.privacy import REMOVED
from bot.domain.quota import UNLIMITED, Grant, Limits, price
from bot.domain.request import GenerationRequest, InitImage
from bot.messages import message
from bot.storage.database import Database
from bot.storage.jobs import SqliteJobs
from bot.storage.ledger_audit import audit
from bot.storage.outbox import SqliteOutbox
from bot.storage.repositories import Repositories, sqlite_repositories

NOW = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=UTC)
ANY_BATCH = 64  # a place for every job
LEASE = timedelta(seconds=30)
TOKEN = "a-secret-of-discord"
REASON = message("A reason.")


@dataclass(frozen=True, slots=True)
class Store:
    """All repositories over one open database."""

    database: Database
    repositories: Repositories

    @classmethod
    def over(cls, database: Database) -> Store:
        return cls(database, sqlite_repositories(database))

    @property
    def jobs(self) -> SqliteJobs:
        return self.repositories.jobs

    @property
    def outbox(self) -> SqliteOutbox:
        return self.repositories.outbox

    async def add(self, interaction_id: int = 1, *, limits: Limits = UNLIMITED, now: datetime = NOW, **values: object) -> Job:
        return (await self.jobs.add(new_job(interaction_id, **values), limits=limits, now=now)).job

    async def grant(self, amount: int, interaction_id: int = 1, *, user_id: int = 100, guild_id: int = 200) -> None:
        given = Grant(interaction_id=interaction_id, user_id=user_id, guild_id=guild_id, credits=amount, granted_by=900)
        await self.repositories.credits.grant(given, now=NOW)

    async def claim(self, now: datetime = NOW, *, batch: int = ANY_BATCH) -> Job:
        job = await self.jobs.claim(now=now, lease_until=now + LEASE, batch=batch)
        assert job is not None
        return job

    async def running(self, interaction_id: int = 1, **values: object) -> Job:
        await self.add(interaction_id, **values)
        return await self.claim()

    async def succeeded(self, interaction_id: int = 1, **values: object) -> Job:
        job = await self.running(interaction_id, **values)
        assert await self.jobs.finish(job.id, job.attempt, images(job), now=NOW + timedelta(seconds=9))
        return await self.get(job.id)

    async def get(self, job_id: JobId) -> Job:
        job = await self.jobs.get(job_id)
        assert job is not None
        return job

    async def scalar(self, sql: str, *values: object) -> object:
        """The first column of the first row."""
        row = await self.database.read(lambda connection: connection.execute(sql, values).fetchone())
        return None if row is None else row[0]

    async def postings(self, job_id: JobId) -> dict[str, tuple[int, int]]:
        """(reserved, spent) by kind, over both purses."""
        sql = "SELECT kind, SUM(reserved) AS reserved, SUM(spent) AS spent FROM ledger WHERE job_id = ? GROUP BY kind"
        rows = await self.database.read(lambda connection: connection.execute(sql, (job_id,)).fetchall())
        return {row["kind"]: (row["reserved"], row["spent"]) for row in rows}


def request(**values: object) -> GenerationRequest:
    plain: dict[str, object] = {
        "profile": "mini",
        "prompt": "1girl, green hair, beanie, night",
        "width": 1024,
        "height": 1024,
        "num_inference_steps": 28,
        "guidance_scale": 7.5,
        "seed": 42,
    }
    return GenerationRequest(**{**plain, **values})  # type: ignore[arg-type]


def new_job(
    interaction_id: int = 1,
    *,
    user_id: int = 100,
    guild_id: int | None = 200,
    parent: Parent | None = None,
    init_image: InitImage | None = None,
    **values: object,
) -> NewJob:
    return NewJob(
        request=request(init_image=init_image, **values),
        origin=Origin(interaction_id=interaction_id, user_id=user_id, guild_id=guild_id),
        reply=ReplyTarget(
            channel_id=300,
            message_id=301,
            application_id=400,
            token=TOKEN,
            token_expires_at=NOW + timedelta(minutes=14),
            upload_limit=1_000,
        ),
        parent=parent,
    )


def images(job: Job, count: int | None = None) -> tuple[StoredImage, ...]:
    """As the worker stores them for the job's attempt."""
    return tuple(
        StoredImage(
            index=index,
            key=f"2026/11/{job.id}-{job.attempt}-{index}.png",
            seed=job.request.image_seeds(index).seed,
            width=job.request.width,
            height=job.request.height,
            parameters=f"{job.request.prompt}\nSteps: 28, Seed: {index}",
            size_bytes=1_000 + index,
        )
        for index in range(job.request.num_images if count is None else count)
    )


POSTINGS: dict[str, tuple[set[str], ...]] = {
    "queued": ({"reserve"},),
    "running": ({"reserve"},),
    "succeeded": ({"reserve", "charge"},),
    "delivered": ({"reserve", "charge"},),
    "failed": ({"reserve", "refund"}, {"reserve", "charge"}, {"reserve", "charge", "refund"}),
    "cancelled": ({"reserve", "refund"}, {"reserve", "charge", "refund"}, {"reserve", "charge"}),
    "undeliverable": ({"reserve", "charge", "refund"},),
}
IN_FLIGHT, DRAWN = {"queued", "running"}, {"succeeded", "delivered", "undeliverable"}


def assert_ledger_sums(connection: sqlite3.Connection) -> None:
    """Every job has exactly the postings of its status, and they add up to what it cost: its price, nothing, or a part."""
    for job in connection.execute("SELECT id, status, request, paid FROM jobs").fetchall():
        asked, status, paid = GenerationRequest.from_dict(json.loads(job[2])), job[1], job[3]
        cost = reserved_for(connection, job[0]) if asked == REMOVED else price(asked)
        sql = "SELECT kind, reserved, spent, purse FROM ledger WHERE job_id = ?"
        rows = connection.execute(sql, (job[0],)).fetchall()
        assert rows
        for purse in {row[3] for row in rows}:
            kinds = sorted(row[0] for row in rows if row[3] == purse)
            assert kinds in [sorted(wanted) for wanted in POSTINGS[status]], f"{job[0]} is {status}"
        spent = sum(row[2] for row in rows)
        assert sum(row[1] for row in rows) == (cost if status in IN_FLIGHT else 0)
        assert spent in {"succeeded": {cost}, "delivered": {cost}, "failed": {0, cost}, "cancelled": range(cost + 1)}.get(
            status, {0}
        )
        assert paid == (None if status in IN_FLIGHT else spent)
    assert audit(connection) == ()


def reserved_for(connection: sqlite3.Connection, job_id: JobId) -> int:
    """What a job cost of which nothing else is known any more."""
    sql = "SELECT SUM(reserved) FROM ledger WHERE job_id = ? AND kind = 'reserve'"
    return connection.execute(sql, (job_id,)).fetchone()[0]


def assert_sound(connection: sqlite3.Connection) -> None:
    """The ledger sums, every ended job has one outbox entry, pictures belong to drawn jobs, no token outlives its use."""
    assert_ledger_sums(connection)
    sql = """SELECT id, status, token, COALESCE(deleted_at, pictures_removed_at) AS deleted_at, closed_at, outcome,
                    (SELECT COUNT(*) FROM outbox WHERE job_id = jobs.id),
                    (SELECT COUNT(*) FROM images WHERE job_id = jobs.id)
             FROM jobs LEFT JOIN outbox ON job_id = id"""
    for job_id, status, token, deleted_at, closed_at, outcome, entries, pictures in connection.execute(sql).fetchall():
        assert entries == (0 if status in IN_FLIGHT else 1), f"{job_id} is {status}"
        if status in DRAWN:
            assert (closed_at is None) == (status == "succeeded")
            assert outcome == {"delivered": "delivered", "undeliverable": "given_up"}.get(status)
        assert (pictures > 0) == (status in DRAWN and deleted_at is None)
        assert closed_at is None or token is None
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def assert_file_sound(path: Path) -> None:
    """The same for a database that nobody has open."""
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert_sound(connection)
    finally:
        connection.close()


@contextmanager
def memory_folder() -> Generator[Path]:
    """An empty folder, in memory where the system has such: what kills a process or cuts a file does not need the disk."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def listing(folder: Path) -> list[str]:
    """The names in `folder`, sorted."""
    return sorted(path.name for path in folder.iterdir())
