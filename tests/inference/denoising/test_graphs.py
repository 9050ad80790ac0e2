"""Replayed calls of the UNet: the same bits, captured when it is time, and never where a graph would not be right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch

from bot.domain.profile import ModelSource
from bot.inference.denoising import graphs as graphs_module
from bot.inference.denoising.cuda_graphs import CudaGraphs, graph_backend
from bot.inference.denoising.graphs import CALLS, MOST_FAILED, GraphedUNet, Inputs, is_plain
from bot.inference.denoising.unet_call import predict
from bot.inference.engine_settings import EngineSettings
from bot.inference.loading.casting import lower
from bot.inference.loading.compiling import COMPILED_ROWS
from bot.inference.loading.pipelines import LoadedModel, load_model
from bot.inference.loras.loader import LoraLoader
from bot.inference.measuring.step_probe import StepProbe, random_inputs
from bot.inference.session import ModelSession
from tests.inference.conftest import NEARLY_FREE, make_request, pixels
from tests.inference.engines import Bench
from tests.inference.fake_graphs import FakeGraphs
from tests.tiny_sdxl import MODEL_REPO, TinyModels, tiny_profile

CAPTURE_FAULT = "CUDA error: operation not permitted when stream is capturing"  # which leaves the device whole
AT_START = [8, 6, 4, 2, 1]  # rows, with 4 pictures a call
TALL = {"width": 48, "height": 80}


@pytest.fixture
def model(models: TinyModels) -> LoadedModel:
    return load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu")


@pytest.fixture
def backend(model: LoadedModel) -> FakeGraphs:
    return FakeGraphs(unet=model.text2img.unet)


@pytest.fixture
def graphed(model: LoadedModel, backend: FakeGraphs) -> GraphedUNet:
    return GraphedUNet(model.text2img.unet, backend)


@contextmanager
def opened(models: TinyModels, backend: FakeGraphs | None = None, **settings: Any) -> Iterator[ModelSession]:
    loaded = load_model(tiny_profile(ModelSource(repo=MODEL_REPO)), device="cpu", cache_dir=models.cache_dir)
    if backend is not None:
        backend.unet = loaded.text2img.unet
    wanted = EngineSettings(**({"batch": 4, "curve": NEARLY_FREE, "graphs": "on"} | settings))
    session = ModelSession(loaded, LoraLoader(loaded.text2img, cache_dir=models.cache_dir), wanted, backend=backend)
    try:
        yield session
    finally:
        session.close(RuntimeError("the test is over"))


def crew(session: ModelSession) -> Bench:
    return Bench(session, batch=4, buckets=COMPILED_ROWS)


def inputs(model: LoadedModel, rows: int = 2, side: int = 64) -> Inputs:
    latents, times, *conditions = random_inputs(model, rows, width=side, height=side)
    embeddings, pooled, time_ids = conditions
    return latents, times + 100 * torch.rand(rows), embeddings, pooled, time_ids


def called(unet: Any, given: Inputs) -> torch.Tensor:
    with torch.no_grad():
        return predict(unet, *given).clone()


def drawn(bench: Bench, **changes: Any) -> Any:
    ticket = bench.admit(make_request(**changes))
    bench.run()
    assert ticket.error is None
    assert ticket.result is not None
    return pixels(ticket.result.images[0].data)


def test_replayed_calls_are_the_unets_own_to_the_last_bit_in_whatever_order_shapes_come(
    model: LoadedModel, backend: FakeGraphs, graphed: GraphedUNet
) -> None:
    for rows in (4, 2, 1):
        assert graphed.capture(inputs(model, rows))
    for rows in (1, 2, 1, 4, 4, 2):
        given = inputs(model, rows)
        assert torch.equal(called(graphed, given), called(model.text2img.unet, given))

    assert backend.replays == 6


@pytest.mark.parametrize("changed", range(5))
def test_each_input_of_a_replayed_call_counts(model: LoadedModel, graphed: GraphedUNet, changed: int) -> None:
    first, second = inputs(model), inputs(model)
    graphed.capture(first)
    called(graphed, first)
    latents, times, embeddings, pooled, time_ids = (
        second[index] if index == changed else given for index, given in enumerate(first)
    )
    mixed = latents, times, embeddings, pooled, time_ids

    assert not torch.equal(called(model.text2img.unet, mixed), called(model.text2img.unet, first))
    assert torch.equal(called(graphed, mixed), called(model.text2img.unet, mixed))


def test_latents_in_another_order_of_memory_are_not_replayed_as_if_they_were_in_the_usual_one(
    model: LoadedModel, backend: FakeGraphs, graphed: GraphedUNet
) -> None:
    latents, *conditions = inputs(model)
    times, embeddings, pooled, time_ids = conditions
    graphed.capture((latents, times, embeddings, pooled, time_ids))
    last = latents.contiguous(memory_format=torch.channels_last), times, embeddings, pooled, time_ids
    other = latents.transpose(2, 3), times, embeddings, pooled, time_ids

    assert torch.equal(called(graphed, last), called(model.text2img.unet, last))
    assert torch.equal(called(graphed, other), called(model.text2img.unet, other))
    assert backend.replays == 0
    assert not graphed.capture(other)
    assert graphed.capture(last)
    assert torch.equal(called(graphed, last), called(model.text2img.unet, last))
    assert backend.replays == 1


def test_a_call_with_anything_beyond_the_plain_inputs_goes_to_the_unet(
    model: LoadedModel, backend: FakeGraphs, graphed: GraphedUNet
) -> None:
    unet, (latents, times, embeddings, pooled, time_ids) = model.text2img.unet, inputs(model)
    graphed.capture((latents, times, embeddings, pooled, time_ids))
    conditions = {"text_embeds": pooled, "time_ids": time_ids}
    plain: dict[str, Any] = {"encoder_hidden_states": embeddings, "added_cond_kwargs": conditions, "return_dict": False}
    sides = [torch.randn(one.shape) for one in down_blocks(model, latents)]
    with torch.no_grad():
        for beyond in (
            {"mid_block_additional_residual": torch.ones(1), "down_block_additional_residuals": tuple(sides)},
            {"timestep_cond": None},
            {"added_cond_kwargs": conditions | {"image_embeds": pooled}},
        ):
            expected = unet(latents, times, **(plain | beyond))[0]
            assert torch.equal(graphed(latents, times, **(plain | beyond))[0], expected)
        assert torch.equal(graphed(latents, 500, **plain)[0], unet(latents, 500, **plain)[0])
        assert torch.equal(graphed(latents, times, **plain | {"return_dict": True}).sample, unet(latents, times, **plain)[0])

    assert backend.replays == 0
    assert not graphed.wanted


def down_blocks(model: LoadedModel, latents: torch.Tensor) -> list[torch.Tensor]:
    """What a ControlNet adds to: the outputs of the UNet's way down."""
    seen: list[torch.Tensor] = []
    unet = model.text2img.unet
    handles = [unet.conv_in.register_forward_hook(lambda _m, _i, output: seen.append(output))]
    handles += [block.register_forward_hook(lambda _m, _i, output: seen.extend(output[1])) for block in unet.down_blocks]
    given = inputs(model, latents.shape[0])
    called(unet, given)
    for handle in handles:
        handle.remove()
    return seen


