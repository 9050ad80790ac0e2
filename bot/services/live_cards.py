"""Live cards: what a member sees while the job waits and runs. Best effort; the final card belongs to delivery."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Container
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.domain.card import JobCard, QueuePosition
from bot.domain.delivery import NOT_LET_IN, DeliveryFault, Pause
from bot.domain.job import Job, JobId, ReplyTarget
from bot.domain.progress import Progress
from bot.ports import Clock, JobRepository, Messenger, MessengerError
from bot.services.cards import CardAssembler
from bot.services.wakeup import Sleep, rest

EDIT_INTERVAL = 2.5  # seconds between two edits of one card; Discord allows about 5 in 5 s for a whole channel
EDIT_TIMEOUT = 15.0  # seconds; delivery waits at most this long for a progress edit that hangs
LONG_AGO = timedelta(days=1)  # before any pause between two edits
BLOCKED_PAUSE = 60.0  # seconds without live edits after a refusal of everything

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _LiveCard:
    """What the next edit shows. `task` runs only while something is left to show. `looked_at` is when `position` was last
    shown or found true.
    """

    channel_id: int
    rests: Pause
    looked_at: datetime
    position: QueuePosition | None = None
    progress: Progress | None = None
    stale: bool = False
    closed: bool = False
    shows_preview: bool = True
    token_is_dead: bool = False
    nudge: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class LiveCards:
    """Edits the cards of jobs that wait or run: at most one edit a card in `interval` seconds, always the newest state.

    Before each edit the job is read again and a job that ended is left alone, so a late `show` cannot overwrite a final card.
    """

    def __init__(
        self,
        *,
        jobs: JobRepository,
        messenger: Messenger,
        cards: CardAssembler,
        clock: Clock,
        sleep: Sleep = asyncio.sleep,
        interval: float = EDIT_INTERVAL,
    ) -> None:
        self._jobs = jobs
        self._messenger = messenger
        self._cards = cards
        self._drawn = cards.drawn
        self._clock = clock
        self._sleep = sleep
        self._interval = timedelta(seconds=interval)
        self._open: dict[JobId, _LiveCard] = {}
        self._pause: Pause | None = None
        self._stopped = False

    async def opened(self, job: Job, position: QueuePosition | None) -> None:
        """Say that the card was shown this moment with this place, as the first answer: its next edit keeps the distance."""
        if job.id not in self._open:
            self._opened(job, rests=self._after(self._interval)).position = position

    async def show(self, job: Job) -> None:
        """Open the card, or start it afresh for another attempt; the edit happens in the card's own task."""
        live = self._open.get(job.id)
        if live is None or live.closed:
            live = self._opened(job, rests=self._after(timedelta(0)))
        self._drawn.forget(job.id)
        live.progress = None
        self._refresh(job.id, live)

    def resume(self, job: Job) -> None:
        """Open the card of a job that waited before this process began, as it is; it is looked at soon."""
        if job.id not in self._open:
            self._opened(job, rests=self._after(timedelta(0))).looked_at = self._clock.now() - LONG_AGO

    def waiting(self, *, seen_before: datetime, except_in: Container[int]) -> tuple[JobId, ...]:
        """The open cards that show a place or time from before `seen_before`, the oldest first: of jobs that wait for their
        turn, or for their next step. Those in the channels `except_in` are left out.
        """
        now = self._clock.now()
        found = [
            (live.looked_at, job_id)
            for job_id, live in self._open.items()
            if not (live.closed or live.stale or live.channel_id in except_in)
            and not seen_before < live.looked_at <= now  # one in the future is from before the clock was put back
        ]
        return tuple(job_id for _, job_id in sorted(found))

    def shown_position(self, job_id: JobId) -> QueuePosition | None:
        """Where an open card says that its job stands; None where that is unknown."""
        live = self._open.get(job_id)
        return None if live is None else live.position

    def looked(self, job_id: JobId) -> None:
        """The card's place was compared with the truth this moment."""
        if (live := self._open.get(job_id)) is not None:
            live.looked_at = self._clock.now()

    def refresh(self, job_id: JobId) -> None:
        """Show the newest state of an open card."""
        live = self._open.get(job_id)
        if live is not None and not live.closed:
            self._refresh(job_id, live)

    def on_progress(self, job: Job, progress: Progress) -> None:
        """Remember the newest progress of an open card; called on the event loop, never blocks."""
        self._drawn.note(job.id, progress.fraction)
        live = self._open.get(job.id)
        if live is None or live.closed:
            return
        seen = live.progress.preview if live.progress and not progress.refused else None
        live.progress = progress if progress.preview else replace(progress, preview=seen)
        self._refresh(job.id, live)

    async def close(self, job_id: JobId) -> None:
        """After this no edit of the card is in flight or will come."""
        self._drawn.forget(job_id)
        live = self._open.get(job_id)
        if live is None:
            return
        live.closed = True
        live.nudge.set()
        if live.task is not None:
            await asyncio.wait({live.task})
        if self._open.get(job_id) is live:
            del self._open[job_id]

    async def stop(self) -> None:
        """Close every card; they keep what they show."""
        self._stopped = True
        for job_id in tuple(self._open):
            await self.close(job_id)

    def _opened(self, job: Job, *, rests: Pause) -> _LiveCard:
        live = _LiveCard(channel_id=job.reply.channel_id, rests=rests, looked_at=self._clock.now())
        self._open[job.id] = live
        return live

    def _refresh(self, job_id: JobId, live: _LiveCard) -> None:
        live.stale = True
        if not self._stopped and (live.task is None or live.task.done()):
            live.task = asyncio.create_task(self._keep_fresh(job_id, live), name=f"live-card-{job_id}")

    async def _keep_fresh(self, job_id: JobId, live: _LiveCard) -> None:
        while live.stale and not live.closed:
            wait = self._wait(live)
            if wait > 0:
                await rest(live.nudge, wait, self._sleep)
                continue
            live.stale = False
            try:
                await self._edit(job_id, live)
            except Exception:  # best effort: the final card comes by another way
                log.debug("Live card of job %s could not be shown", job_id, exc_info=True)
            live.rests = self._after(self._interval)

    def _after(self, time: timedelta) -> Pause:
        """A pause that begins now."""
        return Pause.of(time, since=self._clock.now())

    def _wait(self, live: _LiveCard) -> float:
        """Seconds until the next edit of the card."""
        now = self._clock.now()
        return max(pause.left(now) for pause in (live.rests, self._pause) if pause is not None)

    async def _edit(self, job_id: JobId, live: _LiveCard) -> None:
        job = await self._jobs.get(job_id)
        if job is None or job.deleted_at is not None or not job.status.is_waiting:
            live.closed = True
            return
        progress = live.progress
        if progress is not None and not live.shows_preview:
            progress = replace(progress, preview=None)
        card = await self._cards.live(job, progress)
        try:
            async with asyncio.timeout(EDIT_TIMEOUT):
                message_id = await self._send(job, card, live)
        except MessengerError as error:
            log.debug("Live card of job %s: %s", job_id, error)
            self._obey(live, error)
            return
        live.position, live.looked_at = card.position, self._clock.now()
        if message_id is not None and job.reply.message_id != message_id:
            await self._jobs.set_message(job_id, channel_id=job.reply.channel_id, message_id=message_id)

    async def _send(self, job: Job, card: JobCard, live: _LiveCard) -> int | None:
        """By token while it lives, then by id, then by a token that only the clock calls dead; None when none is left."""
        reply = job.reply
        lives = reply.token_lives(self._clock.now())
        if lives and (shown := await self._by_token(reply, card, live)) is not None:
            return shown
        try:
            return None if reply.message_id is None else await self._messenger.edit_by_id(reply, card)
        except MessengerError as error:
            may_live = not lives and reply.token is not None and error.fault in NOT_LET_IN
            shown = await self._by_token(reply, card, live) if may_live else None
            if shown is None:
                raise
            return shown

    async def _by_token(self, reply: ReplyTarget, card: JobCard, live: _LiveCard) -> int | None:
        """None where the token is dead; each refusal of one counts towards a ban, so it is asked for once."""
        if live.token_is_dead:
            return None
        try:
            return await self._messenger.edit_by_token(reply, card)
        except MessengerError as error:
            if error.fault is not DeliveryFault.TOKEN_DEAD:
                raise
            live.token_is_dead = True
            return None

    def _obey(self, live: _LiveCard, error: MessengerError) -> None:
        """Slow down or fall silent, as the fault asks for."""
        match error.fault:
            case DeliveryFault.RATE_LIMITED:
                seconds = BLOCKED_PAUSE if error.retry_after is None else error.retry_after
                self._pause = self._after(timedelta(seconds=seconds))
                live.stale = True
            case DeliveryFault.TOO_LARGE:
                live.shows_preview = False
                live.stale = True
            case DeliveryFault.UNAVAILABLE | DeliveryFault.TOKEN_DEAD:
                pass
            case _:  # the message or our right to it is gone; delivery finds out what is left to do
                live.closed = True
