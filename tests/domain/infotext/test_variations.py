"""Variations in a picture's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.infotext.reader import parse
from bot.domain.infotext.variations import chain, read_chain, read_variations, variation_pairs
from bot.domain.request import MAX_BLENDS, MAX_SEED, NoiseBlend, NoiseDraws

BLENDS = st.builds(
    NoiseBlend,
    seed=st.integers(0, MAX_SEED),
    strength=st.integers(0, 1000).map(lambda value: value / 1000),
    draws=st.sampled_from(NoiseDraws),
)


@given(st.lists(BLENDS, max_size=MAX_BLENDS).map(tuple))
def test_what_is_written_is_read_again(blends: tuple[NoiseBlend, ...]) -> None:
    pairs = {key.casefold(): value for key, value in variation_pairs(blends).items()}

    assert read_variations(pairs) == blends
    assert read_chain(chain(blends)) == blends


def test_a1111s_own_variation_moves_the_first_noise_alone() -> None:
    text = "hat\nSteps: 28, Sampler: Euler a, Seed: 7, Variation seed: 9, Variation seed strength: 0.25"

    assert parse(text).variations == (NoiseBlend(seed=9, strength=0.25, draws=NoiseDraws.FIRST),)


def test_an_older_variation_of_ours_has_a1111s_words_and_no_others() -> None:
    older = (NoiseBlend(seed=7, strength=0.15, draws=NoiseDraws.FIRST),)

    assert variation_pairs(older) == {"Variation seed": "7", "Variation seed strength": "0.15"}
    assert variation_pairs(older * 2)["Variation chain"] == "7 0.15; 7 0.15"


@pytest.mark.parametrize(
    "text",
    [
        "7",
        "0.5",
        "7 1.5",
        "-7 0.5",
        f"{MAX_SEED + 1} 0.5",
        "7 0.5 all",
        "7 0.5;",
        "; ".join(["7 0.5"] * (MAX_BLENDS + 1)),
        "x",
        "7 nan",
    ],
)
def test_what_cannot_be_drawn_is_not_read(text: str) -> None:
    assert read_chain(text) is None
    assert parse(f"hat\nSteps: 28, Seed: 7, Variation chain: {text}").variations == ()
