"""A file of the schema that left things implied: upscales get their relation, prices come from the ledger, the rest stays."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bot.domain.job import Relation, Visibility
from bot.messages import Message, counted
from bot.storage.database import Database
from bot.storage.migrator import load_migrations, migrate
from tests.storage.first_schema import OLD, make
from tests.storage.samples import LEASE, NOW, Store, assert_file_sound

SIXTEENTH = 16
DRAWN = """--sql
UPDATE jobs SET
    request = json_set(request, '$.init_image', json_object('key', 'k', 'strength', 1.0, 'drawn_here', json(:drawn_here))),
    parent_id = :parent_id, parent_relation = :relation, parent_image_index = 0
WHERE id = :id
"""
ABOUT_JOBS = "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = 'jobs' AND type <> 'table' ORDER BY rowid"
CHANGED = {"jobs_words_stay_removed"}  # looks after the new columns, too


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of the sixteenth schema with a job in every state."""
    path = tmp_path / "pastel.db"
    make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, load_migrations()[:SIXTEENTH])
    (tmp_path / "pastel.db.schema-1.backup").unlink()
    return path


def run(path: Path, sql: str, values: object = ()) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(sql, values).fetchall()


async def test_an_upscale_is_told_from_a_variation_by_what_it_starts_from(old: Path) -> None:
    parent, *children = [job.id for job in OLD if job.status != "queued"]
    kinds = [("variation", "true"), ("variation", "false"), ("remix", "true"), ("reroll", "false")]
    for child, (relation, drawn_here) in zip(children, kinds, strict=False):
        run(old, DRAWN, {"id": child, "parent_id": parent, "relation": relation, "drawn_here": drawn_here})

    async with Database.open(old) as database:
        store = Store.over(database)
        found = [(await store.get(child)).parent for child in children[: len(kinds)]]

    wanted = [Relation.UPSCALE, Relation.VARIATION, Relation.REMIX, Relation.REROLL]
    assert [parent and parent.relation for parent in found] == wanted
    assert_file_sound(old)


async def test_every_job_gets_its_price_from_the_ledger_and_keeps_its_failure_as_it_stood(old: Path) -> None:
    failed = next(job for job in OLD if job.status == "failed")
    run(old, "UPDATE jobs SET failure = 'A {strange} reason.' WHERE id = ?", (failed.id,))

    async with Database.open(old) as database:
        store = Store.over(database)
        prices = {job.id: (await store.get(job.id)).price for job in OLD}
        kept = await store.get(failed.id)

    assert prices == {job.id: job.num_images for job in OLD}
    assert (kept.failure, kept.language, kept.visibility) == (Message("A {strange} reason."), None, Visibility.PUBLIC)
    assert str(kept.failure) == "A {strange} reason."


async def test_the_queue_goes_on_and_new_jobs_come_behind_every_number_that_was_given(old: Path) -> None:
    run(old, "UPDATE sqlite_sequence SET seq = 500 WHERE name = 'jobs'")

    async with Database.open(old) as database:
        store = Store.over(database)
        added = await store.add(501)
        assert await store.scalar("SELECT seq FROM jobs WHERE id = ?", added.id) == 501
        claimed = await store.claim()
        reason = counted("{count} step failed.", "{count} steps failed.", 3)
        assert await store.jobs.fail(claimed.id, claimed.attempt, reason, now=NOW + LEASE)
        assert (await store.get(claimed.id)).failure == reason

    assert_file_sound(old)


async def test_every_index_and_trigger_of_jobs_is_there_again_in_the_order_of_before(old: Path) -> None:
    before = run(old, ABOUT_JOBS)

    async with Database.open(old):
        pass

    after = run(old, ABOUT_JOBS)
    indexes = [[name for kind, name, _ in found if kind == "index"] for found in (before, after)]
    assert indexes[0] == indexes[1]
    spoken = [
        {name: " ".join(re.sub(r"--.*", "", str(sql)).split()) for _, name, sql in found if name not in CHANGED}
        for found in (before, after)
    ]
    assert spoken[0] == spoken[1]
    assert run(old, "SELECT name FROM sqlite_schema WHERE sql LIKE '%new_jobs%'") == []


async def test_a_file_without_jobs_is_updated_too(tmp_path: Path) -> None:
    path = tmp_path / "pastel.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection, path, load_migrations()[:SIXTEENTH])

    async with Database.open(path) as database:
        assert (await Store.over(database).add(1)).price == 1
    assert_file_sound(path)
