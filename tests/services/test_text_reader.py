"""Texts made to take long, beside the event loop and at a pace."""

import asyncio
import threading

import pytest

from bot.domain.infotext.importer import import_settings
from bot.domain.prompt_rules import check_words
from bot.errors import NotAllowedError, QuotaError
from bot.services import gate, settings_import
from bot.services.text_reader import TRIES_A_MINUTE, TextReader
from tests.examples import MEMBER, OTHER, origin, request
from tests.services.harness import ServicesHarness, until
from tests.services.test_bounds import Time


async def test_a_prompt_that_takes_long_to_judge_does_not_hold_the_event_loop(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, released = threading.Event(), threading.Event()

    def slow(*_: object, **__: object) -> None:
        reading.set()
        assert released.wait(20), "the event loop was held"

    monkeypatch.setattr(gate, "check_words", slow)
    asked = asyncio.create_task(harness.submit())
    await until(reading.is_set)

    assert not asked.done()
    released.set()
    assert (await asked).origin.user_id == MEMBER


async def test_tries_have_a_pace_a_member_and_refused_ones_count() -> None:
    time = Time()
    reader = TextReader(time)

    async def ask(user_id: int, prompt: str) -> None:
        await reader.read(user_id, check_words, prompt, adult=False)

    for _ in range(TRIES_A_MINUTE):
        with pytest.raises(NotAllowedError):
            await ask(MEMBER, "nude")

    with pytest.raises(QuotaError, match=r"a lot in a short time\. Wait 1 s"):
        await ask(MEMBER, "a cat")
    await ask(OTHER, "a cat")
    time.now += 1
    await ask(MEMBER, "a cat")


async def test_a_member_who_asks_too_fast_is_refused_at_the_door(harness: ServicesHarness) -> None:
    with pytest.raises(QuotaError, match="short time"):  # noqa: PT012 - the try that is one too many
        for _ in range(3 * TRIES_A_MINUTE):
            with pytest.raises(NotAllowedError):
                await harness.submit(request=request(prompt="nude"))

    assert await harness.jobs.counts() == {}
    await harness.submit(2, origin=origin(2, user_id=OTHER))


async def test_a_text_that_takes_long_to_parse_does_not_hold_the_event_loop(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def watched(*given: object) -> object:
        seen.append(threading.current_thread().name)
        return import_settings(*given)  # pyright: ignore[reportArgumentType] # as it was called

    monkeypatch.setattr(settings_import, "import_settings", watched)
    picture_import = await harness.services.settings_import.in_text("a cat, Steps: 4", origin())

    assert picture_import.imported.draft.prompt
    assert all(name.startswith("pastel-texts") for name in seen)
    assert seen
