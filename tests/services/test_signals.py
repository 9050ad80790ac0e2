"""Waking loops, estimating times, blanking words."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.ports import Ahead
from bot.services.estimates import Estimator
from bot.services.incidents import without_words
from bot.services.signals import Signal, rest
from tests.examples import job, request
from tests.fakes import START, FakeClock, FakeGenerator
from tests.services.world import until


async def test_a_ring_between_listening_and_resting_is_not_lost() -> None:
    signal = Signal()
    woken = signal.listen()
    signal.ring()

    await rest(woken, 60, FakeClock().sleep)

    assert not signal.listen().is_set()


async def test_every_listener_is_woken() -> None:
    signal, clock = Signal(), FakeClock()
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


class QueueOf:
    """The two questions that an estimate asks a JobRepository."""

    def __init__(self, ahead: Ahead | None, pace: float | None) -> None:
        self._ahead, self._pace = ahead, pace

    async def ahead(self, job_id: str) -> Ahead | None:
        return self._ahead

    async def pace(self) -> float | None:
        return self._pace


@pytest.mark.parametrize(("capacity", "starts", "ends"), [(1, 20, 30), (4, 5, 15)])
async def test_the_work_ahead_is_shared_by_all_who_draw(capacity: int, starts: float, ends: float) -> None:
    asked = job(request=request(width=1000, height=1000, num_inference_steps=5))  # 5 megapixel-steps at 2 s
    queue = QueueOf(Ahead(jobs=2, work=10), 2.0)
    estimator = Estimator(jobs=queue, clock=FakeClock(), generator=FakeGenerator(capacity=capacity))  # type: ignore[arg-type]

    position = await estimator.position(asked)

    assert position is not None
    assert position.ahead == 2
    assert position.starts_at == START + timedelta(seconds=starts)
    assert position.done_at == START + timedelta(seconds=ends)


@pytest.mark.parametrize("text", ["bad token in 'it\\'s a \"cat\"'", 'refused: it\'s a "cat"', "a: 'it\\'s a \"cat\"\\n'"])
def test_words_are_blanked_however_a_library_quotes_them(text: str) -> None:
    blanked = without_words(text, ('it\'s a "cat"', ""))

    assert "cat" not in blanked
    assert "[prompt]" in blanked
