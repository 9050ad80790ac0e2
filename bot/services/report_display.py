"""How moderators are shown a report: one message in the server's report channel, made from what is on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol
from weakref import WeakValueDictionary

from bot.domain.delivery import DeliveryFault
from bot.domain.image import ImageFile
from bot.domain.job import Job, JobId
from bot.domain.report import Complaint, Filed, Outcome, Report, ReportMessage, ReportNotice, Step
from bot.errors import UserError
from bot.metrics import Metrics
from bot.ports import ImageCodec, ImageStore, JobRepository, MessengerError
from bot.services.cards import describe
from bot.services.error_ids import log_incident as report_incident
from bot.services.guild_settings import GuildSettingsRepository, PostingRightsGateway

PORTION: Final = 50  # reports that are looked up at once
PICTURE_BYTES: Final = 4 * 1024 * 1024  # of a copy; four of them fit into one request

log = logging.getLogger(__name__)

_MOVED = frozenset({DeliveryFault.MESSAGE_GONE, DeliveryFault.CHANNEL_GONE})
_FOR_GOOD = _MOVED | {DeliveryFault.FORBIDDEN}


class ReportRepository(Protocol):
    """Reports on disk. Every method is one transaction."""

    async def file(self, complaint: Complaint, *, job_id: JobId, guild_id: int, most: int, since: datetime) -> Filed | None:
        """Add to the job's open report, or open one; who reported the job before gets that report.

        None, and nothing is stored, when the reporter has filed `most` complaints since `since`.
        """
        ...

    async def get(self, report_id: int) -> Report: ...

    async def latest(self, job_id: JobId) -> Report | None:
        """The open one, if there is one."""
        ...

    async def unseen(self, *, after: int, limit: int) -> tuple[int, ...]:
        """Open reports that no moderator was shown, oldest first, from the id `after` on."""
        ...

    async def outdated(self, *, after: int, limit: int) -> tuple[int, ...]:
        """Reports, open or closed, whose message shows something else, oldest first, from the id `after` on."""
        ...

    async def shown(self, report: Report, message: ReportMessage) -> None:
        """The message shows the report as it was read here, whatever came after that."""
        ...

    async def blocked(self, report_id: int, step: Step) -> None:
        """The author was blocked; the first time stays."""
        ...

    async def close(self, report_id: int, outcome: Outcome, step: Step) -> bool:
        """False when it was closed already."""
        ...


class ReportGateway(PostingRightsGateway, Protocol):
    """Shows reports to moderators; raises MessengerError."""

    async def post(self, channel_id: int, notice: ReportNotice) -> int:
        """Returns the message's id. The channel has to be one of the report's server: anything else is CHANNEL_GONE."""
        ...

    async def edit(self, message: ReportMessage, notice: ReportNotice) -> None:
        """Replaces the whole message, pictures too."""
        ...


class ReportDisplay:
    """Shows a report as it is on disk, so that anything that was cut off or refused can be done again.

    `board` None: there is no Discord, and nobody to show anything.
    """

    def __init__(
        self,
        *,
        records: ReportRepository,
        rules: GuildSettingsRepository,
        jobs: JobRepository,
        store: ImageStore,
        codec: ImageCodec,
        board: ReportGateway | None,
        metrics: Metrics,
    ) -> None:
        self._records = records
        self._rules = rules
        self._jobs = jobs
        self._store = store
        self._codec = codec
        self._board = board
        self._metrics = metrics
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def show(self, report_id: int) -> bool:
        """Post the report, or bring its message up to date; False when Discord did not let us.

        One after the other for one report, so that it gets one message, and the last change wins.
        """
        async with self._turn(report_id):
            report = await self._records.get(report_id)
            try:
                await self._post_or_edit(report)
            except MessengerError as error:
                await self._note(report, error)
                return False
        return True

    async def show_end(self, job_id: JobId) -> bool:
        """Bring the message of a closed report about the job up to date, where there is one; False as in `show`."""
        report = await self._records.latest(job_id)
        if report is None or report.is_open or report.message is None:
            return True
        return await self.show(report.id)

    async def refresh(self, report_ids: Sequence[int]) -> bool:
        """Bring the messages of those that are outdated up to date. A message that is gone stays gone.

        False when Discord refuses everything for now.

        Where pictures are no longer stored, an open report stays open: the card in the channel still shows them, and Remove
        takes it away.
        """
        for report_id in report_ids:
            async with self._turn(report_id):
                report = await self._records.get(report_id)
                if self._board is None or not report.is_outdated:
                    continue
                try:
                    await self._edit(report)
                except MessengerError as error:
                    await self._note(report, error)
                    if error.fault is DeliveryFault.RATE_LIMITED and error.retry_after is None:
                        return False
        return True

    async def mend(self) -> None:
        """Bring up to date every message that a crash or Discord kept from it. Never raises."""
        try:
            async for report_ids in _portions(self._records.outdated):
                if not await self.refresh(report_ids):
                    return
        except Exception as error:  # noqa: BLE001  # a busy database must not end the bot; the next hour tries again
            report_incident(log, self._metrics, "Reports that moderators see outdated could not be read", error)

    async def catch_up(self) -> None:
        """Show what an earlier process kept and did not show; once, after the login. Never raises."""
        try:
            async for report_ids in _portions(self._records.unseen):
                for report_id in report_ids:
                    await self.show(report_id)
        except Exception as error:  # noqa: BLE001  # a busy database must not end the bot; the next start tries again
            report_incident(log, self._metrics, "Reports that nobody was shown could not be read", error)
        await self.mend()

    def _turn(self, report_id: int) -> asyncio.Lock:
        return self._locks.setdefault(report_id, asyncio.Lock())

    async def _note(self, report: Report, error: MessengerError) -> None:
        """What is refused for good is not tried again."""
        log.warning("Report %d about job %s could not be shown: %s", report.id, report.job_id, error)
        if report.message is not None and error.fault in _FOR_GOOD:
            await self._records.shown(report, report.message)

    async def _post_or_edit(self, report: Report) -> None:
        try:
            if await self._edit(report):
                return
        except MessengerError as error:
            if error.fault not in _MOVED or not report.is_open:
                raise
        notice, board = await self._notice(report)
        channel_id = (await self._rules.get(report.guild_id)).report_channel
        if channel_id is None:
            raise MessengerError(DeliveryFault.CHANNEL_GONE, "no report channel")
        message_id = await board.post(channel_id, notice)
        await self._records.shown(report, ReportMessage(channel_id=channel_id, message_id=message_id))

    async def _edit(self, report: Report) -> bool:
        """False when it has no message yet."""
        if report.message is None:
            return False
        notice, board = await self._notice(report)
        await board.edit(report.message, notice)
        await self._records.shown(report, report.message)
        return True

    async def _notice(self, report: Report) -> tuple[ReportNotice, ReportGateway]:
        job = await self._jobs.get(report.job_id)
        if job is None or self._board is None:
            raise MessengerError(DeliveryFault.UNAVAILABLE, "nothing to show, or nowhere")
        pictures = await self._pictures(job) if report.is_open else ()
        return ReportNotice(report=report, job=job, pictures=pictures), self._board

    async def _pictures(self, job: Job) -> tuple[ImageFile, ...]:
        """Copies of what is still there, small enough for one message."""
        if job.deleted_at is not None:
            return ()
        copies: list[ImageFile] = []
        for image in await self._jobs.images(job.id):
            try:
                file = ImageFile(name=f"report-{image.index + 1}.png", data=await self._store.read(image.key))
                copies.append(await self._codec.fit(replace(file, description=describe(job, image.index)), PICTURE_BYTES))
            except UserError:  # the file is lost, or cannot be made that small
                continue
        return tuple(copies)


class _Lookup(Protocol):
    async def __call__(self, *, after: int, limit: int) -> tuple[int, ...]: ...


async def _portions(look_up: _Lookup) -> AsyncIterator[tuple[int, ...]]:
    after = 0
    while report_ids := await look_up(after=after, limit=PORTION):
        yield report_ids
        after = report_ids[-1]
