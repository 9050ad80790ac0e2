from __future__ import annotations

import pytest
import torch

from bot.domain.request import ImageSeeds, NoiseBlend, NoiseDraws
from bot.inference.denoising.noise import PictureNoise, cpu_generator, slerp

CPU = torch.device("cpu")
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


def drawn_by(*blends: NoiseBlend) -> tuple[PictureNoise, torch.Tensor]:
    source = PictureNoise(ImageSeeds(seed=1, blends=blends))
    return source, source.initial(SHAPE, device=CPU, dtype=torch.float32)


def test_blends_leave_the_generator_where_an_unvaried_picture_leaves_it() -> None:
    (plain, first), (varied, second) = drawn_by(), drawn_by(NoiseBlend(seed=2, strength=0.5))

    assert torch.equal(first, noise(1))
    assert not torch.equal(first, second)
    assert torch.equal(plain.generator.get_state(), varied.generator.get_state())


def test_draws_inside_a_block_move_too_but_neither_those_outside_nor_those_of_other_generators() -> None:
    (plain, _), (varied, _) = drawn_by(), drawn_by(NoiseBlend(seed=2, strength=0.5))
    with varied.moving(CPU):
        generators = (varied.generator, cpu_generator(3), plain.generator)
        moved, foreign, own = (torch.randn(SHAPE, generator=generator) for generator in generators)

    assert torch.equal(foreign, noise(3))
    assert not torch.equal(moved, own)
    assert torch.equal(torch.randn(SHAPE, generator=varied.generator), torch.randn(SHAPE, generator=plain.generator))


def test_an_older_blend_moves_the_first_draw_alone() -> None:
    older, first = drawn_by(NoiseBlend(seed=2, strength=0.5, draws=NoiseDraws.FIRST))
    plain, _ = drawn_by()

    with older.moving(CPU):
        second = torch.randn(SHAPE, generator=older.generator)

    assert torch.equal(first, slerp(noise(1), noise(2), 0.5))
    assert torch.equal(second, torch.randn(SHAPE, generator=plain.generator))
