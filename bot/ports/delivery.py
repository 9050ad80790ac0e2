"""How a finished job reaches its card: the outbox that remembers it, the messenger that shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from bot.domain.card import JobCard
from bot.domain.delivery import DeliveryFault, OutboxEntry, SeenAnswer
from bot.domain.job import JobId, ReplyTarget
from bot.domain.language import Language
from bot.errors import PastelError
from bot.messages import Message


class Outbox(Protocol):
    """Finished jobs whose cards are not shown yet; one entry a job, kept until it is shown or given up."""

    async def due(self, *, now: datetime, limit: int) -> tuple[OutboxEntry, ...]:
        """Entries whose time has come, oldest first; also those whose wait began after `now`: the clock was set back since."""
        ...

    async def next_due(self) -> datetime | None:
        """When the earliest open entry wants to be tried."""
        ...

    async def delivered(self, job_id: JobId, *, channel_id: int, message_id: int, now: datetime) -> None:
        """Close the entry, remember the message; SUCCEEDED becomes DELIVERED."""
        ...

    async def retry(self, job_id: JobId, *, at: datetime, fault: DeliveryFault, now: datetime) -> None:
        """Count the attempt and wait from `now` until `at`."""
        ...

    async def give_up(self, job_id: JobId, fault: DeliveryFault, *, now: datetime) -> None:
        """Close the entry; SUCCEEDED becomes UNDELIVERABLE, with a refund in place of the charge."""
        ...

    async def start_post(self, job_id: JobId, *, now: datetime) -> OutboxEntry:
        """Remember, before posting, that a post was tried; the first time stays."""
        ...


class MessengerError(PastelError):
    """Discord refused or lost a message; `retry_after` is seconds, where Discord said so.

    RATE_LIMITED with `retry_after` concerns that channel; without it Discord refuses everything (Cloudflare's ban), and
    delivery stops all requests but one probe a minute.
    """

    def __init__(self, fault: DeliveryFault, detail: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(f"{fault}: {detail}" if detail else str(fault))
        self.fault = fault
        self.retry_after = retry_after


class FirstAnswer(Protocol):
    """How one interaction is answered; all raise MessengerError.

    TOKEN_DEAD: Discord takes no answer any more. ALREADY_ANSWERED: it has one, by an earlier try. UNAVAILABLE and RATE_LIMITED:
    whether it took this one is unknown.
    """

    @property
    def waited(self) -> float:
        """Seconds since the interaction came in."""
        ...

    async def show(self, card: JobCard) -> int | None:
        """Answer with the card, for everybody to see; returns its message id where Discord says it."""
        ...

    async def ask_for_patience(self) -> None:
        """Answer with a sentence for the member alone: it is slow just now, and what it means when no card comes."""
        ...

    async def think(self) -> int | None:
        """Answer with "thinking…", for everybody to see; returns its message id where Discord says it."""
        ...

    async def refuse(self, sentence: Message) -> None:
        """Tell the member alone why nothing comes, whatever was answered before."""
        ...

    async def follow_up(self, card: JobCard) -> int:
        """Send the card for everybody to see, after an answer that was private; returns its message id."""
        ...


class Messenger(Protocol):
    """Shows cards. Edits replace the whole card and may be repeated; all raise MessengerError."""

    async def first_answer(self, reply: ReplyTarget) -> SeenAnswer:
        """Return the answer that the interaction got. TOKEN_DEAD: it got none, or the token is too old to tell."""
        ...

    async def say(self, reply: ReplyTarget, sentence: Message, *, language: Language | None = None) -> None:
        """Put a sentence in the place of the first answer; None is English."""
        ...

    async def edit_by_token(self, reply: ReplyTarget, card: JobCard) -> int:
        """Edit the interaction's original response; returns its message id."""
        ...

    async def edit_by_id(self, reply: ReplyTarget, card: JobCard) -> int:
        """Edit by channel and message id with the bot's own token; returns the message id."""
        ...

    async def post(self, reply: ReplyTarget, card: JobCard, *, nonce: str) -> int:
        """Post a new message; the same nonce within minutes gives the same message. Returns its id."""
        ...

    async def find_post(self, reply: ReplyTarget, job_id: JobId, *, since: datetime) -> int | None:
        """Look for a card of the job that we posted after `since`, by Discord's clock: among the first and the last messages
        from then on. None when there is none or we may not look.
        """
        ...

    async def reopen(self, reply: ReplyTarget) -> None:
        """Open the archived thread of the card. FORBIDDEN where it is locked, or that takes a right that we lack."""
        ...

    async def open_direct(self, user_id: int) -> int:
        """Returns the id of the channel where direct messages to the member go; whether they take any, only a message tells."""
        ...

    async def tell(self, channel_id: int, sentence: Message, *, nonce: str, language: Language | None = None) -> int:
        """Post a sentence; the same nonce within minutes gives the same message. Returns its id."""
        ...

    async def delete(self, reply: ReplyTarget) -> None:
        """Delete the card's message; a message that is gone is no error."""
        ...
