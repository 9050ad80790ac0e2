"""Stores requests whose files are still to be read, in SQLite."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import datetime
from typing import Any

from bot.domain.intake import MAX_INTAKES, Intake
from bot.domain.job import NewJob, Origin, Place, ReplyTarget
from bot.domain.quota import Limits
from bot.domain.request import GenerationRequest
from bot.errors import NotFoundError, QuotaError
from bot.messages import counted
from bot.storage.database import Database
from bot.storage.jobs import check_new
from bot.storage.members import remember_user
from bot.storage.rows import from_micros, language_from, to_micros

TOO_MANY = counted(
    "I'm still reading {count} picture of yours. Wait until its card appears, then send this one again.",
    "I'm still reading {count} pictures of yours. Wait until their cards appear, then send this one again.",
    MAX_INTAKES,
)

KNOWN = """--sql
SELECT EXISTS (SELECT 1 FROM intakes WHERE interaction_id = :id) OR EXISTS (SELECT 1 FROM jobs WHERE interaction_id = :id)
"""
OPEN_OF_MEMBER = "SELECT COUNT(*) FROM intakes WHERE user_id = ?"

OPEN = """--sql
INSERT INTO intakes (
    interaction_id, user_id, guild_id, role_ids, channel_id, parent_channel_id, age_restricted, application_id, token,
    token_expires_at, upload_limit, request, url, asked_at, language
)
VALUES (
    :interaction_id, :user_id, :guild_id, :role_ids, :channel_id, :parent_channel_id, :age_restricted, :application_id, :token,
    :token_expires_at, :upload_limit, :request, :url, :asked_at, :language
)
"""

SET_MESSAGE = "UPDATE intakes SET message_id = :message_id WHERE interaction_id = :id"
ALL = "SELECT * FROM intakes ORDER BY asked_at, interaction_id"
CLOSE = "DELETE FROM intakes WHERE interaction_id = ?"


class SqliteIntakes:
    """Implements services.intakes.IntakeRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, intake: Intake, new: NewJob, *, limits: Limits, now: datetime) -> bool:
        return await self._database.transaction(lambda connection: _open(connection, intake, new, limits, now))

    async def set_message(self, interaction_id: int, message_id: int | None) -> None:
        values = {"id": interaction_id, "message_id": message_id}
        await self._database.transaction(lambda connection: connection.execute(SET_MESSAGE, values).rowcount)

    async def all(self) -> tuple[Intake, ...]:
        return await self._database.read(lambda connection: tuple(intake_from_row(row) for row in connection.execute(ALL)))

    async def close(self, interaction_id: int) -> None:
        await self._database.transaction(lambda connection: connection.execute(CLOSE, (interaction_id,)).rowcount)


def _open(connection: sqlite3.Connection, intake: Intake, new: NewJob, limits: Limits, now: datetime) -> bool:
    if connection.execute(KNOWN, {"id": intake.origin.interaction_id}).fetchone()[0]:
        return False
    check_new(connection, new, limits, now)
    if connection.execute(OPEN_OF_MEMBER, (intake.origin.user_id,)).fetchone()[0] >= MAX_INTAKES:
        raise QuotaError(TOO_MANY)
    remember_user(connection, intake.origin.user_id, now=now)
    connection.execute(OPEN, _row(intake))
    return True


def _row(intake: Intake) -> dict[str, Any]:
    origin, reply, place = intake.origin, intake.reply, intake.origin.place
    if place is None:
        raise NotFoundError("An intake without a place was let in.")
    return {
        "interaction_id": origin.interaction_id,
        "user_id": origin.user_id,
        "guild_id": origin.guild_id,
        "role_ids": json.dumps(sorted(origin.role_ids)),
        "channel_id": place.channel_id,
        "parent_channel_id": place.parent_id,
        "age_restricted": int(place.age_restricted),
        "application_id": reply.application_id,
        "token": reply.token,
        "token_expires_at": to_micros(reply.token_expires_at),
        "upload_limit": reply.upload_limit,
        "request": json.dumps(intake.request.to_dict(), ensure_ascii=False, allow_nan=False),
        "url": intake.url,
        "asked_at": to_micros(intake.asked_at),
        "language": origin.language,
    }


def intake_from_row(row: sqlite3.Row) -> Intake:
    """Returns the intake of a row with all columns of `intakes`."""
    place = Place(channel_id=row["channel_id"], parent_id=row["parent_channel_id"], age_restricted=bool(row["age_restricted"]))
    reply = ReplyTarget(
        channel_id=row["channel_id"],
        message_id=row["message_id"],
        application_id=row["application_id"],
        token=row["token"],
        token_expires_at=from_micros(row["token_expires_at"]),
        upload_limit=row["upload_limit"],
    )
    origin = Origin(interaction_id=row["interaction_id"], user_id=row["user_id"], guild_id=row["guild_id"])
    return Intake(
        origin=replace(
            origin,
            role_ids=frozenset(json.loads(row["role_ids"])),
            place=place,
            language=language_from(row["language"]),
        ),
        reply=reply,
        request=GenerationRequest.from_dict(json.loads(row["request"])),
        url=row["url"],
        asked_at=from_micros(row["asked_at"]),
    )
