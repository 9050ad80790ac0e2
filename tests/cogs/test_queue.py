from __future__ import annotations

from bot.domain.job import JobStatus
from tests.cogs.stage import Stage, custom_ids, parts, texts


async def test_an_empty_queue_says_so(stage: Stage):
    result = await stage.member.slash(stage.channel, "queue show")

    assert result.ephemeral
    assert "nothing waiting" in texts(result.response)


async def test_the_queue_shows_a_members_own_jobs_in_order(stage: Stage):
    await stage.anime("first **one**")
    await stage.other.slash(stage.channel, "anime", prompt="somebody else's")
    await stage.anime("second one")

    result = await stage.member.slash(stage.channel, "queue show")

    said = texts(result.response)
    assert said.index("first \\*\\*one\\*\\*") < said.index("second one")
    assert "somebody else" not in said
    mine = [job.id for job in await stage.all_jobs() if job.origin.user_id == stage.member.id]
    assert custom_ids(result.response) == [f"pastel:cancel:{job_id}" for job_id in mine]


async def test_the_queue_says_which_job_is_being_drawn(stage: Stage):
    await stage.anime()
    now = stage.clock.now()
    await stage.jobs.claim(now=now, lease_until=now, batch=64)

    assert "Drawing now" in texts((await stage.member.slash(stage.channel, "queue show")).response)


async def test_a_long_queue_fits_into_one_message(stage: Stage):
    for number in range(12):
        await stage.anime(f"picture {number} " + "*" * 300)

    result = await stage.member.slash(stage.channel, "queue show")

    assert len(custom_ids(result.response)) == 10
    assert "and 2 more" in texts(result.response)


async def test_a_job_is_cancelled_from_the_list_which_then_says_so_beside_it_alone(stage: Stage):
    await stage.anime("green hair")
    await stage.anime("red hair")
    first, second = await stage.all_jobs()
    shown = await stage.member.slash(stage.channel, "queue show")
    assert shown.response is not None

    await stage.member.click(shown.response, custom_id=f"pastel:cancel:{first.id}")

    assert [job.status for job in await stage.all_jobs()] == [JobStatus.CANCELLED, JobStatus.QUEUED]
    buttons = {
        part["custom_id"]: (part["label"], bool(part.get("disabled"))) for part in parts(shown.response) if "custom_id" in part
    }
    assert buttons == {f"pastel:cancel:{first.id}": ("Cancelled", True), f"pastel:cancel:{second.id}": ("Cancel", False)}
    assert "red hair" in texts(shown.response)


async def test_who_cancels_twice_is_told_that_it_is_cancelled(stage: Stage):
    await stage.anime()
    job = await stage.only_job()
    await stage.member.slash(stage.channel, "queue cancel", job=job.id)

    again = await stage.member.slash(stage.channel, "queue cancel", job=job.id)

    assert "cancelled already" in texts(again.response)


async def test_a_job_is_cancelled_by_command_with_the_list_that_appears(stage: Stage):
    await stage.anime("green hair")
    await stage.anime("red hair")
    first, second = await stage.all_jobs()

    found = await stage.member.autocomplete(stage.channel, "queue cancel", "job", "RED")
    assert [choice["value"] for choice in found] == [second.id]
    assert "red hair" in found[0]["name"]

    result = await stage.member.slash(stage.channel, "queue cancel", job=second.id)
    assert result.ephemeral
    assert "Cancelled" in texts(result.response)
    assert [job.status for job in await stage.all_jobs()] == [JobStatus.QUEUED, JobStatus.CANCELLED]
    assert first.status is JobStatus.QUEUED


async def test_the_list_that_appears_shows_nobody_elses_jobs(stage: Stage):
    await stage.anime()

    assert await stage.other.autocomplete(stage.channel, "queue cancel", "job", "") == []


async def test_nobody_cancels_somebody_elses_job_by_its_id(stage: Stage):
    await stage.anime()
    job = await stage.only_job()

    result = await stage.other.slash(stage.channel, "queue cancel", job=job.id)

    assert result.ephemeral
    assert "Only the member who asked" in texts(result.response)
    assert (await stage.job(job.id)).status is JobStatus.QUEUED


async def test_an_unknown_job_is_refused_with_a_sentence(stage: Stage):
    for typed, said in (
        ("nonsense", "I do not know that job"),
        ("'; DROP TABLE jobs", "I do not know that job"),
        ("f" * 16, "Only the member who asked"),  # as of a job that is not theirs: nobody learns which there are
    ):
        result = await stage.member.slash(stage.channel, "queue cancel", job=typed)
        assert result.ephemeral
        assert said in texts(result.response)


async def test_who_manages_the_server_sees_and_cancels_everybodys_jobs(stage: Stage):
    await stage.anime("first " + "very " * 60 + "long")
    await stage.other.slash(stage.channel, "anime", prompt="second")
    first, second = await stage.all_jobs()

    shown = await stage.manager.slash(stage.channel, "queue server")

    assert shown.ephemeral
    assert shown.response is not None
    said = texts(shown.response)
    assert said.index("first") < said.index(f"<@{stage.member.id}> · Next in line") < said.index("second")
    assert "long" not in said
    assert f"<@{stage.other.id}> · 1 job ahead" in said
    assert custom_ids(shown.response) == [f"pastel:cancel:{first.id}", f"pastel:cancel:{second.id}"]
    await stage.manager.click(shown.response, custom_id=f"pastel:cancel:{second.id}")
    assert "Cancelled" in [part.get("label") for part in parts(shown.response)]
    assert [job.status for job in await stage.all_jobs()] == [JobStatus.QUEUED, JobStatus.CANCELLED]


async def test_an_empty_or_long_queue_of_a_server_fits_too(stage: Stage):
    assert "Nothing waits" in texts((await stage.manager.slash(stage.channel, "queue server")).response)
    for number in range(12):
        await stage.anime(f"picture {number} " + "*" * 300)

    result = await stage.manager.slash(stage.channel, "queue server")

    assert len(custom_ids(result.response)) == 10
    assert "and 2 more" in texts(result.response)


async def test_the_queue_of_a_server_is_paused_and_resumed(stage: Stage):
    await stage.anime("waits")
    job = await stage.only_job()

    paused = await stage.manager.slash(stage.channel, "queue pause")

    assert paused.ephemeral
    assert "everything else of this server waits" in texts(paused.response)
    assert await stage.jobs.claim(now=stage.clock.now(), lease_until=stage.clock.now(), batch=64) is None
    said = texts((await stage.manager.slash(stage.channel, "queue server")).response)
    assert f"Paused by <@{stage.manager.id}> <t:{int(stage.clock.now().timestamp())}:R>" in said
    mine = texts((await stage.member.slash(stage.channel, "queue show")).response)
    assert "Waiting until the moderators let the queue go on" in mine
    assert "already paused" in texts((await stage.manager.slash(stage.channel, "queue pause")).response)
    assert "goes on" in texts((await stage.manager.slash(stage.channel, "queue resume")).response)
    assert (await stage.draw()).id == job.id
    assert "not paused" in texts((await stage.manager.slash(stage.channel, "queue resume")).response)


async def test_nobody_else_looks_at_or_stops_a_servers_queue(stage: Stage):
    await stage.anime("a secret")

    for command in ("queue server", "queue pause", "queue resume"):
        for actor in (stage.other, stage.moderator):
            result = await actor.slash(stage.channel, command)
            assert result.ephemeral
            assert "manage this server" in texts(result.response)
            assert "secret" not in texts(result.response)
    assert await stage.jobs.backlog() == 1
