"""Requests that come with a file: written down, answered, read, and only then stored; a start takes up every open one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol

from bot.domain.delivery import REFUSED_HERE, DeliveryFault, backoff
from bot.domain.intake import Intake
from bot.domain.job import NewJob, Origin, ReplyTarget
from bot.domain.language import Language
from bot.domain.quota import Limits
from bot.errors import InvalidRequestError, NotFoundError, UserError
from bot.messages import Message, message
from bot.metrics import Metrics
from bot.ports import Clock, FirstAnswer, Messenger, MessengerError
from bot.services.error_ids import log_incident
from bot.services.first_answers import IN_TRANSIT, OUTCOME_UNKNOWN
from bot.services.reception import PATIENCE, TOO_SLOW
from bot.services.request_builder import PreparedJob, RequestBuilder
from bot.services.submission import Submitter
from bot.services.uploads import UploadPlaces
from bot.services.wakeup import Sleep, WakeUp, rest

CALL_SECONDS: Final = 15.0
FAREWELL_SECONDS: Final = 2.0  # that files under way get on a stop; the next start goes on with the others
IDLE_SECONDS: Final = 60.0

LOST = message(
    "I was restarted while I read your picture and can't get it any more. You weren't charged. Please send the command again."
)

log = logging.getLogger(__name__)


class IntakeRepository(Protocol):
    """Open intakes on disk. A row goes with the transaction that stores its job (`JobRepository.add`), or by `close`."""

    async def open(self, intake: Intake, new: NewJob, *, limits: Limits, now: datetime) -> bool:
        """Write it down if `new`, the job that it would become, may be asked for now; False when it was known before.

        Raises QuotaError, also where the member has too many open; NotAllowedError for a member who is blocked.
        """
        ...

    async def set_message(self, interaction_id: int, message_id: int | None) -> None: ...

    async def all(self) -> tuple[Intake, ...]:
        """In the order of their coming."""
        ...

    async def close(self, interaction_id: int) -> None: ...


class AttachmentGateway(Protocol):
    """Files that members attached, at Discord."""

    async def fetch(self, url: str) -> bytes:
        """Raises InvalidRequestError where it cannot be had."""
        ...


class LostFileError(NotFoundError):
    """The file cannot be fetched, or not any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Where files come from, and how many are read at once. Without Discord there are none."""

    attachments: AttachmentGateway | None
    places: UploadPlaces


class Intakes:
    """Goes on with an intake whatever happens to the process. One that nobody was shown is forgotten: it cost nothing yet."""

    def __init__(
        self,
        *,
        repository: IntakeRepository,
        reading: Reading,
        submitter: Submitter,
        requests: RequestBuilder,
        messenger: Messenger,
        clock: Clock,
        metrics: Metrics,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._repository = repository
        self._reading = reading
        self._submitter = submitter
        self._requests = requests
        self._messenger = messenger
        self._clock = clock
        self._metrics = metrics
        self._sleep = sleep
        self._patience = PATIENCE
        self._signal = WakeUp()
        self._in_hand: dict[int, asyncio.Task[None]] = {}
        self._stopping = False
        # By when, in ticks, a first answer of unknown outcome has arrived: of this process, and any of an earlier one.
        self._arrived_by: dict[int, float] = {}
        self._arrived_before_us = clock.ticks() + IN_TRANSIT

    async def take_in(
        self, propose: Callable[[], Awaitable[PreparedJob]], url: str, origin: Origin, reply: ReplyTarget, answer: FirstAnswer
    ) -> None:
        """Check and write down what `propose` makes, answer "thinking…", read the file at `url`, store the job.

        A replayed event changes nothing. Raises UserError for what is refused before the answer; what is refused after it is
        said in that answer.
        """
        task = asyncio.create_task(self._take_in(propose, url, origin, reply, answer), name=f"intake-{origin.interaction_id}")
        if origin.interaction_id not in self._in_hand:
            self._in_hand[origin.interaction_id] = task
            task.add_done_callback(lambda _: self._ended(origin.interaction_id))
        await asyncio.shield(task)

    async def run(self) -> None:
        """Take up what an earlier process left, and what got stuck in this one, until `stop`."""
        attempts = 0
        while not self._stopping:
            woken = self._signal.listen()
            settled = await self.look()
            attempts = 0 if settled else attempts + 1
            await rest(woken, IDLE_SECONDS if settled else backoff(attempts, 0.5).total_seconds(), self._sleep)

    async def look(self) -> bool:
        """One round over all that is open and in nobody's hand; whether none of it is left."""
        try:
            found = [intake for intake in await self._repository.all() if intake.origin.interaction_id not in self._in_hand]
        except Exception as error:  # noqa: BLE001  # a database that is busy or full may answer later
            log_incident(log, self._metrics, "Open intakes could not be read", error)
            return False
        return all([await self._take_up_safely(intake) for intake in found])

    async def stop(self) -> None:
        """Give what is under way a moment; the next start goes on with the rest."""
        self._stopping = True
        self._signal.ring()
        tasks = set(self._in_hand.values())
        if tasks:
            await asyncio.wait(tasks, timeout=FAREWELL_SECONDS)

    async def _take_in(
        self, propose: Callable[[], Awaitable[PreparedJob]], url: str, origin: Origin, reply: ReplyTarget, answer: FirstAnswer
    ) -> None:
        opening = asyncio.create_task(self._open(propose, url, origin, reply), name=f"open-{origin.interaction_id}")
        is_slow = await self._asked_for_patience(opening, answer)
        intake = await opening
        if intake is None:
            return
        if is_slow:  # the job would have to be written too, and the answer is private
            await self._repository.close(origin.interaction_id)
            raise InvalidRequestError(TOO_SLOW)
        try:
            message_id = await answer.think()
        except MessengerError as error:
            await self._conclude_fault(intake, error)
            return
        try:
            await self._repository.set_message(origin.interaction_id, message_id)
            await self._finish(replace(intake, reply=replace(reply, message_id=message_id)))
        except UserError as error:
            await answer.refuse(error.sentence)  # if the process dies here, the next start says it
            await self._repository.close(origin.interaction_id)
        except Exception:  # a bug: it is reported to the member, and is no better at the next start
            await self._repository.close(origin.interaction_id)
            raise

    def _ended(self, interaction_id: int) -> None:
        self._in_hand.pop(interaction_id, None)
        self._signal.ring()  # what got stuck is taken up at once

    async def _asked_for_patience(self, opening: asyncio.Task[Intake | None], answer: FirstAnswer) -> bool:
        """Whether the disk is so slow that the member had to be told."""
        await asyncio.wait({opening}, timeout=max(0.0, self._patience - answer.waited))
        if opening.done():
            return False
        try:
            await answer.ask_for_patience()
        except MessengerError as error:
            log.debug("The member of a slow request could not be told: %s", error)
        return True

    async def _open(
        self, propose: Callable[[], Awaitable[PreparedJob]], url: str, origin: Origin, reply: ReplyTarget
    ) -> Intake | None:
        """None where the interaction was seen before."""
        async with self._submitter.turn(origin.user_id):
            proposal = await propose()
            new, limits = await self._submitter.admit(proposal, origin, reply)
            intake = Intake(origin=origin, reply=reply, request=proposal.request, url=url, asked_at=self._clock.now())
            return intake if await self._repository.open(intake, new, limits=limits, now=intake.asked_at) else None

    async def _conclude_fault(self, intake: Intake, error: MessengerError) -> None:
        """Raises the error where Discord refuses the answer itself, which is a mistake of ours."""
        log.debug("The first answer to interaction %s: %s", intake.origin.interaction_id, error)
        if error.fault in OUTCOME_UNKNOWN or error.fault is DeliveryFault.ALREADY_ANSWERED:
            self._arrived_by[intake.origin.interaction_id] = self._clock.ticks() + IN_TRANSIT
            return  # it is found out in the next round
        await self._repository.close(intake.origin.interaction_id)
        if error.fault not in REFUSED_HERE:
            raise error

    async def _finish(self, intake: Intake) -> None:
        """Raises UserError where there is no job; LostFileError where the file cannot be had."""
        start = intake.request.init_image
        assert start is not None, "an intake without a file"
        async with self._reading.places.take(intake.origin.user_id):
            data = await self._fetch(intake)
            proposal = await self._requests.with_upload(PreparedJob(request=intake.request), data, start.strength)
        await self._submitter.submit(proposal, intake.origin, intake.reply, from_intake=True)

    async def _fetch(self, intake: Intake) -> bytes:
        if self._reading.attachments is None:
            raise LostFileError(LOST)
        try:
            return await self._reading.attachments.fetch(intake.url)
        except UserError as error:
            raise LostFileError(error.sentence) from None

    async def _take_up_safely(self, intake: Intake) -> bool:
        interaction_id = intake.origin.interaction_id
        task = asyncio.create_task(self._take_up(intake), name=f"intake-{interaction_id}")
        self._in_hand[interaction_id] = task
        try:
            await task
        except MessengerError as error:
            log.debug("Open intake of interaction %s: %s", interaction_id, error)
            return False
        except Exception as error:  # noqa: BLE001  # one intake must not keep the others from their end
            log_incident(log, self._metrics, f"The intake of interaction {interaction_id} could not be taken up", error)
            return False
        finally:
            self._in_hand.pop(interaction_id, None)
        return True

    async def _take_up(self, intake: Intake) -> None:
        """Raises MessengerError where Discord has to be asked again."""
        message_id = await self._shown_in(intake)
        if message_id is not None:
            reply = replace(intake.reply, message_id=message_id)
            await self._repository.set_message(intake.origin.interaction_id, message_id)
            try:
                await self._finish(replace(intake, reply=reply))
            except UserError as error:
                said = LOST if isinstance(error, LostFileError) else error.sentence
                await self._say(reply, said, intake.origin.language)
            else:
                return
        await self._repository.close(intake.origin.interaction_id)
        self._arrived_by.pop(intake.origin.interaction_id, None)

    async def _shown_in(self, intake: Intake) -> int | None:
        """The message that still says "thinking…" to somebody; None where there is none.

        Discord says so itself, whatever the clock says of the token's age: it may have been stepped.
        """
        if intake.reply.token is None:
            return None
        try:
            async with asyncio.timeout(CALL_SECONDS):
                seen = await self._messenger.first_answer(intake.reply)
        except TimeoutError:
            raise MessengerError(DeliveryFault.UNAVAILABLE, "no answer in time") from None
        except MessengerError as error:
            arrived_by = self._arrived_by.get(intake.origin.interaction_id, self._arrived_before_us)
            on_its_way = error.fault is DeliveryFault.TOKEN_DEAD and self._clock.ticks() < arrived_by
            if error.fault in OUTCOME_UNKNOWN or on_its_way:
                raise
            return None
        return None if seen.is_private else seen.message_id

    async def _say(self, reply: ReplyTarget, sentence: Message, language: Language | None) -> None:
        try:
            async with asyncio.timeout(CALL_SECONDS):
                await self._messenger.say(reply, sentence, language=language)
        except TimeoutError:
            raise MessengerError(DeliveryFault.UNAVAILABLE, "no answer in time") from None
        except MessengerError as error:
            if error.fault in OUTCOME_UNKNOWN:
                raise
            log.info("A member could not be told that their picture was lost: %s", error)
