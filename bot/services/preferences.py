"""Members' own defaults: shown, changed and forgotten by themselves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Protocol

from bot.domain.preferences import NO_PREFERENCES, NONE_AT_ALL, PersonalEdit, Preferences
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.style_tags import check_left_out
from bot.ports import Clock


class PreferencesRepository(Protocol):
    """Members' own defaults, on disk."""

    async def get(self, user_id: int) -> Preferences:
        """NO_PREFERENCES for a member who has set nothing."""
        ...

    async def change(self, user_id: int, edit: PersonalEdit, *, now: datetime) -> Preferences:
        """Apply `edit` to what holds at that moment; returns what holds then."""
        ...


class PreferencesService:
    """What a member wants where they say nothing. Only styles and sizes of the model that is drawn with can be chosen."""

    def __init__(self, *, personal: PreferencesRepository, profile: ModelProfile, catalog: Catalog, clock: Clock) -> None:
        self._personal = personal
        self._profile = profile
        self._catalog = catalog
        self._clock = clock

    async def of(self, user_id: int) -> Preferences:
        """NO_PREFERENCES for a member who has set nothing."""
        return await self._personal.get(user_id)

    async def change(self, user_id: int, edit: PersonalEdit) -> Preferences:
        """What holds after `edit`. Raises InvalidRequestError for values out of range, or a style or size that there is not."""
        return await self._personal.change(user_id, lambda before: self._checked(before, edit(before)), now=self._clock.now())

    async def reset(self, user_id: int) -> Preferences:
        """Forget all of them."""
        return await self._personal.change(user_id, lambda _: NO_PREFERENCES, now=self._clock.now())

    def _checked(self, before: Preferences, after: Preferences) -> Preferences:
        """By their proper names; what stays as it was may be of another model."""
        check_left_out(after.negative_prompt, before.negative_prompt)
        style, size = after.style, after.size
        if style is not None and style not in {NONE_AT_ALL, before.style}:
            style = self._catalog.style(style, self._profile).name
        if size is not None and size != before.size:
            size = self._profile.size(size).name
        return replace(after, style=style, size=size)
