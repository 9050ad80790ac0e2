"""Interactions: what members do, how the bot answers, and how long it may take."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.local_discord.clock import SettableClock, Snowflakes
from tests.local_discord.components import ACTION_ROW, BUTTON, Component, buttons, check_modal
from tests.local_discord.journal import Journal
from tests.local_discord.messages import EPHEMERAL, Message, Messages
from tests.local_discord.refusals import (
    already_acknowledged,
    invalid_form,
    invalid_token,
    unknown_interaction,
    unknown_message,
    unknown_webhook,
)
from tests.local_discord.world import DM, Channel, User, World, member

COMMAND, PRESS, AUTOCOMPLETE, SUBMIT = 2, 3, 4, 5
MESSAGE, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
FIRST_ANSWER, TOKEN_LIFE = timedelta(seconds=3), timedelta(minutes=15)
ALLOWED = {
    COMMAND: {MESSAGE, DEFER, MODAL},
    PRESS: {MESSAGE, DEFER, DEFER_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    SUBMIT: {MESSAGE, DEFER, DEFER_UPDATE, UPDATE},
}


def new_token() -> str:
    """As Discord's own: base64 of a word, an id and something secret."""
    return (
        base64.urlsafe_b64encode(f"interaction:{secrets.randbits(60)}:{secrets.token_urlsafe(32)}".encode())
        .decode()
        .rstrip("=")
    )


@dataclass
class Interaction:
    """`answer` is the callback's type, `seconds` how long it took; `original` is what @original means."""

    id: int
    kind: int
    user: User
    channel: Channel
    data: dict[str, Any]
    born: datetime
    token: str = field(default_factory=new_token)
    source: Message | None = None
    sent_at: float = 0.0
    answer: int | None = None
    seconds: float | None = None
    original: Message | None = None
    modal: Component | None = None
    choices: list[dict[str, Any]] | None = None
    followups: list[Message] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    sent: bool = True

    @property
    def response(self) -> Message:
        assert self.original is not None, "this interaction has no message"
        return self.original

    @property
    def whispers(self) -> list[str]:
        """What was said to this member alone."""
        own = [message for message in (self.original, *self.followups) if message is not None]
        return [message.now.text for message in own if message.ephemeral and not message.loading and not message.deleted]

    @property
    def shown(self) -> str:
        """The text of the newest message that answers this interaction."""
        return (self.followups[-1] if self.followups else self.response).now.text


