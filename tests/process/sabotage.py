"""Changes to plant in a bot's process: bugs, for the campaign to show that it finds them; faults of the GPU; shorter waits."""

from __future__ import annotations

import asyncio
import secrets
import threading
from typing import Any

from bot.domain.delivery import DeliveryFault
from bot.domain.job import JobStatus
from bot.ports import MessengerError, Recovery


def forget_interrupted_jobs() -> None:
    """What a crash left RUNNING stays so."""
    from bot.storage.jobs import SqliteJobs

    async def recover(self: SqliteJobs, **_: Any) -> Recovery:
        return Recovery(requeued=(), failed=())

    SqliteJobs.recover = recover


def post_instead_of_editing() -> None:
    """Results are new messages with a random nonce, and nobody looks whether one is there."""
    from bot.chat.messenger import DiscordMessenger

    def unless_final(edit: Any) -> Any:
        async def edit_live_cards_only(self: DiscordMessenger, reply: Any, card: Any) -> int:
            if card.job.status in (JobStatus.SUCCEEDED, JobStatus.FAILED):
                raise MessengerError(DeliveryFault.MESSAGE_GONE)
            return await edit(self, reply, card)

        return edit_live_cards_only

    post = DiscordMessenger.post

    async def post_anew(self: DiscordMessenger, reply: Any, card: Any, *, nonce: str) -> int:
        del nonce
        return await post(self, reply, card, nonce=secrets.token_hex(8))

    async def find_nothing(*_: Any, **__: Any) -> None:
        return None

    DiscordMessenger.edit_by_token = unless_final(DiscordMessenger.edit_by_token)
    DiscordMessenger.edit_by_id = unless_final(DiscordMessenger.edit_by_id)
    DiscordMessenger.post = post_anew
    DiscordMessenger.find_post = find_nothing


def charge_in_a_second_transaction() -> None:
    """The result is recorded first and charged a little later."""
    from bot.storage import job_outcomes, ledger
    from bot.storage.jobs import SqliteJobs

    charge, finish = ledger.charge, SqliteJobs.finish

    async def finish_then_charge(self: SqliteJobs, job_id: str, attempt: int, images: Any, *, now: Any) -> bool:
        finished = await finish(self, job_id, attempt, images, now=now)
        await asyncio.sleep(1.5)
        if finished:
            await self._database.transaction(lambda connection: charge(connection, job_id, now=now))
        return finished

    job_outcomes.ledger.charge = lambda *_, **__: None
    SqliteJobs.finish = finish_then_charge


def write_no_outbox_entry() -> None:
    """Nobody remembers that a finished card has to be shown."""
    from bot.storage import job_outcomes

    job_outcomes._open_entry = lambda *_, **__: None


def answer_before_storing() -> None:
    """ "thinking…" comes first, the job is stored a little later, and nothing is written down in between."""
    from bot.chat.replies import defer_public, origin_of
    from cogs import _submit

    async def take_in(generation: Any, interaction: Any, propose: Any) -> None:
        origin = origin_of(interaction)
        reply = await defer_public(interaction)
        await asyncio.sleep(0.3)
        await generation.submit(await propose(origin), origin, reply)

    _submit.take_in = take_in


def hang_in_a_step() -> None:
    """No bug: the first step never ends, as if its kernel hung; and nobody waits long to find that out."""
    from bot.inference.engine import engine, watchdog

    watchdog.HANG_SECONDS = watchdog.FIRST_CALLS_SECONDS = 1.0
    engine.denoise = lambda *_: threading.Event().wait()


def lose_the_device() -> None:
    """No bug: the first step reports what a driver does when its context is gone."""
    from bot.inference.engine import engine

    def denoise(*_: Any) -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    engine.denoise = denoise


def shorten_the_grace() -> None:
    """No bug: running work gets 1 s after SIGTERM in place of 8, so that a test of the cut-off need not last that long."""
    from bot import background

    background.GRACE_SECONDS = 1.0


def stall_erasures() -> None:
    """No bug: an erasure whose words and files are gone waits for a disk that does not answer."""
    from bot.storage.privacy import SqlitePrivacy

    async def fold_log(_: SqlitePrivacy) -> bool:
        return await asyncio.Event().wait()

    SqlitePrivacy.fold_log = fold_log


BUGS = {
    bug.__name__: bug
    for bug in (
        forget_interrupted_jobs,
        post_instead_of_editing,
        charge_in_a_second_transaction,
        write_no_outbox_entry,
        answer_before_storing,
    )
}


OTHERS = {other.__name__: other for other in (hang_in_a_step, lose_the_device, shorten_the_grace, stall_erasures)}


def plant(name: str) -> None:
    (BUGS | OTHERS)[name]()
