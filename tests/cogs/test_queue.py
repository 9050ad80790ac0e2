from __future__ import annotations

from bot.domain.job import JobStatus
from tests.cogs.harness import SimcordHarness, custom_ids, parts, texts


async def test_an_empty_queue_says_so(harness: SimcordHarness):
    result = await harness.member.slash(harness.channel, "queue show")

    assert result.ephemeral
    assert "Your queue is empty" in texts(result.response)


async def test_the_queue_shows_a_members_own_jobs_in_order(harness: SimcordHarness):
    await harness.anime("first **one**")
    await harness.other.slash(harness.channel, "anime", prompt="somebody else's")
    await harness.anime("second one")

    result = await harness.member.slash(harness.channel, "queue show")

    said = texts(result.response)
    assert said.index("first \\*\\*one\\*\\*") < said.index("second one")
    assert "somebody else" not in said
    mine = [job.id for job in await harness.all_jobs() if job.origin.user_id == harness.member.id]
    assert custom_ids(result.response) == [f"pastel:cancel:{job_id}" for job_id in mine]


async def test_the_queue_says_which_job_is_being_drawn(harness: SimcordHarness):
    await harness.anime()
    now = harness.clock.now()
    await harness.jobs.claim(now=now, lease_until=now, batch=64)

    assert "Drawing now" in texts((await harness.member.slash(harness.channel, "queue show")).response)


async def test_a_long_queue_fits_into_one_message(harness: SimcordHarness):
    for number in range(12):
        await harness.anime(f"picture {number} " + "*" * 300)

    result = await harness.member.slash(harness.channel, "queue show")

    assert len(custom_ids(result.response)) == 10
    assert "and 2 more" in texts(result.response)


async def test_a_job_is_cancelled_from_the_list_which_then_says_so_beside_it_alone(harness: SimcordHarness):
    await harness.anime("green hair")
    await harness.anime("red hair")
    first, second = await harness.all_jobs()
    shown = await harness.member.slash(harness.channel, "queue show")
    assert shown.response is not None

    await harness.member.click(shown.response, custom_id=f"pastel:cancel:{first.id}")

    assert [job.status for job in await harness.all_jobs()] == [JobStatus.CANCELLED, JobStatus.QUEUED]
    buttons = {
        part["custom_id"]: (part["label"], bool(part.get("disabled"))) for part in parts(shown.response) if "custom_id" in part
    }
    assert buttons == {f"pastel:cancel:{first.id}": ("Cancelled", True), f"pastel:cancel:{second.id}": ("Cancel", False)}
    assert "red hair" in texts(shown.response)


async def test_who_cancels_twice_is_told_that_it_is_cancelled(harness: SimcordHarness):
    await harness.anime()
    job = await harness.only_job()
    await harness.member.slash(harness.channel, "queue cancel", job=job.id)

    again = await harness.member.slash(harness.channel, "queue cancel", job=job.id)

    assert "already cancelled" in texts(again.response)


async def test_a_job_is_cancelled_by_command_with_the_list_that_appears(harness: SimcordHarness):
    await harness.anime("green hair")
    await harness.anime("red hair")
    first, second = await harness.all_jobs()

    found = await harness.member.autocomplete(harness.channel, "queue cancel", "job", "RED")
    assert [choice["value"] for choice in found] == [second.id]
    assert "red hair" in found[0]["name"]

    result = await harness.member.slash(harness.channel, "queue cancel", job=second.id)
    assert result.ephemeral
    assert "Cancelled" in texts(result.response)
    assert [job.status for job in await harness.all_jobs()] == [JobStatus.QUEUED, JobStatus.CANCELLED]
    assert first.status is JobStatus.QUEUED


async def test_the_list_that_appears_shows_nobody_elses_jobs(harness: SimcordHarness):
    await harness.anime()

    assert await harness.other.autocomplete(harness.channel, "queue cancel", "job", "") == []


