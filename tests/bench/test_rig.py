"""What the measurements read off a card, and how they judge it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.bench.harness import Asked
from tests.bench.load import errors_of
from tests.bench.tables import quantile
from tests.local_discord.messages import Attachment, State
from tests.local_discord.server import LocalDiscord

NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)


def state(content: str, *files: str, after: float = 0.0) -> State:
    attachments = tuple(Attachment(number, name, "", b"") for number, name in enumerate(files))
    return State(NOW + timedelta(seconds=after), content, [], attachments, 0)


@pytest.fixture
def asked() -> Asked:
    local = LocalDiscord()
    it = local.interactions.begin(2, local.world.mika, local.world.general, {"name": "anime"})
    it.sent_at = time.monotonic()
    return Asked(it)


def test_a_card_is_read_from_the_first_promise_to_the_pictures(asked: Asked) -> None:
    sent = asked.it.sent_at
    asked.see(sent + 0.1, state(f"2 jobs ahead · ready <t:{int(NOW.timestamp()) + 6}:R>"))
    asked.see(sent + 2.0, state("`░░` **0 %**"))
    asked.see(sent + 3.0, state("`█░` **10 %**", "preview.webp", after=3))
    asked.see(sent + 4.0, state("seed 1", "pastel-0123456789abcdef-1.png", after=4))
    asked.see(sent + 9.0, state("seed 1, deleted", "pastel-0123456789abcdef-1.png", after=9))

    assert asked.first_step == pytest.approx(3.0)
    assert asked.seconds == pytest.approx(4.0)
    assert errors_of(asked) == [pytest.approx(0.5)], "6 s were promised and 4 s came"


def test_quantiles_are_values_that_were_seen() -> None:
    values = [float(number) for number in range(1, 101)]

    assert (quantile(values, 0.5), quantile(values, 0.99), quantile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert quantile([7.0], 0.5) == 7.0
