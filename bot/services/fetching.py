"""Fetches from the hub what jobs need, before they are claimed: nothing that draws ever waits for a network."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from bot.domain.downloads import Download, DownloadError, Transfer
from bot.domain.job import Job, JobId
from bot.domain.profile import Style
from bot.domain.progress import Phase, Progress
from bot.errors import ModelError
from bot.messages import Message, counted
from bot.metrics import Metrics
from bot.ports import Clock, JobRepository
from bot.services.error_ids import log_incident
from bot.services.live_cards import LiveCards
from bot.services.wakeup import Sleep, WakeUp, rest

AT_ONCE = 2  # downloads
SHOWN = 64  # cards of jobs that wait for files; more wait as well, and show their place
LOOK_INTERVAL = 15.0  # seconds between looks at the queue that nobody asked for
CARD_INTERVAL = 2.5  # seconds between two looks at who waits for the model
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 3600.0  # seconds before a file is tried again, doubled at every failure

log = logging.getLogger(__name__)


class HubGateway(Protocol):
    """Knows what is on this machine, and fetches the rest."""

    async def lacking(self) -> tuple[Download, ...]:
        """What the model and its classifier lack; looks at the disk, asks nobody. Raises ModelError."""
        ...

    async def lacks(self, style: Style) -> Download | None:
        """The same of a style; None where its file is here, or will never come from the hub."""
        ...

    async def fetch(self, download: Download, on_progress: Callable[[Transfer], None]) -> None:
        """Have the files here. Ends in bounded time when nothing comes, and within seconds when it is cancelled.

        Raises DownloadError.
        """
        ...

    def refusal(self, download: Download, error: DownloadError) -> ModelError:
        """The line for the operator when something of `lacking` could not be fetched."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchDeps:
    """What the fetcher works with. `on_fetched` is called when jobs may be claimed that waited for files, `on_ended` when the
    outbox has a new entry; `timer` counts seconds whatever the wall clock does.
    """

    hub: HubGateway
    jobs: JobRepository
    live: LiveCards
    clock: Clock
    metrics: Metrics
    on_fetched: Callable[[], None]
    on_ended: Callable[[], None]
    sleep: Sleep = asyncio.sleep
    timer: Callable[[], float] = time.monotonic


@dataclass(slots=True)
class _Failure:
    """How often in a row a style's file could not be had, and from when on it may be tried again."""

    times: int
    until: float
    sentence: Message


