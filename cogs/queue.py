"""`/queue`: a member's own waiting jobs, and a server's for those who manage it."""

from __future__ import annotations

import re

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.cards.markdown import shorten, visible
from bot.chat.client import PastelBot
from bot.chat.replies import actor_of, answer, defer_ephemeral, notice
from bot.chat.views.queue import MAX_SHOWN, queue_view, server_queue_view
from bot.domain.job import Job
from bot.errors import NotFoundError
from bot.services.generation import GenerationService
from bot.services.server_queue import ServerQueue

MAX_CHOICES = 25
MAX_SEARCHED = 100  # jobs, of which those that fit what is typed are offered
NAME_LENGTH = 100
PAUSED = "Paused: what is being drawn is finished, everything else of this server waits. `/queue resume` lets it go on."
RESUMED = "The queue of this server goes on."
_JOB_ID = re.compile(r"[0-9a-f]{16}")


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Queue(bot.require(GenerationService), bot.require(ServerQueue)))


class Queue(commands.GroupCog, group_name="queue", group_description="Pictures that are still to come"):
    """Shows and cancels; everything is for the member's eyes only."""

    def __init__(self, generation: GenerationService, server_queue: ServerQueue) -> None:
        self._generation = generation
        self._server_queue = server_queue

    @app_commands.command(name="show", description="Show your pictures that are still to come")
    async def show(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await answer(interaction, queue_view(await self._generation.waiting(interaction.user.id, limit=MAX_SHOWN)))

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
        jobs = await self._generation.waiting_jobs(interaction.user.id, limit=MAX_SEARCHED)
        return [
            Choice(name=shorten(label, NAME_LENGTH), value=job.id)
            for label, job in ((_label(job), job) for job in jobs)
            if typed in label.casefold()
        ][:MAX_CHOICES]

    @app_commands.command(name="server", description="For moderators: show everything that waits in this server")
    async def server(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        overview = await self._server_queue.overview(actor_of(interaction), limit=MAX_SHOWN)
        await answer(interaction, server_queue_view(overview))

    @app_commands.command(name="pause", description="For moderators: draw nothing more of this server for now")
    async def pause(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await self._server_queue.pause(actor_of(interaction))
        await answer(interaction, notice(PAUSED))

    @app_commands.command(name="resume", description="For moderators: go on with what waits in this server")
    async def resume(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await self._server_queue.resume(actor_of(interaction))
        await answer(interaction, notice(RESUMED))


def _label(job: Job) -> str:
    prompt = visible(job.request.prompt)
    return f"{prompt} ({job.status})" if len(prompt) <= NAME_LENGTH - 12 else prompt
