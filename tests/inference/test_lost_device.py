"""A device or a drawing thread that is gone: everybody hears of it, whenever they came, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import torch

from bot.domain.fairness import Share
from bot.errors import GenerationError, GeneratorDeadError
from bot.inference import generator, session
from bot.inference.engine import engine
from bot.inference.engine.cancellation import CancelToken
from bot.inference.engine.preparation import Preparer
from bot.inference.engine.thread_future import ThreadFuture
from bot.inference.generator import DiffusersGenerator
from tests.inference.conftest import draw, make_generator, make_request
from tests.tiny_sdxl import TinyModels

LOST = RuntimeError("CUDA error: an illegal memory access was encountered")


def raising(error: BaseException) -> Any:
    def raises(*_: Any, **__: Any) -> Any:
        raise error

    return raises


async def test_a_device_that_is_lost_in_the_text_encoder_ends_every_call(
    models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = make_generator(models)
    drawn = asyncio.create_task(draw(generator, make_request(num_inference_steps=60)))
    await asyncio.sleep(0)
    monkeypatch.setattr(Preparer, "prepare", raising(LOST))
    ended = await asyncio.gather(drawn, *(draw(generator, make_request()) for _ in range(2)), return_exceptions=True)
    ready = generator.ready
    await generator.close()

    assert [type(one) for one in ended] == [GeneratorDeadError] * 3
    assert not ready


async def test_a_device_that_is_lost_while_the_weights_are_loaded_is_said_so(
    models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "load_model", raising(LOST))
    generator = make_generator(models)
    with pytest.raises(GeneratorDeadError, match="illegal memory access"):
        await generator.load()
    await generator.close()


async def test_a_device_that_is_lost_without_a_word_is_lost_all_the_same(
    models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "denoise", raising(torch.AcceleratorError("")))
    generator = make_generator(models)
    with pytest.raises(GeneratorDeadError, match="AcceleratorError"):
        await draw(generator, make_request())
    await generator.close()


async def test_a_call_that_came_while_the_device_went_is_refused_and_the_thread_rests(
    models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = make_generator(models)
    await generator.load()
    monkeypatch.setattr(engine, "denoise", raising(LOST))
    with pytest.raises(GeneratorDeadError):
        await draw(generator, make_request())
    late = ThreadFuture(CancelToken(lambda _: None, 60.0))
    asked = threading.Event()
    empty = generator._inbox.get

    def get(*, block: bool, timeout: float | None) -> Any:
        assert block, "a thread that has nothing to do must sleep"
        assert timeout is None, "nothing is measured on a device that is gone"
        asked.set()
        return empty(block, timeout)

    monkeypatch.setattr(generator, "_inbox", _Inbox(generator._inbox, get))
    generator._inbox.put(lambda: generator._admit(make_request(), None, Share(member=1), late))
    with pytest.raises(GeneratorDeadError):
        await asyncio.wait_for(late.future, 30)
    await asyncio.to_thread(asked.wait, 30)
    await generator.close()


class _Inbox:
    """The generator's inbox, with a look at how it is read."""

    def __init__(self, inbox: Any, get: Any) -> None:
        self.put, self.empty, self.get = inbox.put, inbox.empty, get


async def test_a_thread_that_breaks_off_leaves_nobody_waiting(models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.Engine, "turn", raising(SystemExit()))
    generator = make_generator(models)
    for _ in range(2):
        with pytest.raises(GeneratorDeadError, match="broke off with SystemExit"):
            await asyncio.wait_for(draw(generator, make_request()), 60)
    await generator.close()


async def test_closing_answers_those_who_wait_for_a_thread_that_does_not_let_go(
    models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()

    def stuck(*_: Any) -> Any:
        entered.set()
        release.wait()
        raise ValueError("too late")

    monkeypatch.setattr(engine, "denoise", stuck)
    monkeypatch.setattr(generator, "CLOSE_PATIENCE", 0.0)
    drawing: DiffusersGenerator = make_generator(models)
    task = asyncio.create_task(draw(drawing, make_request()))
    await asyncio.to_thread(entered.wait)
    await drawing.close()
    try:
        with pytest.raises(GenerationError, match="about to restart"):
            await asyncio.wait_for(task, 30)
    finally:
        release.set()
        await asyncio.to_thread(drawing._thread.join)
