"""`/help`: tells a newcomer the essentials, on one screen."""

from __future__ import annotations

from typing import Any

import discord
from discord import app_commands, ui
from discord.app_commands import locale_str
from discord.ext import commands

from bot.chat.cards.card import PINK
from bot.chat.client import PastelBot
from bot.chat.replies import answer
from bot.chat.translation import _
from bot.messages import translatable

TEXTS = (
    translatable(
        "## Pastel draws anime\n"
        "Type `/anime` and say what you'd like to see. Tags work best:\n"
        "> 1girl, green hair, beanie, sweater, outdoors, night\n"
        "`(hat:1.3)` makes a tag count more, `[hat]` less."
    ),
    translatable(
        "**While you wait,** the card shows your place in the queue and then how far the drawing is. "
        "You can close Discord: your pictures come anyway."
    ),
    translatable(
        "**Under each picture**\n"
        "🎲 **Reroll** draws the same prompt again, differently\n"
        "🌱 **Subtle** and 🔥 **Strong** draw variations of one picture\n"
        "🔍 **Upscale** makes one picture 1.5× larger, with finer detail\n"
        "✏️ **Remix** lets you change the prompt first\n"
        "📋 **Details** shows every setting, ready to copy\n"
        "🗑️ **Delete** deletes the card and its pictures\n"
        "🚩 **Report** shows a picture to this server's moderators"
    ),
    translatable(
        "**More of `/anime`**\n"
        "Pick a `size`, a `style`, a `quality`, and how many `images` you'd like. `negative_prompt` is what to leave out. "
        "You can name a style in your prompt too: `<lora:name:0.8>`. "
        "Attach an `image` to start from your own picture. `strength` says how much of it may change."
    ),
    translatable("**Your defaults:** `/profile show` saves your favourite style and size, so you don't have to type them."),
    translatable(
        "**In the menu of any message,** under *Apps*\n"
        "**Remix**, **Details** and **Report** do what the buttons do\n"
        "**Read settings** shows how a picture was made, if its file says so, and draws it here"
    ),
    translatable(
        "**What it costs:** 1 credit ≈ one 1024 × 1024 picture at 28 steps. `/quota show` says what you have left. "
        "If I can't draw it, you aren't charged. If you cancel, you pay only for the steps already drawn."
    ),
    translatable(
        "**Other commands:** `/queue show`, `/queue cancel`, `/profile set`, `/profile reset`, `/privacy show`, `/about`\n"
        "**For moderators:** `/settings panel` has this server's settings"
    ),
)


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Help())


class Help(commands.Cog):
    """The command; its text is above."""

    @app_commands.command(name="help", description=locale_str("How to draw with Pastel"))
    async def help(self, interaction: discord.Interaction) -> None:
        container: ui.Container[Any] = ui.Container(*(ui.TextDisplay[Any](_(text)) for text in TEXTS), accent_colour=PINK)
        view = ui.LayoutView(timeout=None)
        view.add_item(container)
        await answer(interaction, view)
