"""Makes every repository over one database. A new one adds its line here, and nothing else needs to know it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_type_hints

from bot.storage.credits import SqliteCredits
from bot.storage.database import Database
from bot.storage.guild_settings import SqliteGuildSettings
from bot.storage.intakes import SqliteIntakes
from bot.storage.jobs import SqliteJobs
from bot.storage.meta import SqliteMeta
from bot.storage.moderation import SqliteModeration
from bot.storage.outbox import SqliteOutbox
from bot.storage.pauses import SqlitePauses
from bot.storage.preferences import SqlitePreferences
from bot.storage.privacy import SqlitePrivacy
from bot.storage.reports import SqliteReports
from bot.storage.retention import SqliteRetention
from bot.storage.traces import SqliteTraces


@dataclass(frozen=True, slots=True, kw_only=True)
class Repositories:
    """The repositories by name; each implements the protocol beside the service which uses it."""

    jobs: SqliteJobs
    intakes: SqliteIntakes
    outbox: SqliteOutbox
    credits: SqliteCredits
    pauses: SqlitePauses
    guild_settings: SqliteGuildSettings
    moderation: SqliteModeration
    reports: SqliteReports
    preferences: SqlitePreferences
    privacy: SqlitePrivacy
    retention: SqliteRetention
    traces: SqliteTraces
    meta: SqliteMeta


def sqlite_repositories(database: Database) -> Repositories:
    """Returns the repositories over `database`, each made by the class that its field names."""
    return Repositories(**{name: kind(database) for name, kind in get_type_hints(Repositories).items()})
