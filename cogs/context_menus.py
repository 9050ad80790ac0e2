"""The commands in a message's menu under Apps: for our own cards, and for pictures from anywhere."""

from __future__ import annotations

from functools import partial

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.actions import FOUND, FOUND_FORM, Action, Press
from bot.chat.cards.lookup import job_on
from bot.chat.client import PastelBot
from bot.chat.deliverability import require_reach
from bot.chat.replies import Interaction, answer, defer_ephemeral, origin_of, show_form
from bot.chat.views.imported_settings import adopted, found_form, found_view, text_on
from bot.chat.views.remix_form import Offer
from bot.errors import NotFoundError
from bot.messages import translatable
from bot.services.generation import GenerationService
from bot.services.settings_import import SettingsImport
from bot.services.uploads import UploadPlaces
from cogs._submit import take_in
from cogs._uploads import check_upload, picture_in, read_found_text, read_upload

NO_CARD = translatable("This only works on pictures I made. Open the menu of one of those.")
NO_FINDING = translatable("I can't find the settings on that message any more. Use **Read settings** on the picture again.")


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(ContextMenus(bot, bot.require(GenerationService), bot.require(SettingsImport), bot.require(UploadPlaces)))


class ContextMenus(commands.Cog):
    """Remix, Details and Report run the card's buttons of the same name. discord.py 2.7.1 allows five menus in all."""

    def __init__(
        self, bot: PastelBot, generation: GenerationService, settings_import: SettingsImport, places: UploadPlaces
    ) -> None:
        self._bot = bot
        self._generation = generation
        self._settings_import = settings_import
        self._places = places
        self._menus = (
            app_commands.ContextMenu(name="Remix", callback=self.remix),
            app_commands.ContextMenu(name="Details", callback=self.details),
            app_commands.ContextMenu(name="Report", callback=self.report),
            app_commands.ContextMenu(name="Read settings", callback=self.read_settings),
        )

    async def cog_load(self) -> None:
        for menu in self._menus:
            self._bot.tree.add_command(menu)
        self._bot.on_action(FOUND, self.open_form)
        self._bot.on_form(FOUND_FORM, self.draw)

    async def cog_unload(self) -> None:
        for menu in self._menus:
            self._bot.tree.remove_command(menu.name, type=menu.type)

    async def remix(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self._press(interaction, message, Action.REMIX)

    async def details(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self._press(interaction, message, Action.DETAILS)

    async def report(self, interaction: discord.Interaction, message: discord.Message) -> None:
        await self._press(interaction, message, Action.REPORT)

    async def read_settings(self, interaction: discord.Interaction, message: discord.Message) -> None:
        picture = picture_in(message)
        check_upload(picture)
        await defer_ephemeral(interaction)
        async with self._places.take(interaction.user.id):
            picture_import = await self._settings_import.in_picture(await read_upload(picture), origin_of(interaction))
        view, files = found_view(picture_import, picture.filename, self._generation.profile)
        await answer(interaction, view, files)

    async def open_form(self, interaction: Interaction, press: Press) -> None:
        """Opens the form, which can only be the first answer, so the text is read from the message, not from the picture."""
        del press
        require_reach(interaction)
        text = text_on(interaction.message) if interaction.message else None
        if isinstance(text, discord.Attachment):
            async with self._places.take(interaction.user.id):
                text = await read_found_text(text)
        if text is None:
            raise NotFoundError(NO_FINDING)
        origin = origin_of(interaction)
        draft = await self._settings_import.to_fill_in(text, origin)
        offer = Offer(profile=self._generation.profile, styles=await self._generation.styles(origin))
        await show_form(interaction, found_form(draft, offer))

    async def draw(self, interaction: Interaction, press: Press) -> None:
        del press
        await take_in(self._generation, interaction, partial(self._generation.propose, adopted(interaction)))

    async def _press(self, interaction: discord.Interaction, message: discord.Message, action: Action) -> None:
        """Runs the button's action; its service checks the member's rights."""
        job_id = job_on(message, self._bot.user.id if self._bot.user else None)
        if job_id is None:
            raise NotFoundError(NO_CARD)
        await self._bot.press(interaction, Press(action=action, job_id=job_id))
