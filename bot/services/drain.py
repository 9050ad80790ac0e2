"""Draining, for operators: "finish, then stop"."""

from __future__ import annotations

import asyncio
import logging

from bot.ports import JobRepository, Outbox
from bot.services.submission import Submitter
from bot.services.wakeup import Sleep

LOOK_INTERVAL = 0.5  # seconds
LAST_CARDS = 60.0  # seconds that finished cards get to be shown; what Discord does not take then, the next start shows

log = logging.getLogger(__name__)


class Drain:
    """Takes nothing new and ends when nothing is left to do. Jobs of servers whose queue is paused stay on disk."""

    def __init__(self, *, submitter: Submitter, jobs: JobRepository, outbox: Outbox, sleep: Sleep = asyncio.sleep) -> None:
        self._submitter = submitter
        self._jobs = jobs
        self._outbox = outbox
        self._sleep = sleep
        self._begun = asyncio.Event()

    def begin(self) -> None:
        """Close the door; may be called repeatedly."""
        if not self._begun.is_set():
            log.info("Draining: no new jobs, and the end when nothing waits any more")
        self._submitter.close()
        self._begun.set()

    async def finished(self) -> None:
        """Return once `begin` was called and every job is drawn and shown."""
        await self._begun.wait()
        while await self._jobs.backlog():
            await self._sleep(LOOK_INTERVAL)
        for _ in range(round(LAST_CARDS / LOOK_INTERVAL)):
            if await self._outbox.next_due() is None:
                break
            await self._sleep(LOOK_INTERVAL)
        log.info("Drained")
