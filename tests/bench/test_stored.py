"""Requests that were multiplied look to the storage as if they had been asked for one by one."""

from bot.storage.database import Database
from tests.bench.stored import multiply
from tests.storage.samples import NOW, Store, assert_file_sound


async def test_copies_of_a_cancelled_request_are_sound_and_have_words_of_their_own(tmp_path):
    path = tmp_path / "pastel.db"
    async with Database.open(path) as database:
        store = Store.over(database)
        job = await store.add(user_id=7)
        assert await store.jobs.cancel(job.id, now=NOW)

    multiply(path, 7, 20)

    assert_file_sound(path)
    async with Database.open(path) as database:
        store = Store.over(database)
        assert await store.scalar("SELECT COUNT(DISTINCT request) FROM jobs WHERE user_id = 7 AND status = 'cancelled'") == 21
        assert await store.scalar("SELECT SUM(reserved) + SUM(spent) FROM ledger") == 0
        assert await store.scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = 'jobs_start_queued'") == 1
