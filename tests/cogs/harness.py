"""The whole bot on SimCord: real cogs, real services, real SQLite; the pictures are drawn by hand."""

from __future__ import annotations

import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import discord
import simcord
from PIL import Image
from simcord.components import walk_components

from bot.chat.attachments import DiscordAttachments
from bot.chat.client import PastelBot
from bot.chat.extensions import EXTENSIONS
from bot.chat.member_ranks import DiscordMemberRanks
from bot.chat.messenger import DiscordMessenger
from bot.chat.report_messages import DiscordReportMessages
from bot.domain.image import StoredImage
from bot.domain.job import Job, JobId, Origin
from bot.domain.operator_rules import NO_OPERATOR_RULES, OperatorRules
from bot.domain.profile import Catalog, ModelProfile
from bot.domain.quota import UNLIMITED, Limits
from bot.inference.images.codec import PillowCodec
from bot.metrics import Metrics
from bot.ports import ImageCodec
from bot.services.use_cases import Services
from bot.storage.database import Database
from bot.storage.jobs import SqliteJobs
from bot.storage.repositories import Repositories, sqlite_repositories
from bot.wiring.build import build_services
from bot.wiring.ports import Ports
from tests.empty_database import begin_at
from tests.examples import CATALOG, PROFILE
from tests.fakes import FakeGenerator, FakeModelHub, InMemoryImageStore
from tests.services.harness import be_patient

PERMISSIONS = discord.Permissions(
    view_channel=True, send_messages=True, send_messages_in_threads=True, attach_files=True, use_application_commands=True
)


class SimClock:
    """Implements ports.Clock with SimCord's time, once there is one."""

    def __init__(self) -> None:
        self.env: simcord.Env | None = None

    def now(self) -> datetime:
        return self.env.now() if self.env else datetime(2026, 1, 1, tzinfo=UTC)

    def ticks(self) -> float:
        return self.now().timestamp()


@dataclass
class SimcordHarness:
    """A server with a channel and four people, and the bot in it."""

    database: Database
    profile: ModelProfile = PROFILE
    catalog: Catalog = CATALOG
    codec: ImageCodec = field(default_factory=PillowCodec)
    store: InMemoryImageStore = field(default_factory=InMemoryImageStore)
    metrics: Metrics = field(default_factory=Metrics)
    clock: SimClock = field(default_factory=SimClock)
    limits: Limits = UNLIMITED
    host: OperatorRules = NO_OPERATOR_RULES
    repositories: Repositories = field(init=False)
    env: simcord.Env = field(init=False)
    bot: PastelBot = field(init=False)
    services: Services = field(init=False)

    def __post_init__(self) -> None:
        self.repositories = sqlite_repositories(self.database)

    @property
    def jobs(self) -> SqliteJobs:
        return self.repositories.jobs

    def build_bot(self) -> PastelBot:
        """Bot and services over the same database, as a new process builds them."""
        self.bot = PastelBot(
            metrics=self.metrics,
            meta=self.repositories.meta,
            extensions=EXTENSIONS,
            guild_ready_timeout=0,
            ticks=self.clock.ticks,
        )
        ports = Ports(
            repositories=self.repositories,
            attachments=DiscordAttachments(self.bot),
            limits=self,
            board=DiscordReportMessages(self.bot),
            member_ranks=DiscordMemberRanks(self.bot),
            store=self.store,
            codec=self.codec,
            messenger=DiscordMessenger(self.bot),
            generator=FakeGenerator(),
            hub=FakeModelHub(),
            clock=self.clock,
            metrics=self.metrics,
        )
        self.services = build_services(ports, profile=self.profile, catalog=self.catalog, host=self.host)
        be_patient(self.services)
        self.bot.provide_all(self.services)
        return self.bot

    async def limits_for(self, origin: Origin) -> Limits:
        """Implements ports.LimitsSource; remembers who asked."""
        self.asked = origin
        return self.limits

    def settle_in(self, env: simcord.Env) -> None:
        self.env = self.clock.env = env
        self.guild = env.create_guild("Art club")
        self.channel = self.guild.create_text_channel("drawings")
        moderators = self.guild.create_role("Moderators", permissions=discord.Permissions(manage_messages=True))
        managers = self.guild.create_role("Managers", permissions=discord.Permissions(manage_guild=True))
        self.member = self.guild.add_member(env.create_user("ann"))
        self.other = self.guild.add_member(env.create_user("ben"))
        self.moderator = self.guild.add_member(env.create_user("mia"), roles=[moderators])
        self.manager = self.guild.add_member(env.create_user("max"), roles=[managers])

    async def restart(self) -> None:
        """A new process over the same Discord and database."""
        await self.env.restart_bot(self.build_bot())

    async def anime(self, prompt: str = "green hair, beanie", **options: Any) -> simcord.InteractionResult:
        return await self.member.slash(self.channel, "anime", prompt=prompt, **options)

    async def all_jobs(self) -> list[Job]:
        ids = await self.database.read(lambda connection: connection.execute("SELECT id FROM jobs ORDER BY rowid").fetchall())
        return [await self.job(row["id"]) for row in ids]

    async def only_job(self) -> Job:
        (job,) = await self.all_jobs()
        return job

    async def last_job(self) -> Job:
        return (await self.all_jobs())[-1]

    async def job(self, job_id: JobId) -> Job:
        job = await self.jobs.get(job_id)
        assert job is not None
        return job

    async def draw(self) -> Job:
        """Finish the next waiting job and deliver it."""
        job = await self.jobs.claim(now=self.clock.now(), lease_until=self.clock.now() + timedelta(seconds=30), batch=64)
        assert job is not None
        images = [await self._draw(job, index) for index in range(job.request.num_images)]
        assert await self.jobs.finish(job.id, job.attempt, images, now=self.clock.now())
        await self.deliver()
        return await self.job(job.id)

    async def deliver(self) -> None:
        with self.env.time_context():
            await self.services.delivery.deliver_due()

    async def finished(self, **options: Any) -> Job:
        """A job of ann's whose pictures are shown."""
        await self.anime(**options)
        return await self.draw()

    def card(self, job: Job, channel: Any = None) -> discord.Message:
        """The job's message as Discord has it."""
        messages = (channel or self.channel).history()
        return next(message for message in messages if message.id == job.reply.message_id)

    def has_card(self, job: Job) -> bool:
        return any(message.id == job.reply.message_id for message in self.channel.history())

    async def press(self, job: Job, action: str, actor: Any = None) -> simcord.InteractionResult:
        return await (actor or self.member).click(self.card(job), custom_id=f"pastel:{action}:{job.id}")

    async def _draw(self, job: Job, index: int) -> StoredImage:
        request = job.request
        buffer = io.BytesIO()
        Image.new("RGB", (request.width, request.height), (40 * index + 60, 120, 160)).save(buffer, "PNG")
        seed = request.image_seeds(index).seed
        return StoredImage(
            index=index,
            key=await self.store.save(job.id, job.attempt, index, buffer.getvalue()),
            seed=seed,
            width=request.width,
            height=request.height,
            parameters=f"{request.prompt}\nSteps: {request.num_inference_steps}, Seed: {seed}",
            size_bytes=len(buffer.getvalue()),
        )


