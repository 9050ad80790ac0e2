"""A model of Discord as far as delivery can tell: messages, tokens, nonces, and faults in every order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from bot.domain.card import JobCard
from bot.domain.delivery import DeliveryFault
from bot.domain.job import JobId, JobStatus, ReplyTarget
from bot.domain.language import Language
from bot.ports import MessengerError
from tests.fakes import DIRECT, FakeClock

T = TypeVar("T")
TOKEN_LIFE = timedelta(minutes=15)
NONCE_WINDOW = timedelta(minutes=2)  # "the past few minutes", documentation says


class Event(StrEnum):
    """What happens with one request."""

    OK = "ok"
    RESET_BEFORE = "reset before"  # the request never arrived
    RESET_AFTER = "reset after"  # it was carried out, the answer was lost
    CRASH_BEFORE = "crash before"  # our process dies before it is sent
    CRASH_AFTER = "crash after"  # our process dies before it reads the answer
    MESSAGE_DELETED = "message deleted"  # a member deletes the message just before
    CHANNEL_DELETED = "channel deleted"
    TOKEN_DEAD = DeliveryFault.TOKEN_DEAD.value
    FORBIDDEN = DeliveryFault.FORBIDDEN.value
    TOO_LARGE = DeliveryFault.TOO_LARGE.value
    RATE_LIMITED = DeliveryFault.RATE_LIMITED.value
    REFUSED = DeliveryFault.REFUSED.value


class Crash(BaseException):
    """Our process ends here, without another word."""


@dataclass
class Message:
    """A message in a channel; `job_id` and `status` are of the card that it shows last."""

    channel_id: int
    created_at: datetime
    job_id: JobId | None = None
    status: JobStatus | None = None
    deleted: bool = False

    @property
    def shows_end(self) -> bool:
        return not self.deleted and self.status is not None and not self.status.is_waiting


class FakeDiscord:
    """Implements ports.Messenger. Each request meets the next of `events`; when there are none left, all goes well."""

    def __init__(self, clock: FakeClock, events: Iterable[Event]) -> None:
        self._clock = clock
        self.events = deque(events)
        self.messages: dict[int, Message] = {}
        self._originals: dict[str, tuple[int, datetime]] = {}
        self._nonces: dict[str, tuple[int, datetime]] = {}
        self._gone_channels: set[int] = set()
        self.crashes = 0

    def open_interaction(self, token: str, channel_id: int) -> int:
        """The placeholder that an interaction's first answer makes."""
        message_id = self._new(channel_id)
        self._originals[token] = (message_id, self._clock.now() + TOKEN_LIFE)
        return message_id

    def ends(self, job_id: JobId) -> list[Message]:
        """The visible messages that show the job's final card."""
        return [
            message
            for message in self.messages.values()
            if message.job_id == job_id and message.shows_end and message.channel_id not in self._gone_channels
        ]

    async def edit_by_token(self, reply: ReplyTarget, card: JobCard) -> int:
        assert reply.token is not None
        message_id, dies_at = self._originals[reply.token]
        return await self._request(message_id, lambda: self._edit_original(message_id, dies_at, card))

    async def edit_by_id(self, reply: ReplyTarget, card: JobCard) -> int:
        assert reply.message_id is not None
        message_id = reply.message_id
        return await self._request(message_id, lambda: self._edit(message_id, card))

    async def post(self, reply: ReplyTarget, card: JobCard, *, nonce: str) -> int:
        return await self._request(None, lambda: self._post(reply.channel_id, card, nonce))

    async def find_post(self, reply: ReplyTarget, job_id: JobId, *, since: datetime) -> int | None:
        def find() -> int | None:
            for message_id, message in self.messages.items():
                is_there = message.channel_id == reply.channel_id and not message.deleted
                if is_there and message.job_id == job_id and message.created_at >= since:
                    return message_id
            return None

        return await self._request(None, find)

    async def reopen(self, reply: ReplyTarget) -> None:
        raise MessengerError(DeliveryFault.FORBIDDEN, "no thread")

    async def open_direct(self, user_id: int) -> int:
        return await self._request(None, lambda: DIRECT + user_id)

    async def tell(self, channel_id: int, sentence: object, *, nonce: str, language: Language | None = None) -> int:
        return await self._request(None, lambda: self._new(channel_id))

    async def delete(self, reply: ReplyTarget) -> None:
        if reply.message_id is not None:
            self.messages[reply.message_id].deleted = True

    async def _request(self, target: int | None, carry_out: Callable[[], T]) -> T:
        await asyncio.sleep(0)
        event = self.events.popleft() if self.events else Event.OK
        self._before(event, target)
        answer = carry_out()
        if event is Event.RESET_AFTER:
            raise MessengerError(DeliveryFault.UNAVAILABLE)
        if event is Event.CRASH_AFTER:
            self._crash()
        return answer

    def _before(self, event: Event, target: int | None) -> None:
        match event:
            case Event.RESET_BEFORE:
                raise MessengerError(DeliveryFault.UNAVAILABLE)
            case Event.CRASH_BEFORE:
                self._crash()
            case Event.MESSAGE_DELETED if target is not None:
                self.messages[target].deleted = True
            case Event.CHANNEL_DELETED if target is not None:
                self._gone_channels.add(self.messages[target].channel_id)
            case Event.TOKEN_DEAD | Event.FORBIDDEN | Event.TOO_LARGE | Event.REFUSED:
                raise MessengerError(DeliveryFault(event.value))
            case Event.RATE_LIMITED:
                raise MessengerError(DeliveryFault.RATE_LIMITED, retry_after=5)
            case _:
                pass

    def _crash(self) -> None:
        self.crashes += 1
        raise Crash

    def _new(self, channel_id: int) -> int:
        message_id = 100 + len(self.messages)
        self.messages[message_id] = Message(channel_id, self._clock.now())
        return message_id

    def _edit_original(self, message_id: int, dies_at: datetime, card: JobCard) -> int:
        if self._clock.now() >= dies_at:
            raise MessengerError(DeliveryFault.TOKEN_DEAD)
        return self._edit(message_id, card)

    def _edit(self, message_id: int, card: JobCard) -> int:
        message = self.messages[message_id]
        self._check_channel(message.channel_id)
        if message.deleted:
            raise MessengerError(DeliveryFault.MESSAGE_GONE)
        assert not (message.shows_end and card.job.status.is_waiting), "progress overwrote a final card"
        message.job_id, message.status = card.job.id, card.job.status
        return message_id

    def _post(self, channel_id: int, card: JobCard, nonce: str) -> int:
        """Discord knows a nonce for "the past few minutes"; here as short as delivery may rely on."""
        self._check_channel(channel_id)
        known = self._nonces.get(nonce)
        if known is not None and self._clock.now() - known[1] <= NONCE_WINDOW:
            return known[0]
        message_id = self._new(channel_id)
        self._nonces[nonce] = (message_id, self._clock.now())
        return self._edit(message_id, card)

    def _check_channel(self, channel_id: int) -> None:
        if channel_id in self._gone_channels:
            raise MessengerError(DeliveryFault.CHANNEL_GONE)
