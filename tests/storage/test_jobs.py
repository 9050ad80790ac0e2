from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.domain.job import JobStatus, NewJob, Origin, Parent, Relation, ReplyTarget, Visibility
from bot.domain.language import Language
from bot.domain.quota import UNLIMITED, price
from bot.domain.request import InitImage, NoiseBlend
from tests.storage.samples import NOW, TOKEN, Store, images, new_job, request


async def test_a_job_comes_back_as_it_was_stored(store: Store) -> None:
    parent = await store.add(1)
    new = NewJob(
        request=request(
            prompt="Ünïcode 🎨 \" ' \\ ; DROP TABLE jobs",
            num_images=4,
            style="pastel",
            adapter_weight=0.8,
            blends=(NoiseBlend(seed=2**32 - 1, strength=0.15), NoiseBlend(seed=7, strength=0.5)),
            init_image=InitImage(key="uploads/x.png", strength=0.6),
        ),
        origin=Origin(interaction_id=2**62, user_id=2**62 + 1, guild_id=2**62 + 2),
        reply=ReplyTarget(
            channel_id=2**62 + 3,
            message_id=2**62 + 4,
            application_id=2**62 + 5,
            token=TOKEN,
            token_expires_at=NOW + timedelta(minutes=14, microseconds=1),
            upload_limit=25 * 1024 * 1024,
        ),
        parent=Parent(job_id=parent.id, relation=Relation.UPSCALE, image_index=3),
        language=Language.KOREAN,
    )

    submission = await store.jobs.add(new, limits=UNLIMITED, now=NOW)

    job = submission.job
    assert submission.created
    assert (job.request, job.origin, job.reply, job.parent) == (new.request, new.origin, new.reply, new.parent)
    assert (job.status, job.attempt, job.aborts, job.created_at) == (JobStatus.QUEUED, 0, 0, NOW)
    assert (job.language, job.visibility, job.price) == (Language.KOREAN, Visibility.PUBLIC, price(new.request))
    assert await store.jobs.get(job.id) == job


async def test_a_language_that_another_version_spoke_counts_as_none(store: Store) -> None:
    job = await store.add()
    await store.database.transaction(lambda connection: connection.execute("UPDATE jobs SET language = 'tlh'").rowcount)

    assert (await store.get(job.id)).language is None


async def test_a_job_of_a_direct_message_has_no_guild(store: Store) -> None:
    job = await store.add(guild_id=None)

    assert job.origin.guild_id is None
    assert await store.scalar("SELECT COUNT(*) FROM guilds") == 0


async def test_a_replayed_interaction_gives_the_job_it_made_before(store: Store) -> None:
    first = await store.jobs.add(new_job(7), limits=UNLIMITED, now=NOW)
    claimed = await store.claim()

    second = await store.jobs.add(new_job(7, prompt="something else"), limits=UNLIMITED, now=NOW + timedelta(seconds=5))

    assert first.created
    assert not second.created
    assert second.job == claimed
    assert await store.scalar("SELECT COUNT(*) FROM jobs") == 1


async def test_a_member_and_a_server_are_stored_once_with_their_first_time(store: Store) -> None:
    await store.jobs.add(new_job(1), limits=UNLIMITED, now=NOW)
    await store.jobs.add(new_job(2), limits=UNLIMITED, now=NOW + timedelta(days=1))

    assert await store.scalar("SELECT COUNT(*) FROM users") == 1
    assert await store.scalar("SELECT first_seen_at FROM users") == await store.scalar("SELECT created_at FROM jobs")
    assert await store.scalar("SELECT COUNT(*) FROM guilds") == 1


async def test_an_unknown_job_is_none(store: Store) -> None:
    assert await store.jobs.get("0" * 16) is None
    assert await store.jobs.images("0" * 16) == ()
    assert await store.jobs.ahead("0" * 16) is None


async def test_a_parent_must_exist(store: Store) -> None:
    with pytest.raises(Exception, match="FOREIGN KEY"):
        await store.add(1, parent=Parent(job_id="f" * 16, relation=Relation.REROLL))

    assert await store.scalar("SELECT COUNT(*) FROM jobs") == 0


async def test_pictures_come_back_in_their_order(store: Store) -> None:
    job = await store.running(num_images=4)
    pictures = images(job)

    assert await store.jobs.finish(job.id, job.attempt, tuple(reversed(pictures)), now=NOW)

    assert await store.jobs.images(job.id) == pictures


