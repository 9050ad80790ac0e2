"""The engine's pictures against diffusers' own, for every sampler and kind of request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from bot.domain.sampler import SAMPLERS
from tests.inference.oracle import KINDS, Oracle
from tests.tiny_sdxl import TinyModels

CROWD = 3  # of 255: what the rounding of a shared call may change


@pytest.fixture(scope="module")
def oracles(models: TinyModels) -> Iterator[dict[str, Oracle]]:
    made = {name: Oracle(models, kind) for name, kind in KINDS.items()}
    yield made
    for oracle in made.values():
        asyncio.run(oracle.generator.close())


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_picture_equals_diffusers_alone_to_the_bit_and_in_a_crowd_up_to_rounding(
    oracles: dict[str, Oracle], kind: str, sampler: str
) -> None:
    difference = await oracles[kind].difference(sampler)

    assert difference.alone == 0
    assert difference.crowd <= CROWD
