"""`/about`: version, model, licences and source."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

import discord
from discord import app_commands, ui
from discord.ext import commands

from bot import __version__
from bot.chat.cards.card import PINK
from bot.chat.cards.text import words
from bot.chat.client import PastelBot
from bot.chat.replies import answer
from bot.domain.profile import Licence
from bot.services.generation import GenerationService

MAX_STYLES_TEXT = 2_500  # characters; Discord takes 4,000 in one message
TITLE_LENGTH = 80
OWN_LICENCE = "free software under the [MIT licence](https://opensource.org/license/mit)"


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(About(bot.require(GenerationService), source_url()))


class About(commands.Cog):
    """What this bot is made of."""

    def __init__(self, generation: GenerationService, source: str | None) -> None:
        self._generation = generation
        self._source = source

    @app_commands.command(name="about", description="Version, model, licences and source of this bot")
    async def about(self, interaction: discord.Interaction) -> None:
        texts = (ui.TextDisplay[Any]("\n".join(lines)) for lines in (self._bot(), self._model(), self._styles()) if lines)
        view = ui.LayoutView(timeout=None)
        view.add_item(ui.Container(*texts, accent_colour=PINK))
        await answer(interaction, view)

    def _bot(self) -> list[str]:
        source = f" · [source]({self._source})" if self._source else ""
        return [f"## Pastel {__version__}", f"A bot that draws anime, self-hosted; {OWN_LICENCE}{source}"]

    def _model(self) -> list[str]:
        profile = self._generation.profile
        loras = self._generation.catalog.quality_styles(profile)
        return [
            f"**Model:** {_linked(profile.title, profile.url)} · {_licence(profile.licence)}",
            *(f"**For drafts:** {_linked(style.title, style.url)} · {_licence(style.licence)}" for style in loras),
        ]

    def _styles(self) -> list[str]:
        return list(self._style_lines())

    def _style_lines(self) -> Iterator[str]:
        styles = self._generation.catalog.styles_for(self._generation.profile)
        if styles:
            yield "**Styles**"
        room = MAX_STYLES_TEXT
        for number, style in enumerate(styles):
            line = f"- {_linked(style.title, style.url)} · {_licence(style.licence)}"
            room -= len(line)
            if room < 0:
                yield f"-# and {len(styles) - number} more; `/anime` offers them all"
                return
            yield line


def source_url() -> str | None:
    """Where the code of this very package is published: `Source` under [project.urls] in pyproject.toml."""
    try:
        urls = metadata("pastel").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    named = (url.partition(",") for url in urls)
    return next((url.strip() for name, _, url in named if name.strip().casefold() == "source"), None)


def _licence(licence: Licence) -> str:
    return f"licence {_linked(licence.name, licence.url)}"


def _linked(title: str, url: str) -> str:
    text = words(title, TITLE_LENGTH)
    return f"[{text}]({url})" if url.startswith("https://") else text
