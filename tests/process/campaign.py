"""A campaign: lives of the bot that end by SIGKILL at random moments, while members keep pressing things."""

from __future__ import annotations

import asyncio
import contextlib
import io
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from tests.local_discord.components import buttons
from tests.local_discord.journal import Entry
from tests.local_discord.messages import Message
from tests.local_discord.refusals import RefusalError, invalid_token, rate_limited
from tests.local_discord.server import TOKEN
from tests.process.campaign_judge import CampaignRecord, judge, sound
from tests.process.harness import ProcessHarness

BACKLOG = 6  # cards that may wait at once; members are patient enough that a life finds old work and makes new
LONGEST_LIFE = 6.0  # seconds until the kill if the awaited moment does not come
STORMY = 0.1  # share of actions after which one request goes wrong
PRESSES = ("Reroll", "subtle", "strong", "Upscale", "Cancel")


@dataclass(frozen=True)
class Moment:
    """When to kill: `delay` seconds (at most; drawn at random) after an entry that `fits`, or after the start.

    `deleted` is the share of the members' actions in which somebody deletes a card: its result is posted anew then; `uploads`
    is the share of the commands that come with a picture to start from.
    """

    name: str
    delay: float
    fits: Callable[[Entry], bool] | None = None
    deleted: float = 0.03
    uploads: float = 0.15


def request(method: str, part: str) -> Callable[[Entry], bool]:
    return lambda entry: entry.kind == "request" and entry.what.startswith(method) and part in entry.what


def message(what: str, *, pictures: bool | None = None) -> Callable[[Entry], bool]:
    def fits(entry: Entry) -> bool:
        return entry.kind == "message" and entry.what == what and pictures in (None, entry.facts["files"] > 0)

    return fits


def of_kind(kind: str) -> Callable[[Entry], bool]:
    return lambda entry: entry.kind == kind


FIRST_ANSWERS = (
    Moment("storing", 0.1, of_kind("interaction"), uploads=0.3),
    Moment("answered, and the bot does not know yet", 0.0, of_kind("answer"), uploads=0.3),
    Moment("taking in", 0.1, request("POST", "/callback"), uploads=0.3),
    Moment("an upload is announced", 0.0, message("loading"), uploads=0.8),
    Moment("reading an upload", 0.1, message("loading"), uploads=0.8),
)

MOMENTS = (
    Moment("starting", 1.5),
    Moment("logging in", 0.3, lambda entry: entry.kind == "gateway" and entry.what == "identify"),
    *FIRST_ANSWERS,
    Moment("showing the queue card", 0.0, message("created", pictures=False)),
    Moment("drawing", 0.6, message("created", pictures=False)),
    Moment("finishing", 0.15, message("edited", pictures=False)),
    Moment("delivering, answer on its way", 0.0, message("edited", pictures=True)),
    Moment("delivering", 0.03, request("PATCH", "/messages/")),
    Moment("posting, answer on its way", 0.0, message("created", pictures=True), deleted=0.4),
    Moment("any time", LONGEST_LIFE / 2),
)


@dataclass
class Tally:
    """What happened, for the report: lives by the moment that ended them, or that did not come in time."""

    lives: int = 0
    moments: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    interactions: int = 0
    seconds: float = 0.0


BAD_WEATHER: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PATCH", "/webhooks/", {"before": "reset"}),
    ("PATCH", "/webhooks/", {"after": "reset"}),
    ("PATCH", "/webhooks/", {"before": RefusalError(503, 0, "unavailable")}),
    ("PATCH", "/webhooks/", {"after": RefusalError(502, 0, "bad gateway")}),
    ("PATCH", "/webhooks/", {"before": invalid_token()}),
    ("PATCH", "/messages/", {"delay": 0.5}),
    ("PATCH", "/messages/", {"before": rate_limited(0.5)}),
    ("POST", "/channels/", {"after": "reset"}),
    ("POST", "/channels/", {"after": RefusalError(502, 0, "bad gateway")}),
    ("POST", "/callback", {"after": "reset"}),
    ("POST", "/callback", {"delay": 0.3}),
)


