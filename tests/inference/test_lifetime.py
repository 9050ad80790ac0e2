"""One thread, many waiting tasks: cancelling, closing, running out of time."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from bot.domain.fairness import Share
from bot.domain.profile import ModelSource
from bot.domain.progress import Phase
from bot.errors import GenerationError, ModelError
from bot.inference.generator import DiffusersGenerator
from bot.inference.session import ModelSession
from tests.inference.conftest import Reports, draw, make_generator, make_request, pixels
from tests.inference.engines import open_tiny_session
from tests.tiny_sdxl import TinyModels, tiny_catalog, tiny_profile


async def test_drawing_and_loading_happen_off_the_loops_thread(models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.inference import session
    from bot.inference.engine import engine

    seen: list[threading.Thread] = []
    load, once = session.load_model, engine.denoise
    monkeypatch.setattr(session, "load_model", lambda *a, **k: (seen.append(threading.current_thread()), load(*a, **k))[1])
    monkeypatch.setattr(engine, "denoise", lambda *a: (seen.append(threading.current_thread()), once(*a))[1])
    generator = make_generator(models)
    reports = Reports()
    assert not generator.ready
    await generator.generate(make_request(num_inference_steps=1), init_image=None, share=Share(1), on_progress=reports)

    assert generator.ready
    assert reports[0].phase is Phase.LOADING
    assert [thread.name.startswith("pastel-inference") for thread in seen] == [True, True]
    await generator.close()
    assert not generator.ready
    seen[0].join(10)  # a thread says that it is done before it has ended
    assert not seen[0].is_alive()


async def test_a_session_that_somebody_made_is_used_in_place_of_weights_and_made_on_the_thread(models: TinyModels) -> None:
    makers: list[str] = []

    def make() -> ModelSession:
        makers.append(threading.current_thread().name)
        return open_tiny_session(models)

    nowhere = tiny_profile(ModelSource(repo="nobody/nothing"))
    generator = DiffusersGenerator(nowhere, tiny_catalog(nowhere), device="cpu", make_session=make)
    drawn = [await draw(generator, make_request()) for _ in range(2)]
    await generator.close()

    assert drawn[0].images[0].data == drawn[1].images[0].data
    assert makers == ["pastel-inference"]


async def test_cancel_stops_within_one_step_and_the_next_picture_is_unharmed(shared_generator: DiffusersGenerator) -> None:
    before = await draw(shared_generator, make_request())
    reports, third, steps = Reports(), asyncio.Event(), list[int]()
    unet = shared_generator._session.model.text2img.unet
    counting = unet.register_forward_hook(lambda *_: steps.append(1))

    def on_progress(progress: Any) -> None:
        reports(progress)
        if progress.step == 3:
            third.set()

    long = make_request(num_inference_steps=60, width=128, height=128)
    task = asyncio.create_task(shared_generator.generate(long, init_image=None, share=Share(1), on_progress=on_progress))
    await third.wait()
    task.cancel()
    await asyncio.sleep(0)  # the cancellation is delivered
    steps_at_cancel = len(steps)
    with pytest.raises(asyncio.CancelledError):
        await task
    counting.remove()
    after = await draw(shared_generator, make_request())

    assert steps_at_cancel < 60
    assert len(steps) <= steps_at_cancel + 1
    assert Phase.DECODING not in {report.phase for report in reports}
    assert pixels(after.images[0].data).tobytes() == pixels(before.images[0].data).tobytes()


async def test_a_cancelled_request_that_still_waits_for_the_thread_is_never_drawn(shared_generator: DiffusersGenerator) -> None:
    running = asyncio.create_task(draw(shared_generator, make_request(num_images=2)))
    reports = Reports()
    waiting = asyncio.create_task(
        shared_generator.generate(make_request(), init_image=None, share=Share(1), on_progress=reports)
    )
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    assert len((await running).images) == 2
    assert reports == []


async def test_the_coroutine_ends_only_when_the_thread_has_let_go_however_often_it_is_cancelled(
    shared_generator: DiffusersGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.inference.engine import engine

    entered, release, left = threading.Event(), threading.Event(), threading.Event()
    denoise = engine.denoise

    def stuck(*arguments: Any) -> Any:
        entered.set()
        release.wait()
        broken = denoise(*arguments)
        left.set()
        return broken

    monkeypatch.setattr(engine, "denoise", stuck)
    task = asyncio.create_task(draw(shared_generator, make_request()))
    await asyncio.to_thread(entered.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    still_waiting = not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert still_waiting
    assert left.is_set()


async def test_a_request_beyond_its_time_is_stopped_with_a_sentence(models: TinyModels) -> None:
    generator = make_generator(models, seconds_per_image=0.0)
    with pytest.raises(GenerationError, match="took longer than") as caught:
        await draw(generator, make_request())
    await generator.close()

    assert not caught.value.retryable


async def test_closing_stops_the_running_request_and_refuses_later_ones(models: TinyModels) -> None:
    generator = make_generator(models)
    started = asyncio.Event()
    long = make_request(num_inference_steps=60, num_images=4, width=128, height=128)
    task = asyncio.create_task(generator.generate(long, init_image=None, share=Share(1), on_progress=lambda _: started.set()))
    await started.wait()
    await generator.close()

    with pytest.raises(GenerationError, match="about to restart") as caught:
        await task
    assert caught.value.retryable
    with pytest.raises(GenerationError, match="about to restart"):
        await draw(generator, make_request())
    await generator.close()


async def test_closing_does_not_wait_for_weights_that_are_still_being_read(
    models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.inference import session

    reading, release = threading.Event(), threading.Event()

    def slow(*_: Any, **__: Any) -> None:
        reading.set()
        release.wait()
        raise ModelError("too late")

    monkeypatch.setattr(session, "load_model", slow)
    monkeypatch.setattr("bot.inference.generator.CLOSE_PATIENCE", 0.0)
    generator = make_generator(models)
    task = asyncio.create_task(generator.load())
    await asyncio.to_thread(reading.wait)
    task.cancel()
    await asyncio.sleep(0)
    waits_for_the_thread = not task.done()
    await generator.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()

    assert waits_for_the_thread
