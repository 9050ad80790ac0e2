"""What is stored of a member, and that nothing of it is left."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from bot.domain.image import StoredImage
from bot.domain.job import Job, JobStatus, Parent, Relation
from bot.domain.moderation import Block
from bot.domain.preferences import Preferences
from bot.domain.privacy import REMOVED, Holdings, MemberData
from bot.domain.quota import EntryKind, Limits, Usage
from bot.domain.request import InitImage
from bot.errors import QuotaError
from bot.storage import member_export
from bot.storage.database import Database
from bot.storage.rows import job_from_row
from tests.storage.conftest import Store
from tests.storage.erasures import LATER, MINE, THEIRS, bytes_of, erase, fill, finish, remove
from tests.storage.first_schema import make
from tests.storage.samples import NOW, TOKEN, assert_file_sound, images
from tests.storage.test_crashes import program

UPLOAD = InitImage(key=f"uploads/{'a' * 64}.png", strength=0.5)

# Every text that the database can hold, and why it may outlive an erasure. What is missing here is somebody's words.
TEXTS = {
    "jobs.id": "random",
    "jobs.status": "ours",
    "jobs.request": "replaced",
    "jobs.token": "removed",
    "jobs.parent_id": "removed",
    "jobs.parent_relation": "removed",
    "jobs.failure": "replaced",
    "jobs.failure_args": "removed",
    "jobs.template": "removed",
    "jobs.language": "removed",
    "jobs.visibility": "ours",
    "jobs.rating": "reset",
    "images.job_id": "the row goes",
    "images.key": "the row goes",
    "images.parameters": "the row goes",
    "images.rating": "the row goes",
    "relations.name": "ours",
    "visibilities.name": "ours",
    "outbox.job_id": "random",
    "outbox.last_fault": "ours",
    "outbox.outcome": "ours",
    "ledger.purse": "ours",
    "purse_totals.purse": "ours",
    "ledger.kind": "ours",
    "ledger.job_id": "random",
    "meta.name": "ours",
    "meta.value": "ours",
    "log_mark.mark": "random",
    "guild_settings.document": "the server's",
    "settings_changes.setting": "the server's",
    "settings_changes.before": "the server's",
    "settings_changes.after": "the server's",
    "complaints.reason": "removed",
    "reports.job_id": "random",
    "reports.outcome": "ours",
    "blocks.reason": "a moderator's, about the member: the server's safety record",
    "preferences.document": "the row goes",
    "intakes.request": "the row goes",
    "intakes.url": "the row goes",
    "intakes.token": "the row goes",
    "intakes.role_ids": "the row goes",
    "intakes.language": "the row goes",
    "intakes.template": "the row goes",
    "intakes.visibility": "the row goes",
}


@pytest.fixture
async def filled(store: Store) -> Store:
    """A store with jobs of a member in every state, and with one of somebody else's."""
    await fill(store)
    return store


