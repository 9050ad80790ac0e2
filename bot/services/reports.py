"""Reports: a member tells the moderators of the server about a picture, and they do something about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bot.domain.job import Actor, Job, JobId, Origin
from bot.domain.moderation import moderated_guild
from bot.domain.policy import JOB_GONE, check_visible
from bot.domain.report import MAX_REPORTS, REPORT_WINDOW, Complaint, Outcome, Report, Step, checked_report
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError, UserError
from bot.messages import counted, translatable
from bot.ports import Clock, JobRepository
from bot.services.guild_settings import GuildSettingsRepository
from bot.services.moderation import Moderation
from bot.services.removal import Removal
from bot.services.report_display import ReportDisplay, ReportRepository

BLOCK_REASON: Final = "report"

NO_MODERATORS = translatable(
    "There are no moderators in direct messages to report to. You can delete your picture with **Delete**."
)
NO_CHANNEL = translatable(
    "This server has no report channel, so nobody would see your report. Please tell a moderator. "
    "Whoever manages the server can choose a channel with `/settings`."
)
OWN_PICTURE = translatable("This one's yours. You can delete it with **Delete**.")
TOO_MANY = counted(
    "You reported {count} picture in the last hour. Tell a moderator, or try again later.",
    "You reported {count} pictures in the last hour. Tell a moderator, or try again later.",
    MAX_REPORTS,
)
NOT_SHOWN = translatable(
    "I kept your report, but couldn't post it in this server's report channel. Please tell a moderator, too."
)
NO_REPORT = translatable("I don't know that report in this server.")
HANDLED = translatable("This report is already closed.")
BLOCKED_ALREADY = translatable("This member is already blocked from drawing here.")
MESSAGE_STAYS = translatable("That's done, but I couldn't update the report's message.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """What members and moderators do with reports; a report is on disk before anybody is shown it."""

    records: ReportRepository
    display: ReportDisplay
    rules: GuildSettingsRepository
    jobs: JobRepository
    moderation: Moderation
    removal: Removal
    clock: Clock

    async def check(self, job_id: JobId, origin: Origin) -> None:
        """Whether they may report the job; reads two rows, so it fits before the form.

        Raises NotFoundError for a job of elsewhere, InvalidRequestError for their own, NotAllowedError where nobody listens.
        """
        await self._reportable(job_id, origin)

    async def report(self, job_id: JobId, origin: Origin, reason: str) -> None:
        """Keep the complaint and show it to the moderators; a second one about the same picture joins the first.

        Raises as `check`, NotAllowedError after too many, UserError when it is kept but cannot be shown.
        """
        job = await self._reportable(job_id, origin)
        now = self.clock.now()
        complaint = Complaint(reporter_id=origin.user_id, reason=checked_report(reason), reported_at=now)
        filed = await self.records.file(
            complaint, job_id=job.id, guild_id=_guild_of(job), most=MAX_REPORTS, since=now - REPORT_WINDOW
        )
        if filed is None:
            raise NotAllowedError(TOO_MANY)
        if (filed.is_new or filed.report.message is None) and filed.report.is_open:
            await self._show(filed.report.id, NOT_SHOWN)

    async def remove(self, job_id: JobId, actor: Actor) -> None:
        """Remove the reported pictures and their card. Raises NotAllowedError, NotFoundError, InvalidRequestError.

        UserError: the pictures are gone, but Discord kept the card or the report's message as it was.
        """
        await self._open_report(job_id, actor)
        if not await self.removal.delete(job_id, actor):
            raise UserError(MESSAGE_STAYS)

    async def block_author(self, job_id: JobId, actor: Actor) -> None:
        """Block whoever asked for the picture, without an end. Raises as Moderation.block, and InvalidRequestError."""
        report = await self._report(job_id, actor)
        if not report.may_block:
            await self._show(report.id, MESSAGE_STAYS)  # an earlier change of the message may have failed
            raise InvalidRequestError(HANDLED if report.blocked is None else BLOCKED_ALREADY)
        job = await self.jobs.get(job_id)
        if job is None:
            raise NotFoundError(NO_REPORT)
        await self.moderation.block(actor, job.origin.user_id, reason=BLOCK_REASON)
        await self.records.blocked(report.id, self._step(actor))
        await self._show(report.id, MESSAGE_STAYS)

    async def dismiss(self, job_id: JobId, actor: Actor) -> None:
        """Nothing is wrong with the picture. Raises NotAllowedError, NotFoundError, InvalidRequestError."""
        await self._close(await self._open_report(job_id, actor), Outcome.DISMISSED, actor)

    async def _reportable(self, job_id: JobId, origin: Origin) -> Job:
        job = await self.jobs.get(job_id)
        if job is None or job.deleted_at is not None:
            raise NotFoundError(JOB_GONE)
        check_visible(job, origin)
        if origin.guild_id is None or origin.guild_id != job.origin.guild_id:
            raise NotAllowedError(NO_MODERATORS)
        if origin.user_id == job.origin.user_id:
            raise InvalidRequestError(OWN_PICTURE)
        if (await self.rules.get(origin.guild_id)).report_channel is None:
            raise NotAllowedError(NO_CHANNEL)
        return job

    async def _report(self, job_id: JobId, actor: Actor) -> Report:
        guild_id = moderated_guild(actor)
        report = await self.records.latest(job_id)
        if report is None or report.guild_id != guild_id:
            raise NotFoundError(NO_REPORT)
        return report

    async def _open_report(self, job_id: JobId, actor: Actor) -> Report:
        report = await self._report(job_id, actor)
        if not report.is_open:
            await self._show(report.id, MESSAGE_STAYS)  # an earlier change of the message may have failed
            raise InvalidRequestError(HANDLED)
        return report

    async def _close(self, report: Report, outcome: Outcome, actor: Actor) -> None:
        if not await self.records.close(report.id, outcome, self._step(actor)):
            raise InvalidRequestError(HANDLED)
        await self._show(report.id, MESSAGE_STAYS)

    async def _show(self, report_id: int, otherwise: str) -> None:
        """Raises UserError with the sentence `otherwise`."""
        if not await self.display.show(report_id):
            raise UserError(otherwise)

    def _step(self, actor: Actor) -> Step:
        return Step(by=actor.user_id, at=self.clock.now())


def _guild_of(job: Job) -> int:
    if job.origin.guild_id is None:
        raise NotAllowedError(NO_MODERATORS)
    return job.origin.guild_id
