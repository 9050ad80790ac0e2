"""The courier: one try at showing one final card, by the best way that is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

from bot.domain.card import JobCard
from bot.domain.delivery import NOT_LET_IN, SEARCH_MARGIN, DeliveryFault, OutboxEntry
from bot.domain.image import ImageFile, StoredImage
from bot.domain.job import Job, ReplyTarget
from bot.errors import NotFoundError, UserError
from bot.messages import Message, message
from bot.metrics import Metrics
from bot.ports import Clock, ImageCodec, ImageStore, Messenger, MessengerError, Outbox
from bot.services.cards import CardAssembler, describe

REQUEST_LIMIT: Final = 25 * 1024 * 1024 - 256 * 1024  # bytes; Discord's limit for a whole request, less room for the card
SHRINKING: Final = (1.0, 0.5, 0.25)  # shares of the limit that are tried in turn; then the card goes without pictures
CALL_TIMEOUT: Final = 120.0  # seconds; four pictures over a slow line take a while
TOKEN_TRIES: Final = 16  # tries in which a token may live whatever the clock says of it: in so many, 15 minutes are over

TOO_LARGE = message("Discord doesn't accept files this large here, even made smaller. Try a smaller size or fewer pictures.")
FILES_LOST = message("The pictures are missing on my disk. You weren't charged. Please tell whoever hosts me.")

T = TypeVar("T")
Send = Callable[[JobCard], Awaitable[int]]


class PicturesLostError(Exception):
    """The files are gone; the member has been told by a card without pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSenderDeps:
    """What a courier works with."""

    outbox: Outbox
    messenger: Messenger
    store: ImageStore
    codec: ImageCodec
    cards: CardAssembler
    clock: Clock
    metrics: Metrics


class CardSender:
    """Shows a card at most once: edits may be repeated; a post has the job's id as nonce, and is looked up before another."""

    def __init__(self, room: CardSenderDeps) -> None:
        self._room = room

    async def show(self, entry: OutboxEntry, job: Job, images: tuple[StoredImage, ...]) -> int:
        """Show the final card and return its message id; a failed or cancelled job has no `images`.

        Raises MessengerError where Discord refused, PicturesLostError after the member was told that the files are gone.
        """

        async def send(card: JobCard) -> int:
            return await self._send(entry, job, card)

        if not images:
            return await send(await self._room.cards.final(job))
        return await self._show_pictures(job, images, send)

    async def show_directly(self, job: Job, images: tuple[StoredImage, ...], channel_id: int, note: Message) -> int:
        """Show the pictures with `note` as a card of its own in a channel of direct messages; raises as `show` does."""
        there = replace(job, reply=ReplyTarget(channel_id=channel_id, application_id=job.reply.application_id))

        async def send(card: JobCard) -> int:
            shown = await self._edit_lost(there, card, job.asked_at)
            if shown is not None:
                return shown
            return await self._call("direct", self._room.messenger.post(there.reply, card, nonce=job.id))

        return await self._show_pictures(there, images, send, note=note)

    async def _show_pictures(
        self, job: Job, images: tuple[StoredImage, ...], send: Send, *, note: Message | None = None
    ) -> int:
        try:
            originals = await self._read(job, images)
        except NotFoundError:
            await send(await self._room.cards.final(job, note=FILES_LOST))
            raise PicturesLostError from None
        limit = min(job.reply.upload_limit, REQUEST_LIMIT // len(originals))
        for share in SHRINKING:
            try:
                files = tuple([await self._room.codec.fit(file, int(limit * share)) for file in originals])
            except UserError:  # it cannot be made that small
                break
            try:
                return await send(await self._room.cards.final(job, images=images, files=files, note=note))
            except MessengerError as error:
                if error.fault is not DeliveryFault.TOO_LARGE:
                    raise
        return await send(await self._room.cards.final(job, images=images, note=TOO_LARGE))

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
        """Open the thread first where it was archived meanwhile. Raises THREAD_CLOSED where that is not ours to do."""
        try:
            return await self._try_ways(entry, job, card)
        except MessengerError as error:
            if error.fault is not DeliveryFault.THREAD_CLOSED:
                raise
        try:
            await self._call("reopen", self._room.messenger.reopen(job.reply))
        except MessengerError as error:
            if error.fault in _NOT_OURS_TO_OPEN:
                raise MessengerError(DeliveryFault.THREAD_CLOSED, "others have to open it") from None
            raise
        return await self._try_ways(entry, job, card)

    async def _try_ways(self, entry: OutboxEntry, job: Job, card: JobCard) -> int:
        """By token while it lives; by id; where no message is left to edit, one post; and where none of that is let in, by the
        token that the clock, which somebody may have stepped, calls dead.
        """
        reply = job.reply
        lives = reply.token_lives(self._room.clock.now())
        if lives and (shown := await self._edit_by_token(reply, card)) is not None:
            return shown
        try:
            return await self._show_by_right(entry, job, card)
        except MessengerError as error:
            if lives or reply.token is None or error.fault not in NOT_LET_IN or entry.attempts >= TOKEN_TRIES:
                raise
            shown = await self._edit_by_token(reply, card)
            if shown is None:
                raise
            return shown

    async def _show_by_right(self, entry: OutboxEntry, job: Job, card: JobCard) -> int:
        if job.reply.message_id is not None:
            shown = await self._edit("id", self._room.messenger.edit_by_id(job.reply, card), _MESSAGE_GONE)
            if shown is not None:
                return shown
        return await self._post(entry, job, card)

    async def _edit_by_token(self, reply: ReplyTarget, card: JobCard) -> int | None:
        return await self._edit("token", self._room.messenger.edit_by_token(reply, card), _TOKEN_USELESS)

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

        Two can be there: a post whose answer was lost, and the interaction's own message, where its id was never learned and
        an edit by token had no answer before the token died.
        """
        room, started = self._room, entry.post_started_at
        for since in _search_from(job, started):
            shown = await self._edit_lost(job, card, since)
            if shown is not None:
                return shown
        if entry.edits_only:
            raise MessengerError(DeliveryFault.MESSAGE_GONE, "a backup brought it back, and nothing of that is posted")
        if started is None:
            await room.outbox.start_post(job.id, now=room.clock.now())
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


def _search_from(job: Job, started: datetime | None) -> tuple[datetime, ...]:
    """Returns from when on, by Discord's clock, a card that nobody told us of may be there.

    How long after the asking the post was tried is known by our clock, which may have been stepped since then; so from the
    asking on, too.
    """
    asked = job.asked_at
    if started is None:
        return () if job.reply.message_id is not None else (asked,)
    tried = asked + (started - job.created_at)
    return (tried, asked) if tried - SEARCH_MARGIN > asked else (asked,)


_MESSAGE_GONE = frozenset({DeliveryFault.MESSAGE_GONE})
_TOKEN_USELESS = frozenset({DeliveryFault.TOKEN_DEAD, DeliveryFault.MESSAGE_GONE})  # the edit by id tells what is true
_NOT_OURS_TO_OPEN = NOT_LET_IN | {DeliveryFault.THREAD_CLOSED, DeliveryFault.REFUSED}