async def rows_of(store: Store, user_id: int) -> list[tuple[object, ...]]:
    """Everything that hangs on a member's jobs."""

    def select(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
        tables = {
            "jobs": "SELECT * FROM jobs WHERE user_id = ?",
            "images": "SELECT images.* FROM images JOIN jobs ON id = job_id WHERE user_id = ?",
            "outbox": "SELECT outbox.* FROM outbox JOIN jobs ON id = job_id WHERE user_id = ?",
            "ledger": "SELECT * FROM ledger WHERE user_id = ?",
        }
        return [(table, *row) for table, sql in tables.items() for row in connection.execute(sql, (user_id,))]

    return await store.database.read(select)


async def test_after_an_erasure_no_byte_of_what_the_member_gave_is_left_and_others_keep_theirs(filled: Store) -> None:
    theirs = await rows_of(filled, 101)
    assert MINE.encode() in bytes_of(filled.database.path)

    await erase(filled.database)

    content = bytes_of(filled.database.path)
    assert MINE.encode() not in content
    assert TOKEN.encode() not in content
    assert THEIRS.encode() in content
    assert await rows_of(filled, 101) == theirs


@pytest.mark.slow
async def test_no_trace_is_left_in_the_gaps_of_a_file_with_a_history(store: Store) -> None:
    """Rows of all lengths that were changed many times: SQLite's secure_delete alone leaves some of this behind."""
    chance = random.Random(5)
    marks: dict[str, int] = {}
    for number in range(1, 301):
        user_id, mark = chance.choice([100, 101, 102]), f"mark{chance.getrandbits(64):016x}"
        marks[mark] = user_id
        words = f"{mark} {'w' * chance.choice([5, 50, 300, 1500, 1900])}"
        await store.add(number, user_id=user_id, prompt=words, negative_prompt=words[: chance.choice([0, 100, 1500])])
        if chance.random() < 0.6:
            job = await store.claim()
            await store.jobs.finish(job.id, job.attempt, images(job), now=NOW)
            await store.outbox.delivered(job.id, channel_id=1, message_id=number, now=NOW)

    await erase(store.database)

    content = bytes_of(store.database.path)
    assert [mark for mark, user_id in marks.items() if user_id == 100 and mark.encode() in content] == []
    assert all(mark.encode() in content for mark, user_id in marks.items() if user_id != 100)


async def test_every_text_in_the_database_has_its_place_in_an_erasure(store: Store) -> None:
    def texts(connection: sqlite3.Connection) -> set[str]:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {
            f"{table}.{column['name']}"
            for table in tables
            if not table.startswith("sqlite_")
            for column in connection.execute(f"PRAGMA table_info({table})")
            if column["type"] not in {"INTEGER", "REAL"}
        }

    found = await store.database.read(texts)

    assert found - set(TEXTS) == set(), "Say in bot/storage/retention.py what an erasure makes of this, and here why."
    assert set(TEXTS) - found == set()


async def test_what_was_under_way_is_cancelled_and_refunded_and_nothing_else_is_given_back(filled: Store) -> None:
    before = await filled.repositories.credits.usage(100, 200, now=NOW)
    assert (before.spent, before.reserved, before.waiting) == (1, 2, 2)

    await erase(filled.database)

    after = await filled.repositories.credits.usage(100, 200, now=NOW)
    assert after == Usage(spent=1, everywhere=1)
    with pytest.raises(QuotaError):
        await filled.add(9, limits=Limits(daily_credits=1))
    assert (await filled.jobs.counts()) == {"delivered": 2, "failed": 1, "cancelled": 2}


async def test_of_an_erased_job_nothing_is_left_but_what_queue_and_ledger_count(filled: Store) -> None:
    await erase(filled.database)

    rows = await rows_of(filled, 100)
    assert not any(row[0] == "images" for row in rows)
    for number in (1, 2, 4, 5):
        row = await filled.database.read(
            lambda connection, number=number: connection.execute(
                "SELECT * FROM jobs WHERE interaction_id = ?", (number,)
            ).fetchone()
        )
        job = await filled.get(row["id"])
        assert job.request == REMOVED
        assert (job.reply.channel_id, job.reply.message_id, job.reply.token) == (0, None, None)
        assert job.deleted_at == LATER
        assert row["work"] > 1


async def test_what_is_removed_cannot_come_back(filled: Store) -> None:
    await erase(filled.database)

    with pytest.raises(sqlite3.IntegrityError, match="does not come back"):
        await filled.database.transaction(
            lambda connection: connection.execute("""UPDATE jobs SET request = '{"prompt": "x"}' WHERE user_id = 100""")
        )


async def test_the_members_next_job_is_like_anybodys(filled: Store) -> None:
    await erase(filled.database)

    job = await filled.add(50, prompt="afresh")
    claimed = await filled.claim()
    await filled.jobs.finish(job.id, claimed.attempt, images(job), now=NOW)
    await finish(filled.database)

    assert claimed.id == job.id
    assert (await filled.get(job.id)).request.prompt == "afresh"
    assert await filled.repositories.privacy.holdings(100) == Holdings(requests=1, pictures=1)


async def test_an_erasure_asked_for_again_before_its_end_takes_in_what_came_meanwhile(filled: Store) -> None:
    privacy = filled.repositories.privacy
    await privacy.begin(100, now=NOW)
    first = await privacy.to_do(100)
    assert first is not None
    await filled.add(50, prompt=f"{MINE} again")
    await privacy.begin(100, now=LATER)

    await remove(privacy, first)
    assert not await privacy.erased(first, now=LATER)
    await finish(filled.database)

    assert MINE.encode() not in bytes_of(filled.database.path)
    assert await filled.scalar("SELECT COUNT(*) FROM erasures") == 1


async def test_what_was_removed_after_the_file_was_written_anew_is_not_taken_for_gone(filled: Store) -> None:
    privacy, traces = filled.repositories.privacy, filled.repositories.traces
    await erase(filled.database)
    first = await privacy.begin(101, now=NOW)
    assert first is not None
    await remove(privacy, first)
    assert await traces.oldest() is None  # an erasure under way is not taken for one that is over

    await filled.database.rewrite(lambda _: None)
    await privacy.erased(first, now=LATER)
    assert await traces.oldest() == LATER
    await traces.overwrite(now=LATER)

    assert await traces.oldest() is None
    assert THEIRS.encode() not in bytes_of(filled.database.path)


async def test_nobody_is_noted_as_erased_while_something_is_left(filled: Store) -> None:
    privacy = filled.repositories.privacy
    await privacy.begin(100, now=NOW)
    erasure = await privacy.to_do(100)
    assert erasure is not None

    assert not await privacy.erased(erasure, now=LATER)

    assert await privacy.open() == (100,)
    await finish(filled.database)
    assert await privacy.open() == ()


async def test_who_never_came_leaves_not_even_a_wish(store: Store) -> None:
    assert await store.repositories.privacy.begin(77, now=NOW) is None
    assert await store.scalar("SELECT COUNT(*) FROM users") == 0


async def test_somebody_elses_remix_outlives_its_parent(store: Store) -> None:
    parent = await store.succeeded(1)
    child = await store.add(2, user_id=101, parent=Parent(job_id=parent.id, relation=Relation.REMIX))

    await erase(store.database)

    kept = await store.get(child.id)
    assert kept.parent == Parent(job_id=parent.id, relation=Relation.REMIX)
    assert (await store.claim()).id == child.id


@pytest.mark.parametrize(("other", "is_needed"), [(101, True), (100, False)])
async def test_an_upload_goes_only_when_nobody_else_needs_it(store: Store, other: int, is_needed: bool) -> None:
    first = await store.succeeded(1, init_image=UPLOAD)
    await store.add(2, user_id=other, init_image=UPLOAD)
    privacy = store.repositories.privacy

    erasure = await privacy.begin(100, now=NOW)
    assert erasure is not None
    await privacy.cancel(erasure, now=NOW)

    content = await privacy.content(erasure)

    assert first.id in content.job_ids
    assert (UPLOAD.key in content.keys) is not is_needed
    assert {image.key for image in images(first)} <= set(content.keys)
    await finish(store.database)


async def test_cards_are_known_until_they_were_tried_and_then_forgotten(filled: Store) -> None:
    privacy = filled.repositories.privacy
    erasure = await privacy.begin(100, now=LATER)
    assert erasure is not None
    assert await privacy.cards(100, limit=10) == ()  # not before the words are gone
    await remove(privacy, erasure)

    newest_first = [card.reply.message_id for card in await privacy.cards(100, limit=10)]
    await finish(filled.database)

    assert newest_first == [301, 301, 304, 303]  # 301 is the samples' message of whoever was shown a queued card
    assert await filled.scalar("SELECT COUNT(*) FROM jobs WHERE user_id = 100 AND message_id IS NOT NULL") == 0
    assert await filled.scalar("SELECT COUNT(*) FROM jobs WHERE user_id = 101 AND message_id IS NOT NULL") == 1


async def test_blocks_stay_as_the_servers_record(store: Store) -> None:
    moderation = store.repositories.moderation
    block = Block(guild_id=200, user_id=100, reason="flood", blocked_by=900, blocked_at=NOW)
    await store.add(1)
    await moderation.block(block)

    await erase(store.database)

    assert await moderation.blocks(200, limit=2, now=NOW) == (block,)


async def everything(store: Store, user_id: int = 100) -> MemberData:
    """All pages as one."""
    pages = [page async for page in store.repositories.privacy.pages(user_id)]
    lists = ("jobs", "postings", "blocks", "reports", "deletions")
    return replace(pages[0], **{name: tuple(chain.from_iterable(getattr(page, name) for page in pages)) for name in lists})


async def test_everything_of_a_member_is_found_and_nothing_of_others(filled: Store) -> None:
    await filled.grant(3, 90)
    await filled.repositories.moderation.block(Block(guild_id=200, user_id=100, reason="flood", blocked_by=900, blocked_at=NOW))

    data = await everything(filled)

    assert [kept.job.request.prompt for kept in data.jobs] == [f"{MINE} {number}" for number in (1, 2, 4, 5)]
    assert [len(kept.images) for kept in data.jobs] == [1, 0, 0, 0]
    assert isinstance(data.jobs[0].images[0], StoredImage)
    assert [kept.job.status for kept in data.jobs] == [
        JobStatus.DELIVERED,
        JobStatus.FAILED,
        JobStatus.RUNNING,
        JobStatus.QUEUED,
    ]
    assert {entry.kind for entry in data.postings} == {EntryKind.GRANT, EntryKind.RESERVE, EntryKind.CHARGE, EntryKind.REFUND}
    assert data.defaults == Preferences(negative_prompt=f"{MINE} always")
    assert [past.block.reason for past in data.blocks] == ["flood"]
    assert [said.reason for said in data.reports] == [f"{MINE} is better"]
    assert THEIRS not in repr(data)


async def test_no_page_of_a_member_is_longer_than_the_bound_and_none_of_their_rows_is_missing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(member_export, "PAGE", 7)
    for number in range(1, 31):
        await store.add(number, user_id=100 + number % 2)

    pages = [page async for page in store.repositories.privacy.pages(100)]

    assert max(len(page.jobs) + len(page.postings) for page in pages) == 7
    assert [kept.job.origin.interaction_id for page in pages for kept in page.jobs] == list(range(2, 31, 2))
    assert len({entry.job_id for page in pages for entry in page.postings}) == 15


async def test_nobodys_read_waits_for_an_export_however_long_a_page_takes(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def slow(row: sqlite3.Row) -> Job:
        inside.set()
        go_on.wait(30)
        return job_from_row(row)

    monkeypatch.setattr(member_export, "job_from_row", slow)
    export = asyncio.create_task(everything(filled))
    await asyncio.to_thread(inside.wait, 30)

    async with asyncio.timeout(20):
        for _ in range(4):  # every reader in turn
            assert await filled.jobs.get("0" * 16) is None
    go_on.set()

    assert len((await export).jobs) == 4


async def test_a_parent_is_known_to_be_the_members_own(store: Store) -> None:
    mine, theirs = await store.add(1), await store.add(2, user_id=101)
    await store.add(3, parent=Parent(job_id=mine.id, relation=Relation.REROLL))
    await store.add(4, parent=Parent(job_id=theirs.id, relation=Relation.REMIX))

    assert [kept.came_of_own for kept in (await everything(store)).jobs] == [False, True, False]


async def test_holdings_are_counted(filled: Store) -> None:
    privacy = filled.repositories.privacy

    assert await privacy.holdings(100) == Holdings(requests=4, pictures=1, has_defaults=True)
    assert await privacy.holdings(77) == Holdings()


async def test_defaults_set_after_the_wish_stay(store: Store) -> None:
    await store.add(1)
    await store.repositories.privacy.begin(100, now=NOW)
    defaults = store.repositories.preferences
    await defaults.change(100, lambda before: replace(before, spoiler=True), now=LATER)

    await finish(store.database)

    assert (await defaults.get(100)).spoiler


async def test_a_log_that_somebody_reads_is_not_taken_for_empty(filled: Store) -> None:
    await filled.database.transaction(lambda connection: connection.execute("PRAGMA busy_timeout = 50").fetchall())
    reader = sqlite3.connect(filled.database.path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM jobs").fetchone()

    in_use = await filled.database.fold_log()
    reader.close()

    assert not in_use
    assert await filled.database.fold_log()
    assert filled.database.path.with_name("pastel.db-wal").stat().st_size == 0


@pytest.mark.slow
@pytest.mark.parametrize("every", [pytest.param(11), pytest.param(1, marks=pytest.mark.campaign)])
def test_a_crash_before_any_statement_of_an_erasure_leaves_nothing_behind_in_the_end(every: int) -> None:
    assert int(program("erasures", every)) > 150


def test_a_crash_before_any_step_with_the_files_of_a_rewrite_leaves_one_of_them_whole() -> None:
    assert int(program("erasures", 1, "files")) >= 5


async def test_a_file_of_an_older_schema_can_be_erased_too(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    make(path)

    async with Database.open(path) as database:
        await erase(database)
        left = await Store.over(database).scalar("SELECT COUNT(*) FROM jobs WHERE user_id = 100 AND words_removed_at IS NULL")

    assert left == 0
    assert_file_sound(path)
