from __future__ import annotations

import pytest
import torch

from bot.domain.request import NoiseBlend
from bot.inference.noise import cpu_generator, initial_noise, slerp

SHAPE = (1, 4, 64, 64)


def noise(seed: int) -> torch.Tensor:
    return torch.randn(SHAPE, generator=cpu_generator(seed))


def test_slerp_keeps_the_deviation_where_a_plain_mean_would_lose_a_third_of_it() -> None:
    for share in (0.15, 0.5, 0.85):
        assert float(slerp(noise(1), noise(2), share).std()) == pytest.approx(1.0, abs=0.02)
    assert float((noise(1) * 0.5 + noise(2) * 0.5).std()) < 0.75


def test_slerp_begins_at_the_one_and_ends_at_the_other_noise() -> None:
    assert torch.equal(slerp(noise(1), noise(2), 0.0), noise(1))
    assert torch.allclose(slerp(noise(1), noise(2), 1.0), noise(2), atol=1e-6)
    assert torch.allclose(slerp(noise(1), noise(1), 0.5), noise(1), atol=1e-6)


def test_slerp_keeps_the_type_of_half_precision_noise() -> None:
    assert slerp(noise(1).half(), noise(2).half(), 0.3).dtype == torch.float16


def test_blends_leave_the_generator_where_an_unvaried_picture_leaves_it() -> None:
    plain, varied = cpu_generator(1), cpu_generator(1)
    first = initial_noise(SHAPE, plain, (), device="cpu", dtype=torch.float32)
    second = initial_noise(SHAPE, varied, (NoiseBlend(seed=2, strength=0.5),), device="cpu", dtype=torch.float32)

    assert torch.equal(first, noise(1))
    assert not torch.equal(first, second)
    assert torch.equal(plain.get_state(), varied.get_state())
