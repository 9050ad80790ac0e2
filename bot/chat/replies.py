"""Sends first answers, and extracts what the domain needs from an interaction.

Discord voids an interaction that gets no answer within 3 s. Requests are stored before the answer
(`bot.services.reception`); commands that only look something up defer first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import discord

from bot.chat.visibility import sight_of
from bot.domain.job import TOKEN_LIFE, Actor, Origin, Place, ReplyTarget
from bot.domain.language import language_of_cards
from bot.metrics import Metrics

Interaction = discord.Interaction[Any]
"""An interaction of our client; `Any`, as discord.py's commands accept no narrower type for a method's parameter."""

NOBODY: Final = discord.AllowedMentions.none()
_RECEIVED, _METRICS, _LATE, _THINKING = "pastel_received", "pastel_metrics", "pastel_late", "pastel_thinking"
_IS_ANSWERED = "pastel_answered"
_PUBLIC, _EPHEMERAL = "public", "ephemeral"


def stamp(interaction: Interaction, metrics: Metrics, *, late: bool) -> None:
    """Records when the interaction came in and whether that was too late; called once, before anything handles it."""
    interaction.extras[_RECEIVED] = time.perf_counter()
    interaction.extras[_METRICS] = metrics
    interaction.extras[_LATE] = late


def is_late(interaction: Interaction) -> bool:
    """Returns whether nobody waits for an answer any more; such an interaction is dropped before any work."""
    return bool(interaction.extras.get(_LATE, False))


async def defer_public(interaction: Interaction) -> ReplyTarget:
    """Answers with "thinking…" in the channel; that message becomes the job's card."""
    response = await interaction.response.defer(thinking=True)
    answered(interaction)
    interaction.extras[_THINKING] = _PUBLIC
    return replace(reply_target(interaction), message_id=response.message_id if response else None)


def reply_target(interaction: Interaction) -> ReplyTarget:
    """Returns the place of the answer; its message id is not known yet."""
    return ReplyTarget(
        channel_id=interaction.channel_id or 0,
        application_id=interaction.application_id,
        token=interaction.token,
        token_expires_at=discord.utils.utcnow() + TOKEN_LIFE,  # by our clock, so that a skew of Discord's does no harm
        upload_limit=interaction.filesize_limit,
    )


async def defer_ephemeral(interaction: Interaction) -> None:
    """Answers with "thinking…" for the member alone; `answer` fills it."""
    await interaction.response.defer(ephemeral=True, thinking=True)
    answered_privately(interaction)


async def defer_silently(interaction: Interaction) -> None:
    """Accepts a pressed button without showing anything."""
    await interaction.response.defer()
    answered(interaction)


async def show_form(interaction: Interaction, form: discord.ui.Modal) -> None:
    """Opens a form as the first answer. It is not kept in memory: a submission is routed by its custom id."""
    form.stop()
    await interaction.response.send_modal(form)
    answered(interaction)


async def answer(interaction: Interaction, view: discord.ui.LayoutView, files: tuple[discord.File, ...] = ()) -> None:
    """Shows `view` to the member alone, as the first answer or instead of an ephemeral "thinking…"."""
    view.stop()  # its buttons are dynamic items; discord.py would keep the view in memory needlessly
    if interaction.response.is_done():
        await interaction.edit_original_response(view=view, attachments=list(files), allowed_mentions=NOBODY)
        interaction.extras.pop(_THINKING, None)
    else:
        await interaction.response.send_message(view=view, files=list(files), ephemeral=True, allowed_mentions=NOBODY)
        answered(interaction)


def notice(sentence: str) -> discord.ui.LayoutView:
    """Returns a message of one sentence."""
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.TextDisplay(sentence))
    return view


