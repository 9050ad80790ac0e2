"""Requests that share calls of the UNet: joining, leaving, waiting, and what goes wrong with one of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch

from bot.domain.batch_curve import BatchCurve
from bot.domain.progress import Phase
from bot.errors import GenerationError
from bot.inference.engine.cancellation import RequestCancelledError
from bot.inference.engine.watchdog import FIRST_CALLS_SECONDS, HANG_SECONDS
from bot.inference.prompts.encoder import PromptEncoder
from bot.inference.session import ModelSession
from tests.inference.conftest import make_request, pixels
from tests.inference.engines import Bench, Ticket, open_tiny_session
from tests.tiny_sdxl import TinyModels


@pytest.fixture(scope="module")
def session(models: TinyModels) -> Iterator[ModelSession]:
    opened = open_tiny_session(models)
    yield opened
    opened.close(RequestCancelledError())


@contextmanager
def unet_calls(session: ModelSession, change: Callable[[torch.Tensor, Any], Any] | None = None) -> Iterator[list[int]]:
    """The rows of each call meanwhile. `change(timesteps, prediction)` may raise, or give another prediction."""
    rows: list[int] = []

    def hook(_: Any, arguments: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> Any:
        rows.append(len(arguments[0]))
        return None if change is None else (change(arguments[1], output[0]),)

    handle = session.model.text2img.unet.register_forward_hook(hook)
    try:
        yield rows
    finally:
        handle.remove()


def picture(ticket: Ticket, index: int = 0) -> np.ndarray:
    assert ticket.error is None
    assert ticket.result is not None
    return pixels(ticket.result.images[index].data)


def test_requests_of_different_steps_share_calls_and_leave_when_they_are_done(session: ModelSession) -> None:
    bench = Bench(session, batch=4)
    with unet_calls(session) as rows:
        tickets = [bench.admit(make_request(num_inference_steps=steps, seed=steps)) for steps in (2, 3, 5)]
        bench.run()

    assert rows == [6, 6, 4, 2, 2]
    assert all(ticket.result is not None for ticket in tickets)


def test_a_request_without_guidance_takes_one_row(session: ModelSession) -> None:
    bench = Bench(session, batch=4)
    with unet_calls(session) as rows:
        for scale in (7.0, 1.0):
            bench.admit(make_request(num_inference_steps=2, guidance_scale=scale))
        bench.run()

    assert rows == [3, 3]


def test_guidance_acts_only_within_its_interval(session: ModelSession) -> None:
    bench = Bench(session, batch=4)
    with unet_calls(session) as rows:
        bench.admit(make_request(num_inference_steps=4, guidance_interval=(0.25, 0.75)))
        bench.run()

    assert rows == [1, 2, 2, 1]


def test_four_pictures_of_one_request_are_rows_of_the_same_calls(session: ModelSession) -> None:
    bench = Bench(session, batch=4)
    with unet_calls(session) as rows:
        ticket = bench.admit(make_request(num_images=4, num_inference_steps=2))
        bench.run()

    assert rows == [8, 8]
    assert ticket.result is not None
    assert [image.seed for image in ticket.result.images] == [42, 43, 44, 45]


def test_more_pictures_than_a_call_holds_go_in_turns(session: ModelSession) -> None:
    bench = Bench(session, batch=2)
    with unet_calls(session) as rows:
        tickets = [bench.admit(make_request(num_inference_steps=2, seed=seed)) for seed in range(3)]
        bench.run()

    assert rows == [4, 4, 4]
    assert all(ticket.result is not None for ticket in tickets)


def test_a_newcomer_sees_a_preview_within_two_steps_while_eight_others_are_drawn(session: ModelSession) -> None:
    bench = Bench(session, batch=16)
    others = [bench.admit(make_request(num_inference_steps=40, seed=seed)) for seed in range(8)]
    for _ in range(5):
        bench.engine.turn()
    with unet_calls(session) as rows:
        newcomer = bench.admit(make_request(num_inference_steps=30))
        for _ in range(2):
            bench.engine.turn()

    assert len(rows) == 2
    assert [report.step for report in newcomer.reports if report.preview is not None] == [2]
    assert not any(ticket.ended for ticket in others)
    bench.engine.abandon(RequestCancelledError())


def test_a_cancel_takes_effect_before_the_next_call_and_harms_nobody(session: ModelSession) -> None:
    alone = Bench(session, batch=4)
    wanted = alone.admit(make_request(num_inference_steps=4))
    alone.run()

    bench = Bench(session, batch=4)
    stays = bench.admit(make_request(num_inference_steps=4))
    leaves = bench.admit(make_request(num_inference_steps=40, seed=1))
    with unet_calls(session) as rows:
        bench.engine.turn()
        leaves.control.stop()
        bench.run()

    assert rows == [4, 2, 2, 2]
    assert isinstance(leaves.error, RequestCancelledError)
    assert Phase.DECODING not in {report.phase for report in leaves.reports}
    assert np.abs(picture(stays).astype(int) - picture(wanted).astype(int)).max() <= 3


def test_whatever_their_size_and_style_all_have_their_first_step_after_a_slice_of_each(session: ModelSession) -> None:
    bench = Bench(session, batch=4)
    requests = [
        make_request(num_inference_steps=30),
        make_request(num_inference_steps=30, width=48, height=80),
        make_request(num_inference_steps=30, style="pastel", adapter_weight=0.7),
    ]
    tickets = [bench.admit(request) for request in requests]
    for _ in range(6):
        bench.engine.turn()
        bench.now += 0.5

    assert all(ticket.reports[-1].step >= 1 for ticket in tickets)
    bench.engine.abandon(RequestCancelledError())


def test_a_style_in_the_next_group_leaves_the_bare_models_picture_as_it_was(session: ModelSession) -> None:
    alone = Bench(session, batch=4)
    bare, styled = make_request(), make_request(style="pastel", adapter_weight=0.7)
    wanted = []
    for request in (bare, styled):
        ticket = alone.admit(request)
        alone.run()
        wanted.append(picture(ticket))

    bench = Bench(session, batch=4)
    tickets = [bench.admit(bare), bench.admit(styled)]
    while bench.engine.busy:
        bench.engine.turn()
        bench.now += 2.0  # a switch at every step

    assert [np.array_equal(picture(ticket), one) for ticket, one in zip(tickets, wanted, strict=True)] == [True, True]
    assert not np.array_equal(wanted[0], wanted[1])


def test_reproducible_pictures_do_not_depend_on_their_company(session: ModelSession) -> None:
    def drawn(*others: int) -> np.ndarray:
        bench = Bench(session, batch=4, buckets=(8,))
        before = [bench.admit(make_request(seed=seed, num_inference_steps=6)) for seed in others[:1]]
        ticket = bench.admit(make_request())
        after = [bench.admit(make_request(seed=seed, guidance_scale=1.0)) for seed in others[1:]]
        bench.run()
        assert all(one.result is not None for one in (*before, *after))
        return picture(ticket)

    alone = drawn()
    assert np.array_equal(drawn(7), alone)
    assert np.array_equal(drawn(7, 8, 9), alone)


class TestFaults:
    def test_a_call_that_runs_out_of_memory_is_halved_and_all_later_ones_too(self, session: ModelSession) -> None:
        def small_gpu(_: Any, prediction: torch.Tensor) -> torch.Tensor:
            if len(prediction) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return prediction

        bench = Bench(session, batch=4)
        with unet_calls(session, small_gpu) as rows:
            tickets = [bench.admit(make_request(seed=seed, num_inference_steps=2)) for seed in range(4)]
            bench.run()

        assert rows == [8, 4, 4, 4, 4]
        assert all(ticket.result is not None for ticket in tickets)

    def test_a_picture_that_does_not_fit_alone_is_refused_with_a_sentence(self, session: ModelSession) -> None:
        def tiny_gpu(_: Any, prediction: torch.Tensor) -> torch.Tensor:
            if prediction.shape[-2] != prediction.shape[-1]:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return prediction

        bench = Bench(session, batch=4)
        with unet_calls(session, tiny_gpu):
            large = [bench.admit(make_request(seed=seed, width=48, height=80)) for seed in range(2)]
            small = bench.admit(make_request())
            while bench.engine.busy:
                bench.engine.turn()
                bench.now += 2.0

        for ticket in large:
            assert isinstance(ticket.error, GenerationError)
            assert "Choose a smaller size" in str(ticket.error)
            assert not ticket.error.retryable
        assert small.result is not None

    def test_an_error_in_a_crowd_hits_the_one_who_causes_it_alone(self, session: ModelSession) -> None:
        def breaks_at_first_step_of_60(timesteps: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
            if (timesteps == poisonous).any():
                raise RuntimeError("a bug")
            return prediction

        bench = Bench(session, batch=4)
        others = [bench.admit(make_request(seed=seed, num_inference_steps=3)) for seed in range(3)]
        poison = bench.admit(make_request(num_inference_steps=60))
        poisonous = bench.engine._drawings[-1].pictures[0].timestep
        with unet_calls(session, breaks_at_first_step_of_60):
            bench.run()

        assert str(poison.error) == "a bug"
        assert all(ticket.result is not None for ticket in others)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_latents_that_are_no_numbers_end_their_request_and_nobody_elses(self, session: ModelSession, value: float) -> None:
        bench = Bench(session, batch=4)
        sound = bench.admit(make_request(num_inference_steps=3))
        broken = bench.admit(make_request(num_inference_steps=5))
        moment = bench.engine._drawings[-1].pictures[0].timestep

        def overflows(timesteps: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
            return torch.where((timesteps == moment).view(-1, 1, 1, 1), torch.full_like(prediction, value), prediction)

        with unet_calls(session, overflows):
            bench.run()

        assert isinstance(broken.error, GenerationError)
        assert "came out empty" in str(broken.error)
        assert sound.result is not None

    @pytest.mark.parametrize(
        "part", ["bot.inference.loading.latent_preview.LatentPreview.look", "bot.inference.loading.latent_preview.Look.image"]
    )
    def test_a_preview_that_fails_harms_nothing(
        self, session: ModelSession, monkeypatch: pytest.MonkeyPatch, part: str
    ) -> None:
        def breaks(*_: Any) -> bytes:
            raise ValueError("a bug")

        monkeypatch.setattr(part, breaks)
        bench = Bench(session, batch=4)
        ticket = bench.admit(make_request())
        bench.run()

        assert ticket.result is not None

    def test_a_file_that_cannot_be_encoded_ends_its_request(
        self, session: ModelSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def breaks(*_: Any) -> bytes:
            raise ValueError("a bug")

        monkeypatch.setattr("bot.inference.engine.active_request.encode_png", breaks)
        bench = Bench(session, batch=4)
        ticket = bench.admit(make_request(num_images=2))
        bench.run()

        assert str(ticket.error) == "a bug"

    def test_what_is_wrong_at_admission_goes_to_its_caller(
        self, session: ModelSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = Bench(session, batch=4)
        sound = bench.admit(make_request())
        monkeypatch.setattr(PromptEncoder, "encode", lambda *_, **__: 1 / 0)
        broken = bench.admit(make_request(seed=7))
        bench.run()

        assert isinstance(broken.error, ZeroDivisionError)
        assert sound.result is not None

    def test_a_step_of_ten_times_its_usual_time_is_logged_once(
        self, session: ModelSession, caplog: pytest.LogCaptureFixture
    ) -> None:
        bench = Bench(session, batch=4)

        def takes(timesteps: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
            bench.now += 5.0 if len(durations) == 8 else 0.2
            durations.append(1)
            return prediction

        durations: list[int] = []
        with unet_calls(session, takes), caplog.at_level(logging.WARNING, "bot.inference.engine.engine"):
            bench.admit(make_request(num_inference_steps=12))
            bench.run()

        assert [record.getMessage() for record in caplog.records] == [
            "A step of 1 pictures took 5.0 s, which usually takes 0.2 s"
        ]

    def test_a_step_that_does_not_end_is_told_apart_from_one_that_compiles(self, session: ModelSession) -> None:
        bench = Bench(session, batch=4)
        found: list[str | None] = []

        def asks(timesteps: torch.Tensor, prediction: torch.Tensor) -> torch.Tensor:
            began = bench.now
            for seconds in (0.2, HANG_SECONDS - 1, HANG_SECONDS + 1, FIRST_CALLS_SECONDS + 1):
                bench.now = began + seconds
                found.append(bench.engine.hang())
            bench.now = began + 0.2
            return prediction

        with unet_calls(session, asks):
            bench.admit(make_request(num_inference_steps=6))
            bench.run()

        assert [text is not None for text in found[:4]] == [False, False, False, True]  # nothing is usual yet
        assert [text is not None for text in found[-4:]] == [False, False, True, True]
        assert bench.engine.hang() is None


def test_an_admission_leaves_the_weights_that_others_draw_with_alone(session: ModelSession) -> None:
    bench = Bench(session, batch=4)
    bench.admit(make_request(num_inference_steps=30))
    bench.engine.turn()
    unet = session.model.text2img.unet
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}

    bench.admit(make_request(num_inference_steps=30, style="pastel", adapter_weight=0.7))

    assert all(torch.equal(weight, before[name]) for name, weight in unet.state_dict().items())
    bench.now += 1.0  # the slice of the bare model is over
    bench.engine.turn()
    assert any(not torch.equal(weight, before[name]) for name, weight in unet.state_dict().items())
    bench.engine.abandon(RequestCancelledError())


def test_a_picture_that_waits_uses_up_none_of_its_time(session: ModelSession) -> None:
    bench = Bench(session, batch=1, curve=BatchCurve(((1, 1.0),)))
    long = bench.admit(make_request(num_inference_steps=40), seconds=10.0)
    bench.engine.turn()
    short = bench.admit(make_request(num_inference_steps=4), seconds=10.0)

    def takes_a_second(_: Any, prediction: torch.Tensor) -> torch.Tensor:
        bench.now += 1.0
        return prediction

    with unet_calls(session, takes_a_second):
        for _ in range(4):
            bench.engine.turn()
        bench.now += 3600.0
        bench.run()

    assert short.result is not None
    assert isinstance(long.error, GenerationError)
    assert "took longer" in str(long.error)
    assert [report.step for report in long.reports if report.phase is Phase.DENOISING][-1] == 1 + 11


def test_of_a_flooder_and_a_member_the_member_draws_every_other_step_at_least(session: ModelSession) -> None:
    bench = Bench(session, batch=1, curve=BatchCurve(((1, 1.0),)))
    for seed in range(6):
        bench.admit(make_request(num_inference_steps=8, seed=seed), member=1)
    for _ in range(3):
        bench.engine.turn()

    asked = bench.admit(make_request(num_inference_steps=6), member=2)

    for _ in range(2 * 6 + 2):
        bench.engine.turn()
    assert asked.result is not None
    bench.engine.abandon(RequestCancelledError())


def test_what_is_kept_between_steps_is_counted_while_it_is_kept(session: ModelSession) -> None:
    bench = Bench(session, batch=4)
    assert bench.engine.kept_bytes == 0
    bench.admit(make_request(num_inference_steps=2))
    one = bench.engine.kept_bytes
    bench.admit(make_request(num_inference_steps=2, num_images=2, seed=7))

    assert 0 < one < bench.engine.kept_bytes
    bench.run()
    assert bench.engine.kept_bytes == 0
