"""What one member can do to another's pictures with everything that they may ask for: python -m tests.bench.mixed_attack.

The attacker has 6,000 requests stored. While another member draws a hundred pictures one after another, the attacker, again and
again, asks six times for all of it as a file, attaches 60 small files that unpack to 16.7 megapixels each, sends twelve prompts
that were made to be slow to judge, and confirms 40 times that everything is to be deleted.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from tests.bench.harness import ANSWER_LIMIT, Asked, BenchHarness, Checkout, checkouts, options, run, running
from tests.bench.stored import multiply
from tests.bench.tables import median, quantile, record, say, seconds_since, table
from tests.local_discord.interactions import Interaction
from tests.local_discord.world import User

STORED, EXPORTS, BOMBS, WORDS, PRESSES = 6000, 6, 60, 12, 40
PRESS_GAP = 0.05  # seconds
CALM = 15  # pictures before the attack
STEPS = 2  # of the other member's pictures
BETWEEN = 1.0  # seconds from one of the other member's requests to the next: nobody may ask faster for long
DRAWN_WITHIN = 30.0  # seconds; nobody waits longer for a small picture
AIM_ANSWER, AIM_MULTIPLE, AIM_GROWTH = 0.5, 3.0, 500.0  # seconds at p99, times the calm median, MiB
SLOW_PARTS = ("*", "1 ", "é", "7", "ass", "5")


def bomb() -> bytes:
    """A PNG of about 70 KiB that is 64 MiB when it is unpacked."""
    picture = Image.new("RGBA", (4096, 4096), (200, 100, 50, 128))
    picture.paste((1, 2, 3, 255), (0, 0, 900, 900))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def slow_words(luck: random.Random) -> str:
    text = ""
    while len(text) < 2000:
        text += luck.choice(SLOW_PARTS)
    return text[:1999]


@dataclass
class Attacker:
    """Sends everything at once, waits until all of it was answered, and begins anew. Counts what was sent."""

    rig: BenchHarness
    user: User
    bomb: bytes
    sent: dict[str, int] = field(default_factory=dict)
    waves: int = 0

    async def go_on(self) -> None:
        luck = random.Random(3)
        while True:
            await self._wave(luck)
            self.waves += 1
            await asyncio.sleep(1.0)

    async def _wave(self, luck: random.Random) -> None:
        local, general = self.rig.local, self.rig.local.world.general
        exports = [await local.command(self.user, "privacy export") for _ in range(EXPORTS)]
        others = [
            await local.command(self.user, "anime", prompt=slow_words(luck), negative_prompt=slow_words(luck))
            for _ in range(WORDS)
        ]
        for number in range(BOMBS):
            file = local.messages.upload(general, f"{number}.png", self.bomb)
            given: dict[str, Any] = {"image": file, "strength": 0.9, "steps": 1}
            others.append(await local.command(self.user, "anime", prompt="a coat", **given))
        self._count(exports=EXPORTS, words=WORDS, bombs=BOMBS)
        await _in_vain_after(15.0, lambda: all(_told(it) for it in exports))
        async with asyncio.TaskGroup() as presses:
            for _ in range(PRESSES):
                presses.create_task(self._delete())
                await asyncio.sleep(PRESS_GAP)
        await _in_vain_after(15.0, lambda: all(it.answer is not None for it in others))

    async def _delete(self) -> None:
        """Ask, and press the button under the question."""
        asked = await self.rig.local.command(self.user, "privacy delete")
        await _in_vain_after(5.0, lambda: _told(asked) and bool(asked.response.now.buttons))
        if asked.original is not None and (found := asked.original.now.buttons):
            await self.rig.local.forge(self.user, asked.original, found[0]["custom_id"])
            self._count(presses=1)

    def _count(self, **sent: int) -> None:
        for what, number in sent.items():
            self.sent[what] = self.sent.get(what, 0) + number


def _told(it: Interaction) -> bool:
    """Whether there is more to read than "thinking…"."""
    return it.original is not None and not it.original.loading


async def _in_vain_after(seconds: float, holds: Callable[[], bool]) -> None:
    """Wait until `holds()`, but not for ever: a bot that is under attack may owe an answer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110  # asked rarely enough; the journal would wake it for each of a thousand events
                await asyncio.sleep(0.05)


