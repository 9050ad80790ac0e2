"""The courier: one try at showing one final card, by the best way that is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, TypeVar

from bot.domain.card import JobCard
from bot.domain.delivery import NONCE_WINDOW, DeliveryFault, OutboxEntry
from bot.domain.image import ImageFile, StoredImage
from bot.domain.job import Job
from bot.errors import NotFoundError, UserError
from bot.ports import Clock, ImageCodec, ImageStore, Messenger, MessengerError, Outbox
from bot.services.cards import CardAssembler, describe
from bot.telemetry import Metrics

REQUEST_LIMIT: Final = 25 * 1024 * 1024 - 256 * 1024  # bytes; Discord's limit for a whole request, less room for the card
SHRINKING: Final = (1.0, 0.5, 0.25)  # shares of the limit that are tried in turn; then the card goes without pictures
CALL_TIMEOUT: Final = 120.0  # seconds; four pictures over a slow line take a while
SEARCH_MARGIN: Final = timedelta(minutes=5)  # Discord's clock and ours may differ

TOO_LARGE = "The pictures are larger than Discord accepts here, even made smaller. Use a smaller size or fewer pictures."
FILES_LOST = "The picture files are missing on this bot's disk. Nothing was charged. Tell whoever hosts the bot."

T = TypeVar("T")


class PicturesLostError(Exception):
    """The files are gone; the member has been told by a card without pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailroom:
    """What a courier works with."""

    outbox: Outbox
    messenger: Messenger
    store: ImageStore
    codec: ImageCodec
    cards: CardAssembler
    clock: Clock
    metrics: Metrics


class Courier:
    """Shows a card at most once: edits may be repeated, a post has the job's id as nonce and is looked up when it is old."""

    def __init__(self, room: Mailroom) -> None:
        self._room = room

    async def show(self, entry: OutboxEntry, job: Job, images: tuple[StoredImage, ...]) -> int:
        """Show the final card and return its message id; a failed or cancelled job has no `images`.

        Raises MessengerError where Discord refused, PicturesLostError after the member was told that the files are gone.
        """
        if not images:
            return await self._send(entry, job, await self._room.cards.final(job))
        try:
            originals = await self._read(job, images)
        except NotFoundError:
            await self._send(entry, job, await self._room.cards.final(job, note=FILES_LOST))
            raise PicturesLostError from None
        return await self._show_pictures(entry, job, images, originals)

    async def _show_pictures(
        self, entry: OutboxEntry, job: Job, images: tuple[StoredImage, ...], originals: tuple[ImageFile, ...]
    ) -> int:
        limit = min(job.reply.upload_limit, REQUEST_LIMIT // len(originals))
        for share in SHRINKING:
            try:
                files = tuple([await self._room.codec.fit(file, int(limit * share)) for file in originals])
            except UserError:  # it cannot be made that small
                break
            try:
                return await self._send(entry, job, await self._room.cards.final(job, images=images, files=files))
            except MessengerError as error:
                if error.fault is not DeliveryFault.TOO_LARGE:
                    raise
        return await self._send(entry, job, await self._room.cards.final(job, images=images, note=TOO_LARGE))

    async def _read(self, job: Job, images: tuple[StoredImage, ...]) -> tuple[ImageFile, ...]:
        """Raises NotFoundError."""
        return tuple(
            [
                ImageFile(
                    name=f"pastel-{job.id}-{image.index + 1}.png",
                    data=await self._room.store.read(image.key),
                    description=describe(job, image.index),
                )
                for image in images
            ]
        )

    async def _send(self, entry: OutboxEntry, job: Job, card: JobCard) -> int:
        """By token while it lives; by id; and where no message is left to edit, one post."""
        messenger, reply = self._room.messenger, job.reply
        if reply.token_lives(self._room.clock.now()):
            shown = await self._edit("token", messenger.edit_by_token(reply, card), _TOKEN_USELESS)
            if shown is not None:
                return shown
        if reply.message_id is not None:
            shown = await self._edit("id", messenger.edit_by_id(reply, card), _MESSAGE_GONE)
            if shown is not None:
                return shown
        return await self._post(entry, job, card)

    async def _edit(self, way: str, editing: Awaitable[int], next_way: frozenset[DeliveryFault]) -> int | None:
        """None when the fault is one of `next_way`: nothing was shown, and the next way is due."""
        try:
            return await self._call(way, editing)
        except MessengerError as error:
            if error.fault in next_way:
                return None
            raise

    async def _post(self, entry: OutboxEntry, job: Job, card: JobCard) -> int:
        """Post once, unless there is a card of the job already that nobody told us of: that one is edited.

        Two can be there: a post whose answer was lost longer ago than Discord remembers nonces, and the interaction's own
        message, where its id was never learned and an edit by token had no answer before the token died.
        """
        room, now, started = self._room, self._room.clock.now(), entry.post_started_at
        if started is not None and now - started > NONCE_WINDOW:
            since = started
        elif started is None and job.reply.message_id is None:
            since = job.created_at
        else:
            since = None
        if since is not None:
            shown = await self._edit_lost(job, card, since)
            if shown is not None:
                return shown
        if entry.edits_only:
            raise MessengerError(DeliveryFault.MESSAGE_GONE, "a backup brought it back, and nothing of that is posted")
        if started is None:
            await room.outbox.start_post(job.id, now=now)
        return await self._call("post", room.messenger.post(job.reply, card, nonce=job.id))

    async def _edit_lost(self, job: Job, card: JobCard, since: datetime) -> int | None:
        """Find a card of the job and make it the final one; None where there is none."""
        messenger = self._room.messenger
        found = await self._call("find", messenger.find_post(job.reply, job.id, since=since - SEARCH_MARGIN))
        if found is None:
            return None
        return await self._edit("id", messenger.edit_by_id(replace(job.reply, message_id=found), card), _MESSAGE_GONE)

    async def _call(self, way: str, request: Awaitable[T]) -> T:
        """Count the request; no answer in time is a fault with unknown outcome."""
        deliveries = self._room.metrics.deliveries
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                answer = await request
        except TimeoutError:
            deliveries.labels(way=way, result=DeliveryFault.UNAVAILABLE).inc()
            raise MessengerError(DeliveryFault.UNAVAILABLE, "no answer in time") from None
        except MessengerError as error:
            deliveries.labels(way=way, result=error.fault).inc()
            raise
        deliveries.labels(way=way, result="ok").inc()
        return answer


_MESSAGE_GONE = frozenset({DeliveryFault.MESSAGE_GONE})
_TOKEN_USELESS = frozenset({DeliveryFault.TOKEN_DEAD, DeliveryFault.MESSAGE_GONE})  # the edit by id tells what is true
