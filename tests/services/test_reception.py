"""A request is stored first and answered second, and nothing is drawn or posted that nobody was shown."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from bot.domain.card import JobCard
from bot.domain.delivery import REFUSED_HERE, DeliveryFault, SeenAnswer
from bot.domain.job import JobStatus
from bot.domain.quota import Limits
from bot.domain.request import Draft
from bot.errors import InvalidRequestError, QuotaError
from bot.ports import MessengerError
from bot.services import reception
from bot.services.generation import Start
from bot.storage.intakes import SqliteIntakes
from bot.storage.jobs import SqliteJobs
from tests.examples import MEMBER, OTHER, new_job, origin, reply
from tests.services.harness import ServicesHarness, fault, until

LOST = fault(DeliveryFault.UNAVAILABLE)
TOO_LATE = fault(DeliveryFault.TOKEN_DEAD)
ANSWERED = fault(DeliveryFault.ALREADY_ANSWERED)
NOWHERE = reply(message_id=None)


@dataclass
class FakeAnswer:
    """Implements ports.FirstAnswer; each call takes the next of `faults` (None: it is carried out)."""

    faults: deque[MessengerError | None] = field(default_factory=deque)
    waited: float = 0.0
    said: list[str] = field(default_factory=list)
    cards: list[JobCard] = field(default_factory=list)

    async def show(self, card: JobCard) -> int | None:
        self._do("card", card)
        return 40

    async def ask_for_patience(self) -> None:
        self._do("patience")

    async def think(self) -> int | None:
        self._do("thinking")
        return 42

    async def refuse(self, sentence: str) -> None:
        self._do(sentence)

    async def follow_up(self, card: JobCard) -> int:
        self._do("follow-up", card)
        return 41

    def _do(self, what: str, card: JobCard | None = None) -> None:
        self.said.append(what)
        problem = self.faults.popleft() if self.faults else None
        if problem is not None:
            raise problem
        if card is not None:
            self.cards.append(card)


def failing(*faults: MessengerError | None) -> FakeAnswer:
    return FakeAnswer(faults=deque(faults))


async def take_in(harness: ServicesHarness, answer: FakeAnswer, number: int = 1, *, prompt: str = "a hat") -> None:
    who = origin(number)
    propose = partial(harness.services.generation.propose, Draft(prompt=prompt), who)
    await harness.services.generation.take_in(propose, who, NOWHERE, answer)


async def stored(harness: ServicesHarness, number: int = 1) -> Any:
    ids = await harness.database.read(
        lambda c: [row["id"] for row in c.execute("SELECT id FROM jobs WHERE interaction_id = ?", (number,))]
    )
    return await harness.job(ids[0]) if ids else None


async def spent_and_reserved(harness: ServicesHarness) -> tuple[int, int]:
    return await harness.database.read(
        lambda c: tuple(c.execute("SELECT TOTAL(spent), TOTAL(reserved) FROM ledger").fetchone())
    )


async def test_the_first_answer_is_the_card_of_a_job_that_is_on_disk_already(harness: ServicesHarness):
    answer = FakeAnswer()
    seen: list[object] = []
    show = answer.show

    async def looking(card: JobCard) -> int | None:
        seen.append((await harness.job(card.job.id)).status)
        assert (
            await harness.jobs.claim(now=harness.clock.now(), lease_until=harness.clock.now() + timedelta(seconds=9), batch=64)
            is None
        )
        return await show(card)

    answer.show = looking  # type: ignore[method-assign]
    await take_in(harness, answer)

    job = await stored(harness)
    assert seen == [JobStatus.QUEUED]
    assert answer.said == ["card"]
    assert (answer.cards[0].job.id, answer.cards[0].position.ahead) == (job.id, 0)
    assert (job.reply.message_id, job.shown_at) == (40, harness.clock.now())
    assert harness.messenger.calls == []
    assert (await harness.claim()).id == job.id


async def test_what_is_refused_gets_no_other_answer_and_no_job(harness: ServicesHarness):
    harness.limits = Limits(daily_credits=1)
    answer = FakeAnswer()

    await take_in(harness, answer)
    with pytest.raises(QuotaError):
        await take_in(harness, answer, 2)
    with pytest.raises(InvalidRequestError):
        await take_in(harness, answer, 3, prompt=" ")

    assert answer.said == ["card"]
    assert await stored(harness, 2) is None


async def test_a_replayed_event_changes_nothing(harness: ServicesHarness):
    await take_in(harness, FakeAnswer())
    again = FakeAnswer()

    await take_in(harness, again)

    assert again.said == []
    assert (await harness.jobs.waiting(MEMBER, limit=9)).total == 1


@pytest.mark.parametrize("kind", [*sorted(REFUSED_HERE), DeliveryFault.REFUSED])
async def test_a_first_answer_that_is_refused_for_good_cancels_the_job_at_once(harness: ServicesHarness, kind: DeliveryFault):
    answer = failing(fault(kind))

    if kind is DeliveryFault.REFUSED:  # a mistake of ours: it is reported like every bug
        with pytest.raises(MessengerError):
            await take_in(harness, answer)
    else:
        await take_in(harness, answer)

    job = await stored(harness)
    assert job.status is JobStatus.CANCELLED
    assert (await spent_and_reserved(harness)) == (0, 0)
    assert not await harness.is_open(job)
    assert await harness.services.delivery.deliver_due() == 0
    assert harness.messenger.calls == []


async def test_answered_before_counts_as_answered(harness: ServicesHarness):
    """Our own first try came through and only its outcome was lost."""
    await take_in(harness, failing(ANSWERED))

    job = await stored(harness)
    assert job.shown_at is not None
    assert (await harness.claim()).id == job.id
    await until(lambda: harness.messenger.ways == ["edit_by_token"])  # which learns the message's id


async def finding_out(harness: ServicesHarness) -> None:
    """A round of looking, after the time that a first answer may be on its way."""
    harness.clock.advance(10)
    await harness.services.first_answers.look()


async def test_a_lost_outcome_is_found_out_by_the_token(harness: ServicesHarness):
    await take_in(harness, failing(LOST))
    job = await stored(harness)
    assert (job.status, job.shown_at) == (JobStatus.QUEUED, None)

    await finding_out(harness)

    assert (await stored(harness)).reply.message_id == 500
    assert (await harness.claim()).id == job.id


async def test_a_lost_outcome_is_looked_up_in_the_channel_where_the_token_is_dead(harness: ServicesHarness):
    await take_in(harness, failing(LOST))
    harness.messenger.fail("first_answer", TOO_LATE)
    harness.messenger.found = 77

    await finding_out(harness)

    assert harness.messenger.ways[:2] == ["first_answer", "find_post"]
    assert (await stored(harness)).reply.message_id == 77


async def test_what_nobody_was_shown_is_cancelled_and_refunded_and_nothing_is_posted(harness: ServicesHarness):
    await take_in(harness, failing(LOST))
    harness.messenger.fail("first_answer", TOO_LATE)

    await finding_out(harness)

    job = await stored(harness)
    assert job.status is JobStatus.CANCELLED
    assert (await spent_and_reserved(harness)) == (0, 0)
    assert await harness.services.delivery.deliver_due() == 0
    assert harness.messenger.ways == ["first_answer", "find_post"]


async def test_an_answer_that_may_still_be_on_its_way_is_waited_for(harness: ServicesHarness):
    await take_in(harness, failing(LOST))
    harness.messenger.fail("first_answer", TOO_LATE)

    await harness.services.first_answers.look()
    assert (await stored(harness)).status is JobStatus.QUEUED

    await finding_out(harness)
    assert (await stored(harness)).reply.message_id == 500


async def test_an_outage_decides_nothing(harness: ServicesHarness):
    await take_in(harness, failing(LOST))
    harness.messenger.fail("first_answer", LOST, fault(DeliveryFault.RATE_LIMITED))

    for status in (JobStatus.QUEUED, JobStatus.QUEUED):
        await finding_out(harness)
        assert (await stored(harness)).status is status
    await finding_out(harness)

    assert (await stored(harness)).shown_at is not None


async def test_a_deleted_card_was_shown(harness: ServicesHarness):
    await take_in(harness, failing(LOST))
    harness.messenger.fail("first_answer", fault(DeliveryFault.MESSAGE_GONE))

    await finding_out(harness)

    assert (await stored(harness)).shown_at is not None


async def test_a_start_takes_up_every_job_that_a_kill_left_unanswered(harness: ServicesHarness):
    shown = await harness.add(1)
    new = new_job(2, reply=NOWHERE)
    unshown = (await harness.jobs.add(new, limits=harness.limits, now=harness.clock.now())).job
    harness.clock.advance(10)
    harness.messenger.fail("first_answer", TOO_LATE)
    harness.build()
    running = asyncio.create_task(harness.services.first_answers.run())

    await harness.wait_for(JobStatus.CANCELLED, unshown)

    harness.services.first_answers.stop()
    await running
    assert await harness.status(shown) is JobStatus.QUEUED


async def test_a_door_that_breaks_leaves_its_job_to_be_found_out(harness: ServicesHarness):
    answer = FakeAnswer()

    async def breaks(card: JobCard) -> int | None:
        raise RuntimeError("a bug")

    answer.show = breaks  # type: ignore[method-assign]
    with pytest.raises(RuntimeError):
        await take_in(harness, answer)
    harness.messenger.seen = SeenAnswer(message_id=3, is_private=True)  # "Something went wrong on my side"
    await asyncio.sleep(0)

    await finding_out(harness)

    assert (await stored(harness)).status is JobStatus.CANCELLED


async def test_cancelled_meanwhile_and_not_shown_ends_without_a_message(harness: ServicesHarness):
    await take_in(harness, failing(LOST))
    job = await stored(harness)
    assert await harness.jobs.cancel(job.id, now=harness.clock.now())
    assert await harness.services.delivery.deliver_due() == 0
    harness.messenger.fail("first_answer", TOO_LATE)

    await finding_out(harness)

    assert await harness.services.delivery.deliver_due() == 0
    assert await harness.repositories.outbox.next_due() is None


async def test_cancelled_meanwhile_and_shown_after_all_gets_its_end_at_once(harness: ServicesHarness):
    harness.start_delivery()
    await take_in(harness, failing(LOST))
    job = await stored(harness)
    assert await harness.jobs.cancel(job.id, now=harness.clock.now())
    harness.services.delivery.wake()
    await until(lambda: harness.clock.sleeping >= 1)  # it has looked, and found nothing that may be shown

    await finding_out(harness)

    await until(lambda: [card.job.status for card in harness.cards()] == [JobStatus.CANCELLED])


@pytest.mark.parametrize("answers", [(), (LOST, LOST)], ids=["at the first look", "at the third"])
async def test_a_clock_that_is_set_back_holds_up_no_first_answer(harness: ServicesHarness, answers: tuple[MessengerError, ...]):
    await take_in(harness, failing(LOST))
    harness.messenger.fail("first_answer", *answers, TOO_LATE)
    for _ in answers:
        await finding_out(harness)

    harness.clock.set_back(timedelta(hours=1))
    await finding_out(harness)

    assert (await stored(harness)).status is JobStatus.CANCELLED


@pytest.mark.parametrize("by", [timedelta(days=365), timedelta(hours=1)], ids=["a year", "an hour"])
async def test_a_clock_that_is_set_ahead_takes_no_job_back_that_was_shown(harness: ServicesHarness, by: timedelta):
    """In a private thread or a direct message only the token tells, and its answer may still be on its way."""
    await take_in(harness, failing(LOST))
    harness.messenger.fail("first_answer", TOO_LATE)

    harness.clock.set_ahead(by)
    await harness.services.first_answers.look()
    assert (await stored(harness)).status is JobStatus.QUEUED
    await finding_out(harness)

    assert (await stored(harness)).reply.message_id == 500


class Slow:
    """A disk that holds the writer until `let_go`."""

    def __init__(self, harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = asyncio.Event()
        add = harness.jobs.add

        async def held(*args: Any, **kwargs: Any) -> Any:
            await self.gate.wait()
            return await add(*args, **kwargs)

        monkeypatch.setattr(harness.jobs, "add", held)
        monkeypatch.setattr(harness.services.generation._reception, "_patience", 0.01)


async def slowly(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch, answer: FakeAnswer, *, waited: float = 2.0) -> None:
    slow = Slow(harness, monkeypatch)
    taking = asyncio.create_task(take_in(harness, answer))
    await until(lambda: bool(answer.said))
    assert answer.said == ["patience"]
    answer.waited = waited
    slow.gate.set()
    await taking


async def test_a_slow_disk_is_said_and_the_card_follows(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch):
    answer = FakeAnswer()

    await slowly(harness, monkeypatch, answer)

    assert answer.said == ["patience", "follow-up"]
    assert (await stored(harness)).reply.message_id == 41


async def test_a_refusal_comes_out_of_a_slow_disk_too(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch):
    harness.limits = Limits(daily_credits=0)
    answer = FakeAnswer()

    with pytest.raises(QuotaError):
        await slowly(harness, monkeypatch, answer)

    assert answer.said == ["patience"]


async def test_after_a_minute_nothing_is_taken(harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch):
    answer = FakeAnswer()

    with pytest.raises(InvalidRequestError, match="didn't take your request"):
        await slowly(harness, monkeypatch, answer, waited=reception.LONGEST_WAIT + 1)

    assert answer.said == ["patience"]
    assert (await stored(harness)).status is JobStatus.CANCELLED


@pytest.mark.parametrize(
    ("faults", "said"),
    [
        ((LOST, ANSWERED), ["patience", "card", "follow-up"]),  # the sentence came through
        ((LOST, None), ["patience", "card"]),  # it did not
    ],
)
async def test_a_sentence_whose_outcome_is_lost(
    harness: ServicesHarness, monkeypatch: pytest.MonkeyPatch, faults: tuple[MessengerError | None, ...], said: list[str]
):
    answer = failing(*faults)

    await slowly(harness, monkeypatch, answer)

    assert answer.said == said
    assert (await stored(harness)).shown_at is not None


async def test_a_private_sentence_is_not_taken_for_the_card(harness: ServicesHarness):
    """Killed between the sentence and the card: the sentence says that nothing was taken when no card comes."""
    await take_in(harness, failing(LOST))
    harness.messenger.seen = SeenAnswer(message_id=3, is_private=True)

    await finding_out(harness)

    assert (await stored(harness)).status is JobStatus.CANCELLED
    assert harness.messenger.ways == ["first_answer", "find_post"]


@pytest.mark.parametrize("with_picture", [False, True])
async def test_who_sends_many_requests_at_once_lets_another_wait_for_one_of_them_only(
    harness: ServicesHarness, with_picture: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is a transaction with a write to the disk, and the writer takes them in the order of coming."""
    at_the_writer: list[int] = []
    found_by_the_other: list[int] = []
    written: list[int] = []

    def noting(write: Callable[..., Any]) -> Callable[..., Any]:
        async def note(book: Any, *given: Any, limits: Limits, now: datetime) -> Any:
            new = given[-1]
            user_id = new.origin.user_id
            if new.from_intake:  # its turn came when it was opened
                return await write(book, *given, limits=limits, now=now)
            if user_id == OTHER:
                found_by_the_other.append(len(at_the_writer))
            at_the_writer.append(user_id)
            await asyncio.sleep(0.01)  # a slow disk
            try:
                return await write(book, *given, limits=limits, now=now)
            finally:
                at_the_writer.remove(user_id)
                written.append(user_id)

        return note

    monkeypatch.setattr(SqliteJobs, "add", noting(SqliteJobs.add))
    monkeypatch.setattr(SqliteIntakes, "open", noting(SqliteIntakes.open))
    generation = harness.services.generation

    async def ask(number: int, user_id: int) -> None:
        who = origin(number, user_id)
        propose = partial(generation.propose, Draft(prompt="a hat"), who)
        if with_picture:
            await generation.take_in_with_picture(propose, Start(url="a.png", strength=0.5), who, NOWHERE, FakeAnswer())
        else:
            await generation.take_in(propose, who, NOWHERE, FakeAnswer())

    async with asyncio.TaskGroup() as crowd:
        for number in range(1, 41):
            crowd.create_task(ask(number, MEMBER))
        await until(lambda: len(written) > 5)
        crowd.create_task(ask(99, OTHER))

    assert found_by_the_other[0] <= 1