def test_a_shape_is_wanted_from_its_twentieth_call_on(model: LoadedModel, backend: FakeGraphs, graphed: GraphedUNet) -> None:
    given, other = inputs(model), inputs(model, 4)
    wanted = []
    for _ in range(CALLS):
        called(graphed, other)
        called(graphed, given)
        wanted.append(graphed.wanted)
    graphed.capture_wanted()

    assert wanted == [False] * (CALLS - 1) + [True]
    assert backend.rows == [2]
    assert not graphed.wanted
    called(graphed, given)
    assert (backend.replays, graphed.wanted) == (1, False)


@pytest.mark.parametrize("fault", [RuntimeError(CAPTURE_FAULT), torch.OutOfMemoryError("no room")])
def test_a_shape_that_cannot_be_captured_stays_eager_for_good_with_one_line_in_the_log(
    model: LoadedModel, backend: FakeGraphs, graphed: GraphedUNet, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    given = inputs(model)
    backend.faults.append(fault)
    tried = [graphed.capture(given) for _ in range(3)]
    for _ in range(CALLS + 1):
        called(graphed, given)

    assert tried == [False] * 3
    assert not graphed.wanted
    assert torch.equal(called(graphed, given), called(model.text2img.unet, given))
    assert [record.getMessage() for record in caplog.records] == [
        f"Calls of 2 rows of 8 x 8 stay without a CUDA graph: {fault}"
    ]
    assert graphed.capture(inputs(model, 4))  # others are none the worse for it


def test_a_fault_of_a_capture_that_ends_the_device_is_told_as_that(
    model: LoadedModel, backend: FakeGraphs, graphed: GraphedUNet
) -> None:
    backend.faults.append(RuntimeError(CAPTURE_FAULT))
    backend.lost = RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal memory access"):
        graphed.capture(inputs(model))


def test_where_one_shape_after_another_fails_no_more_are_tried(
    model: LoadedModel, backend: FakeGraphs, graphed: GraphedUNet, caplog: pytest.LogCaptureFixture
) -> None:
    backend.faults = [RuntimeError(CAPTURE_FAULT) for _ in range(2 * MOST_FAILED)]
    for rows in range(1, 2 * MOST_FAILED):
        assert not graphed.capture(inputs(model, rows))

    assert len(caplog.records) == MOST_FAILED


def test_of_too_many_graphs_the_one_that_was_used_least_lately_makes_room(
    model: LoadedModel, backend: FakeGraphs, graphed: GraphedUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs_module, "MOST_GRAPHS", 2)
    for rows in (1, 2):
        graphed.capture(inputs(model, rows))
    called(graphed, inputs(model, 1))
    graphed.capture(inputs(model, 3))
    for rows in (1, 2, 3):
        called(graphed, inputs(model, rows))

    assert [graph.replays for graph in backend.graphs] == [2, 0, 1]


def test_shapes_that_members_make_up_are_counted_to_a_limit(
    model: LoadedModel, graphed: GraphedUNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs_module, "MOST_COUNTED", 3)
    for rows in range(1, 8):
        called(graphed, inputs(model, rows))

    assert len(graphed._calls) == 3


def test_graphs_are_dropped_when_weights_were_moved_and_kept_when_they_were_changed_in_place(
    model: LoadedModel, backend: FakeGraphs, graphed: GraphedUNet
) -> None:
    given, layer = inputs(model), model.text2img.unet.time_embedding.linear_1
    graphed.capture(given)
    layer.weight.mul_(2.0)
    graphed.weights_changed()
    assert torch.equal(called(graphed, given), called(model.text2img.unet, given))
    layer.weight = torch.nn.Parameter(layer.weight * 0.5, requires_grad=False)
    graphed.weights_changed()

    assert torch.equal(called(graphed, given), called(model.text2img.unet, given))
    assert backend.replays == 1
    assert graphed.capture(given)
    assert torch.equal(called(graphed, given), called(model.text2img.unet, given))
    assert backend.replays == 2


def test_models_that_hook_into_their_layers_stay_eager(model: LoadedModel, backend: FakeGraphs) -> None:
    unet = model.text2img.unet
    assert is_plain(unet)
    lower(model.text2img)

    assert not is_plain(unet)
    assert not GraphedUNet(unet, backend).capture(inputs(model))


def test_weights_in_8_bit_stay_eager(model: LoadedModel) -> None:
    unet = model.text2img.unet
    unet.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=unet.dtype)

    assert not is_plain(unet)


