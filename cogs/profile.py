"""`/profile`: a member's defaults for options that they leave out."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Choice, Range, locale_str
from discord.ext import commands

from bot.chat.actions import PROFILE, PROFILE_FORM, Press
from bot.chat.cards.markdown import shorten
from bot.chat.client import PastelBot
from bot.chat.limits import MAX_OPTIONS, OPTION_LENGTH
from bot.chat.replies import Interaction, answer, defer_ephemeral, defer_silently, origin_of, show_form
from bot.chat.translation import _
from bot.chat.views.preferences import NO_STYLE_AT_ALL, profile_form, profile_view, wanted
from bot.chat.views.remix_form import Offer
from bot.domain.preferences import NONE_AT_ALL, Preferences, edit_of
from bot.domain.request import MAX_IMAGES
from bot.errors import InvalidRequestError
from bot.messages import translatable
from bot.services.generation import GenerationService
from bot.services.preferences import PreferencesService
from cogs._choices import style_choices, typed_size_choices

NOTHING_GIVEN = translatable(
    "Tell me what to change, for example `/profile set size:`, or press **Change** in `/profile show`."
)
SAVED = translatable("Saved")
FORGOTTEN = translatable("Reset. You're back to the server's and the model's defaults")


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Profile(bot, bot.require(PreferencesService), bot.require(GenerationService)))


class Profile(commands.GroupCog, group_name="profile", group_description=locale_str("Your own defaults for /anime")):
    """The commands; all answers are for the invoking member only, and about them: the custom ids name nobody."""

    def __init__(self, bot: PastelBot, preferences: PreferencesService, generation: GenerationService) -> None:
        self._bot = bot
        self._preferences = preferences
        self._generation = generation

    async def cog_load(self) -> None:
        self._bot.on_action(PROFILE, self.open_form)
        self._bot.on_form(PROFILE_FORM, self.save_form)

    @app_commands.command(name="show", description=locale_str("Show your defaults, and change them in a form"))
    async def show(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await self._answer(interaction, await self._preferences.of(interaction.user.id))

    @app_commands.command(name="set", description=locale_str("Set some of your defaults. What you leave out stays the same"))
    @app_commands.describe(
        style=locale_str("Your style. Type none for no style at all, - for the server default"),
        size=locale_str("Your size. Type - for the model default"),
        negative_prompt=locale_str("What to leave out. Type none for nothing at all, - for the server default"),
        pictures=locale_str("How many pictures to draw"),
        spoiler=locale_str("Hide your pictures behind a spoiler"),
    )
    async def set(
        self,
        interaction: discord.Interaction,
        style: str | None = None,
        size: str | None = None,
        negative_prompt: str | None = None,
        pictures: Range[int, 1, MAX_IMAGES] | None = None,
        spoiler: bool | None = None,  # noqa: FBT001 - discord.py makes an option of it
    ) -> None:
        await defer_ephemeral(interaction)
        if all(given is None for given in (style, size, negative_prompt, pictures, spoiler)):
            raise InvalidRequestError(NOTHING_GIVEN)
        edit = edit_of(style=style, size=size, negative_prompt=negative_prompt, num_images=pictures, spoiler=spoiler)
        await self._answer(interaction, await self._preferences.change(interaction.user.id, edit), SAVED)

    @set.autocomplete("style")
    async def styles(self, interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        chosen = style_choices(await self._generation.styles(origin_of(interaction)), current)
        no_style = shorten(_(NO_STYLE_AT_ALL), OPTION_LENGTH)
        if current.strip().casefold() in no_style.casefold():
            chosen.insert(0, Choice(name=no_style, value=NONE_AT_ALL))
        return chosen[:MAX_OPTIONS]

    @set.autocomplete("size")
    async def sizes(self, interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        del interaction
        return typed_size_choices(self._generation.profile, current)

    @app_commands.command(name="reset", description=locale_str("Reset your defaults"))
    async def reset(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await self._answer(interaction, await self._preferences.reset(interaction.user.id), FORGOTTEN)

    async def open_form(self, interaction: Interaction, press: Press) -> None:
        """Opens the form, which can only be the first answer, so only two rows are read before it."""
        del press
        defaults = await self._preferences.of(interaction.user.id)
        styles = await self._generation.styles(origin_of(interaction))
        await show_form(interaction, profile_form(defaults, Offer(profile=self._generation.profile, styles=styles)))

    async def save_form(self, interaction: Interaction, press: Press) -> None:
        """Saves the form; the message that it was opened from shows the new defaults."""
        del press
        await defer_silently(interaction)
        await self._answer(interaction, await self._preferences.change(interaction.user.id, wanted(interaction)), SAVED)

    async def _answer(self, interaction: Interaction, defaults: Preferences, note: str | None = None) -> None:
        told = _(note) if note else ""
        await answer(interaction, profile_view(defaults, self._generation.profile, self._generation.catalog, note=told))
