"""The engine's pictures against diffusers' own, for every sampler and kind of request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from bot.domain.sampler import SAMPLERS
from tests.inference.fake_graphs import FakeGraphs
from tests.inference.oracle import CROWD, KINDS, Oracle
from tests.tiny_sdxl import TinyModels

OF_OTHER_SHAPES = {"long prompt", "img2img"}  # which have to come twenty times first; tokens, and order in memory


@pytest.fixture(scope="module")
def oracle_of(models: TinyModels) -> Iterator[Callable[[str], Oracle]]:
    """By the name of a kind; made when it is first asked for, since each worker gets some of the kinds."""
    made: dict[str, Oracle] = {}

    def find(kind: str) -> Oracle:
        if kind not in made:
            made[kind] = Oracle(models, KINDS[kind])
        return made[kind]

    yield find
    for oracle in made.values():
        asyncio.run(oracle.generator.close())


@pytest.fixture(scope="module")
def graphed_oracle_of(models: TinyModels) -> Iterator[Callable[[str], tuple[Oracle, FakeGraphs]]]:
    """The same with replayed calls."""
    made: dict[str, tuple[Oracle, FakeGraphs]] = {}

    def find(kind: str) -> tuple[Oracle, FakeGraphs]:
        if kind not in made:
            graphs = FakeGraphs()
            made[kind] = Oracle(models, KINDS[kind], graphs=graphs), graphs
        return made[kind]

    yield find
    for oracle, _ in made.values():
        asyncio.run(oracle.generator.close())


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_picture_equals_diffusers_alone_to_the_bit_and_in_a_crowd_up_to_rounding(
    oracle_of: Callable[[str], Oracle], kind: str, sampler: str
) -> None:
    difference = await oracle_of(kind).difference(sampler)

    assert difference.alone == 0
    assert difference.rows > 2  # or nobody shared a call
    assert difference.crowd <= CROWD


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_picture_of_replayed_calls_equals_diffusers_alone_to_the_bit_and_in_a_crowd_up_to_rounding(
    graphed_oracle_of: Callable[[str], tuple[Oracle, FakeGraphs]], kind: str, sampler: str
) -> None:
    oracle, graphs = graphed_oracle_of(kind)
    before = graphs.replays
    difference = await oracle.difference(sampler)

    assert difference.alone == 0
    assert difference.crowd <= CROWD
    assert graphs.replays > before or kind in OF_OTHER_SHAPES