def test_what_offloads_weights_stays_eager(model: LoadedModel) -> None:
    from accelerate.hooks import ModelHook, add_hook_to_module

    add_hook_to_module(model.text2img.unet, ModelHook())

    assert not is_plain(model.text2img.unet)


# In the engine.


def test_the_default_size_is_captured_at_the_start_and_pictures_are_the_same(models: TinyModels) -> None:
    backend = FakeGraphs()
    with opened(models) as plain:
        expected = drawn(Bench(plain, batch=4))
    with opened(models, backend) as session:
        assert backend.rows == AT_START
        picture = drawn(crew(session))

    assert (picture == expected).all()
    assert backend.replays == 4
    assert all(graph.released for graph in backend.graphs)
    assert session.model.graphs is None


@pytest.mark.parametrize("settings", [{"graphs": "off"}, {}])
def test_without_the_setting_or_without_a_gpu_nothing_is_captured(models: TinyModels, settings: dict[str, str]) -> None:
    backend = FakeGraphs() if settings else None
    assert graph_backend(torch.device("cpu")) is None
    with opened(models, backend, **settings) as session:
        assert session.model.graphs is None
        assert session.model.unet is session.model.text2img.unet


def test_reproducible_calls_have_one_graph(models: TinyModels) -> None:
    backend = FakeGraphs()
    with opened(models, backend, reproducible=True, batch=2):
        assert backend.rows == [4]