def texts(message: Any) -> str:
    """Everything that a Components V2 message says, and its plain content."""
    return "\n".join([message.content, *(part["content"] for part in parts(message) if part["type"] == 10)])


def parts(message: Any) -> list[dict[str, Any]]:
    """Every component of a message in order, nested ones too, as Discord was sent them."""
    components = message.components
    raw = [component if isinstance(component, dict) else component.to_dict() for component in components]
    return list(walk_components(raw))


def custom_ids(message: Any) -> list[str]:
    return [part["custom_id"] for part in parts(message) if "custom_id" in part]


def refusal(result: simcord.InteractionResult) -> str:
    """The one sentence that the member alone sees; nothing public is left."""
    shown = [message for message in (result.response, *result.followups) if message is not None]
    assert len(shown) == 1
    assert shown[0].ephemeral
    return shown[0].content


def png(width: int = 80, height: int = 60) -> bytes:
    """A picture to start from."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(buffer, "PNG")
    return buffer.getvalue()


def parts_of(modal: dict[str, Any]) -> list[dict[str, Any]]:
    return [label["component"] for label in modal["components"]]


async def send(harness: SimcordHarness, custom_id: str, actor: Any = None, message: Any = None) -> Any:
    """Press a button that stands on no card: what a forged request looks like by the time discord.py sees it."""
    stored = harness.env.backend.get_message(harness.channel.id, message.id)
    kept = stored.components
    stored.components = [{"type": 1, "components": [{"type": 2, "style": 2, "label": "x", "custom_id": custom_id}]}]
    stored.flags &= ~(1 << 15)
    try:
        return await (actor or harness.member).click(message, custom_id=custom_id)
    finally:
        stored.components = kept
        stored.flags |= 1 << 15


class QuickEnv(simcord.Env):
    """Looks every 2 ms whether the bot has come to rest, where SimCord looks every 50: most of what a test took."""

    async def _settle_internal(self, *, idle: float = 0.002, **limits: Any) -> None:
        await super()._settle_internal(idle=min(idle, 0.002), **limits)


@asynccontextmanager
async def open_stage(folder: Path, **options: Any) -> AsyncGenerator[SimcordHarness]:
    async with Database.open(begin_at(folder / "pastel.db")) as database:
        harness = SimcordHarness(database=database, **options)
        # check_errors: SimCord would count a refusal that the bot words itself as a failure of the bot.
        env = QuickEnv(harness.build_bot(), shard_count=1, check_errors=False)
        await env.start()
        try:
            harness.settle_in(env)
            yield harness
        finally:
            await harness.services.eraser.stop()
            await env.shutdown()
