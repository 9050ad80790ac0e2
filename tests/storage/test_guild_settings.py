"""Servers' settings, their trail, and blocks on a real database."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.guild_settings.serialization import export_text, import_text
from bot.domain.guild_settings.settings import UNCHANGED
from bot.domain.moderation import Block
from bot.domain.quota import Limits
from bot.domain.safety import SafetyLevel
from bot.errors import InvalidRequestError
from tests.storage.conftest import Store

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
GUILD, MODERATOR, MEMBER = 11, 21, 31
CHANGED = replace(
    UNCHANGED,
    allowed_channels=frozenset({5, 6}),
    daily_credits=10,
    role_credits={7: 30, 8: 20},
    exempt_roles=frozenset({9}),
    safety=SafetyLevel.STRICT,
    blocked_words=("spoiler",),
)


def test_settings_leave_and_come_back_as_json_unchanged() -> None:
    assert import_text(export_text(CHANGED).encode(), UNCHANGED) == CHANGED


@pytest.mark.parametrize("text", ['{"settings": 1, "colour": 2}', "[]", "{", '{"daily_credits": 1e400}'])
def test_a_file_that_is_no_settings_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        import_text(text.encode(), UNCHANGED)


def test_the_largest_amount_of_a_members_roles_counts_and_exempt_roles_have_no_limit() -> None:
    allowances = [CHANGED.limits(roles, Limits()).daily_credits for roles in ({1}, {7, 8}, {8}, {9})]
    assert allowances == [10, 30, 20, None]


async def test_a_change_is_kept_with_who_made_it_and_what_was_before(store: Store) -> None:
    rules = store.repositories.guild_settings
    await rules.change(GUILD, lambda settings: replace(settings, daily_credits=10), by=MODERATOR, now=NOW)
    await rules.change(GUILD, lambda settings: replace(settings, max_steps=20), by=MODERATOR, now=NOW)
    await rules.change(GUILD, lambda settings: settings, by=MODERATOR, now=NOW)

    settings = await rules.get(GUILD)
    assert (settings.daily_credits, settings.max_steps) == (10, 20)
    rows = await store.database.read(
        lambda connection: connection.execute(
            "SELECT changed_by, setting, before, after FROM settings_changes ORDER BY id"
        ).fetchall()
    )
    told = [(row["changed_by"], row["setting"], json.loads(row["before"]), json.loads(row["after"])) for row in rows]
    assert told == [(MODERATOR, "daily_credits", None, 10), (MODERATOR, "max_steps", None, 20)]


async def test_a_block_holds_until_its_end_or_until_it_is_lifted(store: Store) -> None:
    moderation = store.repositories.moderation
    block = Block(
        guild_id=GUILD, user_id=MEMBER, reason="flood", blocked_by=MODERATOR, blocked_at=NOW, ends_at=NOW + timedelta(hours=1)
    )
    await moderation.block(block)
    assert await moderation.blocks(GUILD, limit=2, now=NOW) == (block,)
    assert await moderation.blocks(GUILD, limit=2, now=NOW + timedelta(hours=1)) == ()
    assert await moderation.unblock(GUILD, MEMBER, by=MODERATOR, now=NOW)
    assert await moderation.blocks(GUILD, limit=2, now=NOW) == ()
