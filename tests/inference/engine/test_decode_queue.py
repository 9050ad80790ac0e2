"""Pictures on their way from a GPU: nobody's steps wait for them, and they are passed on when they are here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch

from bot.errors import GenerationError
from bot.inference.engine import decoding
from bot.inference.engine.cancellation import RequestCancelledError
from bot.inference.session import ModelSession
from bot.inference.transfers import Fetched
from tests.inference.conftest import make_request
from tests.inference.engines import Bench, Ticket, open_tiny_session
from tests.tiny_sdxl import TinyModels


@pytest.fixture(scope="module")
def session(models: TinyModels) -> Iterator[ModelSession]:
    opened = open_tiny_session(models)
    yield opened
    opened.close(RequestCancelledError())


@dataclass
class Gpu:
    """What it decodes is there once it is `done`, or once somebody has waited for it. `seconds` is what it takes."""

    done: bool = False
    waits: int = 0
    seconds: float = 0.25
    error: Exception | None = None
    verdict: tuple[float, ...] | None = None
    fetched: list[torch.Tensor] = field(default_factory=list)

    def record(self) -> None: ...

    def query(self) -> bool:
        return self.done

    def synchronize(self) -> None:
        self.waits += not self.done
        self.done = True
        if self.error is not None:
            raise self.error

    def elapsed_time(self, _: object) -> float:
        return self.seconds * 1000

    def fetch(self, values: torch.Tensor) -> Fetched:
        return Fetched(values=values if self.verdict is None or len(values) != 4 else torch.tensor(self.verdict), arrived=self)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Gpu:
    behind = Gpu()
    monkeypatch.setattr(decoding, "fetched", behind.fetch)
    monkeypatch.setattr(decoding, "marked", lambda _: behind)
    return behind


def while_it_decodes(session: ModelSession) -> tuple[Bench, Ticket, Ticket]:
    """An engine that has launched the decoding of one picture, of two requests."""
    bench = Bench(session, batch=4)
    short = bench.admit(make_request(num_inference_steps=1))
    long = bench.admit(make_request(num_inference_steps=5, seed=7))
    for _ in range(2):
        bench.engine.turn()
    return bench, short, long


def test_others_draw_on_while_a_gpu_decodes_and_the_picture_is_passed_on_once_it_is_there(
    session: ModelSession, gpu: Gpu
) -> None:
    bench, short, long = while_it_decodes(session)
    for _ in range(2):
        bench.engine.turn()

    assert long.reports[-1].step == 3
    assert gpu.waits == 0
    assert not short.ended
    gpu.done = True
    bench.engine.turn()
    assert short.result is not None
    bench.run()
    assert long.result is not None


def test_where_nothing_else_is_to_be_done_the_engine_sleeps_until_the_picture_is_there(session: ModelSession, gpu: Gpu) -> None:
    bench = Bench(session, batch=4)
    ticket = bench.admit(make_request(num_inference_steps=1))

    assert bench.run() == 3
    assert ticket.result is not None
    assert gpu.waits == 1


def test_a_picture_pays_what_the_gpu_took_for_it(session: ModelSession, gpu: Gpu) -> None:
    gpu.done, gpu.seconds = True, 2.0
    bench = Bench(session, batch=4)
    ticket = bench.admit(make_request(num_inference_steps=1, num_images=2), seconds=1.0)
    bench.run()

    assert isinstance(ticket.error, GenerationError)
    assert "took longer" in str(ticket.error)


def test_an_empty_picture_that_comes_late_is_decoded_again_and_then_refused(session: ModelSession, gpu: Gpu) -> None:
    bench, short, long = while_it_decodes(session)
    gpu.verdict = (1.0, 1.0, 0.0, 255.0)
    gpu.done = True
    bench.run()

    assert short.result is not None  # it was fetched before the verdicts turned bad
    assert isinstance(long.error, GenerationError)
    assert "came out empty" in str(long.error)


def test_a_gpu_that_is_lost_meanwhile_ends_it_for_all_and_any_other_fault_for_its_request(
    session: ModelSession, gpu: Gpu
) -> None:
    bench, short, long = while_it_decodes(session)
    gpu.done, gpu.error = True, ValueError("a bug")
    bench.engine.turn()
    assert str(short.error) == "a bug"
    gpu.error = RuntimeError("CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal memory access"):
        bench.run()
    assert not long.ended


def test_a_request_that_is_stopped_while_its_picture_is_decoded_is_forgotten(session: ModelSession, gpu: Gpu) -> None:
    bench, short, _ = while_it_decodes(session)
    short.control.stop()
    gpu.done = True
    bench.run()

    assert isinstance(short.error, RequestCancelledError)
    assert short.result is None
