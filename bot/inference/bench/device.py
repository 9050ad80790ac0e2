"""What a device can do, and how long calls of the UNet take on it."""

# torch and diffusers are partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Any

import torch

from bot.inference.faults import free_memory, is_out_of_memory
from bot.inference.pipelines import LoadedModel

MATMUL_SIDE = {"cuda": 8192, "mps": 2048}  # large enough that nothing but arithmetic counts
CPU_SIDE = 1024
MATMUL_TRIALS = 5
MATMUL_CALLS = 8  # of a GPU, in one trial: launching one costs nothing then


class DeviceProbe:
    """Measures the device that a model lies on. Its methods block; call them while nothing else draws."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._device = model.device
        self._dtype: torch.dtype = model.text2img.unet.dtype

    @property
    def name(self) -> str:
        if self._device.type == "cuda":
            return torch.cuda.get_device_name(self._device)
        return f"{self._device.type.upper()}, {platform.machine()}, {torch.get_num_threads()} threads"

    @property
    def is_cuda(self) -> bool:
        return self._device.type == "cuda"

    @property
    def dtype(self) -> str:
        return str(self._dtype).removeprefix("torch.")

    def synchronise(self) -> None:
        """Wait until the device has done all that was asked of it."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        elif self._device.type == "mps":
            torch.mps.synchronize()

    def reset_peak_memory(self) -> None:
        if self.is_cuda:
            torch.cuda.reset_peak_memory_stats(self._device)

    def peak_memory(self) -> int | None:
        """Bytes that tensors took at most since the last reset; None where torch does not know."""
        return torch.cuda.max_memory_allocated(self._device) if self.is_cuda else None

    def matmul_flops_per_second(self) -> float:
        """The best of a few large matrix products in the model's own type: the roof of the roofline."""
        side = MATMUL_SIDE.get(self._device.type, CPU_SIDE)
        calls = 1 if self._device.type == "cpu" else MATMUL_CALLS
        left = torch.randn(side, side, device=self._device, dtype=self._dtype)
        right = torch.randn(side, side, device=self._device, dtype=self._dtype)

        def multiply() -> None:
            for _ in range(calls):
                torch.mm(left, right)

        multiply()
        return 2 * side**3 * calls / min(self._seconds(multiply) for _ in range(MATMUL_TRIALS))

    def step_seconds(self, pictures: int, *, width: int, height: int) -> float | None:
        """One guided step of so many pictures in one call; None where memory does not suffice."""
        pipeline, rows = self._model.text2img, 2 * pictures
        unet: Any = pipeline.unet
        config, scale = unet.config, pipeline.vae_scale_factor

        def noise(*shape: int) -> torch.Tensor:
            return torch.randn(rows, *shape, device=self._device, dtype=self._dtype)

        try:
            latents = noise(config.in_channels, height // scale, width // scale)
            embeddings = noise(77, config.cross_attention_dim)
            pooled = noise(int(pipeline.text_encoder_2.config.projection_dim))
            added = {"text_embeds": pooled, "time_ids": noise(6)}
            times = torch.full((rows,), 500.0, device=self._device)
            with torch.no_grad():
                return self._seconds(lambda: unet(latents, times, encoder_hidden_states=embeddings, added_cond_kwargs=added))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
        free_memory()
        return None

    def _seconds(self, work: Callable[[], object]) -> float:
        self.synchronise()
        began = time.perf_counter()
        work()
        self.synchronise()
        return time.perf_counter() - began
