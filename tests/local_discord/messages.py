"""Messages with their stored files, and every state in which somebody could see them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.local_discord.clock import SettableClock, Snowflakes
from tests.local_discord.components import Component, buttons, check_message, resolve, texts
from tests.local_discord.journal import Journal
from tests.local_discord.refusals import empty_message, invalid_form, too_large, unknown_message
from tests.local_discord.world import Channel, World, member

EPHEMERAL, LOADING, V2 = 1 << 6, 1 << 7, 1 << 15
NONCE_WINDOW = timedelta(minutes=3)  # Discord only says "the past few minutes"
REQUEST_LIMIT = 25 * 1024 * 1024


@dataclass(frozen=True)
class Attachment:
    id: int
    name: str
    url: str
    data: bytes = field(repr=False)
    description: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "id": str(self.id), "filename": self.name, "size": len(self.data), "url": self.url, "proxy_url": self.url,
            "content_type": "image/png", "description": self.description, "width": 64, "height": 64,
        }  # fmt: skip


@dataclass(frozen=True)
class State:
    """What a message showed from `at` on; None as components means that it was deleted."""

    at: datetime
    content: str
    components: list[Component] | None
    attachments: tuple[Attachment, ...]
    flags: int

    @property
    def text(self) -> str:
        return self.content or texts(self.components or [])

    @property
    def buttons(self) -> list[Component]:
        return buttons(self.components or [])


@dataclass
class Message:
    """`states` grows with every edit; the last one is what is seen now."""

    id: int
    channel: Channel
    interaction_id: int | None = None
    user_id: int | None = None
    nonce: str | None = None
    states: list[State] = field(default_factory=list)

    @property
    def now(self) -> State:
        return self.states[-1]

    @property
    def deleted(self) -> bool:
        return self.now.components is None

    @property
    def ephemeral(self) -> bool:
        return bool(self.now.flags & EPHEMERAL)

    @property
    def loading(self) -> bool:
        """Whether it still says "Pastel is thinking"."""
        return bool(self.now.flags & LOADING)

    def button(self, wanted: str) -> Component:
        """The button whose label or custom_id contains `wanted`."""
        for button in self.now.buttons:
            if wanted in (button.get("label") or "") or wanted in button["custom_id"]:
                return button
        raise AssertionError(f"no button {wanted!r} among {[button.get('label') for button in self.now.buttons]}")


class Messages:
    """All messages. `base` is the CDN's address."""

    def __init__(self, world: World, clock: SettableClock, snowflakes: Snowflakes, journal: Journal) -> None:
        self._world, self._clock, self._snowflakes, self._journal = world, clock, snowflakes, journal
        self.base = ""
        self.all: dict[int, Message] = {}
        self.files: dict[int, Attachment] = {}

    def get(self, channel: Channel, message_id: int) -> Message:
        message = self.all.get(message_id)
        if message is None or message.deleted or message.channel is not channel:
            raise unknown_message()
        return message

    def start_loading(self, channel: Channel, flags: int, *, interaction_id: int, user_id: int) -> Message:
        """The "thinking" message of a deferred answer."""
        message = Message(self._snowflakes.next(), channel, interaction_id, user_id)
        self._show(message, State(self._clock.now(), "", [], (), flags | LOADING), "loading")
        return message

    def create(
        self, channel: Channel, body: Mapping[str, Any], files: Mapping[int, tuple[str, bytes]], *,
        interaction_id: int | None = None, user_id: int | None = None,
    ) -> Message:  # fmt: skip
        nonce = str(body["nonce"]) if body.get("nonce") is not None else None
        if nonce and body.get("enforce_nonce") and (twin := self._posted_before(channel, nonce)):
            self._journal.write("message", "nonce met", id=twin.id, nonce=nonce)
            return twin
        message = Message(self._snowflakes.next(), channel, interaction_id, user_id, nonce)
        blank = State(self._clock.now(), "", [], (), 0)
        self._show(message, self._next_state(message, blank, {"attachments": [], **body}, files), "created")
        return message

    def edit(self, message: Message, body: Mapping[str, Any], files: Mapping[int, tuple[str, bytes]]) -> Message:
        self._show(message, self._next_state(message, message.now, body, files), "edited")
        return message

    def delete(self, message: Message) -> None:
        self._show(message, State(self._clock.now(), "", None, (), message.now.flags), "deleted")

    def history(self, channel: Channel) -> list[Message]:
        """Newest first, without what only one person may see."""
        here = (m for m in self.all.values() if m.channel is channel and not m.deleted and not m.ephemeral)
        return sorted(here, key=lambda message: message.id, reverse=True)

    def to_json(self, message: Message) -> dict[str, Any]:
        now = message.now
        out: dict[str, Any] = {
            "id": str(message.id), "channel_id": str(message.channel.id), "type": 20 if message.interaction_id else 0,
            "author": self._world.bot.to_json(), "content": now.content, "timestamp": message.states[0].at.isoformat(),
            "edited_timestamp": now.at.isoformat() if len(message.states) > 1 else None, "tts": False,
            "mention_everyone": False, "mentions": [], "mention_roles": [], "embeds": [], "pinned": False,
            "attachments": [attachment.to_json() for attachment in now.attachments], "components": now.components or [],
            "flags": now.flags, "application_id": str(self._world.application_id),
        }  # fmt: skip
        if message.channel.guild_id:
            out["guild_id"] = str(message.channel.guild_id)
            out["member"] = {k: v for k, v in member(self._world.bot).items() if k != "user"}
        if message.interaction_id:
            out["webhook_id"] = str(self._world.application_id)
        if message.nonce:
            out["nonce"] = message.nonce
        return out

    def _posted_before(self, channel: Channel, nonce: str) -> Message | None:
        since = self._clock.now() - NONCE_WINDOW
        twins = (m for m in self.all.values() if m.channel is channel and m.nonce == nonce and m.states[0].at >= since)
        return next(twins, None)

    def _show(self, message: Message, state: State, what: str) -> None:
        message.states.append(state)
        self.all[message.id] = message
        self._journal.write("message", what, id=message.id, interaction=message.interaction_id, files=len(state.attachments))

    def _next_state(
        self, message: Message, old: State, body: Mapping[str, Any], files: Mapping[int, tuple[str, bytes]]
    ) -> State:
        flags = (body.get("flags", old.flags) | old.flags & (EPHEMERAL | V2)) & ~LOADING
        content = old.content if body.get("content") is None and "content" not in body else body["content"] or ""
        self._check_body(body, content, v2=bool(flags & V2))
        attachments = self._attachments(message.channel, old, body, files, ephemeral=bool(flags & EPHEMERAL))
        components = old.components or []
        if "components" in body:
            check_message(body["components"] or [], v2=bool(flags & V2))
            urls = {attachment.name: attachment.url for attachment in attachments}
            components = resolve(body["components"] or [], urls, itertools.count(1))
        if not (content or components or attachments or body.get("embeds")):
            raise empty_message()
        return State(self._clock.now(), content, components, attachments, flags)

    def _check_body(self, body: Mapping[str, Any], content: str, *, v2: bool) -> None:
        if (body.get("allowed_mentions") or {}).get("parse") != []:
            self._journal.violation(f"a message without allowed_mentions.parse == []: {sorted(body)}")
        if v2 and (content or body.get("embeds") or body.get("poll") or body.get("sticker_ids")):
            raise invalid_form("Components V2 allows no content, embeds, poll or stickers")
        if len(content) > 2000:
            raise invalid_form("content over 2000")
        if len(str(body.get("nonce") or "")) > 25:
            raise invalid_form("nonce over 25")

    def _attachments(
        self, channel: Channel, old: State, body: Mapping[str, Any], files: Mapping[int, tuple[str, bytes]], *, ephemeral: bool
    ) -> tuple[Attachment, ...]:
        """What the message carries afterwards: an edit that lists attachments keeps those, one that does not keeps all."""
        sizes = [len(data) for _, data in files.values()]
        if sum(sizes) > REQUEST_LIMIT or any(size > self._world.upload_limit for size in sizes):
            raise too_large()
        listed = body.get("attachments")
        if listed is None:
            listed = [{"id": a.id} for a in old.attachments] + [{"id": index} for index in files]
        mine = {attachment.id: attachment for attachment in old.attachments}
        out = tuple(mine.get(int(item["id"])) or self._store(channel, item, files, ephemeral) for item in listed)
        if len(out) > 10:
            raise invalid_form("more than 10 attachments")
        return out

    def _store(
        self, channel: Channel, item: Mapping[str, Any], files: Mapping[int, tuple[str, bytes]], ephemeral: bool
    ) -> Attachment:
        if int(item["id"]) not in files:
            raise invalid_form(f"attachment {item['id']} is neither kept nor uploaded")
        name, data = files[int(item["id"])]
        new, folder = self._snowflakes.next(), "ephemeral-attachments" if ephemeral else "attachments"
        name = item.get("filename") or name
        url = f"{self.base}/{folder}/{channel.id}/{new}/{name}"
        self.files[new] = Attachment(new, name, url, data, item.get("description"))
        return self.files[new]

    def upload(self, channel: Channel, name: str, data: bytes) -> Attachment:
        """A file that a member attaches to a command."""
        new = self._snowflakes.next()
        self.files[new] = Attachment(new, name, f"{self.base}/ephemeral-attachments/{channel.id}/{new}/{name}", data)
        return self.files[new]
