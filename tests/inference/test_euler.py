"""Euler's samplers, many pictures at a time, against diffusers' own schedulers, one at a time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler, UniPCMultistepScheduler

from bot.inference.euler import EulerSteps, euler_step
from bot.inference.unipc import UniPC

SETTINGS: dict[str, Any] = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
TOLERANCES = {  # torch rounds a number to float16 before it multiplies float16 with it, on a CPU, but not on a GPU
    torch.float32: {"rtol": 0.0, "atol": 0.0},
    torch.float16: {"rtol": 2e-3, "atol": 2e-2},
}
SHAPE = (1, 4, 8, 8)


def values(seed: int, dtype: torch.dtype) -> torch.Tensor:
    return torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("velocity", [False, True])
@pytest.mark.parametrize("kind", [EulerDiscreteScheduler, EulerAncestralDiscreteScheduler])
def test_each_picture_of_a_shared_step_is_the_one_of_its_own_scheduler(kind: Any, velocity: bool, dtype: torch.dtype) -> None:
    options: dict[str, Any] = SETTINGS | {"prediction_type": "v_prediction" if velocity else "epsilon"}
    rows, numbers, noise, wanted = list[torch.Tensor](), list[torch.Tensor](), list[torch.Tensor](), list[Any]()
    for index, (steps, begin) in enumerate([(4, 0), (9, 0), (9, 8), (30, 12)]):  # another place of another schedule each
        scheduler = kind(**options)
        scheduler.set_timesteps(steps)
        scheduler.set_begin_index(begin)
        latents, timestep = values(index, dtype) * 5, scheduler.timesteps[begin]
        own = EulerSteps.of(scheduler)
        assert own is not None
        scaled = (latents / own.scales[0].view(1, 1, 1, 1)).to(dtype)
        torch.testing.assert_close(scheduler.scale_model_input(latents, timestep), scaled, **TOLERANCES[dtype])
        outcome = scheduler.step(
            values(index + 10, dtype), timestep, latents, generator=torch.Generator().manual_seed(index + 20)
        )
        wanted.append((outcome.prev_sample, outcome.pred_original_sample))
        rows.append(latents)
        numbers.append(own.numbers[0])
        noise.append(torch.randn(SHAPE, generator=torch.Generator().manual_seed(index + 20), dtype=dtype))

    latents, clean = euler_step(
        torch.cat(rows),
        torch.cat([values(index + 10, dtype) for index in range(len(rows))]),
        torch.stack(numbers, dim=1),
        torch.cat(noise) if kind is EulerAncestralDiscreteScheduler else None,
        velocity=velocity,
    )

    for index, (one, original) in enumerate(wanted):
        torch.testing.assert_close(latents[index : index + 1], one, **TOLERANCES[dtype])
        torch.testing.assert_close(clean[index : index + 1], original, **TOLERANCES[dtype])


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_unipc_with_its_numbers_on_the_cpu_is_diffusers_own_bit_for_bit(order: int, prediction: str) -> None:
    drawn: list[torch.Tensor] = []
    for kind in (UniPCMultistepScheduler, UniPC):
        scheduler: Any = kind(**SETTINGS, solver_order=order, prediction_type=prediction)
        scheduler.set_timesteps(8)
        latents = values(0, torch.float32)
        for timestep in scheduler.timesteps:
            model = torch.tanh(latents) * 0.5 + values(int(timestep), torch.float32) * 0.1
            latents = scheduler.step(model, timestep, latents).prev_sample
        drawn.append(latents)

    assert torch.equal(*drawn)
