"""Handles reports: the button on a card and its form, and the buttons under a report."""

from __future__ import annotations

from discord.ext import commands

from bot.chat.actions import REPORT_BLOCK, REPORT_DISMISS, REPORT_FORM, REPORT_REMOVE, Action, Press
from bot.chat.client import PastelBot
from bot.chat.member_ranks import server_actor_of
from bot.chat.replies import Interaction, answer, defer_ephemeral, defer_silently, notice, origin_of, show_form
from bot.chat.translation import _
from bot.chat.views.report import THANKS, reason_of, report_form
from bot.services.reports import Reports as ReportService


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Reports(bot, bot.require(ReportService)))


class Reports(commands.Cog):
    """Handlers by action. The message of a report updates itself, so a press of its buttons needs no answer."""

    def __init__(self, bot: PastelBot, reports: ReportService) -> None:
        self._bot = bot
        self._reports = reports

    async def cog_load(self) -> None:
        self._bot.on_action(Action.REPORT, self.open_form)
        self._bot.on_form(REPORT_FORM, self.report)
        self._bot.on_action(REPORT_REMOVE, self.remove)
        self._bot.on_action(REPORT_BLOCK, self.block_author)
        self._bot.on_action(REPORT_DISMISS, self.dismiss)

    async def open_form(self, interaction: Interaction, press: Press) -> None:
        """Opens the form, which can only be the first answer, so only two rows are read before it."""
        await self._reports.check(press.job_id, origin_of(interaction))
        await show_form(interaction, report_form(press.job_id))

    async def report(self, interaction: Interaction, press: Press) -> None:
        await defer_ephemeral(interaction)
        await self._reports.report(press.job_id, origin_of(interaction), reason_of(interaction))
        await answer(interaction, notice(_(THANKS)))

    async def remove(self, interaction: Interaction, press: Press) -> None:
        await defer_silently(interaction)
        await self._reports.remove(press.job_id, server_actor_of(interaction))

    async def block_author(self, interaction: Interaction, press: Press) -> None:
        await defer_silently(interaction)
        await self._reports.block_author(press.job_id, server_actor_of(interaction))

    async def dismiss(self, interaction: Interaction, press: Press) -> None:
        await defer_silently(interaction)
        await self._reports.dismiss(press.job_id, server_actor_of(interaction))
