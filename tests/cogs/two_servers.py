"""Two servers full of things that somebody could be after, and the people who try: what the table of doors is about.

The people share one bot; whatever one of them changed is put back before the next one comes.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import discord
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from bot.chat.double_clicks import DoubleClicks
from bot.domain.guild_settings.serialization import export_text
from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.job import Job, Origin, Place
from bot.domain.moderation import Block
from bot.domain.profile import Catalog
from bot.domain.safety import SafetyLevel, Spoilers
from tests.cogs.harness import SimcordHarness, open_stage
from tests.examples import CATALOG, PASTEL

OWNERS_WORD, SERVERS_WORD = "owlsecret", "hushword"  # what only the job's server, and only its managers, may read
FOUND_TEXT = "1girl, green hair\nSteps: 28, Seed: 1234"
SETTINGS_FILE = ("settings.json", export_text(GuildSettings(safety=SafetyLevel.STRICT)).encode())
SOMEBODY = 1  # set everything up, and asks for nothing
INK = replace(PASTEL, name="ink", title="Ink", weight_name="ink.safetensors")

Tables = dict[str, frozenset[tuple[Any, ...]]]


class Who(StrEnum):
    """Everybody who tries a door. STRANGER manages and moderates another server; DIRECT is the owner in direct messages."""

    OWNER = "the owner"
    OTHER = "another member"
    MODERATOR = "a moderator"
    MANAGER = "a manager"
    STRANGER = "a stranger"
    DIRECT = "the owner in a DM"
    BLOCKED = "a blocked member"


@dataclass(frozen=True)
class Server:
    """A server with every setting set. `names` is what a `$name` in an option stands for there."""

    guild: Any
    channel: Any
    names: dict[str, Any]

    @property
    def lists_of(self) -> Any:
        """Whose client knows the server's channels, roles and members."""
        return self.names["manager"]


@dataclass(frozen=True)
class Visitor:
    """Somebody in a channel. `server` is whose things their commands name: in direct messages, those of the job's server."""

    actor: Any
    channel: Any
    server: Server


