"""Measures a device's limits, and how long calls of the UNet take on it."""

from __future__ import annotations

import torch

from bot.domain.batch_curve import BatchCurve
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.measuring.curve_measurement import CurveMeasurement
from bot.inference.measuring.machine import device_name, dtype_name, timed
from bot.inference.measuring.step_probe import StepProbe

MATMUL_SIDE = {"cuda": 8192, "mps": 2048}  # large enough that nothing but arithmetic counts
CPU_SIDE = 1024
MATMUL_TRIALS = 5
MATMUL_CALLS = 8  # of a GPU, in one trial: launching one costs nothing then


class DeviceProbe:
    """Measures the device of a model. Its methods block; call them while nothing else draws."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._device = model.device
        self._dtype: torch.dtype = model.text2img.unet.dtype

    @property
    def name(self) -> str:
        return device_name(self._device)

    @property
    def is_cuda(self) -> bool:
        return self._device.type == "cuda"

    @property
    def dtype(self) -> str:
        return dtype_name(self._dtype)

    def reset_peak_memory(self) -> None:
        if self.is_cuda:
            torch.cuda.reset_peak_memory_stats(self._device)

    def peak_memory(self) -> int | None:
        """Returns the most bytes of tensors since the last reset; None if torch does not know."""
        return torch.cuda.max_memory_allocated(self._device) if self.is_cuda else None

    def matmul_flops_per_second(self) -> float:
        """Returns the best of a few large matrix products in the model's own type: the roof of the roofline."""
        side = MATMUL_SIDE.get(self._device.type, CPU_SIDE)
        calls = 1 if self._device.type == "cpu" else MATMUL_CALLS
        left = torch.randn(side, side, device=self._device, dtype=self._dtype)
        right = torch.randn(side, side, device=self._device, dtype=self._dtype)

        def multiply() -> None:
            for _ in range(calls):
                torch.mm(left, right)

        multiply()
        return 2 * side**3 * calls / min(timed(self._device, multiply) for _ in range(MATMUL_TRIALS))

    def step_seconds(self, pictures: int, *, width: int, height: int) -> float | None:
        """Returns the seconds of one guided step of `pictures` images in one call; None if memory does not suffice."""
        return StepProbe(self._model, width=width, height=height).seconds(pictures)

    def curve(self) -> BatchCurve:
        """Returns how long calls take in the model's default size; measures for seconds."""
        size = self._model.profile.size(None)
        measurement = CurveMeasurement(StepProbe(self._model, width=size.width, height=size.height).seconds)
        while not measurement.done:
            measurement.step()
        return measurement.curve()
