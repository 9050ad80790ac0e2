"""Lengths of blocks, and how a picture is named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.domain.job import Actor
from bot.domain.message_reference import MessageReference, parse_picture
from bot.domain.moderation import moderated_guild, parse_duration
from bot.domain.report import checked_report
from bot.errors import InvalidRequestError, NotAllowedError


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("30m", timedelta(minutes=30)),
        ("12h", timedelta(hours=12)),
        (" 3D ", timedelta(days=3)),
        ("2w", timedelta(weeks=2)),
        ("1d 12h", timedelta(days=1, hours=12)),
        ("1d12h", timedelta(days=1, hours=12)),
        ("3 days", timedelta(days=3)),
        ("1 hour 30 min", timedelta(minutes=90)),
        ("", None),
        ("Forever", None),
    ],
)
def test_a_length_of_time_is_read_as_people_write_it(text: str, length: timedelta | None) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize("text", ["3", "d", "3 fortnights", "3d and more", "-3d", "1.5d", "٣d", "1d" * 100])
def test_what_is_no_length_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="`3d`"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["0m", "3651d", "999999w"])
def test_a_block_is_neither_over_at_once_nor_longer_than_ten_years(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="3,650 days"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("0123456789abcdef", "0123456789abcdef"),
        (" 0123456789ABCDEF ", "0123456789abcdef"),
        ("1234567890123456", "1234567890123456"),
        ("https://discord.com/channels/20/30/40", MessageReference(guild_id=20, channel_id=30, message_id=40)),
        ("<https://ptb.discord.com/channels/20/30/40/>", MessageReference(guild_id=20, channel_id=30, message_id=40)),
        ("112233445566778899", MessageReference(message_id=112233445566778899)),
    ],
)
def test_a_picture_is_named_by_link_or_id(text: str, reference: object) -> None:
    assert parse_picture(text) == reference


@pytest.mark.parametrize(
    "text", ["", "cat", "https://discord.com/channels/@me/30/40", "https://evil.com/channels/1/2/3", "9" * 20, "9" * 300]
)
def test_what_names_no_picture_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequestError, match="Copy Message Link"):
        parse_picture(text)


def test_nobody_moderates_a_direct_message_or_without_the_right() -> None:
    for actor in (Actor(user_id=1, manages_messages=True, manages_guild=True), Actor(user_id=1, guild_id=2)):
        with pytest.raises(NotAllowedError):
            moderated_guild(actor)
    assert moderated_guild(Actor(user_id=1, guild_id=2, manages_messages=True)) == 2
    assert moderated_guild(Actor(user_id=1, guild_id=2, manages_guild=True)) == 2


def test_the_reason_of_a_report_is_one_line_of_300_characters() -> None:
    assert checked_report(" a\nb ") == "a b"
    with pytest.raises(InvalidRequestError, match="300"):
        checked_report("x" * 301)
