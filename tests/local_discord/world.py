"""Who and what exists in the local Discord, and how it looks as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.local_discord.clock import Snowflakes

VIEW_CHANNEL, SEND_MESSAGES, MANAGE_MESSAGES, EMBED_LINKS = 1 << 10, 1 << 11, 1 << 13, 1 << 14
ATTACH_FILES, READ_HISTORY, SEND_IN_THREADS = 1 << 15, 1 << 16, 1 << 38
APP_PERMISSIONS = VIEW_CHANNEL | SEND_MESSAGES | EMBED_LINKS | ATTACH_FILES | READ_HISTORY | SEND_IN_THREADS
MEMBER_PERMISSIONS = VIEW_CHANNEL | SEND_MESSAGES | READ_HISTORY | SEND_IN_THREADS

TEXT, DM, THREAD = 0, 1, 11


@dataclass
class User:
    """Somebody; `permissions` are the bits that this member has in every channel of the guild."""

    id: int
    name: str
    bot: bool = False
    permissions: int = MEMBER_PERMISSIONS

    def to_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id),
            "username": self.name,
            "discriminator": "0",
            "global_name": self.name.title(),
            "avatar": None,
            "bot": self.bot,
            "public_flags": 0,
        }


@dataclass
class Channel:
    """`kind` is Discord's channel type; `app_permissions` are the bot's bits here."""

    id: int
    kind: int
    name: str = ""
    guild_id: int | None = None
    parent_id: int | None = None
    recipient: User | None = None
    nsfw: bool = False
    app_permissions: int = APP_PERMISSIONS
    deleted: bool = False

    def allows(self, *bits: int) -> bool:
        return all(self.app_permissions & bit for bit in bits)

    def to_json(self) -> dict[str, Any]:
        shared = {"id": str(self.id), "type": self.kind, "last_message_id": None, "flags": 0}
        if self.kind == DM:
            return {**shared, "recipients": [self.recipient.to_json()] if self.recipient else []}
        named = {**shared, "guild_id": str(self.guild_id), "name": self.name, "parent_id": self._parent(), "nsfw": self.nsfw}
        if self.kind == THREAD:
            return {**named, **_thread_keys()}
        return {**named, "position": 0, "permission_overwrites": [], "topic": None, "rate_limit_per_user": 0}

    def _parent(self) -> str | None:
        return str(self.parent_id) if self.parent_id else None


def _thread_keys() -> dict[str, Any]:
    return {
        "owner_id": "1",
        "message_count": 0,
        "member_count": 1,
        "rate_limit_per_user": 0,
        "thread_metadata": {
            "archived": False,
            "auto_archive_duration": 1440,
            "archive_timestamp": "2026-01-01T00:00:00+00:00",
            "locked": False,
        },
    }


@dataclass
class Guild:
    id: int
    name: str
    owner: User
    channels: list[Channel] = field(default_factory=list)

    def to_json(self, bot: User, member_count: int) -> dict[str, Any]:
        here = [channel for channel in self.channels if not channel.deleted]
        return {
            **_empty_guild(),
            "id": str(self.id),
            "name": self.name,
            "owner_id": str(self.owner.id),
            "roles": [everyone(self.id)],
            "channels": [channel.to_json() for channel in here if channel.kind == TEXT],
            "threads": [channel.to_json() for channel in here if channel.kind == THREAD],
            "members": [member(bot)],
            "member_count": member_count,
            "joined_at": "2026-01-01T00:00:00+00:00",
        }


def _empty_guild() -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(
        ("icon", "splash", "banner", "description", "afk_channel_id", "system_channel_id", "rules_channel_id",
         "public_updates_channel_id", "safety_alerts_channel_id", "vanity_url_code", "application_id", "discovery_splash")
    )  # fmt: skip
    lists: dict[str, list[Any]] = {
        name: []
        for name in ("emojis", "stickers", "features", "voice_states", "presences", "stage_instances", "guild_scheduled_events")
    }
    numbers = dict.fromkeys(
        ("verification_level", "default_message_notifications", "explicit_content_filter", "mfa_level", "premium_tier",
         "system_channel_flags", "nsfw_level", "premium_subscription_count"),
        0,
    )  # fmt: skip
    flags = {"large": False, "unavailable": False, "premium_progress_bar_enabled": False, "nsfw": False}
    return empty | lists | numbers | flags | {"preferred_locale": "en-US", "afk_timeout": 300, "region": "deprecated"}


def everyone(guild_id: int) -> dict[str, Any]:
    """The role that everybody has; its id is the guild's."""
    return {
        "id": str(guild_id), "name": "@everyone", "color": 0, "hoist": False, "icon": None, "unicode_emoji": None,
        "position": 0, "permissions": str(APP_PERMISSIONS), "managed": False, "mentionable": False, "flags": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
    }  # fmt: skip


def member(user: User) -> dict[str, Any]:
    return {
        "user": user.to_json(),
        "nick": None,
        "avatar": None,
        "roles": [],
        "joined_at": "2026-01-01T00:00:00+00:00",
        "deaf": False,
        "mute": False,
        "flags": 0,
        "pending": False,
        "permissions": str(user.permissions),
    }


class World:
    """One application, one guild with a text channel and a thread, three people, and a DM channel each."""

    def __init__(self, snowflakes: Snowflakes, token: str) -> None:
        new = snowflakes.next
        self.token = token
        self.bot = User(new(), "pastel", bot=True)
        self.application_id = self.bot.id
        self.mika = User(new(), "mika")
        self.ren = User(new(), "ren")
        self.moderator = User(new(), "moderator", permissions=MEMBER_PERMISSIONS | MANAGE_MESSAGES)
        self.users = [self.mika, self.ren, self.moderator]
        self.guild = Guild(new(), "Atelier", self.moderator)
        self.general = Channel(new(), TEXT, "general", self.guild.id)
        self.thread = Channel(new(), THREAD, "sketches", self.guild.id, self.general.id)
        self.guild.channels += [self.general, self.thread]
        self.dms = {user.id: Channel(new(), DM, recipient=user) for user in self.users}
        self.upload_limit = 10 * 1024 * 1024
        self.shards = 1

    @property
    def channels(self) -> dict[int, Channel]:
        return {channel.id: channel for channel in (*self.guild.channels, *self.dms.values())}

    def shard_of(self, channel: Channel) -> int:
        return 0 if channel.guild_id is None else (channel.guild_id >> 22) % self.shards
