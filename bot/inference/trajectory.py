"""One picture on its way from noise to clean latents."""

# torch and diffusers are partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import rescale_noise_cfg

from bot.inference.noise import PictureNoise


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Pictures share a call of the UNet where these are equal: the latents' sides, the tokens, and the LoRAs with weights."""

    height: int
    width: int
    tokens: int
    adapters: tuple[tuple[str, float], ...] = ()

    @property
    def area(self) -> int:
        return self.height * self.width


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What the UNet is told besides latents and time; two rows (negative first) with guidance, one without.

    `embeddings` (rows, tokens, channels), `pooled` (rows, channels), `time_ids` (rows, 6).
    """

    embeddings: torch.Tensor
    pooled: torch.Tensor
    time_ids: torch.Tensor

    def positive(self) -> Conditions:
        """The last row alone."""
        return Conditions(embeddings=self.embeddings[-1:], pooled=self.pooled[-1:], time_ids=self.time_ids[-1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """Classifier-free guidance, and for each step that runs whether it acts there."""

    scale: float
    acts: tuple[bool, ...]
    rescale: float = 0.0


class Trajectory:
    """One picture's own scheduler, generator and step count; the UNet's call is all that it shares with others.

    `timesteps` lie on the CPU, so that no step waits for the device to tell a number.
    The arithmetic is that of diffusers' pipeline, in its order: alone, the latents are the same bit for bit.
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
    ) -> None:
        self.group = group
        self.latents = latents
        self.step = 0
        self.predicted = latents  # the clean latents as the last step saw them
        self._scheduler = scheduler
        self._timesteps = timesteps
        self._conditions = conditions
        self._single = conditions.positive()
        self._guidance = guidance
        takes_generator = "generator" in inspect.signature(scheduler.step).parameters
        self._extra: dict[str, Any] = {"generator": noise.generator} if takes_generator else {}
        self._noise = noise

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
        """What has to stay in memory while others are drawn. Pictures of a request share some of it."""
        outputs = getattr(self._scheduler, "model_outputs", None) or ()
        conditions = (self._conditions.embeddings, self._conditions.pooled, self._conditions.time_ids)
        return (self.latents, self.predicted, *conditions, *(output for output in outputs if output is not None))

    def steps_left(self, rows: int) -> int:
        """How many of the steps to come take so many rows."""
        return sum((2 if acts else 1) == rows for acts in self._guidance.acts[self.step :])

    @property
    def rows(self) -> int:
        """How many rows of the next call this picture needs: 2 with guidance, 1 without."""
        return 2 if self._guidance.acts[self.step] else 1

    @property
    def timestep(self) -> torch.Tensor:
        """A tensor without dimensions, on the CPU."""
        return self._timesteps[self.step]

    @property
    def conditions(self) -> Conditions:
        """Of the next call, `rows` rows."""
        return self._conditions if self.rows == 2 else self._single

    def inputs(self) -> torch.Tensor:
        """(rows, channels, height, width) for the UNet."""
        latents = torch.cat([self.latents] * 2) if self.rows == 2 else self.latents
        scaled: torch.Tensor = self._scheduler.scale_model_input(latents, self.timestep)
        return scaled

    def advance(self, prediction: torch.Tensor) -> None:
        """Take one step with what the UNet said of these rows."""
        guidance = self._guidance
        if self.rows == 2:
            negative, positive = prediction.chunk(2)
            prediction = negative + guidance.scale * (positive - negative)
            if guidance.rescale > 0:
                prediction = rescale_noise_cfg(prediction, positive, guidance_rescale=guidance.rescale)
        with self._noise.moving():
            outcome = self._scheduler.step(prediction, self.timestep, self.latents, **self._extra)
        self.latents = outcome.prev_sample.to(self.latents.dtype)
        self.predicted = self._clean(outcome)
        self.step += 1

    def _clean(self, outcome: Any) -> torch.Tensor:
        """Where the scheduler thinks this ends: the multistep ones keep it, LCM calls it denoised."""
        for name in ("pred_original_sample", "denoised"):
            if getattr(outcome, name, None) is not None:
                return getattr(outcome, name)
        kept = [output for output in self._scheduler.model_outputs if output is not None]
        return kept[-1]
