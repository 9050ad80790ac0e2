"""Cancelling and deleting: what only a job's owner and the moderators of its server may do."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bot.domain.job import Actor, Job, JobId, JobStatus
from bot.domain.policy import JOB_GONE
from bot.errors import InvalidRequestError, NotAllowedError, NotFoundError, UserError
from bot.messages import translatable
from bot.ports import Clock, ImageStore, JobRepository, Messenger, MessengerError
from bot.services.delivery import Delivery
from bot.services.live_cards import LiveCards
from bot.services.report_display import ReportDisplay
from bot.services.worker import Worker

NOT_YOURS = translatable("Only the person who made this picture, or a moderator, can do that.")
CANCELLED = translatable("This is already cancelled.")
ENDED = translatable("This is already finished, so there's nothing left to cancel.")
CARD_STAYS = translatable("I deleted the pictures, but Discord didn't let me delete the message. Please delete it yourself.")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """The two ways to get rid of a job."""

    jobs: JobRepository
    store: ImageStore
    messenger: Messenger
    worker: Worker
    delivery: Delivery
    live: LiveCards
    reports: ReportDisplay
    clock: Clock

    async def cancel(self, job_id: JobId, actor: Actor) -> Job:
        """Stop a job that waits or runs and return it as it is then; its card is delivered like a result.

        Raises NotFoundError, NotAllowedError, InvalidRequestError when it ended before.
        """
        job = await self._removable(job_id, actor)
        if job.deleted_at is not None:
            raise NotFoundError(JOB_GONE)
        if not await self._cancel(job, actor):
            ended = await self._removable(job_id, actor)
            raise InvalidRequestError(CANCELLED if ended.status is JobStatus.CANCELLED else ENDED)
        return await self._removable(job_id, actor)

    async def cancel_all(self, user_id: int, guild_id: int) -> int:
        """Stop all that a member waits for in a server, and say how many jobs that were; whether one may is the caller's."""
        cancelled = await self.jobs.cancel_all(user_id, guild_id=guild_id, now=self.clock.now())
        for job_id in cancelled:
            self.worker.abort_job(job_id)
        self.delivery.wake()
        return len(cancelled)

    async def delete(self, job_id: JobId, actor: Actor) -> bool:
        """Remove card and pictures, cancelling first where the job still waits or runs, and close the report about them.

        The order: the database first, so that no delivery starts any more; then the card, which a delivery under way may
        have moved; then the files, and what moderators are shown. A deletion that was cut off can be repeated.
        False: the message of the report stays as it was. Raises NotFoundError, NotAllowedError, UserError when the card stays.
        """
        job = await self._removable(job_id, actor)
        if job.deleted_at is not None and job.reply.message_id is None:  # where its card is was forgotten, by an erasure
            raise NotFoundError(JOB_GONE)
        if job.status.is_waiting:
            await self._cancel(job, actor)
        keys = await self.jobs.mark_deleted(job_id, by=actor.user_id, now=self.clock.now())
        self.delivery.wake()
        await self.live.close(job_id)
        await self.delivery.settle(job_id)
        shown = await self.jobs.get(job_id)
        try:
            await self.messenger.delete((shown or job).reply)
        except MessengerError as error:
            log.info("Card of deleted job %s stays: %s", job_id, error)
            raise UserError(CARD_STAYS) from None
        finally:
            await self.store.delete(keys)
            told = await self.reports.show_end(job_id)
        return told

    async def _cancel(self, job: Job, actor: Actor) -> bool:
        """The database first, then the drawing: a step that is under way then is not paid for. Moderators' cancels are free."""
        taken = self.worker.steps_taken(job.id) if actor.owns(job) else None
        if not job.status.is_waiting or not await self.jobs.cancel(job.id, now=self.clock.now(), taken=taken):
            return False
        self.worker.abort_job(job.id)
        self.delivery.wake()
        return True

    async def _removable(self, job_id: JobId, actor: Actor) -> Job:
        """Raises the same for a job that is not theirs as for one that is not: whoever may do nothing learns nothing."""
        job = await self.jobs.get(job_id)
        if job is not None and actor.may_remove(job):
            return job
        raise NotFoundError(JOB_GONE) if actor.moderates else NotAllowedError(NOT_YOURS)
