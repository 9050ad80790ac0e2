"""Members' own defaults."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from bot.domain.personal import PersonalDefaults, PersonalEdit


class PersonalRepository(Protocol):
    """Members' own defaults, on disk."""

    async def get(self, user_id: int) -> PersonalDefaults:
        """NO_PREFERENCES for a member who has set nothing."""
        ...

    async def change(self, user_id: int, edit: PersonalEdit, *, now: datetime) -> PersonalDefaults:
        """Apply `edit` to what holds at that moment; returns what holds then."""
        ...
