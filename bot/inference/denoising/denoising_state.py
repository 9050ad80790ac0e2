"""One picture on its way from noise to clean latents."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch

from bot.inference.denoising.noise import PictureNoise
from bot.inference.samplers.step_arithmetic import BatchedSteps, Moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The key of a call of the UNet: pictures share it where the latents' sides, tokens, LoRAs and weights are equal."""

    height: int
    width: int
    tokens: int
    adapters: tuple[tuple[str, float], ...] = ()

    @property
    def area(self) -> int:
        return self.height * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """The UNet's inputs besides latents and time: two rows (negative first) with guidance, one without.

    `embeddings` (rows, tokens, channels), `pooled` (rows, channels), `time_ids` (rows, 6).
    """

    embeddings: torch.Tensor
    pooled: torch.Tensor
    time_ids: torch.Tensor

    def positive(self) -> Conditions:
        """Returns the last row alone."""
        return Conditions(embeddings=self.embeddings[-1:], pooled=self.pooled[-1:], time_ids=self.time_ids[-1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """Classifier-free guidance, and for each step that runs whether it acts there."""

    scale: float
    acts: tuple[bool, ...]
    rescale: float = 0.0


class DenoisingState:
    """One picture's scheduler, generator and step count. It shares the call of the UNet with others and, where `batched` is
    set, the arithmetic of a step too; `memory` is then what its steps leave to the next.

    `timesteps` are on the CPU, so that no step waits for the device to read a number. The arithmetic is that of diffusers'
    pipeline, in its order: alone, the latents are the same bit for bit.
    """

    def __init__(
        self,
        group: Group,
        scheduler: Any,
        timesteps: torch.Tensor,
        latents: torch.Tensor,
        conditions: Conditions,
        guidance: Guidance,
        noise: PictureNoise,
        batched: BatchedSteps | None = None,
    ) -> None:
        self.group = group
        self.latents = latents
        self.guidance = guidance
        self.batched = batched
        self.memory = None if batched is None or batched.first_memory is None else batched.first_memory(latents)
        self.step = 0
        self.predicted = latents  # the clean latents as the last step saw them
        self._scheduler = scheduler
        self._timesteps = timesteps
        self._conditions = conditions
        self._single = conditions.positive()
        takes_generator = "generator" in inspect.signature(scheduler.step).parameters
        self._extra: dict[str, Any] = {"generator": noise.generator} if takes_generator else {}
        self._noise = noise
        self._step_noise: torch.Tensor | None = None
        self._scales = torch.ones(len(timesteps)) if batched is None or batched.scales is None else batched.scales

    @property
    def steps(self) -> int:
        return len(self._timesteps)

    @property
    def begun(self) -> bool:
        return self.step > 0

    @property
    def done(self) -> bool:
        return self.step >= self.steps

    @property
    def area(self) -> int:
        return self.group.area

    @property
    def kept(self) -> tuple[torch.Tensor, ...]:
        """Returns the tensors that must stay in memory while others are drawn. Pictures of a request share some of them."""
        outputs = (self.memory, *(getattr(self._scheduler, "model_outputs", None) or ()))
        conditions = (self._conditions.embeddings, self._conditions.pooled, self._conditions.time_ids)
        return (self.latents, self.predicted, *conditions, *(output for output in outputs if output is not None))

    def steps_left(self, rows: int) -> int:
        """Returns how many of the remaining steps take `rows` rows."""
        return sum((2 if acts else 1) == rows for acts in self.guidance.acts[self.step :])

    @property
    def rows(self) -> int:
        """Returns how many rows of the next call this picture needs: 2 with guidance, 1 without."""
        return 2 if self.guidance.acts[self.step] else 1

    @property
    def timestep(self) -> torch.Tensor:
        """Returns the next timestep, a tensor without dimensions, on the CPU."""
        return self._timesteps[self.step]

    @property
    def conditions(self) -> Conditions:
        """Returns the conditions of the next call, `rows` rows."""
        return self._conditions if self.rows == 2 else self._single

    @property
    def input_scale(self) -> torch.Tensor:
        """Returns the divisor of the latents for the next call: a tensor without dimensions, float32 on the CPU."""
        return self._scales[self.step]

    @property
    def draws(self) -> bool:
        """Returns whether the next step adds noise and is a shared one."""
        return self.batched is not None and self.batched.draws[self.step]

    def step_noise(self, dtype: torch.dtype) -> torch.Tensor:
        """Returns the next step's noise, on the CPU, or zero; a repeated call gets the same until the step is taken."""
        if self._step_noise is None:
            shape = self.latents.shape
            self._step_noise = self._noise.drawn(shape, dtype) if self.draws else torch.zeros(shape, dtype=dtype)
        return self._step_noise

    def advance(self, prediction: torch.Tensor) -> None:
        """Take one step of the scheduler with the UNet's prediction, guidance included: one row."""
        with self._noise.moving(self.latents.device):
            outcome = self._scheduler.step(prediction, self.timestep, self.latents, **self._extra)
        self.move(Moved(latents=outcome.prev_sample.to(self.latents.dtype), clean=self._clean(outcome)))

    def move(self, moved: Moved) -> None:
        """Store the outcome of a step."""
        self.latents, self.predicted, self.memory = moved.latents, moved.clean, moved.memory
        self._step_noise = None
        self.step += 1

    def _clean(self, outcome: Any) -> torch.Tensor:
        """Returns the scheduler's estimate of the clean latents: the multistep ones keep it, LCM calls it denoised."""
        for name in ("pred_original_sample", "denoised"):
            if getattr(outcome, name, None) is not None:
                return getattr(outcome, name)
        kept = [output for output in self._scheduler.model_outputs if output is not None]
        return kept[-1]
