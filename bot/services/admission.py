"""How a checked request becomes a job: the one way in, open until the operator drains the bot."""

from __future__ import annotations

from dataclasses import replace

from bot.domain.job import NewJob, Origin, ReplyTarget
from bot.errors import NotAllowedError
from bot.ports import Clock, JobRepository, Submission
from bot.services.gate import Gate
from bot.services.live_cards import LiveCards
from bot.services.proposals import Proposal
from bot.services.worker import Worker
from bot.telemetry import Metrics

CLOSED = "My host is about to stop me: I finish what already waits, and take nothing new. Try again later."


class Admission:
    """Asks the gate, and stores the job with its price reserved."""

    def __init__(
        self, *, jobs: JobRepository, gate: Gate, worker: Worker, live: LiveCards, clock: Clock, metrics: Metrics
    ) -> None:
        self._jobs = jobs
        self._gate = gate
        self._worker = worker
        self._live = live
        self._clock = clock
        self._metrics = metrics
        self._is_open = True

    def close(self) -> None:
        """Take nothing new from now on, until the process ends."""
        self._is_open = False

    async def submit(self, proposal: Proposal, origin: Origin, reply: ReplyTarget) -> Submission:
        """Store the job in one transaction; an interaction that was seen before gives the job it made then.

        Raises QuotaError, NotAllowedError.
        """
        if not self._is_open:
            raise NotAllowedError(CLOSED)
        permit = await self._gate.admit(proposal.request, origin)
        request = replace(proposal.request, rating=permit.showing.rating)
        new = NewJob(request=request, origin=origin, reply=reply, parent=proposal.parent, showing=permit.showing)
        submission = await self._jobs.add(new, limits=permit.limits, now=self._clock.now())
        if submission.created:
            self._metrics.submitted.labels(relation=proposal.parent.relation if proposal.parent else "new").inc()
            await self._live.show(submission.job)
            self._worker.wake()
        return submission