async def test_waiting_lists_a_members_own_unfinished_jobs_in_queue_order(store: Store) -> None:
    done = await store.succeeded(1)
    running = await store.running(2)
    queued = await store.add(3)
    await store.add(4, user_id=101)

    waiting = (await store.jobs.waiting(100, limit=9)).jobs

    assert [job.id for job in waiting] == [running.id, queued.id]
    assert done.id not in {job.id for job in waiting}
    assert (await store.jobs.waiting(999, limit=9)).jobs == ()


async def test_counts_are_by_status(store: Store) -> None:
    await store.succeeded(1)
    await store.running(2)
    await store.add(3)
    await store.add(4)

    assert await store.jobs.counts() == {"succeeded": 1, "running": 1, "queued": 2}


async def test_the_last_finished_jobs_are_known_with_their_times_and_work(store: Store) -> None:
    await store.running(1)
    for number in (2, 3, 4):
        await store.add(number, width=1000, height=1000, num_inference_steps=10, num_images=2)
        at = NOW + timedelta(minutes=number)
        job = await store.claim(at)
        assert await store.jobs.finish(job.id, 1, images(job), now=at + timedelta(seconds=number))

    recent = await store.jobs.recent(2)

    assert [(job.seconds, job.work, job.pictures) for job in recent] == [(4.0, 20.0, 2), (3.0, 20.0, 2)]
    assert recent[0].started_at == NOW + timedelta(minutes=4)


async def test_the_line_holds_what_waits_those_first_that_came_first(store: Store) -> None:
    await store.succeeded(1)
    await store.running(2)
    waiting = [await store.add(number, user_id=100 - number) for number in (3, 4, 5)]

    assert await store.jobs.line(2) == tuple(waiting[:2])


async def test_the_message_of_a_card_is_remembered(store: Store) -> None:
    job = await store.add()

    await store.jobs.set_message(job.id, channel_id=301, message_id=302)

    assert (await store.get(job.id)).reply == replace(job.reply, channel_id=301, message_id=302)


async def test_deleting_forgets_the_pictures_once_and_gives_their_keys(store: Store) -> None:
    job = await store.succeeded(num_images=2)
    keys = tuple(image.key for image in images(await store.get(job.id)))

    assert await store.jobs.mark_deleted(job.id, by=900, now=NOW) == keys

    assert (await store.get(job.id)).deleted_at == NOW
    assert await store.jobs.images(job.id) == ()
    assert await store.jobs.mark_deleted(job.id, by=900, now=NOW + timedelta(days=1)) == ()
    assert (await store.get(job.id)).deleted_at == NOW


async def test_a_job_that_still_waits_is_not_deleted(store: Store) -> None:
    job = await store.add()

    assert await store.jobs.mark_deleted(job.id, by=900, now=NOW) == ()

    assert (await store.get(job.id)).deleted_at is None


async def test_an_upload_goes_with_the_last_job_that_started_from_it_at_once(store: Store) -> None:
    shared = InitImage(key="uploads/shared.png", strength=0.5)
    first, second = await store.succeeded(1, init_image=shared), await store.succeeded(2, init_image=shared)

    assert shared.key not in await store.jobs.mark_deleted(first.id, by=900, now=NOW)
    assert shared.key in await store.jobs.mark_deleted(second.id, by=900, now=NOW)
    assert await store.jobs.mark_deleted(second.id, by=900, now=NOW) == (shared.key,)  # after one that was cut off


async def test_keys_are_known_of_pictures_and_of_uploads_of_jobs_that_are_not_deleted(store: Store) -> None:
    kept = await store.succeeded(1, init_image=InitImage(key="uploads/shared.png", strength=0.5))
    gone = await store.succeeded(2, init_image=InitImage(key="uploads/shared.png", strength=0.5))
    alone = await store.succeeded(3, init_image=InitImage(key="uploads/alone.png", strength=0.5))
    await store.jobs.mark_deleted(gone.id, by=900, now=NOW)
    await store.jobs.mark_deleted(alone.id, by=900, now=NOW)

    known, unknown = {f"2026/11/{kept.id}-1-0.png", "uploads/shared.png"}, {f"2026/11/{gone.id}-1-0.png", "uploads/alone.png"}
    assert await store.jobs.unknown_keys([*known, *unknown]) == unknown
