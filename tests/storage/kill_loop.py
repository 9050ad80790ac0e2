"""SIGKILLs a process that works on jobs, at random moments, again and again on the same file.

Run as a program with the number of kills and a seed: it forks, so it must have no other thread. After each kill the file
must be sound, hold everything that was acknowledged, and let the next process go on.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import NoReturn

from bot.domain.delivery import DeliveryFault
from bot.domain.job import MAX_ATTEMPTS, Job, JobStatus
from bot.domain.quota import UNLIMITED
from bot.storage.database import Database
from tests.storage.crash_points import assert_kept
from tests.storage.samples import NOW, REASON, Store, assert_file_sound, images, memory_folder, new_job

KILLS_A_FILE = 25  # then a new file, so that checking does not take longer and longer
SHORTEST, LONGEST = 0.002, 0.04  # seconds of work before the kill


@dataclass(slots=True)
class Tally:
    """What a loop did."""

    kills: int = 0
    acknowledged: int = 0
    jobs: int = 0


class Worker:
    """Does to jobs whatever chance says, and acknowledges each state once it was stored."""

    def __init__(self, store: Store, pipe: int, seed: int) -> None:
        self._store = store
        self._pipe = pipe
        self._chance = random.Random(seed)

    async def run(self, first_number: int) -> NoReturn:
        await self._store.jobs.recover(now=NOW, expired_only=False)
        for number in count(first_number):
            submission = await self._store.jobs.add(new_job(number), limits=UNLIMITED, now=NOW)
            self._ack(submission.job, JobStatus.QUEUED)
            await self._work(await self._store.claim())
            await self._deliver()
        raise AssertionError("numbers never end")

    async def _work(self, job: Job) -> None:
        self._ack(job, JobStatus.RUNNING)
        jobs, choice = self._store.jobs, self._chance.random()
        if choice < 0.6:
            assert await jobs.finish(job.id, job.attempt, images(job), now=NOW)
            self._ack(job, JobStatus.SUCCEEDED)
        elif choice < 0.75 or job.tries >= MAX_ATTEMPTS:
            assert await jobs.fail(job.id, job.attempt, REASON, now=NOW)
            self._ack(job, JobStatus.FAILED)
        elif choice < 0.9:
            assert await jobs.cancel(job.id, now=NOW)
            self._ack(job, JobStatus.CANCELLED)
        else:
            assert await jobs.put_back(job.id, job.attempt, aborted=False)

    async def _deliver(self) -> None:
        for entry in await self._store.outbox.due(now=NOW, limit=3):
            job = await self._store.get(entry.job_id)
            has_pictures = job.status is JobStatus.SUCCEEDED
            if self._chance.random() < 0.2:
                await self._store.outbox.give_up(job.id, DeliveryFault.FORBIDDEN, now=NOW)
                self._ack(job, JobStatus.UNDELIVERABLE if has_pictures else job.status)
            else:
                await self._store.outbox.delivered(job.id, channel_id=1, message_id=2, now=NOW)
                self._ack(job, JobStatus.DELIVERED if has_pictures else job.status)

    def _ack(self, job: Job, status: JobStatus) -> None:
        os.write(self._pipe, f"{job.id} {status}\n".encode())


async def work(path: Path, pipe: int, seed: int) -> None:
    async with Database.open(path) as database:
        await Worker(Store.over(database), pipe, seed).run(seed * 1_000_000)


def kill_once(path: Path, seed: int) -> list[tuple[str, JobStatus]]:
    """Let a child work, kill it, and return what it acknowledged."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            asyncio.run(work(path, writing, seed))
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        first = pipe.readline()
        time.sleep(random.Random(seed).uniform(SHORTEST, LONGEST))
        os.kill(child, signal.SIGKILL)
        lines = [first, *pipe]
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, f"kill {seed}: the worker failed on its own"
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [(job_id, JobStatus(state)) for job_id, state in whole]


async def settle(path: Path) -> None:
    """The last start: everything is brought to its end."""
    async with Database.open(path) as database:
        store = Store.over(database)
        await store.jobs.recover(now=NOW, expired_only=False)
        while job := await store.jobs.claim(now=NOW, lease_until=NOW, batch=64):
            await store.jobs.finish(job.id, job.attempt, images(job), now=NOW)
        for entry in await store.outbox.due(now=NOW, limit=100_000):
            await store.outbox.delivered(entry.job_id, channel_id=1, message_id=2, now=NOW)


def assert_all_ended(path: Path) -> int:
    """Returns how many jobs there are."""
    with closing(sqlite3.connect(path)) as connection:
        statuses = [JobStatus(row[0]) for row in connection.execute("SELECT status FROM jobs")]
        assert all(status.is_final for status in statuses)
        assert connection.execute("SELECT COUNT(*) FROM outbox WHERE closed_at IS NULL").fetchone()[0] == 0
        assert connection.execute("SELECT TOTAL(reserved) FROM ledger").fetchone()[0] == 0
    return len(statuses)


def kill_loop(kills: int, seed: int) -> Tally:
    """Kill `kills` times. Raises AssertionError when a promise was broken."""
    tally = Tally()
    with memory_folder() as folder:
        for start in range(0, kills, KILLS_A_FILE):
            path = folder / f"{start}.db"
            everything: list[tuple[str, JobStatus]] = []
            for number in range(start, min(kills, start + KILLS_A_FILE)):
                everything += kill_once(path, seed + number)
                assert_file_sound(path)
                assert_kept(path, everything)
                tally.kills += 1
            asyncio.run(settle(path))
            assert_file_sound(path)
            assert_kept(path, everything)
            tally.jobs += assert_all_ended(path)
            tally.acknowledged += len(everything)
    return tally


if __name__ == "__main__":
    done = kill_loop(int(sys.argv[1]), int(sys.argv[2]))
    print(f"{done.kills} kills, {done.jobs} jobs, {done.acknowledged} states acknowledged, 0 lost")
