"""The pretend Discord of the demo: one server, a channel to draw in, a member and a moderator, and the page that shows them."""

# SimCord has no public option for the page and its budget, hence the private names.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass

import discord
from simcord.actors import MemberActor
from simcord.backend.cdn import CDN_BASE
from simcord.backend.errors import SetupError
from simcord.builders import ChannelHandle
from simcord.preview import Preview

from bot.demo.avatars import gradient_avatar
from bot.demo.live import LiveEnv, keep_revision
from bot.demo.page import Page
from bot.demo.port import taken
from bot.demo.welcome import welcome
from bot.errors import OperatorError

MEDIA_BUDGET = 1 << 30  # bytes; SimCord's own 128 MiB is about twenty large pictures, later ones would not show
BOT_NAME = "Pastel"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The visitor's place, and the people that they can be. `avatars` maps SimCord's addresses to file name and PNG."""

    channel: ChannelHandle
    viewers: tuple[MemberActor, ...]
    avatars: dict[str, tuple[str, bytes]]
    icon: bytes


def build_world(env: LiveEnv) -> World:
    """Make server, channel and people before the bot logs in, so that it finds them."""
    bot_user = env.backend.bot_user
    bot_user.name, bot_user.avatar = BOT_NAME, "bot"
    guild = env.create_guild("Pastel's demo server")
    channel = guild.create_text_channel("pastel", topic="Type / to see what Pastel can do")
    for name in ("gallery", "mod-log"):  # for the settings panel to choose from, as the roles; the page shows one channel
        guild.create_text_channel(name)
    for name in ("Artists", "Supporters"):
        guild.create_role(name)
    moderators = guild.create_role("Moderators", permissions=discord.Permissions(manage_guild=True, manage_messages=True))
    member = env.create_user("you", global_name="You", avatar="member")
    moderator = env.create_user("you.too", global_name="You as a moderator", avatar="moderator")
    icon = gradient_avatar((255, 183, 206), (160, 150, 255), moon=True)
    return World(
        channel=channel,
        viewers=(guild.add_member(member), guild.add_member(moderator, roles=[moderators])),
        avatars={
            f"{CDN_BASE}/avatars/{bot_user.id}/bot.png": ("bot.png", icon),
            f"{CDN_BASE}/avatars/{member.id}/member.png": ("member.png", gradient_avatar((120, 220, 190), (70, 150, 220))),
            f"{CDN_BASE}/avatars/{moderator.id}/moderator.png": (
                "moderator.png",
                gradient_avatar((255, 190, 120), (235, 100, 130)),
            ),
        },
        icon=icon,
    )


async def serve(
    bot: discord.Client,
    *,
    port: int = 0,
    ready: Callable[[str], Awaitable[None]],
    farewell: Callable[[], Awaitable[None]],
) -> None:
    """Log `bot` in to the pretend Discord and show it on 127.0.0.1:`port` (0: a free one) until cancelled.

    `ready` gets the page's address, whose fragment is its key. At the end `farewell` is awaited while the bot can still speak
    to its Discord. Raises OperatorError.
    """
    env = LiveEnv(bot)
    world = await asyncio.to_thread(build_world, env)
    with env.offline():
        await env.start()
        try:
            await bot.get_partial_messageable(world.channel.id).send(view=welcome())
            async with _page(env, world, port) as preview:
                await ready(preview.url)
                await preview.wait_closed()
        finally:
            await farewell()
            await bot.close()
            await env.shutdown()


@contextlib.asynccontextmanager
async def _page(env: LiveEnv, world: World, port: int) -> AsyncGenerator[Preview]:
    preview = env.preview(world.channel, viewers=world.viewers, layout="channel", assets=world.avatars)
    preview._server = Page(env, preview, port, world.icon)
    keep_revision(preview)
    preview._MAX_MEDIA_BYTES = MEDIA_BUDGET  # type: ignore[misc]  # for this preview only
    try:
        await preview.__aenter__()
    except (SetupError, OverflowError) as error:
        raise _reason(error, port) from None
    try:
        yield preview
    finally:
        await preview.close()


def _reason(error: Exception, port: int) -> OperatorError:
    if "bind" in str(error):
        return taken(port)
    return OperatorError(f"The demo's page cannot start ({error}). Run `make setup` again, or `pip install '.[demo]'`.")
