"""Where members' texts are read that may have been made to take long: beside the event loop, in turn, at a pace."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from bot.messages import translatable
from bot.pools import Pool
from bot.services.bounds import Pace, Places

TRIES_A_MINUTE = 60  # of a member; nobody writes or presses faster for long
OWN_FULL = translatable("I'm still reading your other requests. Wait for my answers, then try again.")
ALL_FULL = translatable("Too many people are asking me at once. Try again in a few seconds.")

Given = ParamSpec("Given")
Value = TypeVar("Value")


class TextReader:
    """Reads on one thread, one text at a time a member, so that nobody waits for more than one text of each other member.

    A prompt made for it takes the word rules a quarter of a second. The thread is not nice: it holds Python's lock, and the
    event loop would wait for it. `close` it at the end.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool = Pool("texts", 1)
        self._pace = Pace(TRIES_A_MINUTE, clock=clock)
        self._places = Places(a_member=TRIES_A_MINUTE, at_once=1, in_all=500, own_full=OWN_FULL, all_full=ALL_FULL)

    async def read(self, user_id: int, work: Callable[Given, Value], *args: Given.args, **kwargs: Given.kwargs) -> Value:
        """What `work` returns or raises about a member's text. Counts as a try of theirs whatever comes of it.

        Raises QuotaError, with the sentence for the member, where they asked too often.
        """
        self._pace.spend(user_id)
        async with self._places.take(user_id):
            return await self.read_again(work, *args, **kwargs)

    async def read_again(self, work: Callable[Given, Value], *args: Given.args, **kwargs: Given.kwargs) -> Value:
        """The same about what was taken in before, which counts as nobody's try."""
        return await self._pool.run(work, *args, **kwargs)

    async def close(self) -> None:
        """Waits for the text that is being read."""
        await self._pool.close()
