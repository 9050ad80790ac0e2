"""Faults outside of the UNet's call: at admission, in a picture's own arithmetic, in previews and files; hangs there too."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from bot.errors import GenerationError
from bot.inference.denoising.denoising_state import DenoisingState
from bot.inference.engine.cancellation import RequestCancelledError
from bot.inference.engine.preparation import Preparer
from bot.inference.engine.watchdog import FIRST_CALLS_SECONDS
from bot.inference.loras import loader as adapters
from bot.inference.samplers import euler
from bot.inference.samplers.step_arithmetic import Moved
from bot.inference.session import ModelSession
from tests.inference.conftest import make_request
from tests.inference.engines import Bench, open_tiny_session
from tests.tiny_sdxl import TinyModels

LOST = RuntimeError("CUDA error: an illegal memory access was encountered")
NO_ROOM = torch.OutOfMemoryError("CUDA out of memory.")


@pytest.fixture(scope="module")
def session(models: TinyModels) -> Iterator[ModelSession]:
    opened = open_tiny_session(models)
    yield opened
    opened.close(RequestCancelledError())


def failing(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *errors: BaseException) -> list[BaseException]:
    """The next calls of a method raise `errors`, later ones work; returns what is left to be raised."""
    left, runtime = list(errors), getattr(owner, name)

    def fails(*arguments: Any, **options: Any) -> Any:
        if left:
            raise left.pop(0)
        return runtime(*arguments, **options)

    monkeypatch.setattr(owner, name, fails)
    return left


def breaks_at(monkeypatch: pytest.MonkeyPatch, victim: Callable[[DenoisingState], bool], error: Exception) -> None:
    move = DenoisingState.move

    def breaks(self: DenoisingState, moved: Moved) -> None:
        if victim(self):
            raise error
        move(self, moved)

    monkeypatch.setattr(DenoisingState, "move", breaks)


@pytest.mark.parametrize("first", [True, False])
def test_a_scheduler_that_breaks_at_the_last_step_of_a_crowd_ends_its_own_request_alone(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    bench = Bench(session, batch=4)
    tickets = [bench.admit(make_request(seed=seed, num_images=2, num_inference_steps=2)) for seed in (1, 5)]
    victim = bench.engine._drawings[0 if first else 1].pictures[1]
    breaks_at(monkeypatch, lambda picture: picture is victim and picture.step == 1, ValueError("a bug"))
    bench.run(20)

    broken, sound = tickets if first else tickets[::-1]
    assert str(broken.error) == "a bug"
    assert sound.result is not None


def test_memory_that_runs_out_in_a_pictures_own_arithmetic_is_a_sentence_and_worth_another_try(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(session, batch=4)
    tickets = [bench.admit(make_request(seed=seed)) for seed in range(2)]
    victim = bench.engine._drawings[0].pictures[0]
    breaks_at(monkeypatch, lambda picture: picture is victim, NO_ROOM)
    bench.run(20)

    assert isinstance(tickets[0].error, GenerationError)
    assert tickets[0].error.retryable
    assert tickets[1].result is not None


def test_a_device_that_is_lost_in_a_pictures_own_arithmetic_is_not_the_pictures_fault(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(session, batch=4)
    ticket = bench.admit(make_request())
    breaks_at(monkeypatch, lambda _: True, LOST)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        bench.run()

    assert not ticket.ended


def test_memory_that_runs_out_at_admission_is_freed_and_the_request_begins(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(session, batch=4)
    left = failing(monkeypatch, Preparer, "prepare", NO_ROOM)
    ticket = bench.admit(make_request())
    bench.run()

    assert left == []
    assert ticket.result is not None


def test_memory_that_runs_out_twice_at_admission_is_a_sentence(session: ModelSession, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(session, batch=4)
    failing(monkeypatch, Preparer, "prepare", NO_ROOM, NO_ROOM)
    ticket = bench.admit(make_request())

    assert isinstance(ticket.error, GenerationError)
    assert "Choose a smaller size" in str(ticket.error)
    assert ticket.error.retryable
    assert not bench.engine.busy


def test_a_device_that_is_lost_at_admission_is_not_the_requests_fault(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(session, batch=4)
    failing(monkeypatch, Preparer, "prepare", LOST)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        bench.admit(make_request())


def test_a_device_that_is_lost_while_a_style_is_loaded_is_not_the_styles_fault(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(session, batch=4)
    failing(monkeypatch, adapters, "read_factors", LOST)
    session.adapters._loaded.clear()
    with pytest.raises(RuntimeError, match="illegal memory access"):
        bench.admit(make_request(style="pastel", adapter_weight=0.7))


def test_a_picture_that_is_no_numbers_any_more_is_never_previewed(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.inference.engine.active_request.PREVIEW_SECONDS", 0.0)
    bench = Bench(session, batch=4)
    ticket = bench.admit(make_request(num_inference_steps=8))
    move = DenoisingState.move

    def spoilt(self: DenoisingState, moved: Moved) -> None:
        move(self, Moved(latents=moved.latents * float("nan"), clean=moved.clean * float("nan")))

    monkeypatch.setattr(DenoisingState, "move", spoilt)
    bench.run()

    assert isinstance(ticket.error, GenerationError)
    assert [report for report in ticket.reports if report.preview is not None] == []


def test_a_shared_step_that_fails_is_taken_again_with_the_noise_that_it_had(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(*seeds: int) -> list[bytes]:
        bench = Bench(session, batch=4)
        tickets = [bench.admit(make_request(seed=seed)) for seed in seeds]
        bench.run()
        return [ticket.result.images[0].data for ticket in tickets if ticket.result is not None]

    alone = drawn(1) + drawn(2)
    left = failing(monkeypatch, euler, "euler_step", NO_ROOM)  # from then on each has calls of its own

    assert drawn(1, 2) == alone
    assert left == []


def test_a_request_whose_file_could_not_be_made_takes_no_more_turns(
    session: ModelSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: Any) -> bytes:
        raise ValueError("a bug")

    monkeypatch.setattr("bot.inference.engine.active_request.encode_png", breaks)
    bench = Bench(session, batch=4)
    ticket = bench.admit(make_request(num_images=4, num_inference_steps=2))

    assert bench.run() == 2 + 1 + 1, "two steps, one picture decoded, and the others forgotten"
    assert str(ticket.error) == "a bug"


@pytest.mark.parametrize("part", ["vae", "text_encoder_2"])
def test_what_hangs_beside_the_unet_is_found_too(session: ModelSession, part: str) -> None:
    bench = Bench(session, batch=4)
    found: list[str | None] = []

    def hangs(*_: Any) -> None:
        before = bench.engine.hang()
        bench.now += FIRST_CALLS_SECONDS + 1
        found.extend([before, bench.engine.hang()])

    module = getattr(session.model.text2img, part)
    handle = (module.decoder if part == "vae" else module).register_forward_hook(hangs)
    try:
        bench.admit(make_request(prompt="never seen before"))
        bench.run()
    finally:
        handle.remove()

    assert found[0] is None
    assert found[1] == f"a step has not ended after {FIRST_CALLS_SECONDS + 1:.0f} s"
    assert bench.engine.hang() is None
