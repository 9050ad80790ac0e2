from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.chat.cards.markdown import code_block, escape, shorten, visible

# What Discord's client takes for something other than letters, unless a backslash stands before its first sign.
LIVE = re.compile(
    r"(?<!\\)(?:<[@#:/at]|@everyone|@here|https?://|\[[^\]]*\]\(|\*\*|__|~~|\|\||`|^#{1,3} |^> |^-# |<https?:)", re.MULTILINE
)


def unescaped(text: str) -> str:
    """What a member reads."""
    return re.sub(r"\\([^0-9A-Za-z\s])", r"\1", text).replace("\u200b", "")


@pytest.mark.parametrize(
    "text",
    [
        "@everyone and @here",
        "<@123> <@!123> <@&123> <#123> </anime:123> <t:0:R> <:x:1> <a:x:1> <id:home>",
        "**bold** __u__ ~~s~~ ||spoiler|| `code` ```py\nx```",
        "[click](https://evil.example) https://evil.example <https://evil.example>",
        "# head\n## head\n> quote\n>>> quote\n- list\n-# small\n1. one",
        "already \\*escaped\\* \\",
    ],
)
def test_nothing_in_a_members_words_is_live_and_all_of_it_is_readable(text: str):
    assert not LIVE.search(escape(text).replace("\\\\", ""))
    assert unescaped(escape(text)) == text


@given(st.text(alphabet="@<>#&!:/*_~|`[]()\\ \neveryonhr123tp.-", max_size=60))
def test_any_mixture_of_signs_stays_harmless(text: str):
    assert not LIVE.search(escape(text).replace("\\\\", ""))


def test_what_cannot_be_seen_or_turns_the_text_is_removed():
    assert visible("a\u202eb\u200bc\u2066d\ufeffe\u00adf\U000e0041g") == "abcdefg"
    assert visible("a\u3164b\nc\td\x00e\u2028f") == "a b c d e f"


def test_marks_that_pile_up_over_other_lines_are_thinned():
    assert visible("a" + "\u0301" * 50) == "a" + "\u0301" * 3


def test_ordinary_writing_of_the_world_stays():
    for text in ("緑の髪、帽子", "зелёные волосы", "קסדה ירוקה", "ผมเขียว", "café ❤️ 1girl"):
        assert visible(text) == text


@given(st.text(max_size=80), st.integers(min_value=1, max_value=50))
def test_shortening_keeps_to_its_limit_and_changes_nothing_that_fits(text: str, limit: int):
    short = shorten(text, limit)

    assert len(short) <= limit
    assert (short == text) == (len(text) <= limit) or text.endswith("…")


def test_shortening_cuts_at_the_end_of_a_word():
    assert shorten("green hair, beanie, sweater", 20) == "green hair, beanie…"


@given(st.text(alphabet="`a\n", max_size=40))
def test_nothing_gets_out_of_a_code_block(text: str):
    block = code_block(text)

    assert block.startswith("```\n")
    assert block.endswith("\n```")
    assert "```" not in block[3:-3]
