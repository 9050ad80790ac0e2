"""A member's data as files, made in pages so that it costs nobody else anything but a little time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from time import monotonic
from typing import Final, Protocol

from bot.domain.privacy import MemberData
from bot.domain.privacy_export import ExportFile, ExportWriter
from bot.errors import InvalidRequestError
from bot.messages import translatable
from bot.services.wakeup import Sleep

MOST_IN_LINE: Final = 5  # exports that wait or are under way; each takes about 10 s for 6,000 requests

UNDER_WAY = translatable("I'm already collecting your data. You'll get it as the answer to your earlier `/privacy export`.")
BUSY = translatable("Too many people are exporting their data right now. Use `/privacy export` again in a few minutes.")


class ExportRepository(Protocol):
    """What the database holds of one member, in bounded pages."""

    def pages(self, user_id: int) -> AsyncIterator[MemberData]:
        """The first page has what there is one of. Each is read when it is asked for, from a reader of its own."""
        ...


class Exports:
    """One at a time, in all; a member has at most one that waits or is under way."""

    def __init__(self, records: ExportRepository, *, sleep: Sleep = asyncio.sleep) -> None:
        self._records = records
        self._sleep = sleep
        self._turn = asyncio.Lock()
        self._members: set[int] = set()

    async def files(self, user_id: int, *, max_bytes: int) -> AsyncGenerator[ExportFile]:
        """Everything that is stored of the member, as files of at most `max_bytes` each.

        Close the iterator (contextlib.aclosing): it holds the turn until then. Raises InvalidRequestError when the member has
        an export under way, or too many others have.
        """
        if user_id in self._members:
            raise InvalidRequestError(UNDER_WAY)
        if len(self._members) >= MOST_IN_LINE:
            raise InvalidRequestError(BUSY)
        self._members.add(user_id)
        try:
            async with self._turn:
                writer = ExportWriter(max_bytes)
                async for page in self._unhurried(user_id):
                    for file in await asyncio.to_thread(_added, writer, page):
                        yield file
                yield await asyncio.to_thread(writer.finish)
        finally:
            self._members.discard(user_id)

    async def _unhurried(self, user_id: int) -> AsyncIterator[MemberData]:
        """Rest after each page as long as it took: making it holds the interpreter, so half of that is left to others."""
        began = monotonic()
        async for page in self._records.pages(user_id):
            yield page
            await self._sleep(monotonic() - began)
            began = monotonic()


def _added(writer: ExportWriter, page: MemberData) -> tuple[ExportFile, ...]:
    return tuple(writer.add(page))
