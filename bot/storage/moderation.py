"""Stores blocks, and finds members' recent jobs and the job that a message shows, in SQLite."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from bot.domain.job import Job
from bot.domain.message_reference import MessageReference
from bot.domain.moderation import Block
from bot.storage.database import Database
from bot.storage.members import remember_guild, remember_user
from bot.storage.rows import block_from_row, job_from_row, to_micros

FIND = """--sql
SELECT * FROM blocks
WHERE guild_id = :guild_id AND user_id = :user_id AND lifted_at IS NULL AND (ends_at IS NULL OR ends_at > :now)
"""

ALL = """--sql
SELECT * FROM blocks
WHERE guild_id = :guild_id AND lifted_at IS NULL AND (ends_at IS NULL OR ends_at > :now)
ORDER BY id DESC
LIMIT :limit
"""

# A block that ran out ended then, lifted by nobody.
CLOSE = """--sql
UPDATE blocks SET
    lifted_by = IIF(ends_at <= :now, NULL, :by),
    lifted_at = IIF(ends_at <= :now, ends_at, :now)
WHERE guild_id = :guild_id AND user_id = :user_id AND lifted_at IS NULL
"""

OPEN = """--sql
INSERT INTO blocks (guild_id, user_id, reason, blocked_by, blocked_at, ends_at)
VALUES (:guild_id, :user_id, :reason, :by, :now, :ends_at)
"""

RECENT = """--sql
SELECT * FROM jobs
WHERE user_id = :user_id AND guild_id = :guild_id
ORDER BY seq DESC
LIMIT :limit
"""


# The message's id identifies the job; server and channel only have to fit. A job whose card is forgotten has no message.
SHOWN_IN = """--sql
SELECT * FROM jobs
WHERE message_id = :message_id AND guild_id = :guild_id AND (:channel_id IS NULL OR channel_id = :channel_id)
ORDER BY seq DESC
LIMIT 1
"""


class SqliteModeration:
    """Implements services.moderation.ModerationRepository. Blocks stay after their end, as the trail of who blocked whom."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def blocks(self, guild_id: int, *, limit: int, now: datetime) -> tuple[Block, ...]:
        values = {"guild_id": guild_id, "limit": limit, "now": to_micros(now)}
        return await self._database.walk(
            lambda connection: tuple(block_from_row(row) for row in connection.execute(ALL, values))
        )

    async def block_of(self, guild_id: int, user_id: int, *, now: datetime) -> Block | None:
        return await self._database.read(lambda connection: find_block(connection, guild_id, user_id, now=now))

    async def block(self, block: Block) -> None:
        def store(connection: sqlite3.Connection) -> None:
            found = connection.execute(FIND, _key(block.guild_id, block.user_id, block.blocked_by, block.blocked_at)).fetchone()
            if found is not None and _is_same(block_from_row(found), block):
                return
            remember_guild(connection, block.guild_id, now=block.blocked_at)
            remember_user(connection, block.user_id, now=block.blocked_at)
            values = _key(block.guild_id, block.user_id, block.blocked_by, block.blocked_at)
            connection.execute(CLOSE, values)
            connection.execute(OPEN, {**values, "reason": block.reason, "ends_at": to_micros(block.ends_at)})

        await self._database.transaction(store)

    async def unblock(self, guild_id: int, user_id: int, *, by: int, now: datetime) -> bool:
        def lift(connection: sqlite3.Connection) -> bool:
            values = _key(guild_id, user_id, by, now)
            if connection.execute(FIND, values).fetchone() is None:
                return False
            connection.execute(CLOSE, values)
            return True

        return await self._database.transaction(lift)

    async def recent_jobs(self, guild_id: int, user_id: int, *, limit: int) -> tuple[Job, ...]:
        values = {"guild_id": guild_id, "user_id": user_id, "limit": limit}
        return await self._database.read(
            lambda connection: tuple(job_from_row(row) for row in connection.execute(RECENT, values))
        )

    async def job_shown_in(self, guild_id: int, message: MessageReference) -> Job | None:
        values = {"guild_id": guild_id, "channel_id": message.channel_id, "message_id": message.message_id}

        def select(connection: sqlite3.Connection) -> Job | None:
            row = connection.execute(SHOWN_IN, values).fetchone()
            return None if row is None else job_from_row(row)

        return await self._database.read(select)


def find_block(connection: sqlite3.Connection, guild_id: int, user_id: int, *, now: datetime) -> Block | None:
    """Returns the member's active block, if any; inside a transaction, the answer is valid until that ends."""
    values = {"guild_id": guild_id, "user_id": user_id, "now": to_micros(now)}
    row = connection.execute(FIND, values).fetchone()
    return None if row is None else block_from_row(row)


def _key(guild_id: int, user_id: int, by: int, now: datetime) -> dict[str, int]:
    return {"guild_id": guild_id, "user_id": user_id, "by": by, "now": to_micros(now)}


def _is_same(first: Block, second: Block) -> bool:
    return (first.reason, first.blocked_by, first.ends_at) == (second.reason, second.blocked_by, second.ends_at)
