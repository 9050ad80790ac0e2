"""What became of a server's settings: who changed what, when, from what to what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.domain.guild_settings.serialization import to_values
from bot.domain.guild_settings.settings import GuildSettings

Edit = Callable[[GuildSettings], GuildSettings]
"""Makes new settings out of those that hold at that moment; pure, since it runs inside a transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One setting that became another; values as in JSON."""

    setting: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """What holds after an edit, and what the edit changed."""

    settings: GuildSettings
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailEntry:
    """A change in the trail; `id` counts up, the time is UTC."""

    id: int
    changed_by: int
    changed_at: datetime
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailPage:
    """Entries, newest first; `older_than` asks for the next page, None on the last."""

    entries: tuple[TrailEntry, ...]
    older_than: int | None


def changes(before: GuildSettings, after: GuildSettings) -> tuple[Change, ...]:
    """Returns what is different, a setting each."""
    old, new = to_values(before), to_values(after)
    return tuple(Change(setting=name, before=old[name], after=new[name]) for name in new if old[name] != new[name])
