"""`/profile`: what a member wants where they say nothing."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Choice, Range
from discord.ext import commands

from bot.chat.actions import PROFILE, PROFILE_FORM, Press
from bot.chat.client import PastelBot
from bot.chat.replies import Interaction, answer, defer_ephemeral, defer_silently, origin_of, show_form
from bot.chat.views.preferences import NO_STYLE_AT_ALL, profile_form, profile_view, wanted
from bot.chat.views.remix_form import Offer
from bot.domain.preferences import NONE_AT_ALL, Preferences, edit_of
from bot.domain.request import MAX_IMAGES
from bot.errors import InvalidRequestError
from bot.services.generation import GenerationService
from bot.services.preferences import PreferencesService
from cogs._choices import MAX_CHOICES, size_choices, style_choices

NOTHING_GIVEN = "Say what to change, for example `/profile set size:`, or press **Change** under `/profile show`."
SAVED, FORGOTTEN = "-# ✅ Saved", "-# ✅ Forgotten; everything is as the server and the model have it"


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Profile(bot, bot.require(PreferencesService), bot.require(GenerationService)))


class Profile(commands.GroupCog, group_name="profile", group_description="Your own defaults for /anime"):
    """Everything is for the member's eyes only, and about whoever asks: the custom ids name nobody."""

    def __init__(self, bot: PastelBot, preferences: PreferencesService, generation: GenerationService) -> None:
        self._bot = bot
        self._preferences = preferences
        self._generation = generation

    async def cog_load(self) -> None:
        self._bot.on_action(PROFILE, self.open_form)
        self._bot.on_form(PROFILE_FORM, self.save_form)

    @app_commands.command(name="show", description="Show your own defaults, and change them in a form")
    async def show(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await self._answer(interaction, await self._preferences.of(interaction.user.id))

    @app_commands.command(name="set", description="Set some of your own defaults; what you leave out stays as it is")
    @app_commands.describe(
        style="Your style; none for no style at all, - for the server's",
        size="Your size; - for the model's",
        negative_prompt="What your pictures leave out; none for nothing at all, - for the server's",
        pictures="How many pictures at once",
        spoiler="Hide your pictures behind a click",
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
        if current.strip().casefold() in NO_STYLE_AT_ALL.casefold():
            chosen.insert(0, Choice(name=NO_STYLE_AT_ALL, value=NONE_AT_ALL))
        return chosen[:MAX_CHOICES]

    @set.autocomplete("size")
    async def sizes(self, interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        del interaction
        return size_choices(self._generation.profile, current)

    @app_commands.command(name="reset", description="Forget your own defaults")
    async def reset(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await self._answer(interaction, await self._preferences.reset(interaction.user.id), FORGOTTEN)

    async def open_form(self, interaction: Interaction, press: Press) -> None:
        """A form can only be the first answer, so this reads two rows before it."""
        del press
        defaults = await self._preferences.of(interaction.user.id)
        styles = await self._generation.styles(origin_of(interaction))
        await show_form(interaction, profile_form(defaults, Offer(profile=self._generation.profile, styles=styles)))

    async def save_form(self, interaction: Interaction, press: Press) -> None:
        """The message that the form was opened from shows the new defaults."""
        del press
        await defer_silently(interaction)
        await self._answer(interaction, await self._preferences.change(interaction.user.id, wanted(interaction)), SAVED)

    async def _answer(self, interaction: Interaction, defaults: Preferences, note: str = "") -> None:
        await answer(interaction, profile_view(defaults, self._generation.profile, self._generation.catalog, note=note))
