"""What a member reads about their credits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simcord.components import walk_components

from bot.chat.cards.text import BAR_CELLS
from bot.chat.views.quota import quota_view, usage_bar
from bot.domain.quota import Balance, Limits, Usage

MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)


def text(usage: Usage, **limits: Any) -> str:
    view = quota_view(Balance(limits=Limits(**limits), usage=usage, renews_at=MIDNIGHT))
    return "\n".join(part["content"] for part in walk_components(view.to_components()) if part["type"] == 10)


def test_a_limited_member_sees_what_is_used_reserved_and_left_and_when_it_renews():
    said = text(Usage(spent=5, reserved=2), daily_credits=20)

    assert "`█████▓▓░░░░░░░░░░░░░` **13 of 20 left today**" in said
    assert f"-# 5 used today · 2 reserved · full again <t:{int(MIDNIGHT.timestamp())}:R>" in said


def test_an_unlimited_server_says_so_plainly():
    said = text(Usage(spent=5, reserved=2))

    assert "there's no daily limit here" in said
    assert "-# 5 used today · 2 reserved" in said
    assert "renew" not in said
    assert "Granted" not in said
    assert "servers" not in said
    assert "In the queue" not in said


def test_grants_are_shown_where_there_are_any():
    assert "**Granted:** 1 credit, used when today's are gone" in text(Usage(granted=1))
    assert "**Granted:** 0 credits (3 more reserved)" in text(Usage(granted_reserved=3))


def test_what_was_withheld_is_shown_where_there_is_any():
    assert "Not shown" not in text(Usage())
    assert "**Not shown today:** 2, 2 of them free (up to 3 a day)" in text(Usage(withheld=2))
    assert "**Not shown today:** 5, 3 of them free" in text(Usage(withheld=5))


def test_the_operators_cap_and_the_waiting_jobs_are_shown():
    said = text(Usage(everywhere=7, waiting=2), operator_credits=1_000, waiting_jobs=10)

    assert "**In all servers:** 7 of 1,000 used today" in said
    assert "**In the queue:** 2 of 10" in said
    assert "**In the queue:** 0 of 1" in text(Usage(), waiting_jobs=1)
    assert "**In the queue:** 3 pictures" in text(Usage(waiting=3))


@pytest.mark.parametrize(
    ("spent", "reserved", "allowance", "bar"),
    [
        (0, 0, 10, "░" * 20),
        (10, 0, 10, "█" * 20),
        (0, 10, 10, "▓" * 20),
        (1, 0, 1_000, "█" + "░" * 19),
        (0, 1, 1_000, "▓" + "░" * 19),
        (999, 0, 1_000, "█" * 19 + "░"),
        (999, 1, 1_000, "█" * 19 + "▓"),
        (30, 5, 10, "█" * 19 + "▓"),
        (0, 0, 0, "█" * 20),
    ],
)
def test_the_bar_shows_whatever_is_more_than_nothing(spent: int, reserved: int, allowance: int, bar: str):
    assert usage_bar(spent, reserved, allowance) == f"`{bar}`"


@given(st.integers(0, 5_000), st.integers(0, 5_000), st.integers(0, 5_000))
def test_the_bar_always_has_the_same_length_and_is_full_only_when_nothing_is_left(spent: int, reserved: int, allowance: int):
    cells = usage_bar(spent, reserved, allowance).strip("`")

    assert len(cells) == BAR_CELLS
    assert ("░" in cells) == (spent + reserved < allowance)
    assert ("▓" in cells) == (reserved > 0)
    assert list(cells) == sorted(cells, key="█▓░".index)
