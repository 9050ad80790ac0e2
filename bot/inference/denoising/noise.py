"""Draws a picture's noise, and variations of it."""

# torch and diffusers are partly unannotated.

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from bot.domain.request import ImageSeeds, NoiseBlend, NoiseDraws
from bot.inference.transfers import sent

Blends = Sequence[tuple[NoiseBlend, torch.Generator]]

NEARLY_PARALLEL = 0.9995  # cosine beyond which slerp divides by almost nothing and lerp is as good


def cpu_generator(seed: int) -> torch.Generator:
    """Returns a generator on the CPU, whatever the device, so that a seed means the same noise everywhere."""
    return torch.Generator("cpu").manual_seed(seed)


class PictureNoise:
    """One picture's noise, drawn by `generator` in diffusers' order; each draw is moved along the picture's blends.

    A blend draws from a generator of its own, so that its seed's draws match the picture's one by one: share 1 gives that
    seed's picture, and share 0 the original, both bit for bit. The arithmetic happens on the CPU, where the generators are and
    where slerp has float64 (Apple's GPUs have none).
    """

    def __init__(self, seeds: ImageSeeds) -> None:
        self.generator = cpu_generator(seeds.seed)
        self._blends = [(blend, cpu_generator(blend.seed)) for blend in seeds.blends]
        self._of_each_draw = [blend for blend in self._blends if blend[0].draws is NoiseDraws.EVERY]

    def initial(self, shape: Sequence[int], *, device: torch.device, dtype: torch.dtype) -> torch.Tensor:
        """Returns the noise that a picture starts from, or that img2img adds to another picture; all blends move it."""
        return sent(self._drawn(shape, dtype, self._blends), device)

    def drawn(self, shape: Sequence[int], dtype: torch.dtype | None = None) -> torch.Tensor:
        """Returns the next draw after the first, on the CPU; the blends of every draw move it."""
        return self._drawn(shape, dtype, self._of_each_draw)

    def moving(self, device: torch.device) -> AbstractContextManager[object]:
        """Opens a block in which the calling thread's other draws from `generator` are moved by the blends of every draw, and
        reach the device without a wait.
        """
        if device.type == "cpu" and not self._of_each_draw:
            return nullcontext()
        return _MovedDraws(self, device)

    def _drawn(self, shape: Sequence[int], dtype: torch.dtype | None, blends: Blends) -> torch.Tensor:
        noise = torch.randn(tuple(shape), generator=self.generator, dtype=dtype)
        for blend, generator in blends:
            noise = slerp(noise, torch.randn(tuple(shape), generator=generator, dtype=dtype), blend.strength)
        return noise


class _MovedDraws(TorchFunctionMode):
    """Intercepts noise that some samplers draw inside their step; only a mode of torch sees it there without patching them."""

    def __init__(self, noise: PictureNoise, device: torch.device) -> None:
        super().__init__()
        self._noise = noise
        self._device = device

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func is torch.randn and given.get("generator") is self._noise.generator:
            return sent(self._noise.drawn(args[0], given.get("dtype")), self._device)
        return func(*args, **given)


def slerp(start: torch.Tensor, end: torch.Tensor, share: float) -> torch.Tensor:
    """Returns the point on the sphere between `start` (share 0) and `end` (share 1); the whole tensor counts as one vector.

    A plain mean of two noises has a smaller deviation than either, and the model turns that into grey pictures.
    """
    if share == 0:
        return start
    a, b = start.flatten().double(), end.flatten().double()
    cosine = float(torch.dot(a, b) / (a.norm() * b.norm()))
    if abs(cosine) > NEARLY_PARALLEL:
        mixed = (1 - share) * a + share * b
    else:
        angle = math.acos(cosine)
        mixed = (math.sin((1 - share) * angle) * a + math.sin(share * angle) * b) / math.sin(angle)
    return mixed.reshape(start.shape).to(start.dtype)
