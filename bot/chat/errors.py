"""Decides what a member and the log learn of an error; no other module does."""

from __future__ import annotations

import logging

import aiohttp
import discord
from discord import app_commands

from bot.chat.faults import Route, fault_of
from bot.chat.replies import Interaction, refuse
from bot.chat.translation import _, rendered
from bot.domain.delivery import REFUSED_HERE, DeliveryFault
from bot.domain.operator_rules import NO_ROOM
from bot.errors import DiskFullError, OperatorError, UserError
from bot.messages import translatable
from bot.metrics import Metrics

log = logging.getLogger(__name__)

NOT_OURS = (app_commands.CommandNotFound, app_commands.CommandSignatureMismatch, app_commands.TransformerError)
"""The errors of discord.py for a command that Discord offers in another form than this process has."""

UNKNOWN_INTERACTION = 10062  # we took longer than 3 s; nobody waits any more
ALREADY_ANSWERED = 40060  # a replayed event; the first one was answered
OUTDATED = translatable("This command has changed. Restart Discord, or wait a minute, then pick it from the list again.")


async def report(metrics: Metrics, interaction: Interaction, error: BaseException) -> None:
    """Tells the member what went wrong; logs a bug or an operator's problem once, with an id.

    Never raises: it runs where nothing is left to catch.
    """
    error = _cause(error)
    if _nobody_waits(error):
        log.debug("Interaction %s was answered too late or twice", interaction.id)
        return
    if (refusal := _refusal(error)) is not None:
        log.info("Discord refused an answer to interaction %s (%s)", interaction.id, refusal)
        return
    sentence = _sentence(metrics, interaction, error)
    try:
        await refuse(interaction, sentence)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as failure:
        log.debug("The member of interaction %s could not be told: %s", interaction.id, type(failure).__name__)


def _cause(error: BaseException) -> BaseException:
    """Returns what a command raised, without discord.py's wrapping."""
    if isinstance(error, app_commands.CommandInvokeError):
        return error.original
    return error


def _nobody_waits(error: BaseException) -> bool:
    return isinstance(error, discord.HTTPException) and error.code in {UNKNOWN_INTERACTION, ALREADY_ANSWERED}


def _refusal(error: BaseException) -> DeliveryFault | None:
    """Returns why Discord takes no answer in that place; None for a mistake of ours or an error that is not Discord's."""
    if not isinstance(error, discord.HTTPException) or isinstance(error, app_commands.CommandSyncFailure):
        return None
    fault = fault_of(error, Route.TOKEN)
    return fault if fault in REFUSED_HERE else None


def _sentence(metrics: Metrics, interaction: Interaction, error: BaseException) -> str:
    if isinstance(error, UserError):
        return rendered(error.sentence)
    if isinstance(error, NOT_OURS):
        return _(OUTDATED)
    incident = metrics.incident()
    if isinstance(error, OperatorError):
        log.error("Error %s in interaction %s: %s", incident, interaction.id, error)
        if isinstance(error, DiskFullError):
            return _(NO_ROOM)
        return _(
            "Something on my side needs fixing first. If you know who runs me, give them this code: `{incident}`.",
            incident=incident,
        )
    # The traceback contains code, never local values, so no prompt gets into the log with it.
    log.error("Error %s in interaction %s", incident, interaction.id, exc_info=error)
    return _(
        "Something went wrong on my side. Please try again. If it keeps happening, give my host this code: `{incident}`.",
        incident=incident,
    )
