"""Chooses the samplers that take a step of many pictures at once. Importing this imports diffusers."""

from __future__ import annotations

from typing import Any

from bot.inference.samplers.ddim import ddim_steps
from bot.inference.samplers.dpm_solver import dpm_solver_steps
from bot.inference.samplers.euler import euler_steps
from bot.inference.samplers.lcm import lcm_steps
from bot.inference.samplers.step_arithmetic import BatchedSteps
from bot.inference.samplers.unipc import unipc_steps

KINDS = (euler_steps, dpm_solver_steps, ddim_steps, unipc_steps, lcm_steps)


def batched_steps(scheduler: Any, steps: int) -> BatchedSteps | None:
    """Returns the last `steps` of a scheduler with set timesteps; None if its own `step` has to be used."""
    found = (sampler(scheduler, steps) for sampler in KINDS)
    return next((own for own in found if own is not None), None)
