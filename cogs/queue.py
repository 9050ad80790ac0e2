"""`/queue`: a member's own waiting jobs, and a server's for its moderators."""

from __future__ import annotations

import discord
from discord import app_commands
from discord.app_commands import Choice, locale_str
from discord.ext import commands

from bot.chat.cards.markdown import shorten, visible
from bot.chat.client import PastelBot
from bot.chat.limits import MAX_OPTIONS, OPTION_LENGTH
from bot.chat.replies import actor_of, answer, defer_ephemeral, notice
from bot.chat.translation import _
from bot.chat.views.queue import MAX_SHOWN, queue_view, server_queue_view
from bot.domain.job import Job, JobStatus, is_job_id
from bot.errors import NotFoundError
from bot.messages import translatable
from bot.services.generation import GenerationService
from bot.services.server_queue import ServerQueue

MAX_SEARCHED = 100  # jobs, of which those that match what is typed are offered
PAUSED = translatable("⏸️ Paused. I'll finish what's being drawn, and everything else waits. Use `/queue resume` to continue.")
RESUMED = translatable("▶️ This server's queue is running again.")
UNKNOWN = translatable("I don't know that picture. Pick one from the list that appears while you type.")


async def setup(bot: PastelBot) -> None:
    await bot.add_cog(Queue(bot.require(GenerationService), bot.require(ServerQueue)))


class Queue(commands.GroupCog, group_name="queue", group_description=locale_str("Pictures in the queue")):
    """Shows and cancels jobs; all answers are for the member's eyes only."""

    def __init__(self, generation: GenerationService, server_queue: ServerQueue) -> None:
        self._generation = generation
        self._server_queue = server_queue

    @app_commands.command(name="show", description=locale_str("Show your pictures in the queue"))
    async def show(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await answer(interaction, queue_view(await self._generation.waiting(interaction.user.id, limit=MAX_SHOWN)))

    @app_commands.command(name="cancel", description=locale_str("Cancel one of your pictures in the queue"))
    @app_commands.describe(job=locale_str("Which one"))
    async def cancel(self, interaction: discord.Interaction, job: str) -> None:
        await defer_ephemeral(interaction)
        if not is_job_id(job):
            raise NotFoundError(UNKNOWN)
        await self._generation.cancel(job, actor_of(interaction))
        await answer(interaction, notice(_("Cancelled.")))

    @cancel.autocomplete("job")
    async def jobs(self, interaction: discord.Interaction, current: str) -> list[Choice[str]]:
        typed = current.strip().casefold()
        jobs = await self._generation.waiting_jobs(interaction.user.id, limit=MAX_SEARCHED)
        return [
            Choice(name=shorten(label, OPTION_LENGTH), value=job.id)
            for label, job in ((_label(job), job) for job in jobs)
            if typed in label.casefold()
        ][:MAX_OPTIONS]

    @app_commands.command(name="server", description=locale_str("Show this server's queue (for moderators)"))
    async def server(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        overview = await self._server_queue.overview(actor_of(interaction), limit=MAX_SHOWN)
        await answer(interaction, server_queue_view(overview))

    @app_commands.command(name="pause", description=locale_str("Pause this server's queue (for moderators)"))
    async def pause(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await self._server_queue.pause(actor_of(interaction))
        await answer(interaction, notice(_(PAUSED)))

    @app_commands.command(name="resume", description=locale_str("Resume this server's queue (for moderators)"))
    async def resume(self, interaction: discord.Interaction) -> None:
        await defer_ephemeral(interaction)
        await self._server_queue.resume(actor_of(interaction))
        await answer(interaction, notice(_(RESUMED)))


def _label(job: Job) -> str:
    prompt = visible(job.request.prompt)
    status = _("being drawn") if job.status is JobStatus.RUNNING else _("in the queue")
    return f"{prompt} ({status})" if len(prompt) + len(status) + 3 <= OPTION_LENGTH else prompt
