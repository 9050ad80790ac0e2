"""The parameters, once for all pictures, and the line above them: how long the prompt is, and what of it did not fit."""

from __future__ import annotations

import discord
import pytest
from simcord.components import walk_components

from bot.chat.views.details import details_view
from bot.domain.image import StoredImage
from bot.domain.prompt import ComposedPrompt
from tests.examples import job


def shown(*parameters: str) -> tuple[list[str], tuple[discord.File, ...]]:
    """What stands in the message, heading first, and its files."""
    images = [
        StoredImage(index=n, key="k", seed=1, width=64, height=64, parameters=text, size_bytes=1)
        for n, text in enumerate(parameters)
    ]
    view, files = details_view(job(), images, ComposedPrompt(prompt="hat", negative_prompt=""), model="Mini", styles=())
    return [part["content"] for part in walk_components(view.to_components()) if part["type"] == 10], files


def heading(last_line: str) -> str:
    return shown(f"Tokens: 9\n{last_line}")[0][0]  # a prompt that looks like the last line is none


def made(seed: int, *, words: str = "hat\nNegative prompt: cat", more: str = "") -> str:
    return f"{words}\nSteps: 4, CFG scale: 7, Seed: {seed}, Size: 64x64{more}"


@pytest.mark.parametrize(
    ("last_line", "said"),
    [
        ("Steps: 4, Tokens: 96, Version: Pastel", " · 96 tokens"),
        ("Steps: 4, Tokens: 1", " · 1 token"),
        (
            "Steps: 4, Tokens: 300, Dropped words: 14",
            " · 300 tokens\nThe last 14 words of your prompt didn't fit. The model reads up to 225 tokens.",
        ),
        (
            "Steps: 4, Tokens: 300, Dropped words: 1, Dropped negative words: 3",
            "\nThe last word of your prompt didn't fit. The model reads up to 225 tokens."
            "\nThe last 3 words under *leave out* didn't fit. The model reads up to 225 tokens.",
        ),
    ],
)
def test_details_tell_how_long_the_prompt_is_and_what_did_not_fit(last_line: str, said: str) -> None:
    assert heading(last_line).endswith(said)


def test_details_of_an_older_picture_do_not_guess() -> None:
    assert "token" not in heading("Steps: 4, Seed: 1")


@pytest.mark.parametrize(
    ("more", "is_told"),
    [
        (', Lora hashes: "pastel: 0123456789ab"', True),
        (', Lora hashes: "pastel: 0123456789ab", Lora scale: by layer', False),
        ("", False),
    ],
)
def test_details_of_a_picture_say_where_its_style_was_read_less_exactly(more: str, is_told: bool) -> None:
    words = "hat <lora:mine:1>\nLora hashes: mine"  # what somebody types says nothing
    first, *_ = shown(*(made(seed, words=words, more=more) for seed in (1, 2)))[0]

    assert first.count("I read styles more exactly since this was drawn") == is_told


def test_what_the_pictures_share_is_told_once_and_whole_with_the_seeds_of_the_others() -> None:
    (_, block, others), files = shown(*(made(seed) for seed in (41, 42, 43, 44)))

    assert block == f"```\n{made(41)}\n```"
    assert others.splitlines()[1:] == [f"-# Picture {n} · `Seed: {40 + n}`" for n in (2, 3, 4)]
    assert files == ()


def test_a_variation_differs_in_the_seed_of_its_last_step() -> None:
    chain = ", Variation seed: {0}, Variation seed strength: 0.5, Variation chain: 7 0.15; {0} 0.5"

    (_, _, others), _ = shown(made(41, more=chain.format(8)), made(41, more=chain.format(9)))

    assert others.splitlines()[1:] == ["-# Picture 2 · `Variation seed: 9` · `Variation chain: 7 0.15; 9 0.5`"]


@pytest.mark.parametrize(
    "other", [made(42, words="dog"), made(42, more=", Model: other"), made(42).replace("CFG scale: 7", "CFG scale: 8"), "hat"]
)
def test_pictures_that_differ_in_more_than_seeds_are_told_one_by_one(other: str) -> None:
    (_, *blocks), _ = shown(made(41), other)

    assert blocks == [f"```\n{made(41)}\n```", f"```\n{other}\n```"]


@pytest.mark.parametrize("words", ["long " * 720, "a ```` b"])
def test_a_file_holds_the_whole_text_of_every_picture(words: str) -> None:
    texts, (file,) = shown(*(made(seed, words=words) for seed in (41, 42)))

    assert len(texts) == 1
    assert file.fp.read().decode() == f"{made(41, words=words)}\n\n{made(42, words=words)}"


def test_long_words_and_the_seeds_of_variations_of_variations_stay_within_what_discord_takes() -> None:
    chain = "; ".join(["4294967295 0.15"] * 15)
    lasting = [made(1, words="x" * 2_700, more=f", Variation chain: {chain}; {n} 0.15") for n in (1, 2, 3, 4)]

    texts, files = shown(*lasting)

    assert sum(map(len, texts)) <= 4_000
    assert len(files) == 1
