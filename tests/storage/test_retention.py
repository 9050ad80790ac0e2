"""What is too old, and what its removal leaves."""

from __future__ import annotations

import os
from datetime import timedelta

import pytest

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Job
from bot.domain.privacy import FOR_GOOD, REMOVED, KeepingTimes
from bot.domain.report import Complaint, ReportMessage
from bot.domain.request import InitImage
from bot.storage.privacy import TO_REMOVE
from bot.storage.retention import (
    EXPIRED_PICTURES,
    EXPIRED_WORDS,
    OLDEST_PICTURES,
    OLDEST_WORDS,
    UPLOADS,
)
from tests.storage.conftest import Store
from tests.storage.samples import NOW, REASON, images

GUILD, ELSEWHERE = 200, 201
UPLOAD = InitImage(key=f"uploads/{'a' * 64}.png", strength=0.5)
SOON = NOW + timedelta(seconds=1)


async def delivered(store: Store, number: int = 1, **values: object) -> Job:
    """A job that ended at NOW and whose card is shown."""
    job = await store.running(number, **values)
    assert await store.jobs.finish(job.id, job.attempt, images(job), now=NOW)
    await store.outbox.delivered(job.id, channel_id=301, message_id=302, now=NOW)
    return await store.get(job.id)


async def test_times_are_those_that_moderators_set(store: Store) -> None:
    shelf, rules = store.repositories.retention, store.repositories.guild_settings
    await rules.change(GUILD, lambda _: GuildSettings(picture_days=7, prompt_days=30), by=1, now=NOW)
    await rules.change(ELSEWHERE, lambda _: GuildSettings(max_steps=20), by=1, now=NOW)

    assert await shelf.times(after=0) == {GUILD: KeepingTimes(picture_days=7, word_days=30), ELSEWHERE: FOR_GOOD}
    assert await shelf.times(after=min(GUILD, ELSEWHERE)) == {
        max(GUILD, ELSEWHERE): await shelf.times_of(max(GUILD, ELSEWHERE))
    }
    assert await shelf.times_of(GUILD) == KeepingTimes(picture_days=7, word_days=30)
    assert await shelf.times_of(999) == FOR_GOOD


def test_pictures_never_outlive_the_words_that_their_files_hold() -> None:
    assert KeepingTimes(picture_days=30, word_days=7).picture_days == 7
    assert KeepingTimes(word_days=7).picture_days == 7
    assert KeepingTimes(picture_days=7).word_days is None


async def test_only_what_ended_before_in_that_server_is_too_old(store: Store) -> None:
    shelf = store.repositories.retention
    old = await delivered(store, 1)
    await delivered(store, 2, guild_id=ELSEWHERE)
    await delivered(store, 3, guild_id=None)
    await store.add(4)

    assert (await shelf.expired(GUILD, before=SOON, now=SOON, words=True)).job_ids == (old.id,)
    assert (await shelf.expired(GUILD, before=NOW, now=NOW, words=True)).job_ids == ()


@pytest.mark.parametrize("words", [True, False])
async def test_what_still_has_to_be_shown_is_kept(store: Store, words: bool) -> None:
    shelf = store.repositories.retention
    await store.succeeded(1)
    failed = await store.running(2)
    await store.jobs.fail(failed.id, failed.attempt, REASON, now=NOW)

    assert (await shelf.expired(GUILD, before=NOW + timedelta(days=9), now=NOW + timedelta(days=9), words=words)).job_ids == ()


async def test_pictures_go_and_the_words_stay_for_another_try(store: Store) -> None:
    shelf = store.repositories.retention
    job = await delivered(store, num_images=2)
    content = await shelf.expired(GUILD, before=SOON, now=SOON, words=False)

    await shelf.remove(content, words=False, now=SOON)

    assert set(content.keys) == {image.key for image in images(job)}
    assert await store.jobs.images(job.id) == ()
    kept = await store.get(job.id)
    assert (kept.request, kept.deleted_at, kept.reply.message_id) == (job.request, None, 302)
    assert (await shelf.expired(GUILD, before=SOON, now=SOON, words=False)).job_ids == ()
    assert (await shelf.expired(GUILD, before=SOON, now=SOON, words=True)).job_ids == (job.id,)


async def test_words_go_with_their_pictures_and_the_job_counts_as_deleted(store: Store) -> None:
    shelf = store.repositories.retention
    job = await delivered(store)
    content = await shelf.expired(GUILD, before=SOON, now=SOON, words=True)

    await shelf.remove(content, words=True, now=SOON)

    gone = await store.get(job.id)
    assert (gone.request, gone.deleted_at) == (REMOVED, SOON)
    assert gone.reply.message_id == 302  # so that its member can still remove the card
    assert await store.jobs.images(job.id) == ()
    for words in (True, False):
        assert (await shelf.expired(GUILD, before=SOON, now=SOON, words=words)).job_ids == ()