def test_other_sizes_are_captured_after_twenty_calls_and_one_in_a_slice(models: TinyModels) -> None:
    backend = FakeGraphs()
    with opened(models, backend) as session:
        bench = crew(session)
        drawn(bench, num_inference_steps=CALLS - 1, **TALL)
        assert backend.rows == AT_START
        first = drawn(bench, num_inference_steps=2, **TALL)
        assert backend.rows == [*AT_START, 2]
        drawn(bench, num_inference_steps=CALLS, guidance_scale=1.0, **TALL)  # the same slice: nobody else was there
        assert backend.rows == [*AT_START, 2]
        bench.now = 100.0
        drawn(bench, num_inference_steps=2, guidance_scale=1.0, **TALL)
        assert backend.rows == [*AT_START, 2, 1]
        assert backend.replays == 2
    with opened(models) as plain:
        assert (first == drawn(Bench(plain, batch=4), num_inference_steps=2, **TALL)).all()


def test_calls_that_are_timed_are_replayed_as_the_engines_will_be(models: TinyModels) -> None:
    backend = FakeGraphs()
    with opened(models, backend) as session:
        seconds = StepProbe(session.model, width=64, height=64, buckets=COMPILED_ROWS).seconds(5)

    assert seconds is not None
    assert backend.rows == [*AT_START, 10]
    assert backend.replays == 1


def test_a_switch_of_loras_keeps_the_graphs_and_the_pictures_right(models: TinyModels) -> None:
    backend = FakeGraphs()
    wanted: list[dict[str, Any]] = [{}, {"style": "pastel", "adapter_weight": 0.7}, {}, {"style": "pastel"}, {}]
    with opened(models) as plain:
        expected = [drawn(Bench(plain, batch=4), **one) for one in wanted[:2]]
    with opened(models, backend) as session:
        bench = crew(session)
        pictures = [drawn(bench, **one) for one in wanted]

    assert backend.replays == 4 * len(wanted)
    assert backend.rows == AT_START
    assert (pictures[0] == expected[0]).all()
    assert (pictures[1] == expected[1]).all()
    assert (pictures[2] == expected[0]).all()
    assert (pictures[4] == expected[0]).all()
    assert (expected[0] != expected[1]).any()


