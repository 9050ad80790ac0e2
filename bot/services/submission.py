"""How a checked request becomes a job: the one way in, open until the operator drains the bot or the disk is full."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final

from bot.domain.job import NewJob, Origin, ReplyTarget
from bot.domain.quota import Limits
from bot.errors import NotAllowedError, UserError
from bot.messages import translatable
from bot.metrics import Metrics
from bot.ports import Clock, ImageStore, JobRepository, Submission
from bot.services.bounds import Places
from bot.services.disk_space import DiskSpace
from bot.services.gate import Gate
from bot.services.live_cards import LiveCards
from bot.services.request_builder import PreparedJob
from bot.services.worker import Worker

CLOSED = translatable(
    "I'm about to restart. I'll finish what's in the queue, but can't take new pictures right now. Try again in a few minutes."
)
A_MEMBER: Final = 100  # requests of one member that are checked and stored, or wait for that; each is done within milliseconds
IN_ALL: Final = 2_000
OWN_FULL = translatable("I'm still working through your other requests. Wait for my answers, then try again.")
ALL_FULL = translatable("Too many people are asking me at once. Try again in a few seconds.")


class Submitter:
    """Asks the gate, and stores the job with its price reserved."""

    def __init__(
        self,
        *,
        jobs: JobRepository,
        gate: Gate,
        room: DiskSpace,
        store: ImageStore,
        worker: Worker,
        live: LiveCards,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._jobs = jobs
        self._gate = gate
        self._room = room
        self._store = store
        self._worker = worker
        self._live = live
        self._clock = clock
        self._metrics = metrics
        self._is_open = True
        self._turns = Places(a_member=A_MEMBER, at_once=IN_ALL, in_all=IN_ALL, own_full=OWN_FULL, all_full=ALL_FULL)

    def close(self) -> None:
        """Take nothing new from now on, until the process ends."""
        self._is_open = False

    def turn(self, user_id: int) -> AbstractAsyncContextManager[None]:
        """Hold it while a new request is checked and stored: a member's requests come to the writer one at a time, so that
        whoever sends sixty at once lets nobody else wait for more than one of them. Raises QuotaError at once.
        """
        return self._turns.take(user_id)

    async def admit(self, proposal: PreparedJob, origin: Origin, reply: ReplyTarget) -> tuple[NewJob, Limits]:
        """Ask the gate; returns the job as it may be stored, and what its member may use.

        Raises NotAllowedError, InvalidRequestError.
        """
        await self._check_open()
        return await self._admitted(proposal, origin, reply)

    async def submit(
        self, proposal: PreparedJob, origin: Origin, reply: ReplyTarget, *, from_intake: bool = False
    ) -> Submission:
        """Store the job in one transaction; an interaction that was seen before gives the job it made then.

        A file that it starts from is stored once rights and credits are known to suffice, and goes again if the job is refused.
        `from_intake`: it was let in before, and its intake ends with it; one that was taken back meanwhile is refused.

        Where the reply names no message yet, nothing is drawn before the member was shown the job (`Reception`).
        Raises QuotaError, NotAllowedError.
        """
        if not from_intake:
            await self._check_open()
        new, limits = await self._admitted(proposal, origin, reply)
        new = replace(new, from_intake=from_intake)
        if proposal.upload is None:
            submission = await self._jobs.add(new, limits=limits, now=self._clock.now())
        else:
            submission = await self._add_with_file(new, proposal.upload, limits)
        if submission.created:
            self._metrics.submitted.labels(relation=proposal.parent.relation if proposal.parent else "new").inc()
            if submission.job.shown_at is not None:
                await self._live.show(submission.job)
                self._worker.wake()
        return submission

    async def _check_open(self) -> None:
        if not self._is_open:
            raise NotAllowedError(CLOSED)
        await self._room.check()

    async def _admitted(self, proposal: PreparedJob, origin: Origin, reply: ReplyTarget) -> tuple[NewJob, Limits]:
        permit = await self._gate.admit(proposal.request, origin)
        request = replace(proposal.request, rating=permit.showing.rating)
        new = NewJob(
            request=request,
            origin=origin,
            reply=reply,
            parent=proposal.parent,
            showing=permit.showing,
            language=permit.language,
        )
        return new, permit.limits

    async def _add_with_file(self, new: NewJob, upload: bytes, limits: Limits) -> Submission:
        """Nothing is written for who may not draw; a file without a job is left behind by a crash only (the sweep takes it)."""
        start = new.request.init_image
        assert start is not None, "a file that nothing starts from"
        await self._jobs.check(new, limits=limits, now=self._clock.now())
        key = await self._store.save_upload(upload, interaction_id=new.origin.interaction_id)
        new = replace(new, request=replace(new.request, init_image=replace(start, key=key)))
        try:
            return await self._jobs.add(new, limits=limits, now=self._clock.now())
        except UserError:
            await self._store.delete([key])
            raise
