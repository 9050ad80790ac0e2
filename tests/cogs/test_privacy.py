"""`/privacy` as a member meets it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from bot.chat.views.privacy import erase_id
from bot.domain.job import Job, JobStatus
from bot.domain.privacy import REMOVED
from bot.domain.privacy_export import ExportWriter
from tests.cogs.harness import SimcordHarness, custom_ids, send, texts
from tests.services.harness import until

SECRET = "tattletale"


async def keep(harness: SimcordHarness, **days: int) -> None:
    rules = harness.repositories.guild_settings
    await rules.change(harness.guild.id, lambda before: replace(before, **days), by=1, now=harness.clock.now())


async def exported(harness: SimcordHarness, actor: Any = None) -> dict[str, Any]:
    result = await (actor or harness.member).slash(harness.channel, "privacy export")
    assert result.ephemeral
    (attachment,) = result.response.attachments
    assert attachment.filename == "pastel-data.json"
    return json.loads(await attachment.read())


async def ask(harness: SimcordHarness) -> Any:
    """The question, with its button."""
    return await harness.member.slash(harness.channel, "privacy delete")


async def confirm(harness: SimcordHarness, question: Any, actor: Any = None, custom_id: str | None = None) -> Any:
    return await (actor or harness.member).click(question.response, custom_id=custom_id or erase_id(harness.member.id))


async def erased(harness: SimcordHarness) -> None:
    """Wait until the cards were tried too."""

    async def is_closed() -> bool:
        return await harness.repositories.privacy.open() == ()

    await until(is_closed)


async def words_of(harness: SimcordHarness, job: Job) -> str:
    return (await harness.job(job.id)).request.prompt


async def test_a_member_is_told_in_plain_words_what_is_kept_and_for_how_long(harness: SimcordHarness):
    await keep(harness, picture_days=7, prompt_days=30)
    await harness.finished(images=2)

    result = await harness.member.slash(harness.channel, "privacy show")

    assert result.ephemeral
    said = texts(result.response)
    assert "**Right now I keep:** 1 request · 2 pictures" in said
    assert "**Pictures on my side:** 7 days, then" in said
    assert "**Your words and options:** 30 days, then" in said
    for heading in ("What I keep about you", "For how long, in this server", "Who can see it", "Get it, or delete it"):
        assert heading in said
    assert "`/privacy export`" in said
    assert "`/privacy delete`" in said
    for jargon in ("database", "token", "JSON", "SQL", "ledger", "WAL"):
        assert jargon not in said


async def test_without_a_rule_of_the_server_things_are_kept_until_they_are_deleted(harness: SimcordHarness):
    said = texts((await harness.member.slash(harness.channel, "privacy show")).response)

    assert said.count("until you delete them") == 2


async def test_a_member_gets_everything_about_themselves_and_nothing_about_others(harness: SimcordHarness):
    job = await harness.finished(prompt=SECRET, seed=5)
    await harness.other.slash(harness.channel, "anime", prompt="somebody else's")
    await harness.repositories.preferences.change(
        harness.member.id, lambda before: replace(before, negative_prompt="dogs"), now=harness.clock.now()
    )

    data = await exported(harness)

    (told,) = data["requests"]
    assert (told["id"], told["request"]["prompt"], told["request"]["seed"]) == (job.id, SECRET, 5)
    assert (told["server"], told["channel"]) == (str(harness.guild.id), str(harness.channel.id))
    assert told["status"] == "delivered"
    assert data["defaults"]["negative_prompt"] == "dogs"
    assert [posting["kind"] for posting in data["credits"]] == ["reserve", "charge"]
    assert data["member"] == str(harness.member.id)
    assert "somebody else's" not in json.dumps(data)
    assert str(harness.other.id) not in json.dumps(data)


async def test_what_is_too_large_for_one_message_comes_in_several(harness: SimcordHarness, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.services.exports.ExportWriter", lambda _: ExportWriter(500))
    await harness.finished()
    await harness.anime()

    result = await harness.member.slash(harness.channel, "privacy export")

    messages = [result.response, *result.followups]
    assert len(messages) > 1
    assert all(message.ephemeral for message in messages)
    names = [attachment.filename for message in messages for attachment in message.attachments]
    assert names == [f"pastel-data-{number}.zip" for number in range(1, len(messages) + 1)]
    assert "Part 1" in texts(result.response)
    assert f"Part {len(messages)}, the last one" in texts(messages[-1])


async def test_no_secret_of_discords_leaves_with_an_export(harness: SimcordHarness):
    await harness.anime()
    token = (await harness.only_job()).reply.token
    assert token

    assert token not in json.dumps(await exported(harness))


async def test_a_deletion_is_confirmed_first(harness: SimcordHarness):
    job = await harness.finished(prompt=SECRET)

    question = await ask(harness)

    assert question.ephemeral
    assert "1 request · 1 picture" in texts(question.response)
    assert custom_ids(question.response) == [erase_id(harness.member.id)]
    assert await words_of(harness, job) == SECRET


async def test_after_the_confirmation_everything_is_gone_and_the_question_too(harness: SimcordHarness):
    job = await harness.finished(prompt=SECRET)
    await harness.anime(f"{SECRET} again")
    waiting = await harness.last_job()

    question = await ask(harness)
    await confirm(harness, question)
    await erased(harness)

    assert (await harness.job(job.id)).request == (await harness.job(waiting.id)).request == REMOVED
    assert (await harness.job(waiting.id)).status is JobStatus.CANCELLED
    assert harness.store.files == {}
    assert not harness.has_card(job)
    assert harness.channel.history() == []
    await harness.repositories.traces.overwrite(now=harness.clock.now())
    assert SECRET.encode() not in harness.database.path.read_bytes()
    shown = harness.env.backend.get_message(harness.channel.id, question.response.id)
    assert custom_ids(shown) == []
    assert "Everything is deleted" in texts(shown)
    assert "overwritten within 24 hours" in texts(shown)


async def test_a_confirmation_works_after_a_restart(harness: SimcordHarness):
    job = await harness.finished(prompt=SECRET)
    question = await ask(harness)

    await harness.restart()
    await confirm(harness, question)

    assert await words_of(harness, job) != SECRET


async def test_a_forged_press_by_somebody_else_does_nothing(harness: SimcordHarness):
    job = await harness.finished(prompt=SECRET)

    for actor in (harness.other, harness.moderator, harness.manager):
        result = await send(harness, erase_id(harness.member.id), actor, harness.card(job))
        assert "Only the person who asked" in " ".join(texts(said) for said in result.followups)

    assert await words_of(harness, job) == SECRET
    assert harness.has_card(job)
    assert await harness.repositories.privacy.open() == ()


async def test_whoever_has_nothing_stored_is_told_so(harness: SimcordHarness):
    question = await ask(harness)
    await confirm(harness, question)

    shown = harness.env.backend.get_message(harness.channel.id, question.response.id)
    assert "nothing of yours left to delete" in texts(shown)


async def test_buttons_of_an_erased_picture_say_that_it_is_gone(harness: SimcordHarness):
    job = await harness.finished()
    card = harness.card(job)
    privacy = harness.repositories.privacy
    erasure = await privacy.begin(harness.member.id, now=harness.clock.now())
    assert erasure is not None
    await privacy.remove(erasure, await privacy.content(erasure), now=harness.clock.now())  # before the card is removed

    for action in ("reroll", "subtle1", "upscale1", "remix", "details"):
        result = await harness.other.click(card, custom_id=f"pastel:{action}:{job.id}")
        said = " ".join([*(texts(message) for message in result.followups), texts(result.response) if result.response else ""])
        assert "picture is gone" in said, action


async def test_drawing_goes_on_after_a_deletion(harness: SimcordHarness):
    await harness.finished(prompt=SECRET)
    await confirm(harness, await ask(harness))
    await erased(harness)

    job = await harness.finished(prompt="afresh")

    assert job.status is JobStatus.DELIVERED
    assert [told["status"] for told in (await exported(harness))["requests"]] == ["delivered", "delivered"]
    assert (await exported(harness))["requests"][0]["request"] is None


async def test_no_word_of_a_members_is_in_the_log_of_all_this(harness: SimcordHarness, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    await harness.anime(SECRET, negative_prompt=f"{SECRET}s")
    await harness.member.slash(harness.channel, "queue show")
    job = await harness.draw()
    for action in ("reroll", "subtle1", "upscale1", "details"):
        await harness.press(job, action)
    await harness.draw()
    await harness.member.slash(harness.channel, "privacy show")
    await exported(harness)
    await confirm(harness, await ask(harness))
    await erased(harness)

    assert caplog.records
    formatter = logging.Formatter()
    assert [record for record in caplog.records if SECRET in formatter.format(record)] == []
