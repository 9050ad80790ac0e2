"""`/privacy` as a member meets it."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from bot.chat.privacy_view import erase_id
from bot.domain.job import Job, JobStatus
from bot.domain.privacy import REMOVED
from bot.domain.privacy_export import ExportWriter
from bot.storage.house_rules import SqliteHouseRules
from bot.storage.personal import SqlitePersonalDefaults
from bot.storage.privacy import SqlitePrivacy
from bot.storage.traces import SqliteTraces
from tests.cogs.stage import Stage, custom_ids, texts
from tests.cogs.test_results import send
from tests.services.world import until

SECRET = "tattletale"


async def keep(stage: Stage, **days: int) -> None:
    rules = SqliteHouseRules(stage.database)
    await rules.change(stage.guild.id, lambda before: replace(before, **days), by=1, now=stage.clock.now())


async def exported(stage: Stage, actor: Any = None) -> dict[str, Any]:
    result = await (actor or stage.member).slash(stage.channel, "privacy export")
    assert result.ephemeral
    (attachment,) = result.response.attachments
    assert attachment.filename == "pastel-data.json"
    return json.loads(await attachment.read())


async def ask(stage: Stage) -> Any:
    """The question, with its button."""
    return await stage.member.slash(stage.channel, "privacy delete")


async def confirm(stage: Stage, question: Any, actor: Any = None, custom_id: str | None = None) -> Any:
    return await (actor or stage.member).click(question.response, custom_id=custom_id or erase_id(stage.member.id))


async def erased(stage: Stage) -> None:
    """Wait until the cards were tried too."""

    async def is_closed() -> bool:
        return await SqlitePrivacy(stage.database).open() == ()

    await until(is_closed)


async def words_of(stage: Stage, job: Job) -> str:
    return (await stage.job(job.id)).request.prompt


async def test_a_member_is_told_in_plain_words_what_is_kept_and_for_how_long(stage: Stage):
    await keep(stage, picture_days=7, prompt_days=30)
    await stage.finished(images=2)

    result = await stage.member.slash(stage.channel, "privacy show")

    assert result.ephemeral
    said = texts(result.response)
    assert "**Right now:** 1 request and 2 pictures" in said
    assert "**Pictures on my side:** 7 days, then" in said
    assert "**Your words and options:** 30 days, then" in said
    for heading in ("What I keep of you", "For how long, in this server", "Who sees it", "Get it, or delete it"):
        assert heading in said
    assert "`/privacy export`" in said
    assert "`/privacy delete`" in said
    for jargon in ("database", "token", "JSON", "SQL", "ledger", "WAL"):
        assert jargon not in said


async def test_without_a_rule_of_the_server_things_are_kept_until_they_are_deleted(stage: Stage):
    said = texts((await stage.member.slash(stage.channel, "privacy show")).response)

    assert said.count("until you delete them") == 2


async def test_a_member_gets_everything_about_themselves_and_nothing_about_others(stage: Stage):
    job = await stage.finished(prompt=SECRET, seed=5)
    await stage.other.slash(stage.channel, "anime", prompt="somebody else's")
    await SqlitePersonalDefaults(stage.database).change(
        stage.member.id, lambda before: replace(before, negative_prompt="dogs"), now=stage.clock.now()
    )

    data = await exported(stage)

    (told,) = data["requests"]
    assert (told["id"], told["request"]["prompt"], told["request"]["seed"]) == (job.id, SECRET, 5)
    assert (told["server"], told["channel"]) == (str(stage.guild.id), str(stage.channel.id))
    assert told["status"] == "delivered"
    assert data["defaults"]["negative_prompt"] == "dogs"
    assert [posting["kind"] for posting in data["credits"]] == ["reserve", "charge"]
    assert data["member"] == str(stage.member.id)
    assert "somebody else's" not in json.dumps(data)
    assert str(stage.other.id) not in json.dumps(data)


async def test_what_is_too_large_for_one_message_comes_in_several(stage: Stage, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("bot.services.exports.ExportWriter", lambda _: ExportWriter(500))
    await stage.finished()
    await stage.anime()

    result = await stage.member.slash(stage.channel, "privacy export")

    messages = [result.response, *result.followups]
    assert len(messages) > 1
    assert all(message.ephemeral for message in messages)
    names = [attachment.filename for message in messages for attachment in message.attachments]
    assert names == [f"pastel-data-{number}.zip" for number in range(1, len(messages) + 1)]
    assert "Part 1" in texts(result.response)
    assert f"Part {len(messages)}, the last" in texts(messages[-1])


async def test_no_secret_of_discords_leaves_with_an_export(stage: Stage):
    await stage.anime()
    token = (await stage.only_job()).reply.token
    assert token

    assert token not in json.dumps(await exported(stage))


async def test_a_deletion_is_confirmed_first(stage: Stage):
    job = await stage.finished(prompt=SECRET)

    question = await ask(stage)

    assert question.ephemeral
    assert "1 request and 1 picture" in texts(question.response)
    assert custom_ids(question.response) == [erase_id(stage.member.id)]
    assert await words_of(stage, job) == SECRET


async def test_after_the_confirmation_everything_is_gone_and_the_question_too(stage: Stage):
    job = await stage.finished(prompt=SECRET)
    await stage.anime(f"{SECRET} again")
    waiting = await stage.last_job()

    question = await ask(stage)
    await confirm(stage, question)
    await erased(stage)

    assert (await stage.job(job.id)).request == (await stage.job(waiting.id)).request == REMOVED
    assert (await stage.job(waiting.id)).status is JobStatus.CANCELLED
    assert stage.store.files == {}
    assert not stage.has_card(job)
    assert stage.channel.history() == []
    await SqliteTraces(stage.database).overwrite(now=stage.clock.now())
    assert SECRET.encode() not in stage.database.path.read_bytes()
    shown = stage.env.backend.get_message(stage.channel.id, question.response.id)
    assert custom_ids(shown) == []
    assert "Everything is deleted" in texts(shown)
    assert "overwritten within 24 hours" in texts(shown)


async def test_a_confirmation_works_after_a_restart(stage: Stage):
    job = await stage.finished(prompt=SECRET)
    question = await ask(stage)

    await stage.restart()
    await confirm(stage, question)

    assert await words_of(stage, job) != SECRET


async def test_a_forged_press_by_somebody_else_does_nothing(stage: Stage):
    job = await stage.finished(prompt=SECRET)

    for actor in (stage.other, stage.moderator, stage.manager):
        result = await send(stage, erase_id(stage.member.id), actor, stage.card(job))
        assert "Only the member who asked" in " ".join(texts(said) for said in result.followups)

    assert await words_of(stage, job) == SECRET
    assert stage.has_card(job)
    assert await SqlitePrivacy(stage.database).open() == ()


async def test_whoever_has_nothing_stored_is_told_so(stage: Stage):
    question = await ask(stage)
    await confirm(stage, question)

    shown = stage.env.backend.get_message(stage.channel.id, question.response.id)
    assert "Nothing of yours is left to delete" in texts(shown)


async def test_buttons_of_an_erased_picture_say_that_it_is_gone(stage: Stage):
    job = await stage.finished()
    card = stage.card(job)
    privacy = SqlitePrivacy(stage.database)
    erasure = await privacy.begin(stage.member.id, now=stage.clock.now())
    assert erasure is not None
    await privacy.remove(erasure, await privacy.content(erasure), now=stage.clock.now())  # before the card is removed

    for action in ("reroll", "subtle1", "upscale1", "remix", "details"):
        result = await stage.other.click(card, custom_id=f"pastel:{action}:{job.id}")
        said = " ".join([*(texts(message) for message in result.followups), texts(result.response) if result.response else ""])
        assert "deleted or is no longer known" in said, action


async def test_drawing_goes_on_after_a_deletion(stage: Stage):
    await stage.finished(prompt=SECRET)
    await confirm(stage, await ask(stage))
    await erased(stage)

    job = await stage.finished(prompt="afresh")

    assert job.status is JobStatus.DELIVERED
    assert [told["status"] for told in (await exported(stage))["requests"]] == ["delivered", "delivered"]
    assert (await exported(stage))["requests"][0]["request"] is None


async def test_no_word_of_a_members_is_in_the_log_of_all_this(stage: Stage, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    await stage.anime(SECRET, negative_prompt=f"{SECRET}s")
    await stage.member.slash(stage.channel, "queue show")
    job = await stage.draw()
    for action in ("reroll", "subtle1", "upscale1", "details"):
        await stage.press(job, action)
    await stage.draw()
    await stage.member.slash(stage.channel, "privacy show")
    await exported(stage)
    await confirm(stage, await ask(stage))
    await erased(stage)

    assert caplog.records
    formatter = logging.Formatter()
    assert [record for record in caplog.records if SECRET in formatter.format(record)] == []
