"""The end of the write-ahead log is lost: whole transactions are missing, from the last one backwards, and nothing else.

SIGKILL cannot show this, because the system still writes what the process had handed over.
"""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from bot.domain.quota import UNLIMITED
from bot.storage.database import Database
from tests.storage.samples import NOW, Store, assert_file_sound, assert_sound, memory_folder, new_job

JOBS = 60


def lose_tail(wal: bytes, chance: random.Random) -> bytes:
    """What a power cut may leave of a WAL whose end had not reached the disk."""
    offset = chance.randrange(len(wal))
    lost = len(wal) - offset
    return wal[:offset] + chance.choice([b"", bytes(lost), chance.randbytes(lost)])


async def survivors(path: Path) -> list[int]:
    async with Database.open(path) as database:
        await database.read(assert_sound)
        rows = await database.read(
            lambda connection: connection.execute("SELECT interaction_id FROM jobs ORDER BY seq").fetchall()
        )
    assert_file_sound(path)
    return [row[0] for row in rows]


async def lost_tails(cuts: int) -> int:
    """Cut the WAL at random places; returns how many different states were recovered."""
    chance, states = random.Random(3), set[int]()
    with memory_folder() as folder:
        async with Database.open(folder / "pastel.db") as database:
            await database.transaction(lambda connection: connection.execute("PRAGMA wal_autocheckpoint = 0").fetchone())
            store = Store.over(database)
            for number in range(JOBS):
                await store.jobs.add(new_job(number), limits=UNLIMITED, now=NOW)
                await store.jobs.cancel((await store.jobs.waiting(100, limit=1)).jobs[0].id, now=NOW)
            data, wal = (folder / "pastel.db").read_bytes(), (folder / "pastel.db-wal").read_bytes()
        for number in range(cuts):
            cut = folder / f"{number}" / "pastel.db"
            cut.parent.mkdir()
            cut.write_bytes(data)
            cut.with_name("pastel.db-wal").write_bytes(lose_tail(wal, chance))
            found = await survivors(cut)
            assert found == list(range(len(found))), f"cut {number}"
            states.add(len(found))
            shutil.rmtree(cut.parent)
    return len(states)


@pytest.mark.slow
async def test_a_lost_tail_of_the_log_loses_the_last_transactions_only() -> None:
    assert await lost_tails(60) > 20


@pytest.mark.campaign
@pytest.mark.timeout(1_800)
async def test_a_thousand_lost_tails_lose_the_last_transactions_only() -> None:
    assert await lost_tails(1_000) > JOBS / 2
