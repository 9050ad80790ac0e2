"""Waking loops, blanking words."""

from __future__ import annotations

import asyncio

import pytest

from bot.services.error_ids import without_words
from bot.services.wakeup import WakeUp, rest
from tests.fakes import FakeClock
from tests.services.harness import until


async def test_a_ring_between_listening_and_resting_is_not_lost() -> None:
    signal = WakeUp()
    woken = signal.listen()
    signal.ring()

    await rest(woken, 60, FakeClock().sleep)

    assert not signal.listen().is_set()


async def test_every_listener_is_woken() -> None:
    signal, clock = WakeUp(), FakeClock()
    resting = [asyncio.create_task(rest(signal.listen(), 60, clock.sleep)) for _ in range(3)]
    await asyncio.sleep(0)

    signal.ring()

    await asyncio.gather(*resting)
    assert clock.pauses == []


async def test_a_rest_ends_by_itself_when_its_time_is_over() -> None:
    clock = FakeClock()
    resting = asyncio.create_task(rest(asyncio.Event(), 60, clock.sleep))
    await until(lambda: bool(clock.pauses))

    clock.advance(60)

    await resting


@pytest.mark.parametrize("text", ["bad token in 'it\\'s a \"cat\"'", 'refused: it\'s a "cat"', "a: 'it\\'s a \"cat\"\\n'"])
def test_words_are_blanked_however_a_library_quotes_them(text: str) -> None:
    blanked = without_words(text, ('it\'s a "cat"', ""))

    assert "cat" not in blanked
    assert "[prompt]" in blanked
