"""`/help`: what a newcomer needs to know, on one screen."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands, ui
from discord.ext import commands

from bot.chat.cards.card import PINK
from bot.chat.client import PastelBot
from bot.chat.replies import answer

TEXTS = (
    "## Pastel draws anime\n"
    "Type `/anime` and say what you want to see. Tags work best:\n"
    "> 1girl, green hair, beanie, sweater, outdoors, night\n"
    "`(hat:1.3)` makes a tag count more, `[hat]` less.",
    "**While you wait** the card shows your place in the queue and then how far the drawing is. "
    "You can close Discord: the pictures come anyway.",
    "**Under each result**\n"
    "🎲 **Reroll** draws the same words again, differently\n"
    "🌱 **Subtle** and 🔥 **Strong** draw variations of one picture\n"
    "🔍 **Upscale** draws one picture half as large again, with finer detail\n"
    "✏️ **Remix** lets you change the words first\n"
    "📋 **Details** shows every parameter to copy\n"
    "🗑️ **Delete** removes the card and its pictures\n"
    "🚩 **Report** shows a picture to the moderators of this server",
    "**More of `/anime`**\n"
    "`size`, `images`, `style`, `quality` and `seed` do what they say; `negative_prompt` is what to leave out. "
    "A style can stand in the prompt too: `<lora:name:0.8>`. "
    "Attach an `image` to start from your own picture; `strength` says how much of it may change.",
    "**Your own defaults:** `/profile show` holds your style, size and more, for whenever you leave them out.",
    "**In the menu of any message**, under *Apps*\n"
    "**Remix**, **Details** and **Report** do what the buttons do\n"
    "**Read settings** shows how a picture was made, if its file says so, and draws it here",
    "**What it costs:** 1 credit for a picture of 1024 × 1024 pixels and 28 steps; `/quota show` says what you have left. "
    "What fails costs nothing; what you cancel costs the steps that were drawn already.",
    "**Other commands:** `/queue show`, `/queue cancel`, `/profile set`, `/profile reset`, `/privacy show`, `/about`\n"
    "**For moderators:** `/settings panel` has the rules of this server",
)


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Help())


class Help(commands.Cog):
    """The command; its text stands above."""

    @app_commands.command(name="help", description="How to draw with Pastel")
    async def help(self, interaction: discord.Interaction) -> None:
        container: ui.Container[Any] = ui.Container(*(ui.TextDisplay[Any](text) for text in TEXTS), accent_colour=PINK)
        view = ui.LayoutView(timeout=None)
        view.add_item(container)
        await answer(interaction, view)
