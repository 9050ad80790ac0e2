"""The line above the parameters: how long the prompt is, and what of it did not fit."""

from __future__ import annotations

import pytest
from simcord.components import walk_components

from bot.chat.detail_view import details_view
from bot.domain.image import StoredImage
from bot.domain.prompt import ComposedPrompt
from tests.examples import job


def heading(last_line: str) -> str:
    image = StoredImage(
        index=0, key="k", seed=1, width=64, height=64, parameters=f"Tokens: 9\n{last_line}", size_bytes=1
    )  # a prompt that looks like the last line is none
    view, _ = details_view(job(), [image], ComposedPrompt(prompt="hat", negative_prompt=""), model="Mini", styles=())
    return next(part["content"] for part in walk_components(view.to_components()) if part["type"] == 10)


@pytest.mark.parametrize(
    ("last_line", "said"),
    [
        ("Steps: 4, Tokens: 96, Version: Pastel", " · 96 tokens"),
        ("Steps: 4, Tokens: 1", " · 1 token"),
        (
            "Steps: 4, Tokens: 300, Dropped words: 14",
            " · 300 tokens\nThe last 14 words of the prompt did not fit: the model reads 3 parts of 75 tokens, "
            "and a BREAK begins a new one.",
        ),
        (
            "Steps: 4, Tokens: 300, Dropped words: 1, Dropped negative words: 3",
            "\nThe last word of the prompt and the last 3 words of the negative prompt did not fit: the model reads 3 parts of "
            "75 tokens, and a BREAK begins a new one.",
        ),
    ],
)
def test_details_tell_how_long_the_prompt_is_and_what_did_not_fit(last_line: str, said: str) -> None:
    assert heading(last_line).endswith(said)


def test_details_of_an_older_picture_do_not_guess() -> None:
    assert "token" not in heading("Steps: 4, Seed: 1")
