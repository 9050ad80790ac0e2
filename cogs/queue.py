"""`/queue`: a member's own waiting jobs."""

from __future__ import annotations

import re

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import PastelBot
from bot.chat.markdown import shorten, visible
from bot.chat.queue_view import queue_view
from bot.chat.replies import actor_of, answer, defer_ephemeral, notice
from bot.errors import NotFoundError
from bot.services.estimates import QueueEntry
from bot.services.generation import GenerationService

MAX_CHOICES = 25
NAME_LENGTH = 100
_JOB_ID = re.compile(r"[0-9a-f]{16}")


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Queue(bot.require(GenerationService)))


class Queue(commands.GroupCog, group_name="queue", group_description="Your pictures that are still to come"):
    """Shows and cancels; everything is for the member's eyes only."""

    def __init__(self, generation: GenerationService) -> None:
        self._generation = generation

    @app_commands.command(name="show", description="Show your pictures that are still to come")
    async def show(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        entries = await self._generation.waiting(interaction.user.id)
        await answer(interaction, queue_view([(entry.job, entry.position) for entry in entries]))

    @app_commands.command(name="cancel", description="Cancel one of your pictures that are still to come")
    @app_commands.describe(job="Which one")
    async def cancel(self, interaction: discord.Interaction, job: str) -> None:
        await defer_ephemeral(interaction)
        if not _JOB_ID.fullmatch(job):
            raise NotFoundError("I do not know that job. Pick one from the list that appears while you type.")
        await self._generation.cancel(job, actor_of(interaction))
        await answer(interaction, notice("Cancelled."))

    @cancel.autocomplete("job")
    async def jobs(self, interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        typed = current.strip().casefold()
        entries = await self._generation.waiting(interaction.user.id)
        return [
            Choice(name=shorten(label, NAME_LENGTH), value=entry.job.id)
            for label, entry in ((_label(entry), entry) for entry in entries)
            if typed in label.casefold()
        ][:MAX_CHOICES]


def _label(entry: QueueEntry) -> str:
    prompt = visible(entry.job.request.prompt)
    return f"{prompt} ({entry.job.status})" if len(prompt) <= NAME_LENGTH - 12 else prompt