class Interactions:
    """All interactions, by id and by token."""

    def __init__(
        self, world: World, messages: Messages, clock: SettableClock, snowflakes: Snowflakes, journal: Journal
    ) -> None:
        self._world, self._messages, self._clock = world, messages, clock
        self._snowflakes, self._journal = snowflakes, journal
        self.all: dict[int, Interaction] = {}

    def begin(
        self, kind: int, user: User, channel: Channel, data: dict[str, Any], source: Message | None = None
    ) -> Interaction:
        new = Interaction(self._snowflakes.next(), kind, user, channel, data, self._clock.now(), source=source)
        new.sent_at = time.monotonic()
        self.all[new.id] = new
        self._journal.write("interaction", data.get("name") or data.get("custom_id", ""), id=new.id, type=kind)
        return new

    def to_json(self, it: Interaction) -> dict[str, Any]:
        """INTERACTION_CREATE's payload."""
        private = it.channel.kind == DM
        out: dict[str, Any] = {
            "id": str(it.id), "application_id": str(self._world.application_id), "type": it.kind, "data": it.data,
            "token": it.token, "version": 1, "channel_id": str(it.channel.id), "locale": "en-US", "entitlements": [],
            "channel": {**it.channel.to_json(), "permissions": str(it.user.permissions)},
            "app_permissions": str(it.channel.app_permissions), "attachment_size_limit": self._world.upload_limit,
            "context": 1 if private else 0,
        }  # fmt: skip
        if it.source is not None:
            out["message"] = self._messages.to_json(it.source)
        if it.kind == PRESS:
            out["message"] = _with_button(out["message"], it.data["custom_id"])
        if private:
            return {**out, "user": it.user.to_json(), "authorizing_integration_owners": {"1": str(it.user.id)}}
        guild_id = str(it.channel.guild_id)
        guild = {"id": guild_id, "locale": "en-US", "features": []}
        owners = {"0": guild_id}
        return {**out, "guild_id": guild_id, "guild": guild, "member": member(it.user), "guild_locale": "en-US",
                "authorizing_integration_owners": owners}  # fmt: skip

    def respond(self, interaction_id: int, token: str, body: Mapping[str, Any], files: Mapping[int, Any]) -> Interaction:
        """The callback. Raises what Discord answers to a late, second or unfit one."""
        it = self.all.get(interaction_id)
        if it is None or it.token != token:
            raise unknown_interaction()
        if it.answer is not None:
            raise already_acknowledged()
        if self._clock.now() - it.born > FIRST_ANSWER:
            self._journal.write("answer", "late", id=it.id)
            raise unknown_interaction()
        kind, data = body["type"], body.get("data") or {}
        if kind not in ALLOWED[it.kind]:
            raise invalid_form(f"callback type {kind} for interaction type {it.kind}")
        self._apply(it, kind, data, files)
        it.answer, it.seconds = kind, time.monotonic() - it.sent_at
        self._journal.write("answer", str(kind), id=it.id, seconds=it.seconds)
        it.answered.set()
        return it

    def _apply(self, it: Interaction, kind: int, data: dict[str, Any], files: Mapping[int, Any]) -> None:
        ids = {"interaction_id": it.id, "user_id": it.user.id}
        if kind == MESSAGE:
            it.original = self._messages.create(it.channel, data, files, **ids)
        elif kind == DEFER:
            if data.get("flags", 0) & ~EPHEMERAL:
                raise invalid_form("a deferred answer may only be ephemeral")
            it.original = self._messages.start_loading(it.channel, data.get("flags", 0), **ids)
        elif kind in (DEFER_UPDATE, UPDATE):
            it.original = it.source
            if kind == UPDATE and it.source is not None:
                self._messages.edit(it.source, data, files)
        elif kind == CHOICES:
            it.choices = data["choices"]
            if len(data["choices"]) > 25:
                raise invalid_form("more than 25 choices")
        else:
            check_modal(data)
            it.modal = data

    def with_token(self, token: str) -> Interaction:
        """The answered interaction of a token that still lives."""
        it = next((it for it in self.all.values() if it.token == token), None)
        if it is None:
            raise unknown_webhook()
        if self._clock.now() - it.born > TOKEN_LIFE:
            raise invalid_token()
        if it.answer is None:
            raise unknown_webhook()
        return it

    def message(self, it: Interaction, which: str) -> Message:
        """@original or a message's id, as the webhook routes take it."""
        own = [message for message in (it.original, *it.followups) if message is not None]
        wanted = it.original if which == "@original" else next((m for m in own if str(m.id) == which), None)
        if wanted is None or wanted.deleted:
            raise unknown_message()
        return wanted

    def follow_up(self, it: Interaction, body: Mapping[str, Any], files: Mapping[int, Any]) -> Message:
        """A new message; the first one after a defer takes the loading message's place, as on Discord."""
        if it.original is not None and it.original.loading:
            return self._messages.edit(it.original, body, files)
        new = self._messages.create(it.channel, body, files, interaction_id=it.id, user_id=it.user.id)
        it.followups.append(new)
        return new


def _with_button(message: dict[str, Any], custom_id: str) -> dict[str, Any]:
    """The message as it was when the button was pressed, which may have been an edit ago."""
    if any(button["custom_id"] == custom_id for button in buttons(message["components"])):
        return message
    button = {"type": BUTTON, "id": 901, "style": 2, "label": "was here", "custom_id": custom_id}
    return {**message, "components": [*message["components"], {"type": ACTION_ROW, "id": 900, "components": [button]}]}