@dataclass
class TwoServers:
    """The bot and everything that is to be protected. `props` are messages that were put up to forge an event on."""

    harness: SimcordHarness
    visitors: dict[Who, Visitor]
    jobs: dict[str, str]
    pristine: sqlite3.Connection
    files: dict[str, bytes]
    messages: dict[int, dict[int, Any]]
    props: set[int] = field(default_factory=set[int])

    async def tables(self) -> Tables:
        """Every row of every table."""
        return await self.harness.database.read(_tables)

    def protected(self, rows: Iterable[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
        """Those rows that tell of the owner, their jobs, or the server."""
        owner = self.visitors[Who.OWNER]
        marks = {owner.actor.id, owner.actor.guild.id, *self.jobs.values()}
        return {row for row in rows if not marks.isdisjoint(row)}

    def shown(self) -> set[int]:
        """The messages that more than one person can see."""
        stores = self.harness.env.backend.messages.values()
        return {message.id for store in stores for message in store.values() if not message.is_ephemeral} - self.props

    async def settle(self) -> None:
        """Wait for what goes on after an answer."""
        for task in tuple(self.harness.services.eraser._tasks.values()):
            await task

    async def restore(self) -> None:
        """Everything as in the beginning; what was pressed a moment ago is forgotten."""
        self.harness.bot.cogs["Results"]._repeats = DoubleClicks()
        await self.harness.database._writer.run(self.pristine.backup)
        self.harness.store.files = dict(self.files)
        backend = self.harness.env.backend
        backend.messages.update({channel: dict(store) for channel, store in self.messages.items()})

    async def pause_queues(self) -> None:
        for who in (Who.MANAGER, Who.STRANGER):
            pauses = self.harness.services.server_queue.pauses
            await pauses.pause(self.visitors[who].server.guild.id, by=SOMEBODY, now=self.harness.clock.now())


@asynccontextmanager
async def open_premises(folder: Path) -> AsyncGenerator[TwoServers]:
    catalog = Catalog(profiles=CATALOG.profiles, styles={**CATALOG.styles, "ink": INK})
    async with open_stage(folder, catalog=catalog) as harness:
        jobs = await _draw(harness)
        here, away = _here(harness), _away(harness)
        visitors = _visitors(harness, here, away)
        for server, word in ((here, SERVERS_WORD), (away, "awayword")):
            server.names.update(jobs, word=word, file=SETTINGS_FILE)
            await _furnish(harness, server, word)
        for visitor in visitors.values():
            await harness.repositories.preferences.change(
                visitor.actor.id, lambda before: replace(before, negative_prompt="mine"), now=harness.clock.now()
            )
        await _report(harness, jobs["reported"])
        pristine = sqlite3.connect(":memory:", check_same_thread=False)
        await harness.database._writer.run(lambda writer: writer.backup(pristine))
        messages = {channel: dict(store) for channel, store in harness.env.backend.messages.items()}
        try:
            yield TwoServers(harness, visitors, jobs, pristine, dict(harness.store.files), messages)
        finally:
            pristine.close()


def picture() -> bytes:
    """A PNG that says how it was made."""
    info, buffer = PngInfo(), io.BytesIO()
    info.add_text("parameters", FOUND_TEXT)
    Image.new("RGB", (64, 64), "teal").save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


async def _draw(harness: SimcordHarness) -> dict[str, str]:
    """Three jobs of the owner's: shown, shown and reported, waiting."""
    done = await harness.finished(prompt=OWNERS_WORD, seed=41)
    reported = await harness.finished(prompt=OWNERS_WORD)
    await harness.anime(OWNERS_WORD)
    waiting: Job = await harness.last_job()
    return {"done": done.id, "reported": reported.id, "waiting": waiting.id}


def _here(harness: SimcordHarness) -> Server:
    guild = harness.guild
    names = _names(guild)
    names |= {"owner": harness.member, "manager": harness.manager, "channel": guild.create_text_channel("annex")}
    for member in (harness.member, harness.other, harness.moderator, harness.manager, names["blocked"]):
        harness.env.backend.get_member(guild.id, member.id).role_ids.append(names["listed_role"].id)
    return Server(guild, harness.channel, names)


def _away(harness: SimcordHarness) -> Server:
    guild = harness.env.create_guild("Another club")
    names = _names(guild)
    rights = discord.Permissions(manage_messages=True, manage_guild=True)
    roles = [guild.create_role("Everything", permissions=rights), names["listed_role"]]
    stranger = guild.add_member(harness.env.create_user("sly"), roles=roles)
    names |= {"owner": names["victim"], "manager": stranger, "channel": guild.create_text_channel("annex")}
    return Server(guild, guild.create_text_channel("drawings"), names)


def _names(guild: Any) -> dict[str, Any]:
    return {
        "victim": guild.add_member(guild._env.create_user(f"zed{guild.id}")),
        "blocked": guild.add_member(guild._env.create_user(f"bob{guild.id}")),
        "listed_channel": guild.create_text_channel("gallery"),
        "reports": guild.create_text_channel("reports"),
        "role": guild.create_role("Newcomers"),
        "listed_role": guild.create_role("Artists"),
    }


def _visitors(harness: SimcordHarness, here: Server, away: Server) -> dict[Who, Visitor]:
    people = {
        Who.OWNER: harness.member,
        Who.OTHER: harness.other,
        Who.MODERATOR: harness.moderator,
        Who.MANAGER: harness.manager,
        Who.BLOCKED: here.names["blocked"],
    }
    visitors = {who: Visitor(actor, here.channel, here) for who, actor in people.items()}
    visitors[Who.STRANGER] = Visitor(away.names["manager"], away.channel, away)
    visitors[Who.DIRECT] = Visitor(harness.member.user, harness.member.user.dm_channel, here)
    return visitors


async def _furnish(harness: SimcordHarness, server: Server, word: str) -> None:
    """Every setting has a value, so that each can be taken away; somebody is blocked."""
    names, role = server.names, server.names["listed_role"].id
    settings = GuildSettings(
        allowed_channels=frozenset({server.channel.id, names["listed_channel"].id}),
        allowed_roles=frozenset({role}),
        daily_credits=1_000,
        role_credits={role: 2_000},
        exempt_roles=frozenset({role}),
        waiting_jobs=50,
        role_priorities={role: 2},
        max_pixels=96 * 144,  # of the largest upscale
        max_steps=60,
        max_images=4,
        default_style="pastel",
        allowed_styles=frozenset({"pastel"}),
        default_negative_prompt="hats",
        blocked_words=(word,),
        report_channel=names["reports"].id,
        spoilers=Spoilers.ALWAYS,
        picture_days=7,
        prompt_days=30,
    )
    now = harness.clock.now()
    await harness.repositories.guild_settings.change(server.guild.id, lambda _: settings, by=SOMEBODY, now=now)
    block = Block(guild_id=server.guild.id, user_id=names["blocked"].id, reason="", blocked_by=SOMEBODY, blocked_at=now)
    await harness.repositories.moderation.block(block)


async def _report(harness: SimcordHarness, job_id: str) -> None:
    place = Place(channel_id=harness.channel.id)
    origin = Origin(interaction_id=1, user_id=harness.other.id, guild_id=harness.guild.id, place=place)
    with harness.env.time_context():
        await harness.services.reports.report(job_id, origin, "")


def _tables(connection: sqlite3.Connection) -> Tables:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return {name: frozenset(tuple(row) for row in connection.execute(f"SELECT * FROM {name}")) for name in names}
