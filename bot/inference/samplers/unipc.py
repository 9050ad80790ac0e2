"""UniPC (arXiv:2302.04867) of order 2, many pictures at once, with its numbers made on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers import UniPCMultistepScheduler  # pyright: ignore[reportPrivateImportUsage]

from bot.inference.samplers.noise_levels import NoiseLevels
from bot.inference.samplers.step_arithmetic import Batch, BatchedSteps, Moved, divided, is_velocity, stacked

HALF = 0.5  # the paper's share of the last difference, of order 1 in the corrector and 2 in the predictor
KEPT = 3  # tensors from step to step


def unipc_steps(scheduler: Any, steps: int) -> BatchedSteps | None:
    """Returns the last `steps` of a schedule; None for other samplers, and for settings that SDXL is not drawn with.

    A step's numbers are the shares of signal and noise; of the corrector those of the earlier difference, of the latest and of
    both; of the predictor the factors of the latents and of the clean ones, the ratio of the distances before and behind, and
    the share of the difference. The corrector's are 0 in a first step, which then leaves the latents unchanged.
    """
    config: Any = scheduler.config
    if type(scheduler) is not UniPCMultistepScheduler or (velocity := is_velocity(scheduler)) is None:
        return None
    if not config.predict_x0 or config.solver_type != "bh2" or config.solver_p is not None or config.solver_order > 2:
        return None
    if config.disable_corrector or config.use_flow_sigmas:
        return None
    levels = NoiseLevels(scheduler, steps)
    return BatchedSteps(
        arithmetic=unipc_step,
        velocity=velocity,
        numbers=stacked(_numbers(levels, index) for index in levels.indexes),
        draws=[False] * steps,
        first_memory=_first_memory,
    )


def unipc_step(batch: Batch) -> Moved:
    """Returns the outcome of a step, computed in float32, so that in float16 neither numbers nor differences are rounded to it.

    The corrector repeats the step from the previous latents to these, now that the model has seen them. It begins as the
    predictor of the step before did, with the same difference: both are in the memory, with the clean latents of that step.
    """
    signal, noise, first, second, corrected, kept, aimed, ratio, turned = batch.numbers
    assert batch.memory is not None
    begun, difference, before = batch.memory.chunk(KEPT, dim=1)
    clean = _clean(batch, signal, noise)
    sample = begun - corrected * (first * difference + second * (clean - before))
    going = kept * sample - aimed * clean
    change = (before - clean) / ratio
    moved = going - turned * change
    return Moved(latents=moved.to(batch.latents.dtype), clean=clean, memory=torch.cat([going, change, clean], dim=1))


def _clean(batch: Batch, signal: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    if batch.velocity:
        return signal * batch.latents - noise * batch.prediction
    return divided(batch.latents - noise * batch.prediction, signal)


def _first_memory(latents: torch.Tensor) -> torch.Tensor:
    return torch.cat([latents.float()] * KEPT, dim=1)


def _numbers(levels: NoiseLevels, index: int) -> Sequence[torch.Tensor]:
    """Returns the numbers as diffusers' `step` computes them."""
    return (*levels.shares[index], *_corrector(levels, index), *_predictor(levels, index))


def _corrector(levels: NoiseLevels, index: int) -> Sequence[torch.Tensor]:
    if index == levels.begin:
        return (torch.zeros(()), torch.zeros(()), torch.zeros(()))
    before = index - 1
    shares = (torch.zeros(()), torch.tensor(HALF)) if _order(levels, before) == 1 else _solved(levels, before)
    return (*shares, _aimed(levels, before))


def _predictor(levels: NoiseLevels, index: int) -> Sequence[torch.Tensor]:
    """Returns the predictor's numbers; the share of the difference is halved already: halving is exact."""
    aimed = _aimed(levels, index)
    if _order(levels, index) == 1:
        return levels.kept(index), aimed, torch.ones(()), torch.zeros(())
    return levels.kept(index), aimed, levels.ratio(index), aimed * HALF


def _order(levels: NoiseLevels, index: int) -> int:
    order = levels.config.solver_order
    if levels.config.lower_order_final:
        order = min(order, levels.whole - index)
    return min(order, index - levels.begin + 1)


def _aimed(levels: NoiseLevels, index: int) -> torch.Tensor:
    return levels.shares[index + 1][0] * torch.expm1(-levels.way(index))


def _solved(levels: NoiseLevels, index: int) -> Sequence[torch.Tensor]:
    """Returns the shares of the earlier and latest difference that make the corrector of order 2: two linear equations."""
    ratio, back = levels.ratio(index), -levels.way(index)
    growth = torch.expm1(back)
    first = growth / back - 1
    second = first / back - HALF
    points = torch.stack([ratio, torch.ones(())])
    powers = torch.stack([torch.ones(2), points])
    return torch.linalg.solve(powers, torch.stack([first / growth, second * 2 / growth])).unbind()