class Members:
    """Fires commands and buttons at a random pace while a gateway session is there; the network is bad at times."""

    def __init__(self, house: ProcessHarness, luck: random.Random) -> None:
        self._house, self._luck = house, luck
        self.sent = 0
        self.deleted = self.uploads = 0.0

    async def act(self) -> None:
        while True:
            await asyncio.sleep(self._luck.expovariate(5.0))
            if self._house.local.gateway.session(0) is not None and self._house.local.rest.commands:
                await self._one_thing()

    async def _one_thing(self) -> None:
        local = self._house.local
        cards = [card for card in local.messages.all.values() if _pressable(card)]
        waiting = sum(card.loading or _offers(card, "Cancel") for card in cards)
        user = self._luck.choice(local.world.users)
        self.sent += 1
        if self._luck.random() < STORMY:
            method, path, fault = self._luck.choice(BAD_WEATHER)
            local.faults.add(method, path, **fault)
        if cards and self._luck.random() < self.deleted:
            local.messages.delete(self._luck.choice(cards[-5:]))  # by a moderator's hand, without telling the bot
            return
        if cards and self._luck.random() < 0.4:
            card = self._luck.choice(cards[-20:])
            press = self._luck.choice(PRESSES)
            if _offers(card, press) and (press == "Cancel" or waiting < BACKLOG):
                await local.press(user, card, press)
                return
        if waiting < BACKLOG:
            channel = self._luck.choice([local.world.general, local.world.thread, local.world.dms[user.id]])
            upload = {"image": local.messages.upload(channel, "start.png", START)} if self._luck.random() < self.uploads else {}
            await local.command(user, "anime", channel=channel, prompt=f"hat number {self.sent}", **upload)


def _picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (96, 80), "teal").save(buffer, "PNG")
    return buffer.getvalue()


START = _picture()


def _pressable(message: Message) -> bool:
    return not (message.deleted or message.ephemeral)


def _offers(message: Message, label: str) -> bool:
    return any(label in (button.get("label") or "") for button in buttons(message.now.components or []))


async def run_campaign(
    house: ProcessHarness,
    lives: int,
    seed: int,
    *,
    moments: Sequence[Moment] = MOMENTS,
    longest_life: float = LONGEST_LIFE,
    patience: float = 120.0,
) -> Tally:
    """Kill `lives` lives, then let a last one bring everything to its end (in `patience` seconds). It stays up, idle."""
    luck, tally, started = random.Random(seed), Tally(), time.monotonic()
    members = Members(house, luck)
    acting = asyncio.create_task(members.act(), name="members")
    try:
        for number in range(lives):
            moment = moments[number % len(moments)]
            members.deleted, members.uploads = moment.deleted, moment.uploads
            came = await _live_until(house, moment, luck, longest_life)
            tally.lives += 1
            (tally.moments if came else tally.missed)[moment.name] += 1
            if acting.done():
                acting.result()
    finally:
        acting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await acting
    house.local.faults.clear()  # rarely used routes saved up bad weather for longer than anybody waits here
    await house.start()
    await house.calm(patience)
    tally.interactions, tally.seconds = len(house.local.interactions.all), time.monotonic() - started
    return tally


async def _live_until(house: ProcessHarness, moment: Moment, luck: random.Random, longest_life: float) -> bool:
    """One life; whether its moment came. The kill may come inside the local Discord: after the effect, before the answer."""
    come = asyncio.Event()
    bot = await house.start(connected=False)
    delay = luck.uniform(0, moment.delay)

    def watch(entry: Entry) -> None:
        if moment.fits is not None and not come.is_set() and moment.fits(entry):
            if not moment.delay:
                bot.send(signal.SIGKILL)
            come.set()

    stop = house.local.journal.listen(watch)
    try:
        if moment.fits is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(longest_life):
                    await come.wait()
        await asyncio.sleep(delay)
    finally:
        stop()
    await house.kill()
    return moment.fits is None or come.is_set()


def verdict(house: ProcessHarness) -> list[str]:
    """Every promise that the campaign found broken."""
    books = CampaignRecord.read(house.database, house.data / "images")
    messages = list(house.local.messages.all.values())
    interactions = list(house.local.interactions.all.values())
    return [*judge(books, messages, interactions), *sound(house.database), *house.local.journal.violations, *_leaks(house)]


def _leaks(house: ProcessHarness) -> list[str]:
    """Secrets and members' words that stand in the bot's log (at INFO, as operators run it)."""
    secrets = {"the bot's token": TOKEN, "a prompt": "hat number"}
    secrets |= {f"the token of interaction {it.id}": it.token for it in house.local.interactions.all.values()}
    leaks = [f"the log holds {what}" for what, text in secrets.items() if text in house.log]
    bugs = re.findall(r"^.*ERROR.*\nTraceback[\s\S]*?^\w.*$", house.log, re.MULTILINE)
    ours = [bug for bug in bugs if "ConnectionResetError" not in bug.splitlines()[-1]]  # that was the weather
    return leaks + [f"the log holds a traceback: {bug}" for bug in ours[:3]]
