"""`/about`: version, model, licences and source."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, metadata
from typing import Any

import discord
from discord import app_commands, ui
from discord.app_commands import locale_str
from discord.ext import commands

from bot import __version__
from bot.chat.cards.card import PINK
from bot.chat.cards.markdown import link, small
from bot.chat.cards.text import words
from bot.chat.client import PastelBot
from bot.chat.limits import MESSAGE_LENGTH
from bot.chat.replies import answer
from bot.chat.translation import _, plural
from bot.domain.operator_rules import OperatorRules
from bot.domain.profile import Licence
from bot.messages import translatable
from bot.services.generation import GenerationService

MAX_STYLES_TEXT = MESSAGE_LENGTH - 1_500  # characters; the other lines need some
TITLE_LENGTH = 80
OFFER = translatable("This model's licence asks me to offer you the source of what you're using. Here it is: {url}")
OWN_LICENCE = Licence(name="MIT", url="https://opensource.org/license/mit")


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(About(bot.require(GenerationService), bot.require(OperatorRules).source_url or packaged_source()))


class About(commands.Cog):
    """Shows what this bot is made of."""

    def __init__(self, generation: GenerationService, source: str | None) -> None:
        self._generation = generation
        self._source = source

    @app_commands.command(name="about", description=locale_str("Version, model, licences and source code"))
    async def about(self, interaction: discord.Interaction) -> None:
        texts = (ui.TextDisplay[Any]("\n".join(lines)) for lines in (self._bot(), self._model(), self._styles()) if lines)
        view = ui.LayoutView(timeout=None)
        view.add_item(ui.Container(*texts, accent_colour=PINK))
        await answer(interaction, view)

    def _bot(self) -> list[str]:
        licence = _linked(OWN_LICENCE.name, OWN_LICENCE.url)
        about = _("A self-hosted anime drawing bot. Free and open source ({licence}).", licence=licence)
        source = [link(_("Source code"), self._source)] if self._source else []
        return [f"## Pastel {__version__}", " · ".join((about, *source))]

    def _model(self) -> list[str]:
        profile = self._generation.profile
        loras = self._generation.catalog.quality_styles(profile)
        lines = [
            _("**Model:** {name}", name=_entry(profile.title, profile.url, profile.licence)),
            *(_("**For drafts:** {name}", name=_entry(style.title, style.url, style.licence)) for style in loras),
        ]
        if profile.licence.offer_source and self._source is not None:
            lines.append(small(_(OFFER, url=self._source)))
        return lines

    def _styles(self) -> list[str]:
        return list(self._style_lines())

    def _style_lines(self) -> Iterator[str]:
        styles = self._generation.catalog.styles_for(self._generation.profile)
        if styles:
            yield _("**Styles**")
        room = MAX_STYLES_TEXT
        for number, style in enumerate(styles):
            line = f"- {_entry(style.title, style.url, style.licence)}"
            room -= len(line)
            if room < 0:
                more = plural(
                    "and {count} more. `/anime` offers them all",
                    "and {count} more. `/anime` offers them all",
                    len(styles) - number,
                )
                yield small(more)
                return
            yield line


def packaged_source() -> str | None:
    """Returns the link to this package's code: `Source` under [project.urls] in pyproject.toml."""
    try:
        urls = metadata("pastel").get_all("Project-URL") or []
    except PackageNotFoundError:
        return None
    named = (url.partition(",") for url in urls)
    return next((url.strip() for name, _, url in named if name.strip().casefold() == "source"), None)


def _entry(title: str, url: str, licence: Licence) -> str:
    return f"{_linked(title, url)} · {_linked(licence.name, licence.url)}"


def _linked(title: str, url: str) -> str:
    text = words(title, TITLE_LENGTH)
    return link(text, url) if url.startswith("https://") else text