class Fetcher:
    """Fetches what the model lacks at the start (`prepare`), and what styles lack when a job asks for them (`run`).

    Until then `is_ready` is False, or the style is among `unfetched`, and the jobs concerned wait, with the progress on their
    cards; others pass them. A file that several want is fetched once. Where a hub does not give it, whoever waits for it gets
    the reason and their credits back, and who asks in the pause after it gets it at once. Nothing of this is a try of a job,
    and all of it begins again after a restart. Everything runs on the event loop.
    """

    def __init__(self, bench: FetchDeps, styles: Iterable[Style]) -> None:
        self._bench = bench
        self._offered = tuple(styles)
        self._signal = WakeUp()
        self._stopped = False
        self._looking: asyncio.Task[None] | None = None
        self._lacking: tuple[Download, ...] = ()
        self._styles: dict[str, tuple[Style, Download]] = {}
        self._newest: dict[str, Transfer] = {}
        self._wanted: dict[str, dict[JobId, Job]] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, _Failure] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    @property
    def is_ready(self) -> bool:
        """Whether the files of the model are here."""
        return not self._lacking

    @property
    def unfetched(self) -> frozenset[str]:
        """The styles whose files are not here."""
        return frozenset(self._styles)

    async def look(self) -> None:
        """Find out what is not on this machine; asks nobody. May be awaited more than once. Raises ModelError."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="look-for-files")
        await asyncio.shield(self._looking)

    async def prepare(self) -> None:
        """Fetch what the model lacks; minutes. Raises ModelError, the line for the operator."""
        await self.look()
        for download in self._lacking:
            log.info("Fetching %s from the hub (%s)", download.title, download.repo)
            try:
                await self._fetch_for_all(download)
            except DownloadError as error:
                raise self._bench.hub.refusal(download, error) from error
        if self._lacking:
            self._lacking = ()
            await self._show_again(await self._bench.jobs.waiting_for(None, limit=SHOWN))
            self._bench.on_fetched()

    def wake(self) -> None:
        """Say that a job was added."""
        self._signal.ring()

    async def run(self) -> None:
        """Fetch what waiting jobs ask for, until `stop`."""
        await self.look()
        try:
            while not self._stopped:
                woken = self._signal.listen()
                try:
                    await self._begin_what_is_asked_for()
                except Exception as error:  # noqa: BLE001  # the next look may succeed
                    log_incident(log, self._bench.metrics, "The queue could not be asked for missing files", error)
                await rest(woken, LOOK_INTERVAL, self._bench.sleep)
        finally:
            await self.stop()

    async def stop(self) -> None:
        """End every download under way; seconds. The next start begins them again."""
        self._stopped = True
        self._signal.ring()
        fetches = tuple(self._fetches.values())
        for task in fetches:
            task.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)

    # The model, which everybody waits for.

    async def _look(self) -> None:
        self._lacking = await self._bench.hub.lacking()
        for style in self._offered:
            download = await self._bench.hub.lacks(style)
            if download is not None:
                self._styles[style.name] = (style, download)

    async def _fetch_for_all(self, download: Download) -> None:
        newest = Transfer(title=download.title)

        def note(transfer: Transfer) -> None:
            nonlocal newest
            newest = transfer

        async def show() -> None:
            shown: Transfer | None = None
            while True:
                jobs = await self._bench.jobs.waiting_for(None, limit=SHOWN) if newest != shown else ()
                shown = newest
                self._show(jobs, newest)
                await self._bench.sleep(CARD_INTERVAL)

        showing = asyncio.create_task(show(), name="show-fetching")
        try:
            await self._bench.hub.fetch(download, note)
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)

    # Styles, which those wait for who asked for them.

    async def _begin_what_is_asked_for(self) -> None:
        if not self._styles:
            return
        for job in await self._bench.jobs.waiting_for(self.unfetched, limit=SHOWN):
            for name in _drawn_with(job) & self.unfetched:
                failure = self._failures.get(name)
                if name not in self._fetches and failure is not None and self._bench.timer() < failure.until:
                    await self._refuse(job, failure)
                    continue
                self._want(name, job)
                if name not in self._fetches:
                    self._fetches[name] = asyncio.create_task(self._fetch(name), name=f"fetch-{name}")

    def _want(self, name: str, job: Job) -> None:
        """Its card says so at once, however long the hub takes to answer."""
        wanted = self._wanted.setdefault(name, {})
        if job.id not in wanted:
            wanted[job.id] = job
            self._show((job,), self._newest.get(name, Transfer(title=self._styles[name][1].title)))

    async def _fetch(self, name: str) -> None:
        style, download = self._styles[name]
        try:
            async with self._places:
                log.info("Fetching %s from the hub (%s)", download.title, download.repo)
                await self._bench.hub.fetch(download, lambda transfer: self._on_transfer(name, transfer))
        except DownloadError as error:
            log.warning("The style %s cannot be used: it %s", download.title, error.fault)
            await self._fail(name, style)
        except Exception as error:  # noqa: BLE001  # a download that broke must end with an answer, too
            log_incident(log, self._bench.metrics, f"Fetching {download.title} broke off", error)
            await self._fail(name, style)
        else:
            self._failures.pop(name, None)
            del self._styles[name]
            await self._show_again(self._wanted.pop(name, {}).values())
            self._bench.on_fetched()
        finally:
            self._fetches.pop(name, None)
            self._newest.pop(name, None)

    def _on_transfer(self, name: str, transfer: Transfer) -> None:
        self._newest[name] = transfer
        self._show(self._wanted.get(name, {}).values(), transfer)

    async def _fail(self, name: str, style: Style) -> None:
        times = self._failures[name].times + 1 if name in self._failures else 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (times - 1))
        sentence = _unusable(style.title, pause)
        failure = self._failures[name] = _Failure(times=times, until=self._bench.timer() + pause, sentence=sentence)
        self._wanted.pop(name, None)
        while waiting := [job for job in await self._bench.jobs.waiting_for((name,), limit=SHOWN) if name in _drawn_with(job)]:
            for job in waiting:
                await self._refuse(job, failure)

    async def _refuse(self, job: Job, failure: _Failure) -> None:
        if await self._bench.jobs.fail_waiting(job.id, failure.sentence, now=self._bench.clock.now()):
            self._bench.metrics.finished.labels(outcome="failed").inc()
            self._bench.on_ended()

    # Cards.

    def _show(self, jobs: Iterable[Job], transfer: Transfer) -> None:
        for job in jobs:
            self._bench.live.on_progress(job, Progress(phase=Phase.FETCHING, transfer=transfer))

    async def _show_again(self, jobs: Iterable[Job]) -> None:
        """Their place in the queue."""
        for job in jobs:
            await self._bench.live.show(job)


def _unusable(title: str, pause: float) -> Message:
    return counted(
        "I couldn't download the style **{style}**. Choose another style, or try again in a minute.",
        "I couldn't download the style **{style}**. Choose another style, or try again in {count} minutes.",
        max(1, round(pause / 60)),
        style=title,
    )


def _drawn_with(job: Job) -> frozenset[str]:
    """The names of the job's styles that are felt in its pictures."""
    return frozenset(style.name for style in job.request.styles if style.weight)
