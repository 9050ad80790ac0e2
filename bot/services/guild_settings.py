"""A server's settings, for those who manage the server: read, changed, with a trail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bot.domain.guild_settings.audit_log import Edit, Revision, TrailEntry, TrailPage
from bot.domain.guild_settings.definitions import SETTINGS
from bot.domain.guild_settings.edits import overwrite, reset
from bot.domain.guild_settings.kinds import RoleNumbers, Roles, Style, Styles
from bot.domain.guild_settings.serialization import export_text
from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Actor
from bot.domain.privacy import KeepingTimes
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.profile import Style as ModelStyle
from bot.domain.style_tags import check_left_out
from bot.errors import InvalidRequestError
from bot.messages import counted, translatable
from bot.ports import Clock

MAX_OFFERED = 20  # styles, in a sentence
PAGE_LENGTH = 8  # changes; so many fit into one message of Discord's with their values
EVERYBODY_IS_NO_ROLE = translatable(
    "You can't choose @everyone, since every member has that role. To let everybody draw, leave the list of roles empty. "
    "To give everybody credits, use the daily credits."
)


class GuildSettingsRepository(Protocol):
    """Servers' settings and the trail of their changes, on disk."""

    async def get(self, guild_id: int) -> GuildSettings:
        """UNCHANGED for a server that has changed nothing."""
        ...

    async def change(self, guild_id: int, edit: Edit, *, by: int, now: datetime) -> Revision:
        """Apply `edit` to what holds at that moment and note each change, in one transaction."""
        ...

    async def trail(self, guild_id: int, *, limit: int, older_than: int | None) -> tuple[TrailEntry, ...]:
        """Newest first, from the entry before `older_than` on."""
        ...


class PostingRightsGateway(Protocol):
    """What Discord lets us do in servers, as far as is known without asking it."""

    def lacking_right(self, guild_id: int, channel_id: int) -> str | None:
        """The first right that we lack to post reports there, as Discord calls it; None also where nothing is known."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildSettingsService:
    """Everything raises NotAllowedError for an actor who does not manage the server where they ask.

    A change holds from the next request on, since the gate reads afresh each time. A style that is new in the settings must be
    one that was found; one that stood there before may be gone, so that other settings can still be changed. The same holds
    for the report channel and our rights in it. `longest`: how long the host keeps things at most. `posting` None: there is
    no Discord.
    """

    repository: GuildSettingsRepository
    profile: ModelProfile
    catalog: Catalog
    longest: KeepingTimes
    posting: PostingRightsGateway | None
    clock: Clock

    @property
    def styles(self) -> tuple[ModelStyle, ...]:
        """What the model can be combined with."""
        return self.catalog.styles_for(self.profile)

    def style_name(self, typed: str) -> str:
        """The name of a style that fits the model, by its name or title. Raises InvalidRequestError."""
        return self.catalog.style(typed, self.profile).name

    async def read(self, actor: Actor) -> GuildSettings:
        return await self.repository.get(actor.managed_guild())

    async def revise(self, actor: Actor, edit: Edit) -> Revision:
        """Raises InvalidRequestError, with a sentence, for what cannot be set; then nothing has changed."""
        guild_id = actor.managed_guild()
        await self._check_report_channel(guild_id, edit)

        def checked(before: GuildSettings) -> GuildSettings:
            after = edit(before)
            self._check_styles(before, after)
            self._check_days(before, after)
            check_left_out(after.default_negative_prompt, before.default_negative_prompt)
            if any(guild_id in ids for ids in _role_ids(after)):
                raise InvalidRequestError(EVERYBODY_IS_NO_ROLE)
            return after

        return await self.repository.change(guild_id, checked, by=actor.user_id, now=self.clock.now())

    async def restore(self, actor: Actor, name: str | None = None) -> Revision:
        """Let the setting of that name be as in the beginning; None: all of them."""
        return await self.revise(actor, reset(None if name is None else (name,)))

    async def history(self, actor: Actor, *, older_than: int | None = None) -> TrailPage:
        """What became of the settings, newest first."""
        found = await self.repository.trail(actor.managed_guild(), limit=PAGE_LENGTH + 1, older_than=older_than)
        entries = found[:PAGE_LENGTH]
        return TrailPage(entries=entries, older_than=entries[-1].id if len(found) > PAGE_LENGTH else None)

    async def export(self, actor: Actor) -> str:
        """All settings as a file that `load` takes."""
        return export_text(await self.read(actor))

    async def load(self, actor: Actor, file: bytes) -> Revision:
        """Take over what a file says, all of it or nothing; what it does not name stays."""
        return await self.revise(actor, overwrite(file))

    async def _check_report_channel(self, guild_id: int, edit: Edit) -> None:
        """Before the change and not within it, where the thread of the database asks."""
        before = await self.repository.get(guild_id)
        chosen = edit(before).report_channel
        if self.posting is None or chosen is None or chosen == before.report_channel:
            return
        channel, right = f"<#{chosen}>", self.posting.lacking_right(guild_id, chosen)
        if right is not None:
            raise InvalidRequestError(
                "I can't post reports in {channel}: I need **{right}** there. Allow it, then choose the channel again.",
                channel=channel,
                right=right,
            )

    def _check_days(self, before: GuildSettings, after: GuildSettings) -> None:
        """Times that stood there before the host set a shorter one stay; the shorter one holds all the same."""
        for name, most in (("picture_days", self.longest.picture_days), ("prompt_days", self.longest.word_days)):
            days: int | None = getattr(after, name)
            if most is not None and days is not None and days > most and days != getattr(before, name):
                raise InvalidRequestError(
                    counted(
                        "My host deletes these after {count} day at the latest, so {setting} can only be 1. "
                        "Leave the number out to use my host's limit.",
                        "My host deletes these after {count:,} days at the latest, so {setting} can be 1 to {count:,}. "
                        "Leave the number out to use my host's limit.",
                        most,
                        setting=f"`{name}`",
                    )
                )

    def _check_styles(self, before: GuildSettings, after: GuildSettings) -> None:
        if any(name not in self.catalog.styles for name in _style_names(after) - _style_names(before)):
            if not self.styles:
                raise InvalidRequestError("I don't know that style, and I have none for this model.")
            titles = ", ".join(f"**{style.title}**" for style in self.styles[:MAX_OFFERED])
            raise InvalidRequestError("I don't know that style. You can use {styles}.", styles=titles)


def _style_names(settings: GuildSettings) -> frozenset[str]:
    single = {getattr(settings, setting.name) for setting in SETTINGS.values() if isinstance(setting.kind, Style)}
    listed = (getattr(settings, setting.name) for setting in SETTINGS.values() if isinstance(setting.kind, Styles))
    return frozenset(single - {None}).union(*listed)


def _role_ids(settings: GuildSettings) -> Iterator[frozenset[int]]:
    for name, setting in SETTINGS.items():
        if isinstance(setting.kind, Roles | RoleNumbers):
            yield frozenset(getattr(settings, name))