@dataclass(frozen=True)
class Outcome:
    """What another member met: seconds to first answers and pictures (infinite: never), and the bot's memory in MiB."""

    calm: tuple[float, ...]
    answers: tuple[float, ...]
    drawn: tuple[float, ...]
    memory: tuple[float, float]
    waves: int
    sent: dict[str, int]

    def facts(self) -> dict[str, Any]:
        calm, under_attack = median(self.calm), median(self.drawn)
        return {
            "asked": len(self.answers), "never_answered": sum(map(math.isinf, self.answers)),
            "never_drawn": sum(map(math.isinf, self.drawn)),
            "answer_p50": quantile(self.answers, 0.5), "answer_p99": quantile(self.answers, 0.99), "calm": calm,
            "drawn_p50": under_attack, "multiple": under_attack / calm, "memory": self.memory[0],
            "growth": self.memory[1] - self.memory[0], "waves": self.waves, **self.sent,
        }  # fmt: skip


async def one_picture(rig: BenchHarness, user: User) -> Asked:
    """Ask, and wait as long as somebody would."""
    soonest = time.monotonic() + BETWEEN
    asked = await rig.ask(user, steps=STEPS)
    with contextlib.suppress(TimeoutError):
        await rig.local.answer(asked.it, ANSWER_LIMIT)
        async with asyncio.timeout(DRAWN_WITHIN):
            await asked.drawn.wait()
    await asyncio.sleep(soonest - time.monotonic())
    return asked


async def measure(rig: BenchHarness, pictures: int, seconds: float, stored: int) -> Outcome:
    attacker = Attacker(rig, rig.member(), await asyncio.to_thread(bomb))
    first = await rig.ask(attacker.user, images=4, steps=60)
    await rig.local.until(lambda: first.it.original and first.it.original.now.buttons, "the card", 60)
    await rig.clear()
    await rig.stop()
    await asyncio.to_thread(multiply, rig.data / "pastel.db", attacker.user.id, stored)
    await rig.start()
    bystander = rig.member()
    calm = [await one_picture(rig, bystander) for _ in range(CALM)]
    peak = before = rig.memory()

    async def watch() -> None:
        nonlocal peak
        while True:
            peak = max(peak, await asyncio.to_thread(rig.memory))
            await asyncio.sleep(0.1)

    background = [asyncio.create_task(watch()), asyncio.create_task(attacker.go_on())]
    asked, until = list[Asked](), time.monotonic() + seconds
    while len(asked) < pictures and time.monotonic() < until:
        asked.append(await one_picture(rig, bystander))
    for task in background:
        if task.done():
            task.result()
        task.cancel()
    await asyncio.wait(background)
    answers = tuple(math.inf if one.it.seconds is None else one.it.seconds for one in asked)
    drawn = tuple(math.inf if one.seconds is None else one.seconds for one in asked)
    calm_seconds = tuple(math.inf if one.seconds is None else one.seconds for one in calm)
    return Outcome(calm_seconds, answers, drawn, (before, peak), attacker.waves, attacker.sent)


async def main() -> None:
    parser = options(__doc__, rounds=1)
    parser.add_argument("--pictures", type=int, default=100, help="that the other member asks for")
    parser.add_argument("--seconds", type=float, default=75.0, help="after which no more is asked for")
    parser.add_argument("--stored", type=int, default=STORED, help="requests of the attacker")
    given = parser.parse_args()
    started, rows = time.monotonic(), []
    compared = checkouts(given.checkout)
    for turn in range(given.rounds):
        for checkout in compared:
            async with running(checkout.folder, MAX_BATCH="1") as rig:
                outcome = await measure(rig, given.pictures, given.seconds, given.stored)
            record(measure="mixed attack", round=turn, checkout=checkout.name, **outcome.facts())
            rows.append(_row(checkout, outcome))
    heading = (
        "checkout",
        "asked",
        "answer p50 ms",
        "p99 ms",
        "unanswered",
        "calm s",
        "drawn s",
        "multiple",
        "memory MiB",
        "kept",
    )
    table(heading, rows)
    say(f"\naims: p99 <= {AIM_ANSWER * 1e3:.0f} ms, multiple <= {AIM_MULTIPLE:g}, growth <= {AIM_GROWTH:.0f} MiB")
    say(f"{given.rounds} rounds in {seconds_since(started):.0f} s")


def _row(checkout: Checkout, outcome: Outcome) -> tuple[str, ...]:
    facts = outcome.facts()
    kept = facts["answer_p99"] <= AIM_ANSWER, facts["multiple"] <= AIM_MULTIPLE, facts["growth"] <= AIM_GROWTH
    return (
        checkout.name, str(facts["asked"]), f"{facts['answer_p50'] * 1e3:.0f}", f"{facts['answer_p99'] * 1e3:.0f}",
        str(facts["never_answered"]), f"{facts['calm']:.2f}", f"{facts['drawn_p50']:.2f}", f"{facts['multiple']:.2f}",
        f"{facts['memory']:.0f} + {facts['growth']:.0f}", "/".join("yes" if one else "NO" for one in kept),
    )  # fmt: skip


if __name__ == "__main__":
    run(main())
