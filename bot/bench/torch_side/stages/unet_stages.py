"""Measures a call of the UNet in every way: as it is, as a CUDA graph, compiled, with other kernels or layouts."""

# torch and diffusers are partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from bot.bench.torch_side.stages.stopwatch import GIB, Stopwatch
from bot.domain.batch_curve import BatchCurve
from bot.inference.denoising.cuda_graphs import graph_backend
from bot.inference.denoising.graphs import GraphedUNet, Inputs
from bot.inference.denoising.unet_call import predict
from bot.inference.faults import free_memory, is_out_of_memory
from bot.inference.loading.pipelines import LoadedModel

ROWS = (2, 8, 16, 4, 32, 6, 10, 1, 12, 20, 24)  # of a call, the weightiest first; a guided picture has two
GRAPH_ROWS = (2, 4, 8, 16, 32)
FEW_ROWS = (2, 16)  # one picture and eight, where each further shape costs minutes or tells little
COMPILED = ((2, "default"), (16, "default"), (2, "max-autotune-no-cudagraphs"))
ATTENTION = (SDPBackend.FLASH_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.EFFICIENT_ATTENTION)
TOKENS = 77  # of one chunk of a prompt
TOP_KERNELS = 20

Line = dict[str, Any]
Call = Callable[[], torch.Tensor]


class UnetStages:
    """Stages whose calls are made as the engine makes them, on random inputs in the profile's default size: an H200 multiplies
    zeros 13 % faster. Belongs to the thread that draws.
    """

    def __init__(self, model: LoadedModel, stopwatch: Stopwatch) -> None:
        self._model = model
        self._stopwatch = stopwatch
        self._unet: Any = model.text2img.unet
        self._seconds: dict[int, float] = {}  # of an eager call, by rows

    def eager(self, room: float) -> Iterator[Line]:
        """Yields calls as the engine makes them. Rows that do not fit into memory say so."""
        del room
        for rows in ROWS:
            self._stopwatch.peak_gib()
            line = self._timed(rows)
            if "device_ms" in line:
                self._seconds[rows] = line["device_ms"] / 1000
            yield {"rows": rows, **line, "peak_gib": self._stopwatch.peak_gib()}

    def curve(self) -> BatchCurve | None:
        """Returns the curve that `eager` measured, as the bot keeps it; None before two rows were."""
        points: list[tuple[int, float]] = []
        for rows in sorted(rows for rows in self._seconds if rows % 2 == 0):
            points.append((rows // 2, max(self._seconds[rows], points[-1][1] if points else 0.0)))
        return BatchCurve(tuple(points)) if points and points[0][0] == 1 else None

    def graphs(self, room: float) -> Iterator[Line]:
        """Yields CUDA graphs of the very same kernels: no compiler, and the same bits as the eager call."""
        del room
        backend = graph_backend(self._stopwatch.device)
        if backend is None:
            return
        graphs = GraphedUNet(self._unet, backend)
        try:
            for rows in GRAPH_ROWS:
                yield {
                    "rows": rows,
                    **self._graphed(graphs, rows),
                    "reserved_gib": round(torch.cuda.memory_reserved() / GIB, 2),
                }
        finally:
            graphs.release()

    def attention(self, room: float) -> Iterator[Line]:
        """Yields each of torch's kernels for it alone."""
        del room
        for backend in ATTENTION:
            for rows in FEW_ROWS:
                with sdpa_kernel(backend):
                    yield {"backend": backend.name.lower(), "rows": rows, **self._timed(rows)}

    def kernels(self, room: float) -> Iterator[Line]:
        """Yields which kernels the time goes to, and how many are launched."""
        del room
        from torch.profiler import ProfilerActivity, profile

        for rows in FEW_ROWS:
            call = self._call(rows)
            call()
            self._stopwatch.synchronise()
            with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as seen:
                call()
                self._stopwatch.synchronise()
            found: list[Any] = [event for event in seen.key_averages() if event.device_type.name != "CPU"]
            found.sort(key=lambda event: -event.self_device_time_total)
            yield {
                "rows": rows,
                "launched": sum(event.count for event in found),
                "top": [
                    {"kernel": event.key[:90], "launched": event.count, "ms": round(event.self_device_time_total / 1000, 3)}
                    for event in found[:TOP_KERNELS]
                ],
            }

    def compiled(self, room: float) -> Iterator[Line]:
        """Yields torch.compile without its own graphs; the model itself stays as it is."""
        del room
        for rows, mode in COMPILED:
            torch.compiler.reset()
            compiled: Any = torch.compile(self._unet, mode=None if mode == "default" else mode, fullgraph=True, dynamic=False)
            call, eager = self._call(rows, compiled), self._call(rows)
            first = self._stopwatch.seconds(call)
            largest = (call() - eager()).abs().max().item()
            took = self._stopwatch.took(call).to_dict()
            yield {"rows": rows, "mode": mode, "first_call_s": round(first, 1), "largest_difference": largest, **took}
        torch.compiler.reset()

    def channels_last(self, room: float) -> Iterator[Line]:
        """Yields the weights in another order of their dimensions; they are put back."""
        del room
        self._unet.to(memory_format=torch.channels_last)
        try:
            for rows in FEW_ROWS:
                yield {"rows": rows, **self._timed(rows)}
        finally:
            self._unet.to(memory_format=torch.contiguous_format)

    def _graphed(self, graphs: GraphedUNet, rows: int) -> Line:
        """Returns a call as the engine makes it, so with its inputs copied to where the graph reads them."""
        eager, replayed = self._call(rows), self._call(rows, graphs)
        expected = eager().clone()
        began = time.perf_counter()
        if not graphs.capture(self._inputs(rows)):
            return {"error": "could not be captured"}
        self._stopwatch.synchronise()
        captured = time.perf_counter() - began
        took = self._stopwatch.took(replayed)
        same = bool(torch.equal(replayed(), expected))
        return {**took.to_dict(), "capture_s": round(captured, 2), "same_bits": same}

    def _timed(self, rows: int) -> Line:
        """Returns milliseconds, or why there are none."""
        try:
            return dict(self._stopwatch.took(self._call(rows)).to_dict())
        except Exception as error:
            if is_out_of_memory(error):
                fault = "does not fit into memory"
            elif "No available kernel" in str(error):
                fault = "torch has no such kernel here"
            else:
                raise
        free_memory()  # outside the except block: a caught error keeps its frames' tensors alive
        return {"error": fault}

    def _call(self, rows: int, unet: Any = None) -> Call:
        """Returns a call; `unet` None is the model's own."""
        called, inputs = self._unet if unet is None else unet, self._inputs(rows)

        def call() -> torch.Tensor:
            with torch.no_grad():
                return predict(called, *inputs)

        return call

    def _inputs(self, rows: int) -> Inputs:
        """Returns the same inputs for every way to call it. The timesteps are on the device, so that nothing is sent."""
        pipeline, device, profile = self._model.text2img, self._stopwatch.device, self._model.profile
        config, scale, size = self._unet.config, pipeline.vae_scale_factor, profile.size(None)
        generator = torch.Generator().manual_seed(rows)

        def noise(*shape: int) -> torch.Tensor:
            return torch.randn(rows, *shape, generator=generator).to(device, self._unet.dtype)

        latents = noise(config.in_channels, size.height // scale, size.width // scale)
        embeddings = noise(TOKENS, config.cross_attention_dim)
        pooled = noise(int(pipeline.text_encoder_2.config.projection_dim))
        return latents, torch.linspace(900, 100, rows, device=device), embeddings, pooled, noise(6)
