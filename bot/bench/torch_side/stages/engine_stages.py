"""Measures the engine's work beside the UNet: waits for the device in a turn, decoding, and switching LoRAs."""

from __future__ import annotations

import copy
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from bot.bench.torch_side.stages.stopwatch import Stopwatch
from bot.domain.request import GenerationRequest
from bot.inference.denoising.denoising_state import DenoisingState
from bot.inference.denoising.unet_call import denoise
from bot.inference.engine.decoding import decode_within_memory
from bot.inference.engine.preparation import PreparedRequest, Preparer
from bot.inference.formats.model_layers import UNET
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.loras.merging import Factor, MergedWeights, layers_of
from bot.inference.prompts.encoder import PromptEncoder

SAMPLERS = (
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "LCMScheduler",
)
WARM_TURNS = 3
TRIALS = 3
RANK = 32
ATTENTION_OR_FEED_FORWARD = (".attn", ".ff.")  # of diffusers' names: the layers that most LoRAs change

Line = dict[str, Any]


class EngineStages:
    """Stages on one loaded model; belongs to the thread that draws. `request` is the one drawn; its sampler is replaced."""

    def __init__(self, model: LoadedModel, stopwatch: Stopwatch, request: GenerationRequest) -> None:
        self._model = model
        self._stopwatch = stopwatch
        self._request = request
        self.decode_seconds: float | None = None  # of a whole picture, once it was measured

    def syncs(self, room: float) -> Iterator[Line]:
        """Yields how often, and in which line, a step of two pictures makes the host wait for the device, then the decoding of
        one (None without CUDA).
        """
        del room
        unet, last = self._model.text2img.unet, self._noise()
        preparer = Preparer(self._model, PromptEncoder(self._model.text2img))
        for sampler in SAMPLERS:
            pictures = [picture for seed in (1, 2) for picture in self._prepared(preparer, sampler, seed)]
            for _ in range(WARM_TURNS):
                denoise(unet, pictures)
            yield {"step": sampler, **self._watched(lambda pictures=pictures: denoise(unet, pictures))}
        yield {"step": "decoding", **self._watched(lambda: self._decode(last))}

    def decoding(self, room: float) -> Iterator[Line]:
        """Yields the engine's own way to a picture, the host's part included; then the VAE alone in other types and layouts."""
        del room
        vae, latents = self._model.text2img.vae, self._noise()
        self._stopwatch.peak_gib()
        seconds = [self._stopwatch.seconds(lambda: self._decode(latents)) for _ in range(TRIALS + 1)]
        self.decode_seconds = sorted(seconds[1:])[TRIALS // 2]
        yield {"what": "picture", "ms": round(1000 * self.decode_seconds, 2), "peak_gib": self._stopwatch.peak_gib()}
        types = (torch.float32, torch.bfloat16, torch.float16) if self._stopwatch.is_cuda else (torch.float32, torch.bfloat16)
        for dtype in types:
            for layout in (torch.contiguous_format, torch.channels_last):
                copied = copy.deepcopy(vae).to(dtype=dtype).to(memory_format=layout)
                yield {"what": "vae", **_named(dtype, layout), **self._decoded(copied, latents.to(dtype))}

    def loras(self, room: float) -> Iterator[Line]:
        """Yields a switch to a LoRA of rank 32 on attention and feed-forward layers of the UNet, and back."""
        del room
        merged, factors = MergedWeights(self._model.text2img), self._factors()
        switches: tuple[tuple[str, list[tuple[Sequence[Factor], float]]], ...] = (
            ("first merge", [(factors, 0.7)]),
            ("bare again", []),
            ("merge", [(factors, 0.7)]),
            ("another weight", [(factors, 0.8)]),
            ("bare", []),
        )
        for what, chosen in switches:
            seconds = self._stopwatch.seconds(lambda chosen=chosen: merged.apply(chosen))
            yield {"switch": what, "layers": len(factors), "ms": round(1000 * seconds, 2)}

    def _prepared(self, preparer: Preparer, sampler: str, seed: int) -> list[DenoisingState]:
        steps = WARM_TURNS + 2
        request = replace(self._request, scheduler=sampler, seed=seed, num_inference_steps=steps)
        return preparer.prepare(PreparedRequest(request=request, styles=(), init_image=None))[0]

    def _noise(self) -> torch.Tensor:
        """Returns the latents of one picture."""
        pipeline, request = self._model.text2img, self._request
        scale, channels = pipeline.vae_scale_factor, int(pipeline.unet.config.in_channels)
        latents = torch.randn(1, channels, request.height // scale, request.width // scale)
        return latents.to(self._stopwatch.device, pipeline.unet.dtype)

    def _decode(self, latents: torch.Tensor) -> object:
        """Decode as the engine does, to the picture."""
        return decode_within_memory(self._model.text2img, self._model.profile, latents).image()

    def _watched(self, work: Callable[[], object]) -> Line:
        """Returns waits by file and line, and how long the host took."""
        self._stopwatch.synchronise()
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            if self._stopwatch.is_cuda:
                torch.cuda.set_sync_debug_mode("warn")
            try:
                began = time.perf_counter()
                work()
                host = time.perf_counter() - began
            finally:
                if self._stopwatch.is_cuda:
                    torch.cuda.set_sync_debug_mode("default")
        waits = Counter(f"{Path(one.filename).name}:{one.lineno}" for one in seen if "synchroniz" in str(one.message))
        told: Line = {"syncs": sum(waits.values()), "lines": dict(waits)} if self._stopwatch.is_cuda else {"syncs": None}
        return {**told, "host_ms": round(1000 * host, 2)}

    def _decoded(self, vae: Any, latents: torch.Tensor) -> Line:
        with torch.no_grad():
            took = self._stopwatch.took(lambda: vae.decode(latents, return_dict=False))
        return took.to_dict()

    def _factors(self) -> tuple[Factor, ...]:
        unet, device = self._model.text2img.unet, self._stopwatch.device

        def noise(*shape: int) -> torch.Tensor:
            return 0.01 * torch.randn(*shape, device=device, dtype=unet.dtype)

        return tuple(
            Factor(place=place, down=noise(RANK, shape[1]), up=noise(shape[0], RANK), scaling=1.0)
            for place, shape in layers_of(self._model.text2img).items()
            if place[0] in UNET and len(shape) == 2 and any(part in place[1] for part in ATTENTION_OR_FEED_FORWARD)
        )


def _named(dtype: torch.dtype, layout: torch.memory_format) -> Line:
    return {"dtype": str(dtype).removeprefix("torch."), "layout": str(layout).removeprefix("torch.")}
