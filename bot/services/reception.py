"""The reception: a request is checked, priced and stored first; the first answer comes second, and is the queued card."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Final

from bot.domain.card import JobCard
from bot.domain.delivery import REFUSED_HERE, DeliveryFault
from bot.domain.job import Job, Origin, ReplyTarget
from bot.errors import InvalidRequestError
from bot.messages import translatable
from bot.ports import Clock, FirstAnswer, JobRepository, MessengerError, Submission
from bot.services.cards import CardAssembler
from bot.services.first_answers import OUTCOME_UNKNOWN, FirstAnswers
from bot.services.live_cards import LiveCards
from bot.services.request_builder import PreparedJob
from bot.services.submission import Submitter
from bot.services.worker import Worker

PATIENCE: Final = 1.5  # seconds that a job gets to be stored before its member is told that it is slow; Discord gives 3
LONGEST_WAIT: Final = 60.0  # seconds after which that member was promised that nothing was taken

TOO_SLOW = translatable(
    "I'm too slow right now, so I didn't take your request. You weren't charged. Try again in a few minutes."
)

log = logging.getLogger(__name__)


class Asked(Enum):
    """Whether the member was asked for patience; that answer may have got lost."""

    NO = auto()
    PERHAPS = auto()
    YES = auto()


class Reception:
    """Takes requests in for interactions that have no answer yet.

    Kill the process at any moment: what is stored and was not shown is found by the next start (`FirstAnswers`).
    """

    def __init__(
        self,
        *,
        submitter: Submitter,
        first_answers: FirstAnswers,
        jobs: JobRepository,
        cards: CardAssembler,
        live: LiveCards,
        worker: Worker,
        clock: Clock,
        patience: float = PATIENCE,
    ) -> None:
        self._submitter = submitter
        self._first_answers = first_answers
        self._jobs = jobs
        self._cards = cards
        self._live = live
        self._worker = worker
        self._clock = clock
        self._patience = patience

    async def take_in(
        self, propose: Callable[[], Awaitable[PreparedJob]], origin: Origin, reply: ReplyTarget, answer: FirstAnswer
    ) -> None:
        """Store what `propose` makes, then answer with its card. A replayed event changes nothing.

        Raises UserError where it is refused; whoever catches that answers with the sentence.
        """
        storing = asyncio.create_task(self._store(propose, origin, reply), name=f"store-{origin.interaction_id}")
        with self._first_answers.in_hand(origin.interaction_id, storing):
            asked = await self._ask_for_patience(storing, answer)
            submission = await asyncio.shield(storing)
            if submission.created:
                await self._show(submission.job, answer, asked)

    async def _store(self, propose: Callable[[], Awaitable[PreparedJob]], origin: Origin, reply: ReplyTarget) -> Submission:
        async with self._submitter.turn(origin.user_id):
            return await self._submitter.submit(await propose(), origin, reply)

    async def _ask_for_patience(self, storing: asyncio.Task[Submission], answer: FirstAnswer) -> Asked:
        await asyncio.wait({storing}, timeout=max(0.0, self._patience - answer.waited))
        if storing.done():
            return Asked.NO
        log.warning("Storing a request takes longer than %.1f s; its member is asked for patience", self._patience)
        try:
            await answer.ask_for_patience()
        except MessengerError as error:
            log.debug("The member of a slow request could not be told: %s", error)
            return Asked.PERHAPS
        return Asked.YES

    async def _show(self, job: Job, answer: FirstAnswer, asked: Asked) -> None:
        if asked is not Asked.NO and answer.waited > LONGEST_WAIT:
            await self._jobs.withdraw(job.id, now=self._clock.now())
            raise InvalidRequestError(TOO_SLOW)
        card = await self._cards.live(job)
        try:
            message_id = await _send(answer, card, asked)
        except MessengerError as error:
            await self._conclude_fault(job, error)
            return
        await self._jobs.set_shown(job.id, message_id=message_id, now=self._clock.now())
        await self._live.opened(job, card.position)
        self._worker.wake()

    async def _conclude_fault(self, job: Job, error: MessengerError) -> None:
        """Raises the error where Discord refuses the card itself, which is a mistake of ours."""
        log.debug("The first answer to interaction %s: %s", job.origin.interaction_id, error)
        if error.fault in OUTCOME_UNKNOWN:
            self._first_answers.find_out(job.id)
        elif error.fault is DeliveryFault.ALREADY_ANSWERED:  # by our own earlier try, whose answer was lost
            await self._first_answers.shown(job, message_id=None)
        else:
            await self._jobs.withdraw(job.id, now=self._clock.now())
            if error.fault not in REFUSED_HERE:
                raise error
            log.info("Discord refused the first answer to interaction %s (%s)", job.origin.interaction_id, error.fault)


async def _send(answer: FirstAnswer, card: JobCard, asked: Asked) -> int | None:
    """Show the card, after the private sentence where there is one; returns its message id."""
    if asked is Asked.YES:
        return await answer.follow_up(card)
    try:
        return await answer.show(card)
    except MessengerError as error:
        if error.fault is DeliveryFault.ALREADY_ANSWERED and asked is not Asked.NO:  # the sentence came through after all
            return await answer.follow_up(card)
        raise