async def test_nobody_cancels_somebody_elses_job_by_its_id(harness: SimcordHarness):
    await harness.anime()
    job = await harness.only_job()

    result = await harness.other.slash(harness.channel, "queue cancel", job=job.id)

    assert result.ephemeral
    assert "Only the person who made" in texts(result.response)
    assert (await harness.job(job.id)).status is JobStatus.QUEUED


async def test_an_unknown_job_is_refused_with_a_sentence(harness: SimcordHarness):
    for typed, said in (
        ("nonsense", "I don't know that picture"),
        ("'; DROP TABLE jobs", "I don't know that picture"),
        ("f" * 16, "Only the person who made"),  # as of a job that is not theirs: nobody learns which there are
    ):
        result = await harness.member.slash(harness.channel, "queue cancel", job=typed)
        assert result.ephemeral
        assert said in texts(result.response)


async def test_who_manages_the_server_sees_and_cancels_everybodys_jobs(harness: SimcordHarness):
    await harness.anime("first " + "very " * 60 + "long")
    await harness.other.slash(harness.channel, "anime", prompt="second")
    first, second = await harness.all_jobs()

    shown = await harness.manager.slash(harness.channel, "queue server")

    assert shown.ephemeral
    assert shown.response is not None
    said = texts(shown.response)
    assert said.index("first") < said.index(f"<@{harness.member.id}> · You're next") < said.index("second")
    assert "long" not in said
    assert f"<@{harness.other.id}> · #2 in line" in said
    assert custom_ids(shown.response) == [f"pastel:cancel:{first.id}", f"pastel:cancel:{second.id}"]
    await harness.manager.click(shown.response, custom_id=f"pastel:cancel:{second.id}")
    assert "Cancelled" in [part.get("label") for part in parts(shown.response)]
    assert [job.status for job in await harness.all_jobs()] == [JobStatus.QUEUED, JobStatus.CANCELLED]


async def test_an_empty_or_long_queue_of_a_server_fits_too(harness: SimcordHarness):
    assert "The queue is empty" in texts((await harness.manager.slash(harness.channel, "queue server")).response)
    for number in range(12):
        await harness.anime(f"picture {number} " + "*" * 300)

    result = await harness.manager.slash(harness.channel, "queue server")

    assert len(custom_ids(result.response)) == 10
    assert "and 2 more" in texts(result.response)


async def test_the_queue_of_a_server_is_paused_and_resumed(harness: SimcordHarness):
    await harness.anime("waits")
    job = await harness.only_job()

    paused = await harness.manager.slash(harness.channel, "queue pause")

    assert paused.ephemeral
    assert "everything else waits" in texts(paused.response)
    assert await harness.jobs.claim(now=harness.clock.now(), lease_until=harness.clock.now(), batch=64) is None
    said = texts((await harness.manager.slash(harness.channel, "queue server")).response)
    assert f"Paused by <@{harness.manager.id}> <t:{int(harness.clock.now().timestamp())}:R>" in said
    mine = texts((await harness.member.slash(harness.channel, "queue show")).response)
    assert "Paused by the moderators" in mine
    assert "already paused" in texts((await harness.manager.slash(harness.channel, "queue pause")).response)
    assert "running again" in texts((await harness.manager.slash(harness.channel, "queue resume")).response)
    assert (await harness.draw()).id == job.id
    assert "isn't paused" in texts((await harness.manager.slash(harness.channel, "queue resume")).response)


async def test_nobody_else_looks_at_or_stops_a_servers_queue(harness: SimcordHarness):
    await harness.anime("a secret")

    for command in ("queue server", "queue pause", "queue resume"):
        for actor in (harness.other, harness.moderator):
            result = await actor.slash(harness.channel, command)
            assert result.ephemeral
            assert "**Manage Server**" in texts(result.response)
            assert "secret" not in texts(result.response)
    assert await harness.jobs.backlog() == 1