async def refuse(interaction: Interaction, sentence: str) -> None:
    """Tells the member alone why the request is refused, whatever was answered before."""
    if not interaction.response.is_done():
        await interaction.response.send_message(sentence, ephemeral=True, allowed_mentions=NOBODY)
        answered(interaction)
        return
    thinking = interaction.extras.pop(_THINKING, None)
    if thinking == _EPHEMERAL:
        await interaction.edit_original_response(content=sentence, allowed_mentions=NOBODY)
        return
    if thinking == _PUBLIC:
        await _take_back(interaction)
    await interaction.followup.send(sentence, ephemeral=True, allowed_mentions=NOBODY)


async def _take_back(interaction: Interaction) -> None:
    """Removes a public "thinking…".

    The first follow-up would replace it, and be public too, so it is ended by an edit before it is deleted.
    """
    with contextlib.suppress(discord.NotFound):  # a moderator was faster
        await interaction.edit_original_response(content="…", allowed_mentions=NOBODY)
        await interaction.delete_original_response()


def origin_of(interaction: Interaction) -> Origin:
    """Returns who asks, with their roles, the channels that they can see, and the event."""
    return Origin(
        interaction_id=interaction.id,
        user_id=interaction.user.id,
        guild_id=interaction.guild_id,
        role_ids=role_ids_of(interaction),
        place=place_of(interaction),
        sight=sight_of(interaction),
        language=language_of_cards(
            None if interaction.guild_locale is None else interaction.guild_locale.value,
            interaction.locale.value,
        ),
    )


def place_of(interaction: Interaction) -> Place | None:
    """Returns where they ask. A DM, and a thread whose channel is not in the cache, count as not age-restricted."""
    channel = interaction.channel
    if channel is None:
        return None
    age_restricted = isinstance(channel, discord.Thread | discord.abc.GuildChannel) and is_age_restricted(channel)
    return Place(channel_id=channel.id, parent_id=getattr(channel, "parent_id", None), age_restricted=age_restricted)


def is_age_restricted(channel: discord.Thread | discord.abc.GuildChannel) -> bool:
    """Returns whether Discord shows the channel to adults only; False for a thread whose channel is not in the cache."""
    marked: Callable[[], bool] | None = getattr(channel, "is_nsfw", None)  # categories have it too, other kinds may not
    return marked is not None and marked()


def role_ids_of(interaction: Interaction) -> frozenset[int]:
    """Returns the member's roles as sent with the event, without @everyone; none in a DM.

    discord.py names only roles in the server's cache, which the guilds intent keeps complete.
    """
    if not isinstance(interaction.user, discord.Member):
        return frozenset()
    return frozenset(role.id for role in interaction.user.roles if role.id != interaction.guild_id)


def actor_of(interaction: Interaction) -> Actor:
    """Returns the invoking member, with the permissions that Discord computed for this channel; nobody moderates a DM.

    A right that their roles do not give them in the whole server is for this channel alone.
    """
    in_guild = interaction.guild_id is not None
    user = interaction.user
    in_server = isinstance(user, discord.Member) and user.guild_permissions.manage_messages
    return Actor(
        user_id=user.id,
        guild_id=interaction.guild_id,
        manages_messages=in_guild and interaction.permissions.manage_messages,
        manages_guild=in_guild and interaction.permissions.manage_guild,
        only_in=None if in_server else interaction.channel_id,
    )


def seconds_waited(interaction: Interaction) -> float:
    """Returns the seconds since the interaction came in."""
    received: float | None = interaction.extras.get(_RECEIVED)
    return 0.0 if received is None else time.perf_counter() - received


def answered(interaction: Interaction) -> None:
    """Counts how long the first answer took; call it once Discord has taken one."""
    if _RECEIVED in interaction.extras and not interaction.extras.get(_IS_ANSWERED, False):
        metrics: Metrics = interaction.extras[_METRICS]
        metrics.ack_seconds.observe(seconds_waited(interaction))
    interaction.extras[_IS_ANSWERED] = True


def answered_privately(interaction: Interaction) -> None:
    """Counts the same for a sentence to the member alone that another one may replace."""
    answered(interaction)
    interaction.extras[_THINKING] = _EPHEMERAL
