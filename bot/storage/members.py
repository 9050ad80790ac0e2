"""Stores the members and servers that rows refer to. Runs inside transactions."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from bot.storage.rows import to_micros

SAW_USER = "INSERT INTO users (id, first_seen_at) VALUES (?, ?) ON CONFLICT DO NOTHING"
SAW_GUILD = "INSERT INTO guilds (id, first_seen_at) VALUES (?, ?) ON CONFLICT DO NOTHING"


def remember_user(connection: sqlite3.Connection, user_id: int, *, now: datetime) -> None:
    """Makes sure that there is a row for the member."""
    connection.execute(SAW_USER, (user_id, to_micros(now)))


def remember_guild(connection: sqlite3.Connection, guild_id: int, *, now: datetime) -> None:
    """Makes sure that there is a row for the server."""
    connection.execute(SAW_GUILD, (guild_id, to_micros(now)))