def test_a_call_that_runs_out_of_memory_has_that_of_the_graphs_first(
    models: TinyModels, caplog: pytest.LogCaptureFixture
) -> None:
    backend = FakeGraphs()
    with opened(models, backend) as session:
        bench = crew(session)
        backend.full = torch.OutOfMemoryError("CUDA out of memory")
        drawn(bench, num_inference_steps=CALLS + 2)

        assert all(graph.released for graph in backend.graphs)
        assert backend.rows == AT_START  # nor is anything captured again
    assert "without from now on" in caplog.text
    assert "pictures in one call did not fit" not in caplog.text


@pytest.mark.parametrize("is_measured", [True, False])
def test_nothing_is_captured_while_another_member_waits_for_a_first_step_or_nobody_knows_who_would_be_late(
    models: TinyModels, is_measured: bool
) -> None:
    backend = FakeGraphs()
    with opened(models, backend) as session:
        bench = crew(session)
        first = bench.admit(make_request(num_inference_steps=CALLS + 8, **TALL))
        for _ in range(CALLS - 1):
            bench.engine.turn()
        other = bench.admit(make_request(num_inference_steps=4))
        bench.engine.curve = NEARLY_FREE if is_measured else None
        bench.engine.turn()  # the twentieth of the size, whose slice lasts
        assert first.reports[-1].step == CALLS
        assert backend.rows == AT_START
        captured: list[int] = []
        while bench.engine.busy:
            bench.now += 1.0
            bench.engine.turn()
            if len(backend.rows) > len(AT_START):
                captured.append(other.reports[-1].step)

    assert first.result is not None
    assert other.result is not None
    assert backend.rows == [*AT_START, 2]
    assert captured[0] >= (1 if is_measured else 4)


class Cuda:
    """Stands in for torch.cuda as far as a capture needs it, and notes what is asked of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.captures: list[dict[str, Any]] = []
        monkeypatch.setattr(torch.cuda, "Stream", lambda _: self)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: self)
        monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
        monkeypatch.setattr(torch.cuda, "stream", self._stream)
        monkeypatch.setattr(torch.cuda, "graph", self._capture)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)

    def wait_stream(self, other: object) -> None:
        self.log.append("wait")

    def pool(self) -> str:
        return f"pool of {len(self.captures)}" if self.captures[-1]["pool"] is None else self.captures[-1]["pool"]

    def call(self) -> torch.Tensor:
        self.log.append("call")
        return torch.ones(1)

    @contextmanager
    def _stream(self, stream: object) -> Iterator[None]:
        self.log.append("aside")
        try:
            yield
        finally:
            self.log.append("back")

    @contextmanager
    def _capture(self, graph: object, **options: Any) -> Iterator[None]:
        assert graph is options.pop("stream") is self
        self.captures.append(options)
        self.log.append("begin")
        yield
        self.log.append("end")


def test_on_a_gpu_a_call_is_warmed_up_aside_and_captured_while_other_threads_go_on_all_in_one_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cuda = Cuda(monkeypatch)
    backend = CudaGraphs(torch.device("cuda:1"))
    for _ in range(2):
        backend.capture(cuda.call)
    backend.release()
    backend.capture(cuda.call)

    once = ["wait", "aside", "call", "call", "begin", "call", "end", "back", "wait"]
    assert cuda.log == once * 3
    assert [capture["pool"] for capture in cuda.captures] == [None, "pool of 1", None]
    assert {capture["capture_error_mode"] for capture in cuda.captures} == {"thread_local"}


def test_a_capture_that_breaks_off_leaves_the_thread_on_its_own_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = Cuda(monkeypatch)

    def broken() -> torch.Tensor:
        if "begin" in cuda.log:
            raise RuntimeError(CAPTURE_FAULT)
        return cuda.call()

    with pytest.raises(RuntimeError, match="capturing"):
        CudaGraphs(torch.device("cuda")).capture(broken)

    assert "end" not in cuda.log
    assert cuda.log[-1] == "back"
