"""Erasure: everything of a member goes, whatever interrupts it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from bot.domain.delivery import DeliveryFault
from bot.domain.job import JobId
from bot.domain.privacy import Content, Erasure, ShownCard
from bot.domain.quota import StepsTaken
from bot.metrics import Metrics
from bot.ports import Clock, ImageStore, Messenger, MessengerError
from bot.services.delivery import Delivery
from bot.services.error_ids import log_incident
from bot.services.live_cards import LiveCards
from bot.services.report_display import ReportDisplay
from bot.services.wakeup import Sleep, WakeUp, rest
from bot.services.worker import Worker

# A minute in all: what is under way comes to its end, words and files go, then as many cards as Discord lets us.
SETTLE_SECONDS: Final = 10.0
CARD_SECONDS: Final = 40.0
ANSWER_SECONDS: Final = 25.0  # that the member is kept waiting for the words to be gone; it goes on by itself after that
CALL_SECONDS: Final = 10.0  # for one card
PORTION: Final = 50  # cards
FOLDS: Final = 20  # tries to empty the log
FOLD_PAUSE: Final = 0.1  # seconds between two; a first answer's read takes a few milliseconds
IDLE_SECONDS: Final = 15.0  # between looks at what is still to do

log = logging.getLogger(__name__)


class ErasureRepository(Protocol):
    """Members' wishes on disk, and what they concern. Nothing here holds the database for longer than a moment."""

    async def begin(self, user_id: int, *, now: datetime) -> Erasure | None:
        """Write the wish down, and forget the member's defaults. None, and nothing is written, when there is nothing to remove.

        From here on it is finished whatever happens; what the member asks for later is not concerned.
        """
        ...

    async def open(self) -> tuple[int, ...]:
        """Members with something left to do; the first of them, where they are many."""
        ...

    async def to_do(self, user_id: int) -> Erasure | None:
        """The wish that is not fulfilled yet."""
        ...

    async def cancel(
        self, erasure: Erasure, *, now: datetime, taken: Mapping[JobId, StepsTaken] | None = None
    ) -> tuple[JobId, ...]:
        """Cancel what waits or runs, in portions; returns which jobs those were.

        `taken`: the steps of what is drawn, which the member pays for as for any cancel.
        """
        ...

    async def being_shown(self, user_id: int) -> tuple[JobId, ...]:
        """Ended jobs whose last card Discord may just be given."""
        ...

    async def content(self, erasure: Erasure) -> Content:
        """The next portion of ended jobs whose words are still there."""
        ...

    async def remove(self, erasure: Erasure, content: Content, *, now: datetime) -> None:
        """Forget the jobs' pictures, words and tokens, and close the reports about them. Leaves traces in the file."""
        ...

    async def forget_reasons(self, erasure: Erasure) -> bool:
        """Forget a portion of what the member told moderators. False when nothing was left."""
        ...

    async def fold_log(self) -> bool:
        """Empty the database's log; False where somebody reads it right now."""
        ...

    async def erased(self, erasure: Erasure, *, now: datetime) -> bool:
        """Note that it is fulfilled. False when there is something again, because the member asked again meanwhile."""
        ...

    async def cards(self, user_id: int, *, limit: int) -> tuple[ShownCard, ...]:
        """Messages that showed what was erased, newest first."""
        ...

    async def reports(self, user_id: int, *, limit: int) -> tuple[int, ...]:
        """Reports whose messages still show moderators anything of the member's, newest first."""
        ...

    async def forget_card(self, job_id: JobId) -> None: ...

    async def close(self, user_id: int, *, now: datetime) -> None:
        """Forget where the remaining cards are; nothing is left to do for what is erased."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureDeps:
    """What may be busy with a job when its member wants it gone."""

    worker: Worker
    delivery: Delivery
    live: LiveCards
    messenger: Messenger
    reports: ReportDisplay


class Eraser:
    """One task a member. The wish is on disk before it starts, so `run` takes up what an earlier process left."""

    def __init__(
        self,
        *,
        erasures: ErasureRepository,
        store: ImageStore,
        deps: ErasureDeps,
        clock: Clock,
        metrics: Metrics,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._erasures = erasures
        self._store = store
        self._deps = deps
        self._clock = clock
        self._metrics = metrics
        self._sleep = sleep
        self._signal, self._erased = WakeUp(), WakeUp()
        self._stopping = False
        self._tasks: dict[int, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Finish what is open until `stop`."""
        try:
            while not self._stopping:
                woken = self._signal.listen()
                try:
                    await self.resume()
                except Exception as error:  # noqa: BLE001  # the loop outlives a database that is busy or full
                    log_incident(log, self._metrics, "Open erasures could not be read", error)
                await rest(woken, IDLE_SECONDS, self._sleep)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Leave the rest to the next start; may be called at any time, repeatedly."""
        self._stopping = True
        self._signal.ring()
        self._erased.ring()
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def resume(self) -> tuple[asyncio.Task[None], ...]:
        """Start whatever is open and not under way; returns the tasks that are."""
        for user_id in await self._erasures.open():
            self._start(user_id)
        return tuple(self._tasks.values())

    async def erase(self, user_id: int) -> bool | None:
        """Everything that is stored of the member now. Cards in Discord are removed after the return, in the background.

        True once no row, file or token is left; False when that takes longer, and goes on; None when there was nothing.
        """
        if await self._erasures.begin(user_id, now=self._clock.now()) is None:
            return None
        self._start(user_id)
        return await self._wait(user_id)

    def _start(self, user_id: int) -> None:
        if user_id not in self._tasks and not self._stopping:
            task = self._tasks[user_id] = asyncio.create_task(self._work(user_id), name=f"erase-{user_id}")
            task.add_done_callback(lambda _: self._tasks.pop(user_id, None))

    async def _wait(self, user_id: int) -> bool:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while not self._stopping:
                    woken = self._erased.listen()
                    if await self._erasures.to_do(user_id) is None:
                        return True
                    await woken.wait()
        except TimeoutError:
            pass
        return False

    async def _work(self, user_id: int) -> None:
        try:
            while True:
                await self._remove_everything(user_id)
                self._erased.ring()
                await self._remove_cards(user_id)
                await self._erasures.close(user_id, now=self._clock.now())
                if await self._erasures.to_do(user_id) is None:  # else the member has asked again meanwhile
                    break
        except Exception as error:  # noqa: BLE001  # it stays open on disk and is tried again
            log_incident(log, self._metrics, "An erasure was cut off and will be tried again", error)
        else:
            self._signal.ring()  # they may have asked at the very end

    async def _remove_everything(self, user_id: int) -> None:
        """Raises FolderError where the disk does not let us."""
        while (erasure := await self._erasures.to_do(user_id)) is not None:
            await self._quieten(erasure)
            while (content := await self._erasures.content(erasure)).job_ids:
                await self._store.delete(content.keys)  # first: what is cut off after that is known, and done again
                await self._erasures.remove(erasure, content, now=self._clock.now())
            while await self._erasures.forget_reasons(erasure):
                pass
            await self._fold_log()
            if await self._erasures.erased(erasure, now=self._clock.now()):
                log.info("Erasure %d: words, pictures and files are gone", erasure.id)

    async def _fold_log(self) -> None:
        """What was removed stands in the log, too. Whoever reads it is through in a moment; who is not, as a backup, keeps it
        until the file is written anew.
        """
        for _ in range(FOLDS):
            if await self._erasures.fold_log():
                return
            await self._sleep(FOLD_PAUSE)

    async def _quieten(self, erasure: Erasure) -> None:
        """Cancel, stop drawings, and wait for cards that are on their way to Discord, so that none comes after its removal."""
        parts = self._deps
        taken = self._deps.worker.steps_taken_of(erasure.user_id)
        cancelled = await self._erasures.cancel(erasure, now=self._clock.now(), taken=taken)
        for job_id in cancelled:
            parts.worker.abort_job(job_id)
        parts.delivery.wake()
        try:
            async with asyncio.timeout(SETTLE_SECONDS):
                for job_id in dict.fromkeys((*cancelled, *await self._erasures.being_shown(erasure.user_id))):
                    await parts.live.close(job_id)
                    await parts.delivery.settle(job_id)
        except TimeoutError:
            log.info("Discord is slow to take cards that are to be erased; the erasure goes on without waiting")

    async def _remove_cards(self, user_id: int) -> None:
        """As many as Discord takes within the time, each tried once; the newest first, which most people still see.

        Moderators' messages about them come before: they are few, and show the same words and pictures. Those that Discord
        does not take now are tried again, by whoever goes through all reports.
        """
        try:
            async with asyncio.timeout(CARD_SECONDS):
                await self._deps.reports.refresh(await self._erasures.reports(user_id, limit=PORTION))
                while cards := await self._erasures.cards(user_id, limit=PORTION):
                    for card in cards:
                        if not await self._remove_card(card):
                            return
        except TimeoutError:
            log.info("Discord did not take all cards of an erasure in time; the others stay")

    async def _remove_card(self, card: ShownCard) -> bool:
        """False when Discord refuses everything for now, so that further tries would only do harm."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._deps.messenger.delete(card.reply)
        except (MessengerError, TimeoutError) as error:
            log.debug("Card of erased job %s stays: %s", card.job_id, error)
            if isinstance(error, MessengerError) and error.fault is DeliveryFault.RATE_LIMITED and error.retry_after is None:
                return False
        await self._erasures.forget_card(card.job_id)
        return True