@pytest.mark.parametrize("words", [True, False])
async def test_messages_of_reports_about_what_goes_are_outdated_at_the_same_moment(store: Store, words: bool) -> None:
    shelf, reports = store.repositories.retention, store.repositories.reports
    complaint = Complaint(reporter_id=300, reason="", reported_at=NOW)
    for job in (await delivered(store, 1), await delivered(store, 2, guild_id=ELSEWHERE)):
        filed = await reports.file(complaint, job_id=job.id, guild_id=GUILD, most=5, since=NOW)
        assert filed is not None
        await reports.shown(filed.report, ReportMessage(channel_id=5, message_id=6))
    assert await reports.outdated(after=0, limit=9) == ()

    await shelf.remove(await shelf.expired(GUILD, before=SOON, now=SOON, words=words), words=words, now=SOON)

    assert len(await reports.outdated(after=0, limit=9)) == 1


async def test_an_upload_goes_with_the_last_picture_that_started_from_it(store: Store) -> None:
    shelf = store.repositories.retention
    for number in (1, 2):
        await delivered(store, number, init_image=UPLOAD)
    young = await store.add(3, init_image=UPLOAD)

    assert UPLOAD.key not in (await shelf.expired(GUILD, before=SOON, now=SOON, words=False)).keys
    await store.jobs.cancel(young.id, now=NOW)
    await store.jobs.mark_deleted(young.id, by=900, now=NOW)
    assert (await shelf.expired(GUILD, before=SOON, now=SOON, words=False)).keys.count(UPLOAD.key) == 1


async def test_portions_are_small_and_come_oldest_first(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.storage.retention.PORTION", 2)
    shelf = store.repositories.retention
    jobs = [await delivered(store, number) for number in (1, 2, 3)]

    seen: list[str] = []
    while (content := await shelf.expired(GUILD, before=SOON, now=SOON, words=True)).job_ids:
        assert len(content.job_ids) <= 2
        seen += content.job_ids
        await shelf.remove(content, words=True, now=SOON)

    assert sorted(seen) == sorted(job.id for job in jobs)


async def test_only_old_copies_of_an_update_are_removed(store: Store) -> None:
    folder = store.database.path.parent
    for name, age in (("pastel.db.schema-1.backup", 40), ("pastel.db.schema-3.backup", 10), ("other.backup", 40)):
        (folder / name).write_bytes(b"old")
        when = (NOW - timedelta(days=age)).timestamp()
        os.utime(folder / name, (when, when))

    removed = await store.repositories.retention.remove_backups(before=NOW - timedelta(days=30))

    assert removed == 1
    assert sorted(path.name for path in folder.glob("*.backup")) == ["other.backup", "pastel.db.schema-3.backup"]
    assert store.database.path.exists()


async def test_what_a_restore_moved_aside_is_removed_after_a_month(store: Store) -> None:
    folder = store.database.path.parent
    for name, age, files in (
        ("before-restore-20261001-120000", 40, ("pastel.db", "pastel.db-wal")),
        ("before-restore-20261001-130000", 40, ("pastel.db", "notes.txt")),
        ("before-restore-20261120-120000", 3, ("pastel.db",)),
    ):
        (folder / name).mkdir()
        for file in files:
            (folder / name / file).write_bytes(b"old")
        when = (NOW - timedelta(days=age)).timestamp()
        os.utime(folder / name, (when, when))

    await store.repositories.retention.remove_backups(before=NOW - timedelta(days=30))

    left = sorted(str(file.relative_to(folder)) for file in folder.glob("before-restore-*/*"))
    assert left == ["before-restore-20261001-130000/notes.txt", "before-restore-20261120-120000/pastel.db"]
    assert not (folder / "before-restore-20261001-120000").exists()


async def test_looking_for_what_is_old_reads_no_more_than_that(store: Store) -> None:
    names = ("guild_id", "before", "latest", "timed", "asked_before", "limit", "user_id", "up_to")
    values = {**dict.fromkeys(names, 1), "ids": "[]"}

    async def plan(sql: str) -> str:
        rows = await store.database.read(lambda connection: connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall())
        return " / ".join(row["detail"] for row in rows)

    assert "INDEX jobs_with_pictures (guild_id=? AND finished_at<?)" in await plan(EXPIRED_PICTURES)
    assert "INDEX jobs_with_words (guild_id=? AND finished_at<?)" in await plan(EXPIRED_WORDS)
    assert "INDEX jobs_old_with_pictures (finished_at<?)" in await plan(OLDEST_PICTURES)
    assert "INDEX jobs_old_with_words (finished_at<?)" in await plan(OLDEST_WORDS)
    assert "INDEX jobs_with_pictures (guild_id=? AND finished_at>?)" in await plan(EXPIRED_PICTURES)
    assert "INDEX jobs_old_with_words (finished_at>?)" in await plan(OLDEST_WORDS)
    assert "INDEX jobs_of_member_with_words (user_id=?" in await plan(TO_REMOVE)
    assert "INDEX jobs_by_upload" in await plan(UPLOADS)
