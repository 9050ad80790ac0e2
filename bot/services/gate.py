"""The gate: whether a request may be drawn here, now, for this member, and what they may use for it.

Every way in ends in `Admission.submit`, which asks here, so a rule holds for commands, buttons, forms and context menus alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

from bot.domain import policy
from bot.domain.audience import Audience
from bot.domain.guild_settings.settings import UNCHANGED, GuildSettings
from bot.domain.job import Job, Origin, Place
from bot.domain.language import Language
from bot.domain.moderation import Block
from bot.domain.preferences import Preferences
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.prompt import words_of
from bot.domain.prompt_rules import check_words
from bot.domain.quota import Limits
from bot.domain.request import GenerationRequest
from bot.domain.safety import Rating, Showing
from bot.errors import NotAllowedError
from bot.messages import translatable
from bot.ports import Clock, LimitsSource
from bot.services.guild_settings import GuildSettingsRepository
from bot.services.preferences import PreferencesRepository
from bot.services.text_reader import TextReader

NO_PLACE = translatable("I can't tell which channel this is, so I can't draw here. Try another channel.")


class BlockRepository(Protocol):
    """Who may not draw, on disk."""

    async def block_of(self, guild_id: int, user_id: int, *, now: datetime) -> Block | None:
        """The one that holds now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """What a member who may draw may use, how the pictures may be shown, and in which language (None: English)."""

    limits: Limits
    showing: Showing
    language: Language | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Reads a server's rules and a member's own defaults afresh each time, so that changes hold at once.

    What counts of a block is the look where the job is stored, in that transaction; the one here spares a member a form.
    Implements ports.LimitsSource; `operator` is what the operator allows, `audience` whom; `profile` is drawn with.
    """

    rules: GuildSettingsRepository
    blocks: BlockRepository
    personal: PreferencesRepository
    reader: TextReader
    operator: LimitsSource
    profile: ModelProfile
    catalog: Catalog
    audience: Audience
    clock: Clock

    async def admit(self, request: GenerationRequest, origin: Origin) -> Permit:
        """Raises NotAllowedError, with the sentence of the first rule that forbids it, and QuotaError for who asks too fast."""
        self.audience.check(user_id=origin.user_id, guild_id=origin.guild_id)
        place = origin.place
        if place is None:
            raise NotAllowedError(NO_PLACE)
        settings = await self.settings(origin.guild_id)
        policy.check_place(settings, place)
        policy.check_roles(settings, origin.role_ids)
        policy.check_amount(settings, request)
        policy.check_style(settings, request, self.catalog.styles_for(self.profile))
        policy.check_start(request, self.profile)
        words = self._words(request, settings, age_restricted=place.age_restricted)
        young = await self.reader.read(origin.user_id, words)
        spoiler = (await self.preferences(origin.user_id)).spoiler
        return Permit(
            limits=settings.limits(origin.role_ids, await self.operator.limits_for(origin)),
            showing=policy.showing(settings, place, spoiler=spoiler, young=young),
            language=settings.language or origin.language,
        )

    async def allowed_still(self, job: Job) -> Rating:
        """Returns how far a job's pictures may go now, never further than it was told. Raises NotAllowedError where a rule of
        now forbids the job; roles are not asked again, since nobody knows them any more.
        """
        self.audience.check(user_id=job.origin.user_id, guild_id=job.origin.guild_id)
        settings, place = await self.settings(job.origin.guild_id), job.origin.place
        if place is None:  # it came before places were kept; only there did anybody tell it more than SENSITIVE
            place = Place(channel_id=0, age_restricted=job.showing.rating.is_beyond(Rating.SENSITIVE))
        else:
            policy.check_place(settings, place)
        await self.check_block(job.origin)
        policy.check_amount(settings, job.request)
        policy.check_style(settings, job.request, self.catalog.styles_for(self.profile))
        young = await self.reader.read_again(self._words(job.request, settings, age_restricted=place.age_restricted))
        return policy.showing(settings, place, spoiler=False, young=young).rating.stricter(job.showing.rating)

    async def limits_for(self, origin: Origin) -> Limits:
        settings = await self.settings(origin.guild_id)
        return settings.limits(origin.role_ids, await self.operator.limits_for(origin))

    async def settings(self, guild_id: int | None) -> GuildSettings:
        """What holds in a server; in direct messages, what holds where nobody has changed anything."""
        return UNCHANGED if guild_id is None else await self.rules.get(guild_id)

    async def preferences(self, user_id: int) -> Preferences:
        """A member's own defaults."""
        return await self.personal.get(user_id)

    async def check_block(self, origin: Origin) -> None:
        """Raises NotAllowedError for a member who is blocked where they ask."""
        if origin.guild_id is None:
            return
        block = await self.blocks.block_of(origin.guild_id, origin.user_id, now=self.clock.now())
        if block is not None:
            raise NotAllowedError(block.sentence)

    async def check_reuse(self, job: Job, origin: Origin) -> None:
        """Raises NotFoundError for a job of another server, NotAllowedError where they may not draw from it, or nobody may."""
        policy.check_visible(job, origin)
        await self.check_block(origin)
        policy.check_reuse(await self.settings(origin.guild_id), job, origin)
        policy.check_start(job.request, self.profile)

    def _words(self, request: GenerationRequest, settings: GuildSettings, *, age_restricted: bool) -> Callable[[], bool]:
        """The look at the words of the member and of the styles that they chose, whose trigger words are drawn as well.

        It returns whether a child is drawn and raises NotAllowedError, on a thread: some prompts take it long.
        """
        styles = (self.catalog.styles.get(chosen.name) for chosen in request.styles)
        prompt, negative_prompt = words_of(request)
        words = [prompt, *(style.trigger_words for style in styles if style and style.trigger_words)]
        return partial(
            check_words,
            ", ".join(words),
            negative_prompt,
            adult=settings.safety.allows_adult(age_restricted=age_restricted),
            blocked_words=settings.blocked_words,
            young=self.catalog.young,
        )
